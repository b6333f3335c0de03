"""Finds a provider's credential where the config says it is: variable, file, program, plain text.

A value is looked up when it is needed, so a changed variable mapping or file is seen at once; what
a program printed is kept for a while. No message and no ``repr`` here shows a value. How a
credential travels is ``headers``'s business.
"""

import asyncio
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol, assert_never

import msgspec

from gatewayctl.config.settings import (
    FromCommand,
    FromEnv,
    FromFile,
    Plain,
    ProviderSettings,
    Secret,
)
from gatewayctl.core.errors import Failure, FailureKind, UpstreamFailed
from gatewayctl.core.model import Auth
from gatewayctl.storage import files
from gatewayctl.upstream.at_hand import available, labels, usable
from gatewayctl.upstream.programs import printed

_LONGEST = 16 * 1024  # bytes of a credential


class _Unusable(Exception):
    """A credential cannot be had; the message says why, never what was found."""


class _Kept(msgspec.Struct, frozen=True):
    """A value found earlier, and what it was found under (a file's state, an expiry)."""

    value: str
    mark: object

    def __repr__(self) -> str:
        return "_Kept(…)"


class Ends(Protocol):
    """Knows which OAuth credentials are dead."""

    def ended(self, settings: ProviderSettings) -> str | None:
        """Say why nothing but a person helps a credential, and how; None where it lives."""
        ...


class Tokens(Ends, Protocol):
    """Whoever keeps the OAuth tokens of providers fresh."""

    async def token(self, settings: ProviderSettings) -> str:
        """Return an access token; raise ``UpstreamFailed`` (auth) with what to do."""
        ...


class Credentials:
    """Looks credentials up. ``environ`` is read at each look-up; ``tokens`` has those of OAuth.

    A program may take ``command_timeout`` seconds; what it prints serves for ``command_ttl``
    seconds. Many requests that need it at once run it once.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        tokens: Tokens | None = None,
        *,
        command_timeout: float = 30.0,
        command_ttl: float = 300.0,
    ) -> None:
        self._environ = environ
        self._tokens = tokens
        self._timeout = command_timeout
        self._ttl = command_ttl
        self._files: dict[str, _Kept] = {}
        self._printed: dict[tuple[str, ...], _Kept] = {}
        self._running: dict[tuple[str, ...], asyncio.Task[str]] = {}

    def available(self, settings: ProviderSettings) -> bool:
        """Tell whether a provider can be called as far as credentials go."""
        if settings.provider.auth is Auth.OAUTH and self._tokens is not None:
            return self._tokens.ended(settings) is None
        return available(settings, self._environ)

    def usable(self, settings: ProviderSettings) -> tuple[str, ...]:
        """Return the labels of a provider's credentials that are likely to be had, in order."""
        return usable(settings, self._environ)

    async def get(self, settings: ProviderSettings, label: str = "") -> str | None:
        """Return the credential of this label, the first that is there without one.

        None for a provider that names none. Raises ``UpstreamFailed`` (auth) when credentials are
        named and none can be used.
        """
        if settings.provider.auth is Auth.OAUTH and self._tokens is not None:
            return await self._tokens.token(settings)
        complaints: list[str] = []
        for each, secret in zip(labels(settings), settings.secrets, strict=False):
            if label not in {"", each}:
                continue
            try:
                return await self._read(secret)
            except _Unusable as error:
                complaints.append(str(error))
        if not settings.secrets:
            return None
        message = f"no credential for {settings.provider.name}: {'; '.join(complaints)}"
        raise UpstreamFailed(Failure(kind=FailureKind.AUTH, message=message))

    async def close(self) -> None:
        """Stop the programs that are still running."""
        running = tuple(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _read(self, secret: Secret) -> str:
        match secret:
            case FromEnv():
                found = self._environ.get(secret.name, "")
                return _checked(found, f"the variable {secret.name}", missing="is not set")
            case FromFile():
                return self._from_file(secret.path)
            case FromCommand():
                return await self._from_command(secret.argv)
            case Plain():
                return _checked(secret.value, "the key in the config")
            case _:
                assert_never(secret)

    def _from_file(self, name: str) -> str:
        path = Path(name).expanduser()
        try:
            mark = files.stamp(path)
            kept = self._files.get(name)
            if kept is not None and kept.mark == mark:
                return kept.value
            with files.reading(path) as file:
                raw = file.read(_LONGEST + 1)
        except OSError as error:
            raise _Unusable(f"the file {name} cannot be read: {error.strerror}") from error
        value = _checked(_text(raw, f"the file {name}"), f"the file {name}")
        self._files[name] = _Kept(value, mark)
        return value

    async def _from_command(self, argv: tuple[str, ...]) -> str:
        loop = asyncio.get_running_loop()
        kept = self._printed.get(argv)
        if kept is not None and isinstance(kept.mark, float) and loop.time() < kept.mark:
            return kept.value
        task = self._running.get(argv)
        if task is None:
            task = loop.create_task(self._run(argv))
            self._running[argv] = task
            task.add_done_callback(lambda done: self._ran(argv, done))
        # One waiter that leaves must not take the program from the others.
        return await asyncio.shield(task)

    def _ran(self, argv: tuple[str, ...], task: asyncio.Task[str]) -> None:
        del self._running[argv]
        if not task.cancelled() and task.exception() is None:
            expires = task.get_loop().time() + self._ttl
            self._printed[argv] = _Kept(task.result(), expires)

    async def _run(self, argv: tuple[str, ...]) -> str:
        source = f"the command {argv[0]}"
        try:
            async with asyncio.timeout(self._timeout):
                raw, status = await printed(argv, _LONGEST)
        except TimeoutError as error:
            raise _Unusable(f"{source} took longer than {self._timeout:g} s") from error
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "malformed arguments"
            raise _Unusable(f"{source} cannot be run: {why}") from error
        if len(raw) <= _LONGEST and status != 0:
            raise _Unusable(f"{source} failed with exit status {status}")
        return _checked(_text(raw, source), source, missing="printed nothing")


def serves(settings: ProviderSettings, user_agent: str) -> bool:
    """Tell whether a provider's credential may serve a client, by its ``clients`` globs."""
    agent = user_agent.lower()
    return not settings.clients or any(
        fnmatchcase(agent, pattern.lower()) for pattern in settings.clients
    )


def not_served(settings: ProviderSettings) -> str:
    """Say whom a provider's credential serves, to one whom it does not, and what that one needs."""
    return (
        f"the credential of {settings.provider.name} serves {', '.join(settings.clients)} alone; "
        "other clients need a provider with an api_key of its own"
    )


def _text(raw: bytes, source: str) -> str:
    if len(raw) > _LONGEST:
        raise _Unusable(f"{source} holds more than {_LONGEST} bytes, which is no credential")
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        # Not chained: the cause would quote the bytes.
        raise _Unusable(f"{source} holds characters that cannot stand in a header") from None


def _checked(value: str, source: str, missing: str = "is empty") -> str:
    """Return a value without the white space around it; refuse what cannot stand in a header."""
    value = value.strip()
    if not value:
        raise _Unusable(f"{source} {missing}")
    if not (value.isascii() and value.isprintable()):
        raise _Unusable(
            f"{source} holds a line break or another character that cannot stand in a header"
        )
    return value
