"""How a listing is asked for without a network in sight: questions out, answers in.

A listing is a generator: it yields an ``Ask``, is sent its ``Answer``, and returns its table. Who
drives it opens connections, adds headers, and bounds time and bytes; what is bounded here is how
much a listing asks for. What an entry means is each source's own file's business.
"""

from collections.abc import Callable, Generator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from gatewayctl.core.errors import SourceFailed
from gatewayctl.registry.claims import SourceTable
from gatewayctl.registry.sources.replies import read_json, read_object

MOST_PAGES = 50
MOST_ASKED_ONE_BY_ONE = 256
_LONGEST_CURSOR = 2048
_OK = range(200, 300)


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request: GET, or POST of a JSON ``body`` where there is one.

    An ``optional`` one is answered whatever the status and the body are; any other's failure ends
    the listing, and its driver may raise it.
    """

    url: str
    body: bytes | None = None
    optional: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back: the HTTP status and the decompressed body."""

    status: int
    body: bytes


Listing = Generator[Ask, Answer, SourceTable]
"""The dialogue that makes a source's table. Raises SourceFailed, and nothing else."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Whose listing it is and where: ``base_url`` is the provider's, or a table's own address.

    ``provider`` stands before the models' ids; ``names`` are for tables alone, see
    ``claims.Parse``.
    """

    provider: str = ""
    kind: str = ""
    base_url: str
    names: Mapping[str, str] = {}

    @property
    def root(self) -> str:
        """The server's address, above the ``/v1`` of the compatible API."""
        return self.base_url.rstrip("/").removesuffix("/v1").rstrip("/")

    @property
    def models_url(self) -> str:
        """Where OpenAI's API and those like it list models."""
        return f"{self.base_url.rstrip('/')}/models"


def asked(url: str) -> Generator[Ask, Answer, dict[str, Any]]:
    """Ask for a JSON object. SourceFailed when there is none."""
    return read_object((yield from _answered(url)).body)


def asked_anything(url: str) -> Generator[Ask, Answer, object]:
    """Ask for any JSON. SourceFailed when there is none."""
    return read_json((yield from _answered(url)).body)


def asked_if_there(url: str, body: bytes | None = None) -> Generator[Ask, Answer, Any]:
    """Ask for JSON that may well be missing: None then."""
    answer = yield Ask(url=url, body=body, optional=True)
    if answer.status not in _OK:
        return None
    try:
        return read_json(answer.body)
    except SourceFailed:
        return None


def paged(
    first: str, take: Callable[[Mapping[str, Any]], str | None]
) -> Generator[Ask, Answer, None]:
    """Ask for page after page; ``take`` keeps what one holds and returns the next one's URL.

    SourceFailed when they lead back to one that was there already, or never end.
    """
    url: str | None = first
    seen: set[str] = set()
    while url is not None:
        if url in seen:
            raise SourceFailed("its pages lead in a circle")
        if len(seen) >= MOST_PAGES:
            raise SourceFailed(f"it has more than {MOST_PAGES} pages")
        seen.add(url)
        url = take((yield from asked(url)))


def cursor(value: object) -> str:
    """Return a page's cursor as a URL's query takes it. SourceFailed when it is none."""
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_CURSOR:
        raise SourceFailed("it says that there is more, but not where")
    return quote(value, safe="")


def _answered(url: str) -> Generator[Ask, Answer, Answer]:
    answer = yield Ask(url=url)
    if answer.status not in _OK:
        raise SourceFailed(f"it answered with status {answer.status}")
    return answer
