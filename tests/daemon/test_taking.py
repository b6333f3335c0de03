"""What is reserved of a client's money before a call: all that the call may come to cost."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from support.gateway import settings_of
from support.world import FakeWorld, Sized, decide, model

from gatewayctl.core.allowance import Ask
from gatewayctl.core.model import Capability, Sourced, WireProtocol
from gatewayctl.daemon.taking import taking
from gatewayctl.protocols.catalog import COMPLETIONS
from gatewayctl.protocols.codec import Reader
from gatewayctl.protocols.given import given

CONFIG = """
[providers.up]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
api_key = "stand-in"
[[models]]
id = "up/long"
set = { max_tokens = 3000, n = 2 }
[[models]]
id = "up/nested"
set = { generationConfig = { maxOutputTokens = 3000 }, max_tokens = 10 }
[[models]]
id = "up/free-of-limits"
drop = ["max_tokens"]
"""
READ = 1_000_000
SETTINGS = settings_of(CONFIG)
DEAR_TIER = {"output@priority": "200"}


def taken(
    body: dict[str, Any] | bytes,
    dollars: Mapping[str, str],
    protocol: WireProtocol = WireProtocol.CHAT_COMPLETIONS,
    reader: Reader | None = None,
    *,
    window: int | None = None,
    most_output: int | None = 8192,
    needs: Iterable[Capability] = (),
    **planned: Any,
) -> Ask:
    """Return what is reserved of a request of a million tokens, at prices by rate key.

    ``planned`` are fields of the candidate, whatever was planned.
    """
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    shape = (reader or given(data, None).reader).shape(data)
    prices = {"input": "0", "output": "100"} | dict(dollars)
    sourced = {key: Sourced(value=Decimal(it), source="test") for key, it in prices.items()}
    facts = replace(model(shape.model, window, most_output=most_output), prices=sourced)
    (candidate,) = decide(shape.model, FakeWorld([facts]), Sized(READ), asked=shape).attempts
    candidate = replace(candidate, protocol=protocol, **planned)
    return taking(candidate, replace(shape, needs=frozenset(needs)), data, SETTINGS)


def chat(model: str = "up/m", text: str = "hi", **fields: object) -> dict[str, Any]:
    """Return a request for an answer."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


@pytest.mark.parametrize(
    ("body", "dollars"),
    [
        (chat(max_tokens=1000), "0.1"),
        (chat(max_tokens=1000, n=3), "0.3"),
        (chat(), "0.8192"),
        (chat(max_tokens=1000, service_tier="priority"), "0.2"),
        (chat("up/long", max_tokens=10), "0.6"),
        (chat("up/nested", max_tokens=10), "0.3"),
        (chat("up/free-of-limits", max_tokens=10), "0.8192"),
    ],
    ids=[
        "limited",
        "several answers",
        "unlimited",
        "tier",
        "set by config",
        "set in an object",
        "dropped by config",
    ],
)
def test_the_longest_answer_that_may_come_is_reserved(body: dict[str, Any], dollars: str) -> None:
    """Not the usual one: whoever names no limit, or has it taken away, is held to none."""
    assert taken(body, DEAR_TIER).cost == Decimal(dollars)


def test_what_is_sent_counts_and_not_what_was_asked_for() -> None:
    """An upstream that needs a limit is given one; the usual answers are what tokens go by."""
    asked = chat(max_tokens=1000)
    assert taken(asked, {}, send_budget=500).cost == Decimal("0.05")
    assert taken(chat(n=3), {}, output_budget=700).tokens == READ + 2100


def test_a_model_of_unknown_length_may_fill_its_window() -> None:
    """And answers no less than is usual."""
    assert taken(chat(), {}, window=2_000_000, most_output=None).cost == 100
    longer = taken(chat(), {}, window=2_000_000, most_output=None, output_budget=1_100_000)
    assert longer.cost == 110


def test_what_is_no_text_is_reserved_at_its_own_price() -> None:
    """Nobody knows how much of an input it is."""
    prices = {"input": "1", "audio": "7", "image": "5"}
    assert taken(chat(), prices).input_cost == Decimal(1)
    assert taken(chat(), prices, needs=[Capability.AUDIO]).input_cost == Decimal(7)
    assert taken(chat(), prices, needs=[Capability.IMAGES]).input_cost == Decimal(5)


def test_all_inputs_of_a_request_are_paid_for() -> None:
    """Where each fits by itself, the estimate is that of one."""
    body = json.dumps({"model": "up/m", "prompt": ["a" * READ] * 4}).encode()
    found = taken(body, {"input": "1"}, reader=COMPLETIONS)
    assert found.input_cost >= 2
    assert found.input_tokens > READ


@pytest.mark.parametrize(
    ("fields", "dollars"),
    [
        ({"prompt": "a"}, "0.1"),
        ({"prompt": ["a", "b", "c"]}, "0.3"),
        ({"prompt": [1, 2, 3]}, "0.1"),
        ({"prompt": [[1, 2], [3]]}, "0.2"),
        ({"prompt": "a", "best_of": 20, "n": 2}, "2"),
        ({"prompt": ["a", "b"], "best_of": 2, "n": 3}, "0.6"),
        ({"prompt": []}, "0.1"),
    ],
)
def test_each_prompt_is_answered_as_often_as_it_may_be(
    fields: dict[str, Any], dollars: str
) -> None:
    """Of the best of many answers all are paid for."""
    body = json.dumps({"model": "up/m", "max_tokens": 1000, **fields}).encode()
    assert taken(body, {}, reader=COMPLETIONS).cost == Decimal(dollars)


@pytest.mark.parametrize(
    ("word", "dollars"),
    [
        ("ultrafast", "0.9"),
        ("fast", "0.2"),
        ("SERVICE_TIER_PRIORITY", "0.2"),
        ("PRIORITY", "0.2"),
        ("flex", "0.1"),
        ("default", "0.1"),
    ],
)
def test_every_tier_that_has_a_price_and_is_named_is_reserved(word: str, dollars: str) -> None:
    """However it is written; a cheaper one may not be had, so that it takes nothing off."""
    prices = DEAR_TIER | {"output@ultrafast": "900", "output@flex": "50"}
    assert taken(chat(max_tokens=1000, service_tier=word), prices).cost == Decimal(dollars)


def test_a_tier_is_reserved_by_its_other_name_too() -> None:
    """A translation turns one dialect's word into that of another, which has its own price."""
    asked = chat(max_tokens=1000, service_tier="priority")
    assert taken(asked, {"output@fast": "600"}).cost == Decimal("0.6")


def test_a_tier_and_a_place_go_together() -> None:
    """What may run in one country alone costs more at any tier."""
    prices = DEAR_TIER | {"output@us": "110", "output@priority+us": "220"}
    asked = chat(max_tokens=1000, inference_geo="us")
    assert taken(asked, prices).cost == Decimal("0.11")
    assert taken(asked | {"service_tier": "priority"}, prices).cost == Decimal("0.22")


def test_a_tier_that_is_hidden_in_escapes_is_reserved_all_the_same() -> None:
    """JSON has many ways to write a word."""
    data = json.dumps(chat(max_tokens=1000, service_tier="prior?ty")).encode()
    hidden = data.replace(b"?", rb"\u0069")
    assert taken(hidden, DEAR_TIER).cost == Decimal("0.2")


@pytest.mark.parametrize(
    ("fields", "protocol", "dollars"),
    [
        ({}, WireProtocol.CHAT_COMPLETIONS, "2.5"),
        ({}, WireProtocol.RESPONSES, "2.5"),
        ({}, WireProtocol.MESSAGES, "2"),
        ({"prompt_cache_retention": "24h"}, WireProtocol.CHAT_COMPLETIONS, "4"),
        ({"cache_control": {"type": "ephemeral"}}, WireProtocol.MESSAGES, "4"),
    ],
)
def test_a_cache_that_may_be_written_is_reserved(
    fields: dict[str, Any], protocol: WireProtocol, dollars: str
) -> None:
    """OpenAI's models write one unasked, Anthropic's where they are told to."""
    prices = {"input": "2", "input_cache_write_5m": "2.5", "input_cache_write_1h": "4"}
    assert taken(chat(**fields), prices, protocol).input_cost == Decimal(dollars)


@pytest.mark.parametrize(
    ("off_peak", "word", "dollars"),
    [("50", "default", "0.1"), ("300", "default", "0.3"), ("300", "flex", "0.4")],
    ids=["less by night", "more by night", "with a tier"],
)
def test_a_call_may_end_in_the_other_hour(off_peak: str, word: str, dollars: str) -> None:
    """Whatever the time is now, the dearer of both is reserved, without any word for it."""
    prices = {"output@off_peak": off_peak, "output@flex+off_peak": "400"}
    assert taken(chat(max_tokens=1000, service_tier=word), prices).cost == Decimal(dollars)
