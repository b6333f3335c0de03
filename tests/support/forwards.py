"""Two parties that take a client's own credential, and one with a key: the stage of its tests.

``one`` and ``again`` are two tables of one origin, both out of order; ``two`` is another origin
and ``keyed`` a third, both well. Every one of them is a real server that keeps what it was sent.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

import msgspec
from support.gateway import Gateway, gateway

from gatewayctl.simulator import Simulator
from gatewayctl.simulator.journal import Received
from gatewayctl.simulator.server import start

CREDENTIAL: Final = "sk-canary-forwarded-4f1d"
"""The client's own."""

PROVIDERS: Final = """
[routing]
deadline = "20s"
[providers.one]
kind = "openai-compatible"
base_url = "{one}/v1"
auth = "forward"
protocols = ["chat_completions", "responses", "messages", "gemini"]
[providers.again]
kind = "openai-compatible"
base_url = "{one}/v1"
auth = "forward"
protocols = ["chat_completions", "responses", "messages", "gemini"]
[providers.two]
kind = "openai-compatible"
base_url = "{two}/v1"
auth = "forward"
protocols = ["chat_completions", "responses", "messages", "gemini"]
[providers.keyed]
kind = "openai-compatible"
base_url = "{keyed}/v1"
api_key = "sk-canary-keyed-77aa"
protocols = ["chat_completions", "responses", "messages", "gemini"]
"""

_MEMBERS: Final = ("one/small!503", "two/small", "again/small!503", "keyed/small")


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway and the three servers behind it."""

    gateway: Gateway
    one: Simulator
    two: Simulator
    keyed: Simulator

    def leaked(self, secret: str = CREDENTIAL) -> list[str]:
        """Return where a server other than the first saw a secret: in which of its requests."""
        found = (("two", self.two), ("keyed", self.keyed))
        return [
            f"{name}: {request.method} {request.target}"
            for name, server in found
            for request in server.journal.requests
            if secret.encode() in seen(request)
        ]


def at(config: str, one: str, two: str, keyed: str) -> str:
    """Return a configuration with the servers' addresses in it."""
    return config.replace("{one}", one).replace("{two}", two).replace("{keyed}", keyed)


def seen(request: Received) -> bytes:
    """Return everything of a request in a row."""
    headers = b"\n".join(name + b": " + value for name, value in request.headers)
    return b"\n".join((request.target.encode(), headers, request.body))


def routes(members: tuple[str, ...] = _MEMBERS) -> dict[str, str]:
    """Return the configuration of a route of every kind over these models, by its name."""
    found = dict(_alloys(members)) | dict(_dispatchers(members))
    steps = "".join(f'[[cascades.steps]]\nmodel = "{each}"\n' for each in members)
    found["cascade"] = f'[[cascades]]\nid = "cascade"\n{steps}'
    first, *others = members
    inner = "".join(f'[[cascades.steps]]\nmodel = "{each}"\n' for each in others)
    found["nested"] = (
        f'[[cascades]]\nid = "inner"\n{inner}'
        f'[[dispatchers]]\nid = "nested"\ntargets = ["{first}", "inner"]\n'
    )
    found["alias"] = f'[[cascades]]\nid = "behind"\n{steps}[aliases]\nalias = "behind"\n'
    found["wild-card"] = f'[[cascades]]\nid = "beyond"\n{steps}[aliases]\n"wild-*" = "beyond"\n'
    return found


def _alloys(members: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    constituents = "".join(
        f'[[alloys.constituents]]\nmodel = "{each}"\ncontext_window = 30000\n' for each in members
    )
    for strategy in ("weighted", "round_robin"):
        for scope in ("turn", "request", "session"):
            for partial in ("true", "false"):
                name = f"alloy-{strategy}-{scope}-{partial}"
                text = (
                    f'[[alloys]]\nid = "{name}"\nname = "A"\nstrategy = "{strategy}"\n'
                    f'scope = "{scope}"\npartial_context = {partial}\n{constituents}'
                )
                yield name, text


def _dispatchers(members: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    targets = ", ".join(f'"{each}"' for each in members)
    for order in ("declared", "smallest", "cheapest"):
        for how in ("per_turn", "sticky", "sticky_escalate", "worst_case"):
            name = f"dispatcher-{order}-{how}"
            text = (
                f'[[dispatchers]]\nid = "{name}"\norder = "{order}"\nreevaluate = "{how}"\n'
                f"assume_session_max_tokens = 20000\ntargets = [{targets}]\n"
            )
            yield name, text
    first, second, *others = members
    rest = ", ".join(f'"{each}"' for each in (first, *others))
    text = (
        f'[[dispatchers]]\nid = "rules"\ntargets = [{rest}]\n'
        f'[[dispatchers.rules]]\nwhen = {{ max_input_tokens = 9000 }}\ntarget = "{second}"\n'
    )
    yield "rules", text


@contextlib.asynccontextmanager
async def stage(*more: str) -> AsyncIterator[Stage]:
    """Run the servers and a gateway in front of them, ``more`` in its configuration."""
    async with contextlib.AsyncExitStack() as stack:
        servers = []
        for _ in range(3):
            servers.append(await start())
            stack.push_async_callback(servers[-1].close)
        one, two, keyed = servers
        config = at("".join((PROVIDERS, *more)), one.base_url, two.base_url, keyed.base_url)
        running = await stack.enter_async_context(gateway(config))
        yield Stage(gateway=running, one=one, two=two, keyed=keyed)
