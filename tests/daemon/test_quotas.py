import asyncio
import logging
import os
import stat
import sys
from pathlib import Path

import pytest
from multidict import CIMultiDict

from gatewayctl.daemon import quotas as module
from gatewayctl.daemon.quotas import MOST_FORWARDED, Quotas
from gatewayctl.storage import quota as storage

NOON = 1_795_262_400.0
UNIFIED = "anthropic-ratelimit-unified-"


class Wall:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        """Return the time in seconds since 1970."""
        return self.now


@pytest.fixture
def wall() -> Wall:
    """Return a clock that stands at noon."""
    return Wall()


@pytest.fixture
def quotas(tmp_path: Path, wall: Wall) -> Quotas:
    """Return quotas of which nothing is known."""
    return Quotas.open(tmp_path, wall)


def unified(status: str, reset: float | None = None, used: str = "0.5") -> CIMultiDict[str]:
    """Return the headers of a subscription."""
    headers = {f"{UNIFIED}status": status, f"{UNIFIED}5h-utilization": used}
    if reset is not None:
        headers[f"{UNIFIED}reset"] = str(int(reset))
    return CIMultiDict(headers)


def changes(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the events that were logged."""
    told = [each.getMessage() for each in caplog.records]
    return [each.partition(" ")[2] for each in told if each.startswith("quota_changed ")]


def test_a_rejected_credential_is_spent_until_its_reset(quotas: Quotas, wall: Wall) -> None:
    """Spent from the reply that says so until the reset, and only that credential."""
    quotas.heard("up#1", unified("rejected", NOON + 60))
    assert (quotas.spent("up#1"), quotas.spent("up#2")) == (NOON + 60, None)
    wall.now += 60
    assert quotas.spent("up#1") is None


def test_headers_without_a_quota_change_nothing(quotas: Quotas) -> None:
    """A reply that says nothing of a quota leaves no trace."""
    quotas.heard("up", CIMultiDict({"Content-Type": "application/json"}))
    assert quotas.known() == {}


def test_only_changes_of_status_and_gating_are_events(
    quotas: Quotas, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    """One line with fields when the status or the gating changes, none when a figure moves."""
    caplog.set_level(logging.INFO)
    for status, used in (("allowed", "0.1"), ("allowed", "0.2"), ("rejected", "1.0")):
        quotas.heard("up", unified(status, NOON + 60, used))
    quotas.heard("up", unified("rejected", NOON + 60, "1.0"))
    wall.now += 61
    quotas.heard("up", unified("allowed", NOON + 999, "0.0"))
    assert changes(caplog) == [
        "credential=up from=unknown to=allowed spent_until=none",
        "credential=up from=allowed to=rejected spent_until=2026-11-21T12:01:00Z",
        "credential=up from=rejected to=allowed spent_until=none",
    ]


def test_limits_of_a_key_are_no_event(quotas: Quotas, caplog: pytest.LogCaptureFixture) -> None:
    """A reply that says only how many requests remain changes neither status nor gating."""
    caplog.set_level(logging.INFO)
    quotas.heard("up", CIMultiDict({"x-ratelimit-remaining-requests": "0"}))
    assert (changes(caplog), quotas.spent("up")) == ([], None)


def test_a_clock_that_was_set_back_does_not_keep_new_replies_out(
    quotas: Quotas, wall: Wall
) -> None:
    """What was heard in what is now the future yields to what is heard now."""
    wall.now += 3600
    quotas.heard("up", unified("rejected", wall.now + 60))
    wall.now -= 3600
    quotas.heard("up", unified("allowed"))
    assert quotas.spent("up") is None


async def test_a_restart_still_knows_what_is_spent(tmp_path: Path, wall: Wall) -> None:
    """What is written at the end is loaded at the start, in a file of its owner's alone."""
    first = Quotas.open(tmp_path, wall)
    first.heard("up#1", unified("rejected", NOON + 60))
    await first.close()
    assert Quotas.open(tmp_path, wall).spent("up#1") == NOON + 60
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / storage.NAME).stat().st_mode) == 0o600


async def test_it_is_written_while_it_runs(tmp_path: Path, wall: Wall) -> None:
    """A change that matters is on disk soon, without anybody asking, so a crash loses nothing."""
    quotas = Quotas.open(tmp_path, wall)
    task = asyncio.create_task(quotas.run())
    quotas.heard("up", unified("rejected", NOON + 60))
    async with asyncio.timeout(10):
        while not (tmp_path / storage.NAME).exists():  # noqa: ASYNC110 - another thread makes it
            await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert Quotas.open(tmp_path, wall).spent("up") == NOON + 60


async def test_another_credential_behind_the_label_starts_unknown(
    tmp_path: Path, wall: Wall
) -> None:
    """After a key was replaced or moved, what was kept of the old one gates nothing."""
    first = Quotas.open(tmp_path, wall, lambda _: {"up": "one", "gone": "g"})
    first.heard("up", unified("rejected", NOON + 60))
    first.heard("gone", unified("rejected", NOON + 60))
    await first.close()
    assert Quotas.open(tmp_path, wall, lambda _: {"up": "one"}).spent("up") == NOON + 60
    changed = Quotas.open(tmp_path, wall, lambda _: {"up": "two"})
    assert changed.known() == {}


async def test_nothing_of_a_forwarded_credential_is_stored(tmp_path: Path, wall: Wall) -> None:
    """A client's own credential gates in memory, bounded, and no byte of it reaches the disk."""
    quotas = Quotas.open(tmp_path, wall)
    for number in range(MOST_FORWARDED + 10):
        quotas.heard(f"up/{number:016x}", unified("rejected", NOON + 60))
    assert len(quotas.known()) == MOST_FORWARDED
    assert quotas.spent(f"up/{MOST_FORWARDED:016x}") == NOON + 60
    await quotas.close()
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - in a test of what is not there


async def test_a_disk_that_takes_nothing_is_said_and_stops_nobody(
    tmp_path: Path, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be written gates all the same, is told in one line, and once in the log."""
    (tmp_path / "state").write_text("a file where the folder should be")
    quotas = Quotas.open(tmp_path / "state" / "deeper", wall)
    for _ in range(2):
        quotas.heard("up", unified("rejected", NOON + 60))
        await quotas.close()
    assert quotas.spent("up") == NOON + 60
    assert "not kept over a restart" in (quotas.degraded or "")
    assert sum("not kept over a restart" in each.getMessage() for each in caplog.records) == 1


async def test_a_damaged_file_is_said_until_it_is_written_anew(tmp_path: Path, wall: Wall) -> None:
    """A start with a file that is none knows nothing, says so, and heals it."""
    (tmp_path / storage.NAME).write_text("nonsense")
    quotas = Quotas.open(tmp_path, wall)
    assert "damaged" in (quotas.degraded or "")
    quotas.heard("up", unified("allowed"))
    await quotas.close()
    assert quotas.degraded is None
    assert set(storage.load(tmp_path).credentials) == {"up"}


async def test_a_credential_can_be_forgotten(tmp_path: Path, wall: Wall) -> None:
    """Where a provider reset early, what was known is dropped, on the disk too."""
    quotas = Quotas.open(tmp_path, wall)
    for label in ("up", "up/ab", "other"):
        quotas.heard(label, unified("rejected", NOON + 60))
    await quotas.close()
    assert [quotas.forget(label) for label in ("up", "up", "up/ab")] == [True, False, True]
    assert (quotas.spent("up"), set(quotas.known())) == (None, {"other"})
    await quotas.close()
    assert set(Quotas.open(tmp_path, wall).known()) == {"other"}


def test_labels_are_bounded(quotas: Quotas) -> None:
    """However many labels are heard of, no more than so many are kept."""
    for number in range(storage.MOST + 10):
        quotas.heard(f"up{number}", unified("allowed"))
    assert len(quotas.known()) == storage.MOST


def test_all_of_it_is_rendered(quotas: Quotas, wall: Wall) -> None:
    """The document names each credential, its gating, and each figure's source and age."""
    quotas.heard("up#1", unified("rejected", NOON + 60, "1.0"))
    wall.now += 5
    limits = {"x-ratelimit-limit-requests": "50", "x-ratelimit-remaining-requests": "40"}
    quotas.heard("up#1", CIMultiDict(limits))
    told = quotas.rendered()
    assert (told["schema_version"], told["degraded"], told["probes"]) == (1, None, ())
    (credential,) = told["credentials"]
    windows = credential.pop("windows")
    assert credential == {
        "credential": "up#1",
        "provider": "up",
        "spent_until": "2026-11-21T12:01:00Z",
        "status": "rejected",
        "status_at": "2026-11-21T12:00:00Z",
        "resets_at": "2026-11-21T12:01:00Z",
        "fallback": None,
        "representative": None,
        "overage": None,
        "overage_reason": None,
    }
    assert [(each["name"], each["used"], each["at"]) for each in windows] == [
        ("5h", 1.0, "2026-11-21T12:00:00Z"),
        ("requests", 0.2, "2026-11-21T12:00:05Z"),
    ]
    assert windows[1]["source"] == "headers"


async def test_many_replies_are_written_once(tmp_path: Path, wall: Wall) -> None:
    """Figures that merely move are gathered: within the pause nothing is written at all."""
    quotas = Quotas.open(tmp_path, wall)
    quotas.heard("up", unified("allowed"))
    await quotas.close()
    before = (tmp_path / storage.NAME).read_bytes()
    task = asyncio.create_task(quotas.run())
    for step in range(50):
        quotas.heard("up", unified("allowed", used=f"0.{step:02}"))
        await asyncio.sleep(0)
    assert (tmp_path / storage.NAME).read_bytes() == before
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await quotas.close()
    assert (tmp_path / storage.NAME).read_bytes() != before
    assert module.LATER > module.SOON
