"""Asking one source: its listing's questions put through a ``Fetch``, its bounds kept.

Credentials go to the source's own origin alone, time and bytes are bounded over all its pages.
What an answer means is ``sources``' business, how bytes travel that of whoever implements
``Fetch``, whether a table is believed ``quarantine``'s.
"""

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from gatewayctl.config.kinds import kinds
from gatewayctl.config.settings import SourceSettings
from gatewayctl.core.errors import SourceFailed
from gatewayctl.registry.claims import SourceTable
from gatewayctl.registry.sources import LISTINGS, provider_names
from gatewayctl.registry.sources.asking import Answer, Ask, Listing, Origin

SIZE_LIMIT = 64 * 1024 * 1024
"""The most bytes a source may send; ten times what the largest one is."""

_OK = range(200, 300)
_NOT_MODIFIED = 304
_USUAL_PORTS = {"http": 80, "https": 443}


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes to ask a source besides its address.

    ``headers`` hold the credential; ``proxy`` is a URL, ``""`` none, None the environment's;
    ``ca_bundle`` a file of certificates to trust instead of the system's.
    """

    headers: Mapping[str, str] = {}
    proxy: str | None = None
    ca_bundle: str | None = None

    def __repr__(self) -> str:
        return "Access(…)"


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One request: a GET, or a POST of a JSON ``body``.

    ``etag`` asks for the body only if it is another one; ``timeout`` is the seconds until the last
    byte, ``limit`` the bytes of a body that are not too many.
    """

    url: str
    body: bytes | None = None
    etag: str | None = None
    access: Access = Access()
    timeout: float
    limit: int


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A reply; ``body`` is decompressed, and may be empty where ``status`` is no success."""

    body: bytes
    etag: str | None = None
    status: int = 200


class Fetch(Protocol):
    """How a source's bytes are had. Blocks; may be called from several threads at once."""

    def __call__(self, query: Query) -> Fetched:
        """Ask a URL (http, https or file), raising SourceFailed with a reason a person can use.

        A reply of whatever status is no failure.
        """
        ...


class Unreadable(SourceFailed):
    """A source answered, and what it said makes no table."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a source said; ``table`` None is that nothing has changed since ``etag``.

    ``etag`` is None where the table came in several pieces, which no tag stands for.
    """

    table: SourceTable | None
    etag: str | None


def ask(
    name: str, settings: SourceSettings, fetch: Fetch, access: Access, etag: str | None
) -> Told:
    """Ask a source for its table, within its timeout in all. Raises SourceFailed, Unreadable."""
    return _Dialogue(settings, fetch, access).held(_listing(name, settings), etag)


def _listing(name: str, settings: SourceSettings) -> Listing:
    if settings.provider is None:
        names = provider_names(name, kinds())
        return LISTINGS[name](Origin(base_url=settings.url, names=names))
    origin = Origin(provider=settings.provider, kind=settings.listing, base_url=settings.url)
    return LISTINGS[settings.listing](origin)


class _Dialogue:
    """One listing's questions and answers, and what is left of its time and its bytes."""

    def __init__(self, settings: SourceSettings, fetch: Fetch, access: Access) -> None:
        self._settings = settings
        self._fetch = fetch
        self._access = access
        self._deadline = time.monotonic() + settings.timeout
        self._left = SIZE_LIMIT

    def held(self, listing: Listing, etag: str | None) -> Told:
        """Put every question of a listing; see ``ask``."""
        question = _next(listing, None)
        answered = 0
        while isinstance(question, Ask):
            reply = self._reply(question, None if answered else etag)
            if reply.status == _NOT_MODIFIED and not question.optional:
                if answered or etag is None:
                    raise SourceFailed(
                        "it says that nothing has changed, but it was not asked that"
                    )
                return Told(table=None, etag=reply.etag or etag)
            if reply.status not in _OK and not question.optional:
                raise SourceFailed(f"HTTP {_status(reply.status)}")
            answered += 1
            question = _next(listing, Answer(status=reply.status, body=reply.body))
        return Told(table=question, etag=reply.etag if answered == 1 else None)

    def _reply(self, question: Ask, etag: str | None) -> Fetched:
        settings = self._settings
        if settings.provider is not None and _origin(question.url) != _origin(settings.url):
            raise Unreadable("it leads to another host")
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise too_late(settings.timeout)
        query = Query(
            url=question.url,
            body=question.body,
            etag=etag,
            access=self._access,
            timeout=left,
            limit=self._left,
        )
        try:
            reply = self._fetch(query)
        except SourceFailed as error:
            if time.monotonic() >= self._deadline:
                raise too_late(settings.timeout) from error
            if not question.optional:
                raise
            return Fetched(body=b"", status=0)  # which no server answers
        self._left -= len(reply.body)
        return reply


def too_late(timeout: float) -> SourceFailed:
    """Return the failure of a source that took longer than it may, in seconds."""
    return SourceFailed(f"no whole reply within {timeout:g} s")


def _next(listing: Listing, answer: Answer | None) -> Ask | SourceTable:
    """Return a listing's next question, or its table at the end."""
    try:
        return next(listing) if answer is None else listing.send(answer)
    except StopIteration as done:
        table: SourceTable = done.value
        return table
    except SourceFailed as error:
        raise Unreadable(str(error)) from error


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    return parts.scheme, parts.hostname, port or _USUAL_PORTS.get(parts.scheme)


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
