import asyncio
import logging
import os
import stat
import sys
from pathlib import Path

import msgspec
import pytest
from multidict import CIMultiDict, MultiMapping

from gatewayctl.daemon import quotas as module
from gatewayctl.daemon.quota_told import as_document
from gatewayctl.daemon.quotas import MOST_FORWARDED, Quotas
from gatewayctl.storage import quota as storage
from gatewayctl.storage.quota import Same

NOON = 1_795_262_400.0
UNIFIED = "anthropic-ratelimit-unified-"


class Marked:
    """The credentials behind labels, by a word each; a test changes them."""

    def __init__(self, **words: str) -> None:
        self.words = words

    def of(self, label: str) -> str:
        """Return a mark, with what differs from process to process."""
        return f"{id(self)}:{self.words.get(label, '')}"

    def matches(self, label: str, mark: str) -> bool:
        """Compare what is the same in all processes."""
        return mark.partition(":")[2] == self.words.get(label, "")

    def fixed(self) -> Same:
        """Return this as it is now."""
        return Marked(**self.words).matches


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
    return Quotas.open(tmp_path, wall, Marked())


def hear(quotas: Quotas, label: str, headers: MultiMapping[str]) -> None:
    """Take in the headers of a reply to a request of this moment."""
    quotas.hearing(label)(headers)


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
    hear(quotas, "up#1", unified("rejected", NOON + 60))
    assert (quotas.spent("up#1"), quotas.spent("up#2")) == (NOON + 60, None)
    wall.now += 60
    assert quotas.spent("up#1") is None


def test_headers_without_a_quota_change_nothing(quotas: Quotas) -> None:
    """A reply that says nothing of a quota leaves no trace."""
    hear(quotas, "up", CIMultiDict({"Content-Type": "application/json"}))
    assert quotas.known() == {}


def test_only_changes_of_status_and_gating_are_events(
    quotas: Quotas, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    """One line with fields when the status or the gating changes, none when a figure moves."""
    caplog.set_level(logging.INFO)
    for status, used in (("allowed", "0.1"), ("allowed", "0.2"), ("rejected", "1.0")):
        hear(quotas, "up", unified(status, NOON + 60, used))
    hear(quotas, "up", unified("rejected", NOON + 60, "1.0"))
    wall.now += 61
    hear(quotas, "up", unified("allowed", NOON + 999, "0.0"))
    assert changes(caplog) == [
        "credential=up from=unknown to=allowed spent_until=none",
        "credential=up from=allowed to=rejected spent_until=2026-11-21T12:01:00Z",
        "credential=up from=rejected to=allowed spent_until=none",
    ]


def test_limits_of_a_key_are_no_event(quotas: Quotas, caplog: pytest.LogCaptureFixture) -> None:
    """A reply that says only how many requests remain changes neither status nor gating."""
    caplog.set_level(logging.INFO)
    hear(quotas, "up", CIMultiDict({"x-ratelimit-remaining-requests": "0"}))
    assert (changes(caplog), quotas.spent("up")) == ([], None)


def test_a_clock_that_was_set_back_does_not_keep_new_replies_out(
    quotas: Quotas, wall: Wall
) -> None:
    """What was heard in what is now the future yields to what is heard now."""
    wall.now += 3600
    hear(quotas, "up", unified("rejected", wall.now + 60))
    wall.now -= 3600
    hear(quotas, "up", unified("allowed"))
    assert quotas.spent("up") is None


async def test_a_restart_still_knows_what_is_spent(tmp_path: Path, wall: Wall) -> None:
    """What is written at the end is loaded at the start, in a file of its owner's alone."""
    first = Quotas.open(tmp_path, wall, Marked())
    hear(first, "up#1", unified("rejected", NOON + 60))
    await first.close()
    assert Quotas.open(tmp_path, wall, Marked()).spent("up#1") == NOON + 60
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / storage.NAME).stat().st_mode) == 0o600


async def test_it_is_written_while_it_runs(tmp_path: Path, wall: Wall) -> None:
    """A change that matters is on disk soon, without anybody asking, so a crash loses nothing."""
    quotas = Quotas.open(tmp_path, wall, Marked())
    task = asyncio.create_task(quotas.run())
    hear(quotas, "up", unified("rejected", NOON + 60))
    async with asyncio.timeout(10):
        while not (tmp_path / storage.NAME).exists():  # noqa: ASYNC110 - another thread makes it
            await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert Quotas.open(tmp_path, wall, Marked()).spent("up") == NOON + 60


async def test_another_credential_behind_the_label_starts_unknown(
    tmp_path: Path, wall: Wall
) -> None:
    """After a key was replaced or moved, what was kept of the old one gates nothing."""
    first = Quotas.open(tmp_path, wall, Marked(up="one", gone="g"))
    hear(first, "up", unified("rejected", NOON + 60))
    hear(first, "gone", unified("rejected", NOON + 60))
    await first.close()
    assert Quotas.open(tmp_path, wall, Marked(up="one")).spent("up") == NOON + 60
    assert Quotas.open(tmp_path, wall, Marked(up="two")).known() == {}


def test_a_new_login_is_not_taken_for_the_spent_one(tmp_path: Path, wall: Wall) -> None:
    """What was heard of an account ends with it, in a running process and at once."""
    marks = Marked(up="one", other="same")
    quotas = Quotas.open(tmp_path, wall, marks)
    for label in ("up", "other"):
        hear(quotas, label, unified("rejected", NOON + 60))
    marks.words["up"] = "two"
    assert (quotas.spent("up"), quotas.spent("other")) == (None, NOON + 60)
    assert set(quotas.known()) == {"other"}


def test_a_late_reply_to_the_login_before_says_nothing_of_the_new_one(
    tmp_path: Path, wall: Wall
) -> None:
    """A request goes out with one credential, and its reply comes when there is another."""
    marks = Marked(up="one")
    quotas = Quotas.open(tmp_path, wall, marks)
    late = quotas.hearing("up")
    marks.words["up"] = "two"
    late(unified("rejected", NOON + 60))
    assert (quotas.spent("up"), quotas.known()) == (None, {})


async def test_two_daemons_agree_on_what_is_spent(tmp_path: Path, wall: Wall) -> None:
    """Neither loses what the other heard, and each reads what the other has written."""
    one, other = (Quotas.open(tmp_path, wall, Marked(a="a", b="b")) for _ in range(2))
    hear(one, "a", unified("rejected", NOON + 60))
    wall.now += 1
    hear(other, "b", unified("rejected", NOON + 90))
    hear(other, "a", CIMultiDict({"x-ratelimit-remaining-requests": "9"}))
    for each in (one, other, one):
        await each.close()
        await one.look()
        await other.look()
    assert as_document(one.known(), wall.now) == as_document(other.known(), wall.now)
    assert [one.spent(label) for label in "ab"] == [NOON + 60, NOON + 90]
    assert {window.name for window in one.known()["a"].windows} == {"5h", "requests"}


async def test_what_another_daemon_heard_of_another_credential_counts_for_nothing(
    tmp_path: Path, wall: Wall
) -> None:
    """Two may have different keys under one label: each knows of its own alone."""
    one, other = (Quotas.open(tmp_path, wall, Marked(up=word)) for word in "ab")
    hear(one, "up", unified("rejected", NOON + 60))
    await one.close()
    await other.look()
    assert (other.spent("up"), other.known()) == (None, {})
    await one.look()
    assert one.spent("up") == NOON + 60


async def test_what_one_daemon_forgets_another_does_not_bring_back(
    tmp_path: Path, wall: Wall
) -> None:
    """It is tried by all of them, until one hears again that it is spent."""
    one, other = (Quotas.open(tmp_path, wall, Marked()) for _ in range(2))
    hear(one, "up", unified("rejected", NOON + 60))
    await one.close()
    await other.look()
    assert other.spent("up") == NOON + 60
    wall.now += 1
    assert one.forget("up")
    await one.look()  # at what it has written itself before
    assert one.spent("up") is None
    await one.close()
    hear(other, "else", unified("allowed"))
    await other.close()
    for each in (one, other):
        await each.look()
        assert each.spent("up") is None
    wall.now += 1
    hear(other, "up", unified("rejected", NOON + 90))
    await other.close()
    await one.look()
    assert one.spent("up") == NOON + 90


async def test_nothing_of_a_forwarded_credential_is_stored(tmp_path: Path, wall: Wall) -> None:
    """A client's own credential gates in memory, bounded, and no byte of it reaches the disk."""
    quotas = Quotas.open(tmp_path, wall, Marked())
    for number in range(MOST_FORWARDED + 10):
        hear(quotas, f"up/{number:016x}", unified("rejected", NOON + 60))
    assert len(quotas.known()) == MOST_FORWARDED
    assert quotas.spent(f"up/{MOST_FORWARDED:016x}") == NOON + 60
    await quotas.close()
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - in a test of what is not there


async def test_a_disk_that_takes_nothing_is_said_and_stops_nobody(
    tmp_path: Path, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be written gates all the same, is told in one line, and once in the log."""
    (tmp_path / "state").write_text("a file where the folder should be")
    quotas = Quotas.open(tmp_path / "state" / "deeper", wall, Marked())
    for _ in range(2):
        hear(quotas, "up", unified("rejected", NOON + 60))
        await quotas.close()
    assert quotas.spent("up") == NOON + 60
    assert "not kept over a restart" in (quotas.degraded or "")
    assert sum("not kept over a restart" in each.getMessage() for each in caplog.records) == 1


async def test_a_damaged_file_is_said_until_it_is_written_anew(tmp_path: Path, wall: Wall) -> None:
    """A start with a file that is none knows nothing, says so, and heals it."""
    (tmp_path / storage.NAME).write_text("nonsense")
    quotas = Quotas.open(tmp_path, wall, Marked())
    assert "damaged" in (quotas.degraded or "")
    hear(quotas, "up", unified("allowed"))
    await quotas.close()
    assert quotas.degraded is None
    assert set(storage.load(tmp_path).credentials) == {"up"}


async def test_a_credential_can_be_forgotten(tmp_path: Path, wall: Wall) -> None:
    """Where a provider reset early, what was known is dropped, on the disk too."""
    quotas = Quotas.open(tmp_path, wall, Marked())
    for label in ("up", "up/ab", "other"):
        hear(quotas, label, unified("rejected", NOON + 60))
    await quotas.close()
    assert [quotas.forget(label) for label in ("up", "up", "up/ab")] == [True, False, True]
    assert (quotas.spent("up"), set(quotas.known())) == (None, {"other"})
    await quotas.close()
    assert set(Quotas.open(tmp_path, wall, Marked()).known()) == {"other"}


async def test_what_could_not_be_written_is_written_later(tmp_path: Path, wall: Wall) -> None:
    """It is not given up with the first disk that takes nothing."""
    lock = tmp_path / storage.NAME.replace(".json", ".lock")
    lock.mkdir()
    quotas = Quotas.open(tmp_path, wall, Marked())
    hear(quotas, "up", unified("allowed"))
    await quotas.close()
    assert "not kept over a restart" in (quotas.degraded or "")
    lock.rmdir()
    await quotas.close()
    assert (set(storage.load(tmp_path).credentials), quotas.degraded) == ({"up"}, None)


async def test_what_is_of_another_credential_by_now_is_not_written(
    tmp_path: Path, wall: Wall
) -> None:
    """It would take the place of what another process knows of the new one."""
    marks = Marked(up="old")
    quotas = Quotas.open(tmp_path, wall, marks)
    hear(quotas, "up", unified("rejected", NOON + 60))
    marks.words["up"] = "new"
    await quotas.close()
    assert storage.load(tmp_path).credentials == {}


async def test_what_was_forgotten_by_a_wrong_clock_is_learned_again(
    tmp_path: Path, wall: Wall
) -> None:
    """A clock that was a day ahead hides nothing once it is set right, here or elsewhere."""
    quotas, other, looking = (Quotas.open(tmp_path, wall, Marked()) for _ in range(3))
    wall.now += 86_400
    hear(quotas, "up", unified("rejected", wall.now + 60))
    quotas.forget("up")
    await quotas.close()
    wall.now = NOON
    await looking.look()
    for wall.now in (NOON, NOON + 1):  # the first writing notes the time that is right
        for each in (quotas, other):
            await each.look()
            hear(each, "up", unified("allowed"))
            await each.close()
    await looking.look()
    assert set(looking.known()) == set(Quotas.open(tmp_path, wall, Marked()).known()) == {"up"}


def test_labels_are_bounded(quotas: Quotas) -> None:
    """However many labels are heard of, no more than so many are kept."""
    for number in range(storage.MOST + 10):
        hear(quotas, f"up{number}", unified("allowed"))
    assert len(quotas.known()) == storage.MOST


def test_all_of_it_is_rendered(quotas: Quotas, wall: Wall) -> None:
    """The document names each credential, its gating, and each figure's source and age."""
    hear(quotas, "up#1", unified("rejected", NOON + 60, "1.0"))
    wall.now += 5
    limits = {"x-ratelimit-limit-requests": "50", "x-ratelimit-remaining-requests": "40"}
    hear(quotas, "up#1", CIMultiDict(limits))
    told = msgspec.to_builtins(as_document(quotas.known(), wall.now))
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
        "status_source": "headers",
    }
    assert [(each["name"], each["used"], each["at"]) for each in windows] == [
        ("5h", 1.0, "2026-11-21T12:00:00Z"),
        ("requests", 0.2, "2026-11-21T12:00:05Z"),
    ]
    assert windows[1]["source"] == "headers"


async def test_many_replies_are_written_once(tmp_path: Path, wall: Wall) -> None:
    """Figures that merely move are gathered: within the pause nothing is written at all."""
    quotas = Quotas.open(tmp_path, wall, Marked())
    hear(quotas, "up", unified("allowed"))
    await quotas.close()
    before = (tmp_path / storage.NAME).read_bytes()
    task = asyncio.create_task(quotas.run())
    for step in range(50):
        hear(quotas, "up", unified("allowed", used=f"0.{step:02}"))
        await asyncio.sleep(0)
    assert (tmp_path / storage.NAME).read_bytes() == before
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await quotas.close()
    assert (tmp_path / storage.NAME).read_bytes() != before
    assert module.LATER > module.SOON
