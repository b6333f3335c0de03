"""A refresh takes good tables and keeps the old one whenever the new one is doubtful or absent."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.tables import TableServer

from gatewayctl.config.settings import SourceSettings
from gatewayctl.core.errors import SourceFailed
from gatewayctl.registry import snapshot
from gatewayctl.registry.cache import Cache, Outcome
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.lookup import Registry
from gatewayctl.registry.quarantine import doubtful
from gatewayctl.registry.refresh import Refreshed, load_file, refresh
from gatewayctl.registry.table import Part, Table
from gatewayctl.upstream.download import download

DATA = Path(__file__).parents[3] / "shared" / "data"


def _table(count: int = 5000, window: int = 100_000) -> dict[str, Any]:
    return {
        f"m{n}": {"litellm_provider": "openai", "max_input_tokens": window} for n in range(count)
    }


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Give a cache in an empty folder."""
    return Cache(tmp_path / "registry")


def _refresh(server: TableServer, cache: Cache, timeout: float = 10) -> Refreshed:
    source = SourceSettings(url=server.url, ttl=3600, timeout=timeout)
    return refresh({"litellm": source}, cache, download)["litellm"]


def _window(cache: Cache, model: str = "m0") -> int | None:
    facts = Registry(cache.load()).facts("openai", model)
    return facts.context_window.value if facts and facts.context_window else None


def test_a_good_table_is_stored_and_merged_with_the_packaged_other_one(
    server: TableServer, cache: Cache
) -> None:
    """Its models are known at once; models.dev's figures stay, with their own date."""
    server.serve(_table())
    result = _refresh(server, cache)
    assert (result.outcome, result.models, result.changed) == (Outcome.FETCHED, 5000, True)
    assert _window(cache) == 100_000
    facts = Registry(cache.load()).facts("openai", "gpt-5")
    assert facts is not None
    assert facts.context_window is not None
    packaged = {source.name: source.fetched_at for source in snapshot.load().sources}
    assert facts.context_window.fetched_at == packaged["models_dev"]
    attempt = cache.attempts()["litellm"]
    assert attempt.outcome is Outcome.FETCHED
    assert attempt.fetched_at is not None


def test_an_unchanged_table_is_not_sent_again(server: TableServer, cache: Cache) -> None:
    """The ETag is asked for; 304 is a success that leaves the models as they are."""
    server.etag = '"v1"'
    server.serve(_table())
    _refresh(server, cache)
    server.serve({})
    result = _refresh(server, cache)
    assert server.asked[0].get("if-none-match") is None
    assert server.asked[1].get("if-none-match") == '"v1"'
    assert (result.outcome, result.changed, result.models) == (Outcome.FETCHED, False, 5000)
    assert _window(cache) == 100_000
    _refresh(server, cache)
    assert server.asked[2].get("if-none-match") == '"v1"'


@pytest.mark.parametrize("etag", [None, '"v1"'])
def test_an_unchanged_table_is_merged_anew_where_it_has_to_be(
    server: TableServer, cache: Cache, etag: str | None
) -> None:
    """A newer package brings newer parts; else only the day is noted that it still holds."""
    server.etag = etag
    server.serve(_table())
    _refresh(server, cache)
    path = cache.folder / "table.json"
    merged = path.read_bytes()
    before = path.stat().st_mtime_ns
    assert not _refresh(server, cache).changed
    assert path.stat().st_mtime_ns == before
    path.write_bytes(merged.replace(snapshot.digest().encode(), b"another"))
    assert not _refresh(server, cache).changed
    assert Table.load(path.read_bytes()).base == snapshot.digest()
    path.unlink()
    _refresh(server, cache)
    assert not cache.load().lost


def test_an_etag_is_not_shown_to_another_address(server: TableServer, cache: Cache) -> None:
    """Another mirror's ETag could match by chance and hide its table."""
    server.etag = '"v1"'
    server.serve(_table())
    _refresh(server, cache)
    moved = SourceSettings(url=server.url + "?mirror", ttl=3600, timeout=10)
    refresh({"litellm": moved}, cache, download)
    assert "if-none-match" not in server.asked[1]


@pytest.mark.parametrize(
    ("change", "outcome", "reason"),
    [
        ({"status": 500}, Outcome.FAILED, "HTTP 500"),
        ({"status": 404}, Outcome.FAILED, "HTTP 404"),
        ({"status": 304}, Outcome.FAILED, "not asked"),
        ({"cut": 10}, Outcome.FAILED, "before the whole reply"),
        ({"body": b""}, Outcome.QUARANTINED, "not valid JSON"),
        ({"body": b"<html>"}, Outcome.QUARANTINED, "not valid JSON"),
        ({"body": b"[1]"}, Outcome.QUARANTINED, "not a JSON object"),
        ({"body": b"{}"}, Outcome.QUARANTINED, "no model"),
        ({"body": json.dumps(_table(2000)).encode()}, Outcome.QUARANTINED, "fewer than half"),
    ],
)
def test_a_bad_reply_keeps_the_old_table_and_its_date(
    server: TableServer, cache: Cache, change: dict[str, Any], outcome: Outcome, reason: str
) -> None:
    """A failed attempt is recorded with its reason and never makes old data look fresh."""
    server.serve(_table())
    _refresh(server, cache)
    kept = [cache.folder / "sources" / "litellm.json", cache.folder / "table.json"]
    files = {path: path.read_bytes() for path in kept}
    before = cache.attempts()["litellm"]
    for name, value in change.items():
        setattr(server, name, value)
    # Another address, so that no ETag or earlier reply plays a part.
    result = _refresh(server, cache)
    assert result.outcome is outcome
    assert reason in (result.error or "")
    after = cache.attempts()["litellm"]
    assert (after.outcome, after.error) == (outcome, result.error)
    assert after.fetched_at == before.fetched_at
    assert after.attempted_at >= before.attempted_at
    assert {path: path.read_bytes() for path in kept} == files


def test_windows_that_collapse_are_quarantined(server: TableServer, cache: Cache) -> None:
    """A table whose windows shrink to a tenth is doubted even if all its models are there."""
    server.serve(_table())
    _refresh(server, cache)
    server.serve(_table(window=10_000))
    result = _refresh(server, cache)
    assert result.outcome is Outcome.QUARANTINED
    assert "a tenth" in (result.error or "")
    assert _window(cache) == 100_000


def test_before_a_first_fetch_the_packaged_table_is_the_previous_one(
    server: TableServer, cache: Cache
) -> None:
    """A fresh install is not talked into a table of ten models."""
    server.serve(_table(10))
    assert _refresh(server, cache).outcome is Outcome.QUARANTINED
    assert cache.attempts()["litellm"].fetched_at is None
    assert len(cache.load()) == len(snapshot.load())


def test_a_source_that_does_not_answer_is_given_up(server: TableServer, cache: Cache) -> None:
    """The timeout of the source holds."""
    server.stall = True
    result = _refresh(server, cache, timeout=0.2)
    assert result.outcome is Outcome.FAILED
    assert "within 0.2 s" in (result.error or "")


def test_a_source_that_cannot_be_reached_is_a_failure(cache: Cache) -> None:
    """A closed port, an unknown scheme and a missing file are told apart in the message."""
    for url, reason in (
        ("http://127.0.0.1:1/x", "cannot be reached"),
        ("ftp://127.0.0.1/x", "not http, https or file"),
        ("/tmp/x.json", "not http, https or file"),  # noqa: S108 - a path without a scheme
        ("file:///nowhere/x.json", "cannot be reached"),
    ):
        source = SourceSettings(url=url, ttl=1, timeout=1)
        result = refresh({"litellm": source}, cache, download)["litellm"]
        assert result.outcome is Outcome.FAILED
        assert reason in (result.error or "")


def test_a_file_url_is_read_from_disk(tmp_path: Path, cache: Cache) -> None:
    """A mirror may be a mounted folder."""
    path = tmp_path / "table.json"
    path.write_text(json.dumps(_table()))
    source = SourceSettings(url=path.as_uri(), ttl=1, timeout=1)
    result = refresh({"litellm": source}, cache, download)["litellm"]
    assert result.outcome is Outcome.FETCHED


def test_one_source_failing_does_not_hinder_the_other(server: TableServer, cache: Cache) -> None:
    """Both are fetched side by side and reported as they arrive."""
    server.serve(_table())
    heard: list[str] = []
    result = refresh(
        {
            "models_dev": SourceSettings(url="http://127.0.0.1:1/", ttl=1, timeout=1),
            "litellm": SourceSettings(url=server.url, ttl=1, timeout=5),
        },
        cache,
        download,
        on_done=lambda done: heard.append(done.source),
    )
    assert [done.outcome for done in result.values()] == [Outcome.FAILED, Outcome.FETCHED]
    assert sorted(heard) == ["litellm", "models_dev"]
    assert set(cache.attempts()) == {"litellm", "models_dev"}


@pytest.mark.skipif(not DATA.is_dir(), reason="the data folder is not here")
def test_real_releases_replace_each_other(cache: Cache) -> None:
    """The doubts let three real releases pass in order, and find out by content whose they are."""
    for release in ("1.85.0", "1.105.0", "1.109.1"):
        result = load_file(DATA / f"litellm-{release}.json", None, cache)
        assert (result.source, result.outcome) == ("litellm", Outcome.FETCHED), result.error
    assert load_file(DATA / "models-dev-rebuilt.json", None, cache).source == "models_dev"
    fetched = cache.load()
    assert set(fetched.ids()) == set(snapshot.load().ids())


def test_a_file_of_no_source_is_refused(tmp_path: Path, cache: Cache) -> None:
    """So are one that is missing and one that is no JSON; the cache stays as it was."""
    odd = tmp_path / "odd.json"
    odd.write_text('{"a": 1}')
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for path in (odd, broken, tmp_path / "missing.json"):
        with pytest.raises(SourceFailed):
            load_file(path, None, cache)
    assert not cache.folder.exists()


@pytest.mark.parametrize(
    ("shrunk", "doubted"), [(5, False), (6, True)], ids=["5 % is let pass", "more is not"]
)
@pytest.mark.parametrize("now", [10, None], ids=["a tenth", "gone"])
def test_the_limit_of_shrunk_windows(*, shrunk: int, now: int | None, doubted: bool) -> None:
    """More than 5 % of the known windows at a tenth or less, or gone, is too many."""
    old = {f"p/m{n}": Claims(context_window=100) for n in range(100)}
    new = {**old, **{f"p/m{n}": Claims(context_window=now) for n in range(shrunk)}}
    assert (doubtful(new, Part(fetched_at="", models=old)) is not None) is doubted
    slightly = {key: Claims(context_window=11) for key in old}
    assert doubtful(slightly, Part(fetched_at="", models=old)) is None


def test_half_of_the_models_is_enough() -> None:
    """Fewer than 50 % is doubted, exactly 50 % is not."""
    old = Part(fetched_at="", models={f"p/m{n}": Claims() for n in range(100)})
    assert doubtful({f"p/m{n}": Claims() for n in range(50)}, old) is None
    assert doubtful({f"p/m{n}": Claims() for n in range(49)}, old) is not None


def test_a_cache_that_cannot_be_written_is_a_failure_of_the_source(
    server: TableServer, tmp_path: Path
) -> None:
    """Then nothing was fetched, which the exit status of a refresh has to say."""
    (tmp_path / "file").touch()
    result = _refresh(server, Cache(tmp_path / "file" / "registry"))
    assert result.outcome is Outcome.FAILED
    assert result.error is not None
    assert "cannot make the folder" in result.error


def test_ctrl_c_does_not_wait_for_a_source_that_hangs(tmp_path: Path) -> None:
    """A person who stops a refresh has stopped it; the interpreter joins no thread of ours."""
    code = """
import sys, threading
from pathlib import Path
from gatewayctl.config.settings import SourceSettings
from gatewayctl.core.errors import SourceFailed
from gatewayctl.registry.cache import Cache
from gatewayctl.registry.refresh import refresh
def fetch(query):
    if query.url == "hangs":
        threading.Event().wait()
    raise SourceFailed("no")
def stop(_):
    raise KeyboardInterrupt
sources = {
    "litellm": SourceSettings(url="hangs", ttl=1, timeout=60),
    "models_dev": SourceSettings(url="fails", ttl=1, timeout=60),
}
try:
    refresh(sources, Cache(Path(sys.argv[1])), fetch, on_done=stop)
except KeyboardInterrupt:
    sys.exit(130)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )
    assert done.returncode == 130


@pytest.mark.parametrize("name", ["litellm", "up"])
def test_a_password_in_a_url_is_sent_and_never_kept(
    server: TableServer, cache: Cache, name: str
) -> None:
    """No file of the cache has it; what is kept is known to be of the same place next time."""
    server.etag = '"v1"'
    server.serve(_table() if name == "litellm" else {"data": [{"id": "m"}]})
    url = server.url.replace("://", "://me:hidden-word@")
    own = {} if name == "litellm" else {"provider": name, "listing": "openai"}
    source = SourceSettings(url=url, ttl=3600, timeout=10, **own)
    for _ in range(2):
        assert refresh({name: source}, cache, download)[name].outcome is Outcome.FETCHED
    assert [each["authorization"] for each in server.asked] == ["Basic bWU6aGlkZGVuLXdvcmQ="] * 2
    assert server.asked[1]["if-none-match"] == '"v1"'
    kept = b"".join(path.read_bytes() for path in cache.folder.rglob("*") if path.is_file())
    assert server.url.encode() in kept
    assert b"hidden-word" not in kept
