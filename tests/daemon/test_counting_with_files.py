"""The daemon counts with a model's own tokenizer file, in the counting process alone."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from support.gateway import Gateway, gateway
from support.tokenizer_files import byte_level, characters, written
from support.waiting import until

CONFIG = """
[providers.up]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
auth = "none"
protocols = ["chat_completions", "messages"]
[[models]]
id = "up/counted"
context_window = 200000
tokenizer = "huggingface"
tokenizer_file = "{}"
"""
TEXT = "The quick brown fox jumps over the lazy dog.\n" * 20


@contextlib.asynccontextmanager
async def counting(file: str) -> AsyncIterator[Gateway]:
    """Run a gateway whose model is counted with a file."""
    async with gateway(CONFIG.format(file)) as it:
        yield it


async def counted(it: Gateway) -> tuple[int, dict[str, str]]:
    """Return the count of one message, and the reply's headers in lower case."""
    turns = [{"role": "user", "content": TEXT}]
    data = json.dumps({"model": "up/counted", "messages": turns})
    async with it.client.post(f"{it.url}/v1/messages/count_tokens", data=data) as answer:
        assert answer.status == 200
        reply: dict[str, Any] = await answer.json()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return int(reply["input_tokens"]), headers


async def test_a_count_is_the_files_own(tmp_path: Path) -> None:
    """And the daemon itself never loads what counts."""
    before = "tokenizers" in sys.modules
    async with counting(written(tmp_path, characters())) as it:
        tokens, headers = await counted(it)
    assert tokens == len(TEXT) + 4 + 3
    assert "x-gatewayctl-degraded" not in headers
    assert before or "tokenizers" not in sys.modules


async def test_a_file_that_changes_is_counted_with_as_it_is(tmp_path: Path) -> None:
    """Neither the daemon nor the counting process has to be started anew."""
    async with counting(written(tmp_path, characters())) as it:
        first, _ = await counted(it)
        pid = it.app._planner._counter.pid
        written(tmp_path, byte_level())
        second, headers = await counted(it)
        assert it.app._planner._counter.pid == pid
    assert second < first / 2
    assert "x-gatewayctl-degraded" not in headers


async def test_a_file_that_is_gone_costs_the_exactness_and_says_so(tmp_path: Path) -> None:
    """Requests are answered by ratio; the header names the file, readiness says what is wrong."""
    file = written(tmp_path, characters())
    async with counting(file) as it:
        await asyncio.to_thread(Path(file).unlink)
        tokens, headers = await counted(it)
        assert 0 < tokens < len(TEXT)
        assert "counted by ratio, not by tokenizer.json" in headers["x-gatewayctl-degraded"]
        assert str(tmp_path) not in headers["x-gatewayctl-degraded"]
        async with it.client.get(f"{it.url}/readyz") as answer:
            assert "No such file" in (await answer.json())["degraded"]
        written(tmp_path, characters())
        tokens, headers = await counted(it)
        assert tokens == len(TEXT) + 4 + 3
        assert "x-gatewayctl-degraded" not in headers
    await until(lambda: it.app._planner._counter.pid is None)
