"""Compares what became of the fault matrix' cells with what the policy says of each.

Counted at the upstream, read from what the client was told, and looked up in the ledger.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from support import policy, strict, verdicts
from support.matrix import Answered, Cell
from support.policy import Ends, Fails, Tried, course
from support.waiting import until

from gatewayctl.simulator import Simulator
from gatewayctl.simulator.journal import Received, waits
from gatewayctl.storage import history
from gatewayctl.storage.history import LoggedRequest

_ATTEMPTS: Final = "x-gatewayctl-attempts"
_TOLERANCE: Final = 0.05
"""Seconds by which the simulator may note the end of its reply later than its caller does."""


def judged(found: Sequence[Cell], told: Sequence[Answered], simulator: Simulator) -> list[str]:
    """Return a line for each cell that is not as the policy says."""
    calls: dict[str, list[Received]] = defaultdict(list)
    for received in simulator.journal.calls():
        calls[received.model].append(received)
    wrong = []
    for cell, answered in zip(found, told, strict=True):
        mine = [call for place in cell.places for call in calls[_upstream(place.model)]]
        try:
            _judge(cell, answered, sorted(mine, key=lambda call: call.at))
        except (AssertionError, LookupError, ValueError) as error:
            said = " ".join(str(error).split())[:300]
            wrong.append(f"{cell.title}: {said or 'does not hold'}")
    return wrong


async def booked(found: Sequence[Cell], told: Sequence[Answered], state: Path) -> list[str]:
    """Return a line for each cell of which the ledger says something else than happened."""
    expected = 2 * len(found)  # each cell is followed by a request that nothing ails
    rows: dict[str, LoggedRequest] = {}

    def are_written() -> bool:
        read = history.requests(state, limit=2 * expected)
        rows.update({row.request: row for row in read if row.outcome is not None})
        return len(rows) == expected

    await until(are_written)
    return [
        f"{cell.title}: on record as {said}"
        for cell, answered in zip(found, told, strict=True)
        if (said := _on_record(rows[answered.headers["x-gatewayctl-request-id"]]))
        != _to_record(course(cell.places))
    ]


def _to_record(expected: Sequence[Tried]) -> tuple[object, ...]:
    attempts: list[tuple[object, ...]] = []
    for before, tried in zip((None, *expected), expected, strict=False):
        retry = before is not None and before.model == tried.model
        match tried.end:
            case Ends.WHOLE:
                attempts.append((tried.model, retry, "answered", None, 200))
            case Ends.BROKEN:
                attempts.append((tried.model, retry, "broken"))
            case Fails(kind=kind, status=status):
                attempts.append((tried.model, retry, "failed", kind, status))
    return (attempts[-1][2], *attempts)


def _on_record(row: LoggedRequest) -> tuple[object, ...]:
    """Return what a row says; of what broke off after its commit, only that it did."""
    attempts: list[tuple[object, ...]] = []
    for each in row.attempts:
        said: tuple[object, ...] = (each.model, each.retry, str(each.outcome))
        is_broken = each.outcome == "broken" and each.failure is not None
        attempts.append(said if is_broken else (*said, each.failure, each.status))
    return (str(row.outcome), *attempts)


def _upstream(model: str) -> str:
    return model.partition("/")[2]


def _judge(cell: Cell, answered: Answered, calls: Sequence[Received]) -> None:
    expected = course(cell.places)
    models = [_upstream(tried.model) for tried in expected]
    assert [call.model for call in calls] == models, (
        f"{len(calls)} attempts, not {len(models)}: {[call.model for call in calls]}"
    )
    for tried, waited in zip(expected[1:], waits(calls), strict=True):
        assert waited >= tried.after - _TOLERANCE, f"retried after {waited:.3f} s"
    assert answered.next_status == 200, f"the next request got {answered.next_status}"
    last = expected[-1]
    if cell.stream and answered.status == 200 and _ATTEMPTS not in answered.headers:
        _judge_late(cell, answered, expected)
        return
    assert answered.headers[_ATTEMPTS] == str(len(expected))
    if isinstance(last.end, Fails):
        _judge_refusal(cell, answered, expected)
        return
    assert answered.status == 200, f"status {answered.status}: {answered.body[:200]!r}"
    assert answered.headers["x-gatewayctl-model"] == last.model
    if last.end is Ends.BROKEN:
        verdicts.broken(cell.protocol, answered.body, torn=answered.torn)
    else:
        (strict.events if cell.stream else strict.reply)(cell.protocol, answered.body)


def _judge_late(cell: Cell, answered: Answered, expected: Sequence[Tried]) -> None:
    """Check a stream whose headers went out before anybody knew how it would end."""
    match expected[-1].end:
        case Ends.WHOLE:
            verdicts.answered_late(cell.protocol, answered.body)
        case Ends.BROKEN:
            verdicts.broken(cell.protocol, answered.body, torn=answered.torn)
        case Fails():
            error = verdicts.refused_late(cell.protocol, answered.body)
            failures = [tried.end for tried in expected if isinstance(tried.end, Fails)]
            _judge_own(error["gatewayctl"], failures)


def _judge_own(own: Mapping[str, Any], failures: Sequence[Fails]) -> None:
    """Check what the gateway says itself: the first cause, and all attempts in their order."""
    told_as = policy.TOLD_AS[failures[0].kind][0]
    assert own["kind"] == told_as, f"{failures[0].kind} told as {own['kind']}"
    kinds = [attempt["kind"] for attempt in own["attempts"]]
    assert kinds == [failure.kind for failure in failures], f"attempts told: {kinds}"


def _judge_refusal(cell: Cell, answered: Answered, expected: Sequence[Tried]) -> None:
    """Check that it names the first cause and all attempts, or is the upstream's own words."""
    failures = [tried.end for tried in expected if isinstance(tried.end, Fails)]
    first = failures[0]
    error = verdicts.refused(cell.protocol, answered.status, answered.body)
    own: dict[str, Any] | None = error.get("gatewayctl")
    if own is None:
        assert len({tried.model for tried in expected}) == 1, "one upstream's words for many"
        assert cell.protocol == cell.upstream, "another protocol's words"
        assert first.kind not in ("auth", "forbidden"), "the gateway's own key is refused"
        assert answered.status == first.status, f"status {answered.status}"
    else:
        _judge_own(own, failures)
        status = policy.told_status(first.kind, cell.protocol)
        assert answered.status == status, f"status {answered.status}, not {status}"
    vain = all(failure.vain or failure.kind in policy.VAIN for failure in failures)
    said = answered.headers.get("x-should-retry")
    assert said == ("false" if vain else None), f"x-should-retry: {said}"
    known = [failure.wait for failure in failures if failure.wait is not None]
    if known:
        # What the first was told to wait may be over by the time that the last has failed.
        least = min(known) if len({tried.model for tried in expected}) == 1 else 0.0
        seconds = _seconds(answered, error)
        assert least <= seconds <= min(known) + 1, f"retry-after: {seconds}"


def _seconds(answered: Answered, error: Mapping[str, Any]) -> float:
    """Return how long the client is told to wait; Google says so in the body alone."""
    if "retry-after" in answered.headers:
        return float(answered.headers["retry-after"])
    told = [detail["retryDelay"] for detail in error["details"] if "retryDelay" in detail]
    return float(told[0].removesuffix("s"))
