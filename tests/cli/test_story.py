"""One logged request as it is told to a person."""

from typing import Any

import msgspec
import pytest
from support.logged import LIMITED, attempt, failed, request

from gatewayctl.cli.story import print_story
from gatewayctl.core.events import Usage
from gatewayctl.storage.history import LoggedRequest
from gatewayctl.storage.records import Metered, Outcome

DECISION: dict[str, Any] = {
    "schema_version": 1,
    "requested": "coding",
    "chosen": "up/one",
    "shape": {
        "protocol": "messages",
        "body_bytes": 900,
        "stream": True,
        "needs": [],
        "output_budget": None,
    },
    "tree": {
        "id": "up/one",
        "kind": "model",
        "fit": "safe",
        "reason": "1,400 in (auto) + 4,096 out, ceiling 32,768",
        "duplicate": False,
        "children": [],
    },
    "attempts": [],
    "skipped": [],
    "notes": ["up/two cools for 12 s more: tried last"],
    "error": None,
}
USAGE = Usage(input=304, input_cache_read=900, output=345, reasoning_output=120, image=9)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> "Any":
    """Return what tells a story and returns its lines."""

    def lines(found: LoggedRequest) -> list[str]:
        print_story(found)
        return [line.strip() for line in capsys.readouterr().out.splitlines()]

    return lines


def test_every_attempt_is_told_in_order(told: Any) -> None:
    """What was tried, why it failed, how long was waited, and who took over."""
    story = "\n".join(
        told(
            request(
                attempt(1, **LIMITED),
                attempt(2, after=2.3, retry=True, **{**LIMITED, "retry_after": None}),
                attempt(3, "up/two", 2.6, first_token=0.9, protocol_out="responses"),
            )
        )
    )
    places = [
        story.index(part)
        for part in (
            "✓ coding → up/two\nanswered\nreq_5d1c9a3b",
            "HTTP 200 · first content after 3.5 s · took 2.1 s",
            "1. ✗ up/one\nfailed after 300 ms: rate_limited: HTTP 429: slow down;",
            "it asked to wait for 2.0 s",
            "no tokens metered",
            "2. ✗ up/one  tried again, after 2.0 s\nfailed after 300 ms",
            "3. ✓ up/two  the next candidate, at once\nanswered after 1.2 s, first content",
            "messages → responses · expected 1,100\N{EN DASH}1,400 in (ratio) · up to 4,096 out",
        )
    ]
    assert places == sorted(places)
    assert story.endswith("1,204 in + 345 out · $0.0082")


def test_the_decision_is_drawn_as_route_explain_draws_it(told: Any) -> None:
    """Also one that was kept without models and session beside it."""
    story = told(request(attempt(), decision=msgspec.Raw(msgspec.json.encode(DECISION))))
    assert "→ up/one  1,400 in (auto) + 4,096 out, ceiling 32,768" in story
    assert "note: up/two cools for 12 s more: tried last" in story
    assert "planned by the daemon when the request came" in story


def test_a_decision_that_is_gone_or_of_another_version_is_said(told: Any) -> None:
    """What is not understood is not drawn half."""
    for kept in (None, msgspec.Raw(b"{}"), msgspec.Raw(b'{"schema_version": 2}')):
        story = told(request(attempt(), decision=kept))
        assert "the decision" in story
        assert "it is not kept any more, or cannot be read" in story


def test_a_refused_request_says_that_nothing_was_tried(told: Any) -> None:
    """And why."""
    story = told(request(outcome=Outcome.REFUSED, status=413, error="too_large"))
    assert "refused: too_large" in story
    assert story[-1] == "nothing was tried"


def test_tokens_are_told_by_their_parts(told: Any) -> None:
    """Caches and reasoning within, images beside, the tier that was billed."""
    metered = Metered(usage=USAGE, tier="flex")
    parts = "1,204 in (900 read from the cache) + 345 out (120 for reasoning) + 9 for images"
    assert f"{parts}, tier flex · cost unknown" in told(request(attempt(metered=metered)))
    guess = Metered(usage=Usage(input=7, output=5), estimated=True, cost=10**9)
    assert "~7 in + ~5 out, estimated · ~$0.001" in told(request(attempt(metered=guess)))


def test_whose_key_and_which_credential_it_was_is_told_by_name(told: Any) -> None:
    """Both are names that people gave, or labels."""
    story = "\n".join(told(request(attempt(credential="up#2"), client="laptop")))
    assert "client laptop" in story
    assert "up to 4,096 out · credential up#2" in story


def test_foreign_words_cannot_steer_the_terminal(told: Any) -> None:
    """A provider's words, a client's names."""
    story = told(failed(attempt(**{**LIMITED, "said": "\x1b[2J"}), session="a\x1bb", asked="\x07"))
    assert not {"\x1b", "\x07"} & set("".join(story))


def test_a_truncated_reply_is_told_by_its_figures(told: Any) -> None:
    """What the upstream counted, and what there was at least; of others nothing is said."""
    usage = Usage(input=4000, input_cache_read=96)
    cut = attempt(estimate_low=9000, metered=Metered(usage=usage), truncated=True)
    assert "the upstream counted 4,096 of at least 9,000: truncated" in told(request(cut))
    for known in (False, None):
        assert "truncated" not in "\n".join(told(request(attempt(truncated=known))))


def test_a_truncated_reply_that_only_the_bound_had_sized_names_no_lower_end(told: Any) -> None:
    """What was sent by its bytes alone has a low of 0 in the ledger, which would say nothing."""
    cut = attempt(estimate_low=0, metered=Metered(usage=Usage(input=4096)), truncated=True)
    story = told(request(cut))
    assert "the upstream counted 4,096, fewer than there were: truncated" in story
