"""A source is asked page by page, within one time and one size, and at its own host alone."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gatewayctl.config.settings import SourceSettings
from gatewayctl.core.errors import SourceFailed
from gatewayctl.registry.cache import Cache, Outcome
from gatewayctl.registry.fetching import (
    SIZE_LIMIT,
    Access,
    Fetch,
    Fetched,
    Query,
    Unreadable,
    _Dialogue,
    ask,
)
from gatewayctl.registry.quarantine import is_own_server
from gatewayctl.registry.refresh import refresh
from gatewayctl.registry.sources.asking import Ask, Listing

KEY = Access(headers={"x-api-key": "sk-of-nobody"})
ANTHROPIC = SourceSettings(
    url="https://api.example/v1", ttl=60, timeout=5, provider="work", listing="anthropic"
)
OLLAMA = SourceSettings(
    url="http://127.0.0.1:11434/v1", ttl=60, timeout=5, provider="box", listing="ollama"
)


class Server:
    """Answers by path, and remembers what it was asked."""

    def __init__(self, **pages: Any) -> None:
        self.pages = pages
        self.asked: list[Query] = []

    def __call__(self, query: Query) -> Fetched:
        """Answer with the page whose name the URL ends on; 404 where there is none."""
        self.asked.append(query)
        for name, page in self.pages.items():
            if query.url.endswith(name):
                return page() if callable(page) else Fetched(body=json.dumps(page).encode())
        return Fetched(body=b"", status=404)


def page(*models: str, more: bool = False) -> dict[str, Any]:
    """Return a page of Anthropic's list."""
    listed = [{"id": model, "max_tokens": 8} for model in models]
    return {"data": listed, "has_more": more, "last_id": models[-1]}


def test_pages_are_one_table_without_a_tag() -> None:
    """A tag of the first page says nothing of the second."""
    first = page("a", more=True)
    server = Server(
        **{
            "limit=1000": lambda: Fetched(body=json.dumps(first).encode(), etag='"1"'),
            "after_id=a": page("b"),
        }
    )
    told = ask("work", ANTHROPIC, server, KEY, None)
    assert told.table is not None
    assert set(told.table.models) == {"work/a", "work/b"}
    assert told.etag is None
    assert [each.access for each in server.asked] == [KEY, KEY]


def test_a_list_of_one_page_is_asked_for_by_its_tag() -> None:
    """304 is the whole of it; nobody who was not asked may say so."""
    server = Server(
        **{"limit=1000": lambda: Fetched(body=json.dumps(page("a")).encode(), etag="t")}
    )
    assert ask("work", ANTHROPIC, server, KEY, None).etag == "t"
    unchanged = Server(**{"limit=1000": lambda: Fetched(body=b"", status=304)})
    told = ask("work", ANTHROPIC, unchanged, KEY, "t")
    assert (told.table, told.etag) == (None, "t")
    assert unchanged.asked[0].etag == "t"
    with pytest.raises(SourceFailed, match="was not asked"):
        ask("work", ANTHROPIC, unchanged, KEY, None)


def test_what_is_not_there_may_be_missing() -> None:
    """Ollama's list without what it serves is still a list; without the list it is none."""
    show = {"model_info": {"llama.context_length": 8192}}
    server = Server(**{"/api/tags": {"models": [{"model": "m:latest"}]}, "/api/show": show})
    told = ask("box", OLLAMA, server, Access(), None)
    assert told.table is not None
    assert told.table.models["box/m:latest"].context_window == 8192
    asked = {each.url.removeprefix("http://127.0.0.1:11434"): each.body for each in server.asked}
    assert json.loads(asked["/api/show"] or b"")["model"] == "m:latest"

    def broken() -> Fetched:
        raise SourceFailed("the connection failed")

    server.pages["/api/show"] = broken
    assert ask("box", OLLAMA, server, Access(), None).table is not None
    with pytest.raises(SourceFailed, match="HTTP 404 Not Found"):
        ask("box", OLLAMA, Server(), Access(), None)


def test_an_answer_that_makes_no_table_is_told_from_none() -> None:
    """It is doubted, not failed."""
    with pytest.raises(Unreadable, match="no list"):
        ask("work", ANTHROPIC, Server(**{"limit=1000": {"error": "?"}}), KEY, None)


def test_all_pages_share_the_time_and_the_size() -> None:
    """Many small pages are as bad as one large."""
    pages = iter(range(1000))
    server = Server()

    def endless() -> Fetched:
        time.sleep(0.05)
        return Fetched(body=json.dumps(page(f"m{next(pages)}", more=True)).encode())

    server.pages = {"": endless}
    brief = SourceSettings(
        url=ANTHROPIC.url, ttl=60, timeout=0.3, provider="work", listing="anthropic"
    )
    with pytest.raises(SourceFailed, match=r"no whole reply within 0\.3 s"):
        ask("work", brief, server, KEY, None)
    limits = [each.limit for each in server.asked]
    assert limits[0] == SIZE_LIMIT
    assert limits == sorted(limits, reverse=True)
    assert limits[1] < limits[0]
    assert all(each.timeout <= 0.3 for each in server.asked)


@pytest.mark.parametrize(
    "url", ["https://elsewhere.example/v1", "http://api.example/v1", "https://api.example:444/v1"]
)
def test_no_page_leads_a_credential_away(url: str) -> None:
    """Another host, scheme or port is another origin."""

    def leading() -> Listing:
        yield Ask(url=f"{ANTHROPIC.url}/models")
        yield Ask(url=url)
        raise AssertionError

    server = Server(models={})
    with pytest.raises(Unreadable, match="another host"):
        _Dialogue(ANTHROPIC, server, KEY).held(leading(), None)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("listing", "url", "own"),
    [
        ("ollama", "https://ollama.example/v1", True),
        ("vllm", "http://10.0.0.7:8000/v1", True),
        ("compatible", "http://127.0.0.1:9/v1", True),
        ("compatible", "http://192.168.1.2:9/v1", True),
        ("compatible", "http://gpu:9/v1", True),
        ("compatible", "http://gpu.local:9/v1", True),
        ("compatible", "https://api.example.com/v1", False),
        ("anthropic", "http://127.0.0.1:9/v1", False),
        ("openai", "https://api.openai.com/v1", False),
    ],
)
def test_whose_list_is_believed_whatever_it_is(listing: str, url: str, *, own: bool) -> None:
    """A server of one's own; a hosted provider's that loses its models has broken."""
    settings = SourceSettings(url=url, ttl=1, timeout=1, provider="x", listing=listing)
    assert is_own_server(settings) is own
    assert not is_own_server(SourceSettings(url=url, ttl=1, timeout=1))


@pytest.mark.parametrize(("other", "asked"), [("http://x/", 1), ("http://y/", 2)])
def test_who_wants_the_same_at_the_same_time_takes_what_came_of_it(
    tmp_path: Path, other: str, asked: int
) -> None:
    """One download for all, unless they mean different mirrors."""
    cache = Cache(tmp_path / "registry")
    under_way, let_go = threading.Event(), threading.Event()
    queries: list[Query] = []

    def fetch(query: Query) -> Fetched:
        queries.append(query)
        under_way.set()
        let_go.wait(10)
        table = {f"m{n}": {"litellm_provider": "p", "max_input_tokens": 7} for n in range(9000)}
        return Fetched(body=json.dumps(table).encode())

    outcomes: list[Outcome] = []

    def run(url: str) -> None:
        source = SourceSettings(url=url, ttl=1, timeout=20)
        outcomes.append(refresh({"litellm": source}, cache, fetch)["litellm"].outcome)

    threads = [threading.Thread(target=run, args=(url,)) for url in ("http://x/", other)]
    threads[0].start()
    assert under_way.wait(10)
    threads[1].start()
    time.sleep(0.2)  # it finds the first one under way
    let_go.set()
    for thread in threads:
        thread.join(20)
    assert outcomes == [Outcome.FETCHED, Outcome.FETCHED]
    assert len(queries) == asked


@pytest.fixture
def hanging() -> tuple[threading.Event, Fetch]:
    """Give a fetch that does not come back before its event is set."""
    let_go = threading.Event()

    def fetch(query: Query) -> Fetched:
        let_go.wait(60)
        assert query.limit
        table = {f"m{n}": {"litellm_provider": "p", "max_input_tokens": 7} for n in range(9000)}
        return Fetched(body=json.dumps(table).encode())

    return let_go, fetch


def test_a_source_that_cannot_be_interrupted_is_left_behind(
    tmp_path: Path, hanging: tuple[threading.Event, Fetch]
) -> None:
    """A name server that hangs holds a thread, not the refresh; what comes then is too late."""
    let_go, fetch = hanging
    cache = Cache(tmp_path / "registry")
    source = SourceSettings(url="http://x/", ttl=1, timeout=0.1)
    result = refresh({"litellm": source}, cache, fetch)["litellm"]
    assert (result.outcome, result.error) == (Outcome.FAILED, "no whole reply within 0.1 s")
    attempt = cache.attempts()["litellm"]
    let_go.set()
    for thread in threading.enumerate():
        if thread.name == "refresh-litellm":
            thread.join(10)
    assert cache.attempts()["litellm"] == attempt
    assert cache.source("litellm") is None
