"""llama-cpp-python's server with a tiny random model, as a subprocess of a test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec
from support.processes import free_port, upstream

SERVED: Final = 4096
"""The window that it serves, in tokens."""


class ModelServer(msgspec.Struct, frozen=True, kw_only=True):
    """The running server: its port, and its process to be killed."""

    port: int
    process: asyncio.subprocess.Process


@contextlib.asynccontextmanager
async def started(
    python: Path, model: Path, folder: Path, *options: str
) -> AsyncIterator[ModelServer]:
    """Run it with the Python that has it; ``options`` are further ones of its command line."""
    port = free_port()
    command: list[str | Path] = [python, "-m", "llama_cpp.server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--model", model, "--model_alias", "tiny"]
    command += ["--n_ctx", str(SERVED), "--verbose", "false", *options]
    async with upstream(command, f"http://127.0.0.1:{port}/v1/models", folder) as process:
        yield ModelServer(port=port, process=process)
