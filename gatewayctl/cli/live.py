"""Asking the daemon that runs on this machine: where it listens, and what it answers.

Loopback alone, and never through a proxy. What is asked is the commands' business.
"""

import contextlib
import http.client
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote, urlencode, urlsplit

import msgspec
import typer

from gatewayctl.cli import offline, render
from gatewayctl.cli.options import NO_DAEMON
from gatewayctl.config.hosts import is_loopback
from gatewayctl.config.load import find_config
from gatewayctl.config.settings import ServerSettings
from gatewayctl.core.errors import GatewayctlError, StorageFailed
from gatewayctl.core.routing.render import Json
from gatewayctl.storage.files import usual_state_folder
from gatewayctl.storage.operator import known_operator_key

_TIMEOUT = 30.0
_LARGEST = 64 * 1024 * 1024
_NAME = "gatewayctl"
_BYTES = {"Content-Type": "application/octet-stream"}
_KEY = "x-gatewayctl-key"
_OK, _CLIENT_ERROR, _UNAUTHORIZED, _SERVER_ERROR = 200, 400, 401, 500


class DaemonUnreachable(GatewayctlError):
    """No daemon answers there, or what answers is none."""


class DaemonRefused(GatewayctlError):
    """The daemon could not read the request; the message is its own."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, where it came from, and which config file the daemon reads ("" without one)."""

    doc: Json
    url: str
    config: str


class _Refusal(msgspec.Struct):
    message: str


class _Refused(msgspec.Struct):
    error: _Refusal


def address(server: ServerSettings) -> str:
    """Return where a daemon with these settings is reached from this machine."""
    host = server.host if is_loopback(server.host) else "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{server.port}"


def found(
    url: str | None,
    config: Path | None,
    path: str,
    query: Mapping[str, object] = MappingProxyType({}),
    body: bytes | None = None,
) -> Told:
    """Ask the daemon at ``url``, or where the config says that it is, for a command.

    Raises ``DaemonRefused``, and what ends the command where no daemon answers or ``url`` is out
    of form.
    """
    if url is None:
        url = address(offline.load_settings(config, os.environ, forgiving=True).server)
    try:
        return ask(url, path, query, body)
    except ValueError as error:
        raise typer.BadParameter(f"{url} is no address of a daemon: {error}") from error
    except DaemonUnreachable as error:
        render.tell(str(error))
        raise typer.Exit(NO_DAEMON) from error


def compare(theirs: str, config: Path | None) -> None:
    """Say so when the daemon reads another config file than this command; "" is none."""
    file = find_config(config, os.environ)
    own = "" if file is None else str(file.absolute())
    if theirs != own:
        files = f"{theirs or 'no config file'}, and {own or 'there is none'}"
        render.tell(f"the daemon reads {files} here")


def ask(
    url: str,
    path: str,
    query: Mapping[str, object] = MappingProxyType({}),
    body: bytes | None = None,
) -> Told:
    """POST a body to a path below ``url``, GET without one, and return the answer.

    Raises ``DaemonUnreachable`` and ``DaemonRefused``, and ``ValueError`` for a URL out of form.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or not is_loopback(parts.hostname):
        raise ValueError("it must be http:// and on this machine")
    asked = {name: value for name, value in query.items() if value is not None}
    target = f"{parts.path.rstrip('/')}{path}{'?' if asked else ''}{urlencode(asked)}"
    method, headers = ("GET", {}) if body is None else ("POST", _BYTES)
    headers = {**headers, **_shown()}
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_TIMEOUT)
    try:
        # a daemon that refuses a body early closes before it is sent, and its answer says why
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, target, body, headers)
        reply = connection.getresponse()
        return _told(url, reply, reply.read(_LARGEST))
    except ConnectionRefusedError as error:
        hint = "gatewayctl serve starts one, --url names another"
        raise DaemonUnreachable(f"no daemon listens at {url}; {hint}") from error
    except TimeoutError as error:
        raise DaemonUnreachable(f"{url} does not answer within {_TIMEOUT:.0f} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise DaemonUnreachable(f"the daemon at {url} cannot be asked: {error!r}") from error
    finally:
        connection.close()


def _shown() -> Mapping[str, str]:
    """Return the header that shows a daemon of the same user who asks; it may ask for a key."""
    try:
        key = known_operator_key(usual_state_folder())
    except StorageFailed:
        return {}  # whether one is needed, the daemon says
    return {} if key is None else {_KEY: key}


def _no_key() -> str:
    """Say why a daemon does not know this user's key, and what to do."""
    folder = usual_state_folder()
    try:
        key = known_operator_key(folder)
    except StorageFailed as error:
        return str(error)
    if key is None:
        return f"there is no operator.key in {folder}; restart the daemon, which makes one"
    return (
        f"it does not know the operator.key in {folder}. It is another user's, has another state "
        "folder, or has to be restarted since the file has changed"
    )


def _told(url: str, reply: http.client.HTTPResponse, body: bytes) -> Told:
    if reply.headers.get("server") != _NAME:
        raise DaemonUnreachable(f"what answers at {url} is not gatewayctl")
    try:
        if reply.status != _OK:
            message = msgspec.json.decode(body, type=_Refused).error.message
            if reply.status == _UNAUTHORIZED:
                raise DaemonUnreachable(f"the daemon at {url} is not sure who asks: {_no_key()}")
            if _CLIENT_ERROR <= reply.status < _SERVER_ERROR:
                raise DaemonRefused(message)
            raise DaemonUnreachable(f"the daemon at {url} failed: {message}")
        doc = msgspec.json.decode(body, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise DaemonUnreachable(f"the daemon at {url} gave an answer that is none") from error
    config = unquote(reply.headers.get("x-gatewayctl-config", ""))
    return Told(doc=doc, url=url, config=config)
