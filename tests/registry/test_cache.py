"""The cache's files stand in for each other when one is missing, damaged or old."""

import errno
import os
import stat
from pathlib import Path

import pytest

from gatewayctl.core.errors import StorageFailed
from gatewayctl.registry import snapshot
from gatewayctl.registry.cache import Attempt, Cache, Outcome
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.table import FORMAT, Part, Table

NOW = "2026-05-05T05:05:05Z"
LATER = "2026-05-06T05:05:05Z"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Give a cache that holds one fetched model of LiteLLM's."""
    cache = Cache(tmp_path / "registry")
    with cache.lock():
        cache.install("litellm", _part({"p/m": Claims(max_input_tokens=7)}), etag='"e"')
    return cache


def _part(models: dict[str, Claims], at: str = NOW, provider: str | None = None) -> Part:
    return Part(fetched_at=at, models=models, provider=provider, url="http://x/")


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
    for path in cache.folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"format": 99}', b"[]"])
def test_a_damaged_table_is_made_again_from_the_sources(cache: Cache, damage: bytes) -> None:
    """A crash of another program or an older format costs a merge, not the data."""
    (cache.folder / "table.json").write_bytes(damage)
    assert _knows(cache.load())


@pytest.mark.parametrize("damage", [b"", b"{", b'{"format": 99}', b"[]"])
def test_a_damaged_source_counts_as_never_fetched(cache: Cache, damage: bytes) -> None:
    """Then its packaged part answers, and the next request is not conditional."""
    (cache.folder / "sources" / "litellm.json").write_bytes(damage)
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
        cache.install("litellm", _part({}, LATER), etag=None)
    assert cache.stamp() != before


def test_a_failed_attempt_keeps_the_date_of_the_last_success(cache: Cache) -> None:
    """``fetched_at`` is only ever moved by a success, and other sources are left alone."""
    with cache.lock():
        cache.record("models_dev", Attempt(outcome=Outcome.FETCHED, attempted_at=NOW))
        good = Attempt(outcome=Outcome.FETCHED, attempted_at=NOW, fetched_at=NOW)
        cache.record("litellm", good)
        cache.record("litellm", Attempt(outcome=Outcome.FAILED, attempted_at=LATER, error="x"))
    attempt = cache.attempts()["litellm"]
    assert (attempt.fetched_at, attempt.attempted_at, attempt.error) == (NOW, LATER, "x")
    assert set(cache.attempts()) == {"litellm", "models_dev"}


def test_a_folder_that_cannot_be_used_leaves_the_packaged_table(tmp_path: Path) -> None:
    """Commands that only look go on; the one that writes says what is in its way."""
    cache = Cache(tmp_path)
    (tmp_path / "table.json").mkdir()
    assert len(cache.load()) == len(snapshot.load())
    with pytest.raises(StorageFailed, match=r"table\.json"):
        cache.install("litellm", _part({}, LATER), etag=None)
    (tmp_path / "file").touch()
    assert len(Cache(tmp_path / "file" / "registry").load()) == len(snapshot.load())


def test_what_was_fetched_and_lost_is_told(cache: Cache) -> None:
    """Neither a damaged source nor a missing one passes for fresh."""
    with cache.lock():
        at = "2027-01-01T00:00:00Z"
        good = Attempt(outcome=Outcome.FETCHED, attempted_at=NOW, fetched_at=at, changed_at=at)
        cache.record("models_dev", good)
    assert cache.load().lost == {"models_dev"}
    (cache.folder / "table.json").unlink()
    assert cache.load().lost == {"models_dev"}
    (cache.folder / "sources" / "litellm.json").write_bytes(b"{")
    assert cache.load().lost == {"litellm", "models_dev"}


def test_files_of_an_older_version_count_as_absent_and_are_no_damage(cache: Cache) -> None:
    """After an upgrade nothing is told to be lost: it is fetched anew when it is due."""
    (cache.folder / "attempts.json").write_text('{"format":1,"sources":{}}')
    (cache.folder / "table.json").write_text('{"format":1,"base":"","sources":[],"models":{}}')
    source = cache.folder / "sources" / "litellm.json"
    source.write_text('{"format":1,"fetched_at":"x","models":{}}')
    table = cache.load()
    assert not table.lost
    assert len(table) == len(snapshot.load())
    assert cache.attempts() == {}


def test_what_a_source_says_again_is_as_young_as_its_last_word(cache: Cache) -> None:
    """Its claims are not written anew; that they still hold is on record."""
    path = cache.folder / "table.json"
    before, stamp = path.read_bytes(), cache.stamp()
    with cache.lock():
        again = Attempt(outcome=Outcome.FETCHED, attempted_at=LATER, fetched_at=LATER)
        cache.record("litellm", again)
    assert path.read_bytes() == before
    assert cache.stamp() != stamp
    table = cache.load()
    assert not table.lost
    assert table.spoken("p/m")["litellm"].fetched_at == LATER


def test_a_listing_is_kept_beside_the_tables(cache: Cache) -> None:
    """Under whatever name its provider has; a table that is stored later leaves it alone."""
    name = "Büro .. Nr. 1"
    with cache.lock():
        part = _part({f"{name}/m": Claims(served=7), "other/m": Claims(served=8)}, provider=name)
        cache.install(name, part, etag=None)
        cache.install("litellm", _part({"p/n": Claims()}, LATER), etag=None)
    for table in (cache.load(), Cache(cache.folder).load()):
        own = table.own(name, "m")
        assert own is not None
        assert own.claims.served == 7
        assert set(table.listed(name)) == {"m"}
        assert table.is_from(name, "http://x/")
        assert not table.is_from(name, "http://y/")
    (cache.folder / "table.json").unlink()
    assert set(Cache(cache.folder).load().listed(name)) == {"m"}


def test_a_listing_that_nobody_asks_for_any_more_goes_after_months(cache: Cache) -> None:
    """The public tables stay, however old they are."""
    with cache.lock():
        cache.install("old", _part({"old/m": Claims()}, provider="old"), etag=None)
        young = _part({"young/m": Claims()}, "2026-07-01T00:00:00Z", provider="young")
        cache.install("young", young, etag=None)
        assert set(cache.load().listed("old")) == {"m"}
        late = _part({"late/m": Claims()}, "2026-08-30T00:00:00Z", provider="late")
        cache.install("late", late, etag=None)
    table = cache.load()
    assert not table.lost
    assert {source.name for source in table.sources} == {"late", "litellm", "models_dev", "young"}
    assert set(cache.attempts()) == {"late", "litellm", "young"}
    assert cache.source("old") is None


def test_failures_in_a_row_are_counted(cache: Cache) -> None:
    """Whoever asks next, in whichever process, waits by them."""
    failed = Attempt(outcome=Outcome.FAILED, attempted_at=NOW, error="x")
    with cache.lock():
        for count in (1, 2, 3):
            cache.record("models_dev", failed)
            assert cache.attempts()["models_dev"].failures == count
        cache.record("models_dev", Attempt(outcome=Outcome.FETCHED, attempted_at=NOW))
    assert cache.attempts()["models_dev"].failures == 0


def test_a_missing_table_is_made_again_from_the_sources(cache: Cache) -> None:
    """What was fetched is used as long as its own file is there."""
    (cache.folder / "table.json").unlink()
    table = cache.load()
    assert _knows(table)
    assert not table.lost


def test_a_damaged_cell_is_no_traceback(cache: Cache) -> None:
    """JSON of a wrong shape counts as not listed in the table, and as damage in a source."""
    path = cache.folder / "table.json"
    row = b'"p":{"m":[[0,[null,7]]]}'
    assert row in path.read_bytes()
    for damage in (
        b'"p":17',
        b'"p":{"m":17}',
        b'"p":{"m":[[0,{}]]}',
        b'"p":{"m":[[0,[null,"7"]]]}',
    ):
        path.write_bytes(path.read_bytes().replace(row, damage))
        assert cache.load().spoken("p/m") == {}
        path.write_bytes(path.read_bytes().replace(damage, row))
    source = cache.folder / "sources" / "litellm.json"
    source.write_bytes(source.read_bytes().replace(b'"p/m":[null,7]', b'"p/m":17'))
    path.unlink()
    assert cache.load().lost == {"litellm"}


@pytest.mark.parametrize("moment", ["yesterday", "2026-05-05", "2026-05-05T05:05:05"])
def test_a_time_that_is_none_is_damage(cache: Cache, moment: str) -> None:
    """An age is computed from it, which must not fail."""
    for name in ("sources/litellm.json", "table.json"):
        path = cache.folder / name
        path.write_bytes(path.read_bytes().replace(NOW.encode(), moment.encode()))
    attempt = f'{{"outcome":"fetched","attempted_at":"{moment}"}}'
    (cache.folder / "attempts.json").write_text(
        f'{{"format":{FORMAT},"sources":{{"litellm":{attempt}}}}}'
    )
    assert cache.attempts() == {}
    assert cache.load().lost == {"litellm"}


def test_a_disk_without_room_changes_nothing(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Source and table get their names together, so that one never outruns the other."""
    before = {path: path.read_bytes() for path in cache.folder.rglob("*") if path.is_file()}
    synced: list[int] = []

    def full(handle: int) -> None:
        synced.append(handle)
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFailed, match="No space left"):
        cache.install("litellm", _part({}, LATER), etag=None)
    after = {path: path.read_bytes() for path in cache.folder.rglob("*") if path.is_file()}
    assert after == before
