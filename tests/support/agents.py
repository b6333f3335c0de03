"""What the tests of genuine agents share: their setting, and what "untouched" means.

The setting is the agent, a tap that records its bytes, a ``gatewayctl serve`` that forwards its
credential, and a simulator that keeps a journal of what arrived.
"""

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import zstandard
from support.processes import serving
from support.tap import Tap
from support.upstream import RawRequest

from gatewayctl import simulator as simulators
from gatewayctl.simulator import SimModel, Simulator
from gatewayctl.simulator.journal import Received

_PER_CONNECTION = frozenset(
    {b"accept-encoding", b"connection", b"content-encoding", b"content-length", b"host"}
)
"""Headers that belong to one connection, not to what is said on it."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is run in: ``home`` is empty, ``tap.url`` is the gateway as it sees it."""

    simulator: Simulator
    tap: Tap
    home: Path

    def env(self, **variables: str) -> dict[str, str]:
        """Return an environment of its own for the agent, with nothing of the tester's."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), **variables}


@contextlib.asynccontextmanager
async def forwarding(
    kind: str,
    protocol: str,
    model: SimModel,
    folder: Path,
    more: str = "",
    *,
    tokenizer: str | None = None,
) -> AsyncIterator[Setting]:
    """Run the setting: provider ``up`` of this kind forwards credentials to the simulator.

    The simulator serves ``model`` too, and meters by ``tokenizer``; the gateway knows the model as
    ``up/ID``. ``more`` is further config. The gateway has to end cleanly afterwards.
    """
    home = folder / "home"
    home.mkdir()
    simulator = await simulators.start(models=[model], tokenizer=tokenizer)
    config = f"""
[providers.up]
kind = "{kind}"
base_url = "{simulator.base_url}/v1"
auth = "forward"
protocols = ["{protocol}"]

[[models]]
id = "up/{model.id}"
context_window = {model.window}
max_output_tokens = {model.max_output}
{more}
"""
    try:
        async with serving(config, folder) as daemon, Tap(daemon.host, daemon.port) as tap:
            yield Setting(simulator=simulator, tap=tap, home=home)
    finally:
        await simulator.close()


def assert_untouched(
    sent: list[RawRequest], arrived: list[Received], *, but: frozenset[bytes] = frozenset()
) -> None:
    """Compare what left the client with what reached the upstream: targets, headers, bodies.

    Header names are compared without case and bodies decompressed; everything else byte for byte
    and in order. ``but`` names headers, in lower case, that are not looked at.
    """
    assert sent
    assert [each.target for each in arrived] == [each.target for each in sent]
    for before, after in zip(sent, arrived, strict=True):
        assert _told(after.headers, but) == _told(_headers(before), but)
        assert after.body == _decompressed(before)


def _decompressed(request: RawRequest) -> bytes:
    if request.header("content-encoding") != b"zstd":
        return request.body
    return zstandard.ZstdDecompressor().decompressobj().decompress(request.body)


def _headers(request: RawRequest) -> tuple[tuple[bytes, bytes], ...]:
    lines = request.head.split(b"\r\n")[1:-2]
    parts = (line.partition(b":") for line in lines)
    return tuple((name, value.strip()) for name, _, value in parts)


def _told(
    headers: tuple[tuple[bytes, bytes], ...], but: frozenset[bytes]
) -> list[tuple[bytes, bytes]]:
    lowered = ((name.lower(), value) for name, value in headers)
    return [(name, value) for name, value in lowered if name not in _PER_CONNECTION | but]


def blend(alias: str, *models: SimModel) -> str:
    """Return config for a blend in turn of models at ``up``, reached by an alias.

    The first of the models is the setting's own; the simulator knows the others anyway.
    """
    others = "".join(
        f"""
[[models]]
id = "up/{model.id}"
context_window = {model.window}
"""
        for model in models[1:]
    )
    constituents = "".join(
        f"""
[[alloys.constituents]]
model = "up/{model.id}"
context_window = {model.window}
"""
        for model in models
    )
    return f"""
{others}
[aliases]
"{alias}" = "blend"
[[alloys]]
id = "blend"
name = "In turn"
strategy = "round_robin"
{constituents}
"""


def asked_models(simulator: Simulator) -> list[str]:
    """Return the models that the upstream was asked for, in order."""
    return [msgspec.json.decode(call.body)["model"] for call in simulator.journal.calls()]
