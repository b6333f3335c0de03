"""The cache's files stand in for each other when one is missing, damaged or old."""

import stat
from pathlib import Path

import pytest

from gatewayctl.core.errors import StorageFailed
from gatewayctl.registry import snapshot
from gatewayctl.registry.cache import Attempt, Cache, Outcome
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.table import Table

NOW = "2026-05-05T05:05:05Z"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Give a cache that holds one fetched model of LiteLLM's."""
    cache = Cache(tmp_path / "registry")
    with cache.lock():
        models = {"p/m": Claims(max_input_tokens=7)}
        cache.install("litellm", models, fetched_at=NOW, url="http://x/", etag='"e"')
    return cache


def _knows(table: Table) -> bool:
    spoken = table.spoken("p/m")
    return "litellm" in spoken and spoken["litellm"].fetched_at == NOW


def test_an_empty_folder_answers_with_the_packaged_table(tmp_path: Path) -> None:
    """A fresh install works offline, and looking does not write."""
    cache = Cache(tmp_path / "registry")
    assert cache.load() is snapshot.load()
    assert cache.attempts() == {}
    assert cache.stamp() is None
    assert not cache.folder.exists()


def test_a_fetched_source_replaces_its_packaged_part_only(cache: Cache) -> None:
    """The other source stays as packaged."""
    table = cache.load()
    assert _knows(table)
    counts = {source.name: source.models for source in table.sources}
    packaged = {source.name: source.models for source in snapshot.load().sources}
    assert counts == {**packaged, "litellm": 1}


def test_files_are_private(cache: Cache) -> None:
    """The folder and its files are the user's alone."""
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    for path in cache.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", [b"", b"{", b'{"format": 99}', b"[]"])
def test_a_damaged_table_is_made_again_from_the_sources(cache: Cache, damage: bytes) -> None:
    """A crash of another program or an older format costs a merge, not the data."""
    (cache.folder / "table.json").write_bytes(damage)
    assert _knows(cache.load())


@pytest.mark.parametrize("damage", [b"", b"{", b'{"format": 99}', b"[]"])
def test_a_damaged_source_counts_as_never_fetched(cache: Cache, damage: bytes) -> None:
    """Then its packaged part answers, and the next request is not conditional."""
    (cache.folder / "litellm.json").write_bytes(damage)
    (cache.folder / "table.json").write_bytes(damage)
    (cache.folder / "attempts.json").write_bytes(damage)
    assert cache.source("litellm") is None
    assert cache.attempts() == {}
    assert set(cache.load().ids()) == set(snapshot.load().ids())


def test_a_newer_package_brings_its_own_parts(cache: Cache) -> None:
    """A merged table that was made beside another packaged table is merged anew."""
    path = cache.folder / "table.json"
    stale = path.read_bytes().replace(snapshot.digest().encode(), b"another")
    path.write_bytes(stale.replace(b'"models_dev"', b'"models_old"', 1))
    table = cache.load()
    assert _knows(table)
    assert "models_dev" in {source.name for source in table.sources}


def test_the_stamp_changes_with_the_table(cache: Cache) -> None:
    """A daemon sees that another process has refreshed."""
    before = cache.stamp()
    with cache.lock():
        cache.install("litellm", {}, fetched_at=NOW, url="", etag=None)
    assert cache.stamp() != before


def test_a_failed_attempt_keeps_the_date_of_the_last_success(cache: Cache) -> None:
    """``fetched_at`` is only ever moved by a success, and other sources are left alone."""
    with cache.lock():
        cache.record("models_dev", Attempt(outcome=Outcome.FETCHED, attempted_at="a"))
        good = Attempt(outcome=Outcome.FETCHED, attempted_at=NOW, fetched_at=NOW)
        cache.record("litellm", good)
        cache.record("litellm", Attempt(outcome=Outcome.FAILED, attempted_at="later", error="x"))
    attempt = cache.attempts()["litellm"]
    assert (attempt.fetched_at, attempt.attempted_at, attempt.error) == (NOW, "later", "x")
    assert set(cache.attempts()) == {"litellm", "models_dev"}


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A folder in a file's place is an error that says where."""
    cache = Cache(tmp_path)
    (tmp_path / "table.json").mkdir()
    with pytest.raises(StorageFailed, match=r"table\.json"):
        cache.load()
