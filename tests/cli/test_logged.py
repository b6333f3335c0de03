"""A logged request as JSON, and the figures that are made of its attempts."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.logged import LIMITED, attempt, failed, request

from gatewayctl.cli import logged
from gatewayctl.core.events import Usage
from gatewayctl.core.health import State
from gatewayctl.daemon.status import Document, LedgerStatus, ProviderStatus, ToldError
from gatewayctl.registry.freshness import SourceStatus
from gatewayctl.storage.history import LoggedRequest
from gatewayctl.storage.records import Metered, Outcome

RESCUED = request(
    attempt(1, "up/one", 0.01, **LIMITED),
    attempt(2, "up/one", 2.31, retry=True, **{**LIMITED, "metered": Metered(usage=Usage(input=7))}),
    attempt(
        3, "up/two", 2.75, first_token=0.5, metered=Metered(usage=Usage(output=5), tier="flex")
    ),
)


def as_json(found: LoggedRequest) -> dict[str, Any]:
    """Return the JSON as a program reads it."""
    encoder = msgspec.json.Encoder(decimal_format="number")
    told: dict[str, Any] = json.loads(encoder.encode(logged.as_json(found)))
    return told


def test_times_are_iso_and_durations_seconds() -> None:
    """No program has to know what a ledger's time counts from."""
    told = as_json(RESCUED)
    assert (told["at"], told["ended_at"]) == (
        "2026-06-04T08:00:00.250Z",
        "2026-06-04T08:00:02.350Z",
    )
    assert told["attempts"][2]["at"] == "2026-06-04T08:00:03.000Z"
    assert told["duration"] == 2.1


def test_the_first_cause_stands_at_the_request_even_when_it_was_rescued() -> None:
    """What one looks for first; every attempt says its own besides."""
    told = as_json(RESCUED)
    assert told["outcome"] == "answered"
    assert told["cause"] == {
        "model": "up/one",
        "failure": "rate_limited",
        "status": 429,
        "said": "HTTP 429: slow down",
    }
    assert [each["failure"] for each in told["attempts"]] == ["rate_limited", "rate_limited", None]


def test_waits_are_counted_from_the_end_of_the_attempt_before() -> None:
    """The first waited for nothing; what came after an interrupted one is unknown."""
    assert [each["waited"] for each in as_json(RESCUED)["attempts"]] == [None, 2.0, 0.14]
    broken = request(attempt(1, duration=None, outcome=Outcome.INTERRUPTED), attempt(2, after=1))
    assert logged.waits(broken) == (None, None)


def test_tokens_add_up_over_the_attempts_dimension_by_dimension() -> None:
    """What is unknown stays unknown, and one estimate makes the sum one."""
    tokens = as_json(RESCUED)["tokens"]
    assert (tokens["input"], tokens["output"], tokens["input_cache_read"]) == (7, 5, None)
    assert (tokens["estimated"], tokens["tier"]) == (False, "flex")
    guessed = Metered(usage=Usage(input=1), estimated=True)
    assert logged.whole(request(attempt(metered=guessed), attempt(2))).estimated


def test_costs_are_dollars_with_the_rates_they_were_made_with() -> None:
    """Of each attempt, and in all; where that of any tokens is unknown, the sum is."""
    told = as_json(request(attempt(1, credential="up#2"), attempt(2, **LIMITED), attempt(3)))
    assert told["cost"] == 0.01637
    assert [each["cost"] for each in told["attempts"]] == [0.008185, None, 0.008185]
    assert told["attempts"][0]["rates"] == {"input": 2.5, "output": 15}
    assert [each["credential"] for each in told["attempts"]] == ["up#2", None, None]
    unknown = Metered(usage=Usage(input=1))
    assert as_json(request(attempt(1), attempt(2, metered=unknown)))["cost"] is None
    assert as_json(failed())["cost"] is None


def test_first_content_is_counted_from_the_requests_arrival() -> None:
    """That is what a person waited for; the attempt's own figure stands at the attempt."""
    told = as_json(RESCUED)
    assert (told["first_token"], told["attempts"][2]["first_token"]) == (3.25, 0.5)
    assert as_json(failed())["first_token"] is None


def test_a_request_under_way_has_no_end() -> None:
    """Nothing is made up for it."""
    told = as_json(request(attempt(outcome=None), outcome=None, ended=None, duration=None))
    assert (told["outcome"], told["ended_at"], told["duration"]) == (None, None, None)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (None, "too_large"),
        (b'{"error": {"message": "it is too much"}}', "too_large: it is too much"),
        (b'{"error": null}', "too_large"),
        (b'{"error": "odd"}', "too_large"),
        (b"[]", "too_large"),
        (b"{", "too_large"),
    ],
)
def test_a_refusal_says_what_its_decision_says(kept: bytes | None, said: str) -> None:
    """The kind alone where the decision is pruned, of another version, or damaged."""
    refused = request(
        outcome=Outcome.REFUSED,
        error="too_large",
        decision=None if kept is None else msgspec.Raw(kept),
    )
    assert logged.refusal(refused) == said


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (None, "bad_request"),
        ("HTTP 400: bad_request", "HTTP 400: bad_request"),
        ("no content", "bad_request: no content"),
    ],
)
def test_a_kind_is_not_said_twice(said: str | None, told: str) -> None:
    """Words that are not kept are replaced by the kind, which then stands in them already."""
    assert logged.why(attempt(failure="bad_request", said=said)) == told


def test_every_field_is_documented() -> None:
    """What a program may rely on is said where people look: no field without a word there."""
    text = (Path(__file__).parents[2] / "docs" / "attempts.md").read_text(encoding="utf-8")
    known = set(re.findall(r"\w+", text.partition("## As JSON")[2].partition("## Exit codes")[0]))
    told = as_json(RESCUED)
    fields = {*told, *told["cause"], *told["attempts"][0], *told["tokens"]}
    documents = (Document, ProviderStatus, State, ToldError, SourceStatus, LedgerStatus)
    fields |= {name for each in documents for name in each.__struct_fields__}
    assert fields - known == set()
