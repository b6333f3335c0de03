"""The ratio estimate against exact counts, on texts of many kinds and sizes."""

import base64
import json
import random
import string
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatewayctl.core.estimate import by_ratio
from gatewayctl.core.model import EstimatorSettings, WireProtocol
from gatewayctl.core.routing.decision import Estimate
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.tokenizers.count import count
from gatewayctl.tokenizers.tiktoken import encoder

CORPORA = Path(__file__).parents[1] / "fixtures" / "corpora"
PACKAGE = Path(__file__).parents[2] / "gatewayctl"
WRITTEN = sorted(path.stem for path in CORPORA.glob("*.txt"))


CODEC = CODECS[WireProtocol.CHAT_COMPLETIONS]


def body_of(text: str) -> bytes:
    """Return a request with one message."""
    return msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": text}]})


def estimated(text: str) -> tuple[Estimate, int]:
    """Return the estimate of a message with this text, and its exact size with o200k."""
    body = body_of(text)
    counted = count(WireProtocol.CHAT_COMPLETIONS, body, "o200k_base")
    exact = sum(counted.tokens.values()) + counted.overhead
    return by_ratio(CODEC.shape(body), CODEC.measure(body), EstimatorSettings()), exact


def check(text: str) -> None:
    """Assert both ends for one text."""
    estimate, exact = estimated(text)
    assert estimate.low <= exact <= estimate.high <= exact * 1.6, (exact, estimate, text[:80])


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("times", [1, 50])
def test_what_people_write_is_held_on_both_ends(name: str, times: int) -> None:
    """Prose, code, a dozen scripts, CJK, emoji and all of it mixed; low ≤ exact ≤ high ≤ 1.6×."""
    check((CORPORA / f"{name}.txt").read_text() * times)


@pytest.mark.parametrize("name", WRITTEN)
def test_paragraphs_are_held_too(name: str) -> None:
    """A short text varies more, and is still no less than its exact size."""
    for line in (CORPORA / f"{name}.txt").read_text().split("\n\n"):
        estimate, exact = estimated(line)
        assert estimate.low <= exact <= estimate.high


def test_source_code_is_held_on_both_ends() -> None:
    """Every module of this package, alone and together."""
    texts = [path.read_text() for path in sorted(PACKAGE.rglob("*.py"))]
    for text in (*texts, "".join(texts)):
        if text:
            check(text)


def records(rng: random.Random) -> list[dict[str, object]]:
    """Return what an API's reply may hold."""
    return [
        {
            "id": str(uuid.UUID(int=rng.getrandbits(128))),
            "created_at": f"2026-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}T12:{number % 60:02}:09Z",
            "user": {"name": rng.choice(["Ada", "Grace", "Linus"]), "active": rng.random() < 0.5},
            "amount": round(rng.uniform(0, 5000), 2),
            "tags": rng.sample(["new", "paid", "on hold", "express", "gift"], 2),
        }
        for number in range(80)
    ]


MADE: dict[str, Callable[[random.Random], str]] = {
    "compact json": lambda rng: json.dumps(records(rng), separators=(",", ":")),
    "indented json": lambda rng: json.dumps(records(rng), indent=4),
    "one-word lines": lambda _: "\n".join(["token", "window", "route", "client", "limit"] * 300),
    "numbers": lambda rng: "\n".join(str(rng.randint(0, 10**9)) for _ in range(500)),
    "csv": lambda rng: "\n".join(f"{n},{rng.random():.4f},ok,{n * 7}" for n in range(500)),
    "base64": lambda rng: base64.b64encode(rng.randbytes(6000)).decode(),
    "hashes": lambda rng: "\n".join(rng.randbytes(20).hex() for _ in range(200)),
    "letters and digits": lambda rng: "".join(
        rng.choices(string.ascii_letters + string.digits, k=6000)
    ),
    "a log": lambda rng: "\n".join(
        f"2026-03-01 12:{n % 60:02}:{n % 59:02},{rng.randint(0, 999):03} INFO [worker-{n % 8}] "
        f"request {rng.getrandbits(64):x} took {rng.randint(1, 900)} ms status=200"
        for n in range(200)
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_what_machines_write_is_held_on_both_ends(name: str) -> None:
    """Data, logs, encoded and random text."""
    check(MADE[name](random.Random(7)))  # noqa: S311 - the same text in every run


@pytest.mark.parametrize(
    ("codec", "leads"),
    [
        ("gb2312", range(0xB0, 0xD8)),
        ("gb2312", range(0xD8, 0xF8)),
        ("big5", range(0xA4, 0xC7)),
        ("big5", range(0xC9, 0xFA)),
        ("euc-jp", range(0xD0, 0xF5)),
        ("euc-kr", range(0xB0, 0xC9)),
    ],
)
def test_tables_of_characters_are_held_on_both_ends(codec: str, leads: range) -> None:
    """Common and rare characters of a national standard, one after another."""
    pairs = (bytes([lead, trail]) for lead in leads for trail in range(0xA1, 0xFF))
    check("".join(pair.decode(codec, "ignore") for pair in pairs))


@pytest.mark.parametrize("unit", [*"-=*#._/+~ \t\n0a", "\r\n"])
@pytest.mark.parametrize("times", [1, 7, 80, 5_000, 1_000_000])
def test_rules_and_blanks_are_never_estimated_too_small(unit: str, times: int) -> None:
    """What repeats is few tokens, at both ends."""
    estimate, exact = estimated(unit * times)
    assert estimate.low <= exact <= estimate.high


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("length", [1, 2, 3, 5, 10, 20, 50, 150])
def test_short_texts_are_held_but_for_a_few_tokens(name: str, length: int) -> None:
    """Low ≤ exact, and high no further off than a few tokens on top of the 1.6."""
    text = (CORPORA / f"{name}.txt").read_text()
    for start in range(0, len(text) - length, max(1, len(text) // 60)):
        estimate, exact = estimated(text[start : start + length])
        assert estimate.low <= exact
        assert exact * 0.75 - 4 <= estimate.high <= exact * 1.8 + 6


@given(st.text(max_size=400), st.text(max_size=400))
@example("─" * 11, "─")
@example("é" * 256, "x")
@example("人人" * 130, "─" * 30)
@example("e", "eeeeee")
@example("a.", "\n")
def test_what_is_appended_never_lowers_an_estimate(text: str, more: str) -> None:
    """Low, likely and high only grow with the text."""
    before, after = (
        by_ratio(CODEC.shape(body), CODEC.measure(body), EstimatorSettings())
        for body in (body_of(text), body_of(text + more))
    )
    assert before.low <= after.low
    assert before.likely <= after.likely
    assert before.high <= after.high


@pytest.mark.parametrize("text", ["-" * 5000, " " * 100_000, "a" * 9000, "\n" * 9000, "=" * 80])
def test_what_repeats_is_never_refused_for_it(text: str) -> None:
    """A ruled line or a blank page is few tokens; ``low`` knows it."""
    estimate, exact = estimated(text)
    assert estimate.low <= exact


def test_tool_definitions_are_held_to_their_compact_text() -> None:
    """Most providers put the schema before the model about as it stands; none in half of it."""
    tools = [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": does,
                "parameters": {
                    "type": "object",
                    "properties": {
                        "path": {"type": "string", "description": f"Where to {name} from."},
                        "limit": {"type": "integer", "description": "At most so many lines."},
                        "mode": {"type": "string", "enum": ["fast", "careful"]},
                    },
                    "required": ["path"],
                },
            },
        }
        for name, does in [("read", "Read a file."), ("find", "按名称查找文件。")] * 20
    ]
    turns = [{"role": "user", "content": "hi"}]
    body = msgspec.json.encode({"model": "m", "messages": turns, "tools": tools})
    estimate = by_ratio(CODEC.shape(body), CODEC.measure(body), EstimatorSettings())
    plain = encoder("o200k_base").count(msgspec.json.encode(tools).decode())
    rendered = count(WireProtocol.CHAT_COMPLETIONS, body, "o200k_base")
    assert estimate.low <= sum(rendered.tokens.values()) + rendered.overhead
    assert plain <= estimate.high <= plain * 1.6
