import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.quota import (
    LONGEST,
    MOST_WINDOWS,
    Snapshot,
    Source,
    Window,
    dated,
    is_paid_beyond,
    newer,
    not_after,
    since,
    spent,
)

NOW = 1_795_262_400.0
FIVE_HOURS = Window(name="5h", utilization=0.42, resets_at=NOW + 900)


def snapshot(at: float = NOW, *windows: Window, **said: object) -> Snapshot:
    """Return a snapshot with these windows that says this of the credential."""
    return msgspec.convert({"at": at, "windows": windows, **said}, Snapshot)


@pytest.mark.parametrize(
    ("said", "until"),
    [
        ({"status": "rejected", "resets_at": NOW + 60}, NOW + 60),
        ({"status": "rejected", "resets_at": NOW + 60, "fallback": "available"}, NOW + 60),
        ({"status": "rejected", "resets_at": NOW + 60, "representative": "seven_day"}, NOW + 60),
        ({"status": "rejected", "resets_at": NOW + 60, "representative": "overage"}, NOW + 60),
        ({"status": "rejected", "resets_at": NOW + 60, "overage": "allowed"}, NOW + 60),
        ({"status": "rejected", "resets_at": NOW + 60, "representative": "seven_day_opus"}, None),
        (
            {
                "status": "rejected",
                "resets_at": NOW + 60,
                "representative": "seven_day_overage_included",
            },
            None,
        ),
        ({"status": "rejected", "resets_at": NOW}, None),
        ({"status": "rejected", "resets_at": NOW - 1}, None),
        ({"status": "rejected"}, None),
        ({"status": "rejected", "resets_at": NOW + LONGEST + 1}, None),
        ({"status": "rejected", "resets_at": math.nan}, None),
        ({"status": "allowed_warning", "resets_at": NOW + 60}, None),
        ({"status": "allowed", "resets_at": NOW + 60, "overage": "rejected"}, None),
        ({"resets_at": NOW + 60}, None),
        ({}, None),
    ],
)
def test_only_a_rejection_that_ends_in_the_future_spends_a_credential(
    said: dict[str, object], until: float | None
) -> None:
    """Status ``rejected`` with a reset ahead gates until then, and nothing else does."""
    assert spent(Snapshot(at=NOW, **said), NOW) == until  # type: ignore[arg-type]


def test_a_window_that_is_rejected_or_empty_does_not_gate() -> None:
    """Other rejections do not gate: a window's, an overage's, a limit with nothing remaining."""
    windows = (
        Window(name="5h", status="rejected", utilization=1.0, resets_at=NOW + 900),
        Window(name="overage", status="rejected", resets_at=NOW + 900),
        Window(name="requests", limit=50, remaining=0, resets_at=NOW + 900),
    )
    assert spent(snapshot(NOW, *windows, status="allowed", overage="rejected"), NOW) is None


@pytest.mark.parametrize(
    ("overage", "served"),
    [("allowed", True), ("allowed_warning", True), ("rejected", False), (None, False)],
)
def test_an_overage_that_is_allowed_is_told(overage: str | None, *, served: bool) -> None:
    """Its provider serves a spent credential for money besides; what is silent of it does not."""
    assert is_paid_beyond(snapshot(NOW, status="rejected", overage=overage)) is served
    assert not is_paid_beyond(None)


def test_nothing_known_gates_nothing() -> None:
    """A credential that was never heard of is free."""
    assert spent(None, NOW) is None


def test_a_rejection_is_over_with_its_reset() -> None:
    """The same snapshot gates before its reset and no longer after it."""
    rejected = snapshot(NOW, status="rejected", resets_at=NOW + 60)
    assert spent(rejected, NOW + 59.9) == NOW + 60
    assert spent(rejected, NOW + 60) is None


def test_a_reply_that_says_only_requests_keeps_what_is_known_of_5h() -> None:
    """Windows that a partial snapshot does not name stay, with the age and source that they had."""
    known = snapshot(NOW, FIVE_HOURS, status="rejected", resets_at=NOW + 900)
    partial = snapshot(NOW + 10, Window(name="requests", limit=50, remaining=49))
    merged = newer(known, partial)
    assert [window.name for window in merged.windows] == ["requests", "5h"]
    assert list(dated(merged))[1] == (merged.windows[1], NOW, Source.HEADERS)
    assert spent(merged, NOW + 10) == NOW + 900
    assert (merged.at, merged.status_at) == (NOW + 10, NOW)


def test_the_age_of_what_is_kept_survives_a_second_merge() -> None:
    """What was heard once is as old as that, however many replies came since."""
    merged = snapshot(NOW, FIVE_HOURS, status="allowed")
    for step in range(1, 4):
        merged = newer(merged, snapshot(NOW + step, Window(name="tokens", remaining=step)))
    assert {w.name: at for w, at, _ in dated(merged)} == {"tokens": NOW + 3, "5h": NOW}
    assert merged.status_at == NOW


def test_a_window_that_is_named_is_replaced_as_a_whole() -> None:
    """Figures of two replies are not mixed in one window: what the newer leaves out is unknown."""
    merged = newer(snapshot(NOW, FIVE_HOURS), snapshot(NOW + 1, Window(name="5h", status="x")))
    assert merged.windows == (Window(name="5h", status="x"),)


def test_a_new_status_takes_the_old_reset_with_it() -> None:
    """A rejection that names no reset does not inherit one, so it does not gate."""
    known = snapshot(NOW, status="allowed", resets_at=NOW + 900, representative="five_hour")
    merged = newer(known, snapshot(NOW + 1, status="rejected"))
    assert (merged.resets_at, merged.representative, spent(merged, NOW + 1)) == (None, None, None)


def test_a_window_that_began_anew_is_forgotten() -> None:
    """Figures of a window whose reset has passed are void, so a merge does not keep them."""
    merged = newer(snapshot(NOW, FIVE_HOURS), snapshot(NOW + 901, Window(name="requests")))
    assert [window.name for window in merged.windows] == ["requests"]


def test_a_window_without_a_reset_is_not_kept_for_ever() -> None:
    """Where no reset is known, a month without a word ends it."""
    merged = newer(snapshot(NOW, Window(name="tokens")), snapshot(NOW + LONGEST + 1, FIVE_HOURS))
    assert [window.name for window in merged.windows] == ["5h"]


def test_of_each_window_the_newest_is_known_whichever_snapshot_has_it() -> None:
    """Another process may have heard of one window before, and of something else since."""
    one = snapshot(NOW + 5, Window(name="5h", utilization=0.5))
    other = snapshot(NOW + 10, Window(name="5h", utilization=0.1, at=NOW))
    assert newer(one, other).windows[0].utilization == 0.5


def test_windows_are_bounded() -> None:
    """A provider that names ever new windows fills no memory; the newest stay."""
    merged = snapshot(NOW)
    for step in range(MOST_WINDOWS * 2):
        merged = newer(merged, snapshot(NOW + step, Window(name=f"w{step}", remaining=1)))
    assert len(merged.windows) == MOST_WINDOWS
    assert merged.windows[0].name == f"w{MOST_WINDOWS * 2 - 1}"


def test_a_snapshot_of_the_future_is_taken_to_be_of_now() -> None:
    """After a clock was set back, what was heard before does not keep new replies out."""
    ahead = snapshot(NOW + 3600, status="rejected", resets_at=NOW + 60)
    assert newer(not_after(ahead, NOW), snapshot(NOW, status="allowed")).status == "allowed"
    late = Window(name="5h", utilization=0.5)
    both = newer(snapshot(NOW + 60, status="rejected", windows=(late,)), snapshot(NOW + 61))
    then = newer(
        not_after(both, NOW), snapshot(NOW, status="allowed", windows=(Window(name="5h"),))
    )
    assert (then.status, then.windows[0].utilization) == ("allowed", None)


STATUSES = st.sampled_from(["allowed", "allowed_warning", "rejected", None])
TIMES = st.integers(0, 50).map(lambda step: NOW + step)
WINDOWS = st.lists(
    st.builds(
        Window,
        name=st.sampled_from(["5h", "7d", "requests"]),
        utilization=st.none() | st.floats(0, 1),
        resets_at=st.none() | TIMES,
    ),
    unique_by=lambda window: window.name,
).map(tuple)
SNAPSHOTS = st.builds(
    Snapshot, at=TIMES, status=STATUSES, resets_at=st.none() | TIMES, windows=WINDOWS
)


@given(SNAPSHOTS, SNAPSHOTS)
def test_an_older_snapshot_never_overwrites_a_newer_one(one: Snapshot, other: Snapshot) -> None:
    """Whatever the order, all that the newest snapshot says is what is known."""
    merged = newer(one, other)
    newest = other if other.at >= one.at else one
    assert merged.at == newest.at
    assert merged.windows[: len(newest.windows)] == newest.windows
    if newest.status is not None:
        assert (merged.status, merged.resets_at) == (newest.status, newest.resets_at)


@given(st.permutations(range(4)), st.data())
def test_what_is_known_does_not_depend_on_the_order(order: list[int], data: st.DataObject) -> None:
    """Two processes that hear the same replies, in whatever order, know the same."""
    heard = [
        msgspec.structs.replace(data.draw(SNAPSHOTS), at=NOW - 100 + step) for step in range(4)
    ]
    known, elsewhere = None, None
    for each, other in zip(heard, order, strict=True):
        known, elsewhere = newer(known, each), newer(elsewhere, heard[other])
    assert known is not None
    assert elsewhere is not None
    by_name = [sorted(dated(it), key=lambda each: each[0].name) for it in (known, elsewhere)]
    said = [[(w.name, w.utilization, at) for w, at, _ in it] for it in by_name]
    assert said[0] == said[1]
    assert (known.status, known.resets_at) == (elsewhere.status, elsewhere.resets_at)


def test_a_probe_does_not_take_a_status_for_its_own() -> None:
    """A status that a reply's headers told stays told by them, when a probe follows."""
    probed = snapshot(NOW + 9, Window(name="credits"), source="probe")
    merged = newer(snapshot(NOW, status="rejected"), probed)
    assert (merged.source, merged.status_source) == (Source.PROBE, Source.HEADERS)
    again = newer(merged, snapshot(NOW + 20, source="probe"))
    assert (again.status_at, again.status_source) == (NOW, Source.HEADERS)


def test_a_newer_figure_does_not_bring_an_older_status_back() -> None:
    """What two processes know is merged too: each part of it is as old as it is."""
    old = snapshot(NOW, status="rejected", resets_at=NOW + 60, overage="allowed")
    theirs = newer(old, snapshot(NOW + 9, Window(name="requests", remaining=1)))
    ours = snapshot(NOW + 5, status="allowed")
    for merged in (newer(ours, theirs), newer(theirs, ours)):
        assert (merged.at, merged.status, merged.status_at) == (NOW + 9, "allowed", NOW + 5)
        assert (merged.resets_at, merged.overage) == (None, None)
        assert [window.name for window in merged.windows] == ["requests"]


def test_what_was_said_until_a_moment_can_be_taken_out() -> None:
    """Windows and status by their own age, each."""
    both = newer(snapshot(NOW, FIVE_HOURS, status="rejected"), snapshot(NOW + 9, Window(name="x")))
    assert since(both, NOW - 1) == both
    later = since(both, NOW)
    assert later is not None
    assert (later.status, [window.name for window in later.windows]) == (None, ["x"])
    assert since(both, NOW + 9) is None


@pytest.mark.parametrize(
    ("window", "used"),
    [
        (Window(name="5h", utilization=0.25), 0.25),
        (Window(name="requests", limit=50, remaining=40), pytest.approx(0.2)),
        (Window(name="credits", limit=10, remaining=-2), 1.0),
        (Window(name="credits", limit=10, remaining=12), 0.0),
        (Window(name="requests", limit=0, remaining=0), None),
        (Window(name="requests", remaining=0), None),
        (Window(name="requests"), None),
    ],
)
def test_what_is_used_is_told_or_worked_out(window: Window, used: float | None) -> None:
    """A utilization counts first, then limit and remainder; without both it is not known."""
    assert window.used == used
