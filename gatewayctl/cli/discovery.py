"""What ``config init`` finds on this machine, and the file it writes from that.

Asks loopback alone, and never through a proxy.
"""

import http.client
import time
from collections.abc import Iterator, Mapping
from threading import Thread
from urllib.parse import urlsplit

import msgspec

from gatewayctl.config.hosts import is_loopback
from gatewayctl.config.kinds import Kind, is_provider, kinds
from gatewayctl.config.providers import with_keys

_TIMEOUT = 1.0
_LARGEST_LIST = 1 << 20
_MODELS_SHOWN = 8
_LONGEST_NAME = 200


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A model server that answered: its kind, where it is, and the models it lists."""

    kind: str
    base_url: str
    models: tuple[str, ...]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is there: key variables by provider, and servers."""

    keys: Mapping[str, str]
    servers: tuple[Server, ...]

    def told(self) -> Iterator[str]:
        """Yield what was found, a line each."""
        for provider, variable in self.keys.items():
            yield f"found {variable}: {provider}"
        for server in self.servers:
            yield f"found {server.kind} at {server.base_url}: {len(server.models)} models"
        if not self.keys and not self.servers:
            yield "found no key in the environment and no model server on this machine"


class _Entry(msgspec.Struct):
    id: str


class _Listing(msgspec.Struct):
    """The part of ``GET /models`` that all local servers share."""

    data: list[_Entry]


def discover(environ: Mapping[str, str]) -> Found:
    """Look for key variables, and for model servers where each kind usually listens."""
    keys = {
        name: next(each for each in kinds()[name].key_env if environ.get(each))
        for name in with_keys(environ)
    }
    places = {kind.name: _address(kind, environ) for kind in kinds().values() if kind.local}
    return Found(keys=keys, servers=tuple(_answering(places)))


def _answering(places: Mapping[str, str]) -> Iterator[Server]:
    """Yield the servers that answer in time, asked side by side.

    One that sends a byte now and then resets every timeout of a socket, so that it is the asking
    thread that is given up: it ends with the process.
    """
    found: dict[str, Server | None] = {}

    def ask(kind: str, base_url: str) -> None:
        found[kind] = probe(kind, base_url)

    threads = [Thread(target=ask, args=place, daemon=True) for place in places.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + _TIMEOUT
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    yield from (server for kind in places if (server := found.get(kind)) is not None)


def _address(kind: Kind, environ: Mapping[str, str]) -> str:
    """Return where a kind usually listens; Ollama's own variable moves it."""
    moved = environ.get("OLLAMA_HOST", "") if kind.name == "ollama" else ""
    if not moved:
        return kind.base_url
    try:
        parts = urlsplit(moved if "://" in moved else f"http://{moved}")
        host, port = parts.hostname, parts.port or 11434
    except ValueError:
        return kind.base_url
    # 0.0.0.0 is where it listens: this machine reaches it on loopback
    host = "127.0.0.1" if host in {None, "0.0.0.0", "::"} else host  # noqa: S104
    return f"http://{f'[{host}]' if ':' in str(host) else host}:{port}/v1"


def probe(kind: str, base_url: str) -> Server | None:
    """Ask one loopback address for its models; None when no model server answers there."""
    parts = urlsplit(base_url)
    if not parts.hostname or not is_loopback(parts.hostname):
        return None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_TIMEOUT)
    try:
        connection.request("GET", f"{parts.path}/models")
        reply = connection.getresponse()
        body = reply.read(_LARGEST_LIST)
        if reply.status != http.HTTPStatus.OK:
            return None
        listing = msgspec.json.decode(body, type=_Listing)
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return None
    finally:
        connection.close()
    models = tuple(name for entry in listing.data if (name := _clean(entry.id)))
    return Server(kind=kind, base_url=base_url, models=models)


def _clean(name: str) -> str:
    """Keep a server's words from breaking a comment."""
    return "".join(char for char in name[:_LONGEST_NAME] if char.isprintable())


def config_text(found: Found) -> str:
    """Return the file: what was found as tables, what could follow as comments."""
    return "\n".join([*_head(), *_providers(found), *_routes(found)]) + "\n"


def _head() -> Iterator[str]:
    yield "# gatewayctl's configuration. What is left out has its default."
    yield "#   gatewayctl config validate     check this file"
    yield "#   gatewayctl config show         print it without secrets (--resolved: with defaults)"
    yield "#   gatewayctl config schema       the whole format, for editors"
    yield "#   gatewayctl env claude          what a tool needs (claude, codex, gemini, openai)"
    yield ""
    yield "[server]"
    yield '# host = "127.0.0.1"'
    yield "# port = 8790"
    yield ""


def _providers(found: Found) -> Iterator[str]:
    yield "# Providers. A built-in one needs no table, only its key in the environment:"
    width = max(len(name) for name in kinds())
    for name, kind in kinds().items():
        if is_provider(kind) and kind.key_env:
            variable = found.keys.get(name)
            state = f"{variable} is set" if variable else f"set {kind.key_env[0]}"
            yield f"#   {name:{width}}  {state}"
    yield ""
    for server in found.servers:
        yield f"[providers.{server.kind}]"
        yield f'base_url = "{server.base_url}"'
        for model in server.models[:_MODELS_SHOWN]:
            yield f"#   {server.kind}/{model}"
        if len(server.models) > _MODELS_SHOWN:
            yield f"#   and {len(server.models) - _MODELS_SHOWN} more"
        yield ""


def _routes(found: Found) -> Iterator[str]:
    names = [*(server.kind for server in found.servers), *found.keys, "anthropic", "openai"]
    first, second = list(dict.fromkeys(names))[:2]
    yield "# Routes are models of your own making. A cascade tries its steps in order, skips those"
    yield "# that cannot hold a request, and falls through on failure:"
    yield "# [[cascades]]"
    yield '# id = "coding"'
    for name in (first, second):
        yield "# [[cascades.steps]]"
        yield f'# model = "{name}/MODEL"'
    yield ""
    yield "# An alias is another name for a model or a route; * stands for anything:"
    yield "# [aliases]"
    yield '# "gpt-*" = "coding"'
