"""``gatewayctl estimate``: what it reads, what it prints, and its exit status."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.dialects import PROTOCOLS, encoded, tool
from support.terminal import Ran, gatewayctl

CONFIG = """
[providers.demo]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
auth = "none"
protocols = ["chat_completions", "responses", "messages"]
[[models]]
id = "demo/small"
context_window = 32768
tokenizer = "char_ratio"
chars_per_token = 4
safety_margin = 1.25
[[models]]
id = "demo/large"
context_window = "256K"
capacity_fraction = 0.85
[[dispatchers]]
id = "route"
targets = ["demo/small", "demo/large"]
"""
HI = b"Hello there"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a config with two models and a route."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return path


def estimate(config: Path, *argv: str, stdin: bytes = b"") -> Ran:
    """Run the command with a config and some input."""
    return gatewayctl("estimate", *argv, "--config", str(config), stdin=stdin)


def read(ran: Ran) -> list[dict[str, Any]]:
    """Return the estimates that were printed as JSON."""
    told = json.loads(ran.out)
    assert told["schema_version"] == 1
    estimates: list[dict[str, Any]] = told["estimates"]
    return estimates


def test_a_char_ratio_is_printed_exactly_as_configured(config: Path) -> None:
    """Eight characters at four each, margin 1.25: 1, 2 and 3; every field of the contract."""
    ran = estimate(config, "--json", "-m", "demo/small", "--protocol", "text", stdin=b"abcdefgh")
    assert ran.status == 0
    (only,) = read(ran)
    breakdown = only.pop("breakdown")
    assert breakdown["messages"] == 2
    assert only == {
        "model": "demo/small",
        "method": "ratio",
        "tokenizer": "char_ratio:4",
        "low": 1,
        "likely": 2,
        "high": 3,
        "output_budget": 4096,
        "context_window": 32768,
        "ceiling": 32768,
        "capacity_fraction": 1,
        "safety_margin": 1.25,
        "fits": True,
        "fit": "safe",
        "shortfall": 0,
    }


def test_a_route_is_sized_at_each_of_its_models(config: Path) -> None:
    """The large model's ceiling carries its capacity fraction."""
    ran = estimate(config, "--json", "-m", "route", stdin=b"word " * 40_000)
    small, large = read(ran)
    assert (small["model"], small["fits"]) == ("demo/small", False)
    assert small["shortfall"] == small["high"] + 4096 - 32_768
    assert (large["ceiling"], large["fits"]) == (222_822, True)
    assert ran.status == 0


def test_what_fits_in_none_of_the_models_exits_3(config: Path) -> None:
    """So that a script can tell."""
    assert estimate(config, "-m", "demo/small", stdin=b"word " * 40_000).status == 3


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_bodys_own_model_counts_and_its_protocol_is_seen(config: Path, protocol: str) -> None:
    """Each dialect is told apart by its keys, without being named."""
    extra = {"system": "Be brief."} if protocol == "messages" else {}
    body = encoded(protocol, "route", "Hello", **extra)
    ran = estimate(config, "--json", "-", stdin=body)
    assert json.loads(ran.out)["protocol"] == protocol
    assert [each["model"] for each in read(ran)] == ["demo/small", "demo/large"]


def test_a_body_without_a_model_is_sized_for_the_one_given(config: Path, tmp_path: Path) -> None:
    """Read from a file; what providers require besides is not asked for."""
    file = tmp_path / "body.json"
    file.write_text('{"messages": [{"role": "user", "content": "Hi"}]}')
    assert estimate(config, str(file), "-m", "demo/small").status == 0
    told = estimate(config, str(file))
    assert told.status == 2
    assert "--model" in told.err


def test_a_model_that_is_not_configured_can_be_sized_all_the_same(config: Path) -> None:
    """Nobody is about to call it, so no key is asked for."""
    (only,) = read(estimate(config, "--json", "-m", "openai/gpt-5", stdin=b"Hi"))
    assert only["context_window"] == 400_000


@pytest.mark.parametrize(
    ("stdin", "argv", "said"),
    [
        (b"", (), "is empty"),
        (b"   \n", (), "is empty"),
        (b'{"messages": [}', (), "line 1, column"),
        (b'{"messages": 5}', (), "$.messages"),
        (b'{"prompt": "hi"}', (), "--protocol text"),
        (b'{"messages": []}\n{"messages": []}', (), "more follows its end"),
        (b"\xff\xfe", ("--protocol", "text"), "not UTF-8 at byte 0"),
        (b"", ("no-such-file.json",), "cannot read no-such-file.json"),
        (b"", ("/",), "cannot read /: Is a directory"),
        (b"\x00\xff\xfe\x00", (), "not UTF-8 at byte 1"),
        (b'{"messages": [{"role": "user", "content": 5}]}', (), "$.messages[0].content"),
    ],
)
def test_what_cannot_be_read_exits_2_and_says_where(
    config: Path, stdin: bytes, argv: tuple[str, ...], said: str
) -> None:
    """One line on standard error, nothing on standard output, no traceback."""
    ran = estimate(config, *argv, "-m", "demo/small", stdin=stdin)
    assert ran.status == 2
    assert said in ran.err
    assert not ran.out
    assert "Traceback" not in ran.err


def test_a_byte_order_mark_does_not_make_a_body_text(config: Path) -> None:
    """Editors on Windows write one; the body below it is sized as the body that it is."""
    body = b'{"messages": [{"role": "user", "content": "Hello!"}]}'
    plain, marked = (
        read(estimate(config, "--json", "-m", "demo/small", stdin=start + body))
        for start in (b"", b"\xef\xbb\xbf")
    )
    assert marked == plain


def test_an_unknown_model_exits_3_with_the_nearest(config: Path) -> None:
    """It fits nowhere, because it is nowhere."""
    ran = estimate(config, "-m", "rout", stdin=b"Hi")
    assert ran.status == 3
    assert "did you mean route" in ran.err


def test_the_table_is_plain_text_when_piped(config: Path) -> None:
    """No colour codes in a file."""
    ran = estimate(config, "-m", "route", stdin=b"Hi")
    assert "\x1b" not in ran.out
    assert "demo/small" in ran.out
    assert "likely tokens by part" in ran.out


def test_an_exact_count_is_one_number_by_the_models_vocabulary(config: Path) -> None:
    """Low, likely and high are equal, the parts add up, and ten words are ten tokens."""
    body = encoded("chat_completions", "openai/gpt-5", " word" * 10, tools=[tool("chat", "f")])
    (only,) = read(estimate(config, "--json", "--exact", stdin=body))
    assert (only["method"], only["tokenizer"]) == ("exact", "tiktoken:o200k_base")
    assert only["low"] == only["likely"] == only["high"] == sum(only["breakdown"].values())
    assert only["breakdown"]["messages"] == 10
    assert only["breakdown"]["tools"] > 0


def test_models_without_a_vocabulary_are_told(config: Path) -> None:
    """Sized by ratio all the same; the note does not stand in the JSON."""
    ran = estimate(config, "--json", "--exact", "-m", "demo/large", "-m", "openai/gpt-5", stdin=HI)
    assert [each["method"] for each in read(ran)] == ["ratio", "exact"]
    assert ran.err == "gatewayctl: by ratio, since no vocabulary is known: demo/large\n"
    assert not estimate(config, "-m", "demo/large", stdin=HI).err


def test_tokens_are_counted_unasked_where_that_decides(config: Path) -> None:
    """5,500 words may be too many for 8,192 tokens by ratio, and are not once counted."""
    ran = estimate(config, "--json", "-m", "openai/gpt-4", stdin=b" word" * 5_500)
    (only,) = read(ran)
    assert (only["method"], only["fit"], ran.status) == ("exact", "safe", 0)
    (easy,) = read(estimate(config, "--json", "-m", "openai/gpt-4", stdin=HI))
    assert easy["method"] == "ratio"


def test_a_gemini_body_needs_a_model_besides(config: Path) -> None:
    """Its protocol names the model in the path; a body that does so all the same is understood."""
    body = {"contents": [{"role": "user", "parts": [{"text": "Hello there"}]}]}
    ran = estimate(config, "--json", "-m", "gemini/gemini-2.5-pro", stdin=msgspec.json.encode(body))
    assert json.loads(ran.out)["protocol"] == "gemini"
    assert read(ran)[0]["context_window"] == 1_048_576
    ran = estimate(config, stdin=msgspec.json.encode(body))
    assert ran.status == 2
    assert "--model" in ran.err
    for name in ("demo/large", "models/demo/large"):  # as Gemini's own bodies write it
        named = msgspec.json.encode({"model": name, **body})
        sized = read(estimate(config, "--json", stdin=named))
        assert [each["model"] for each in sized] == ["demo/large"]


def test_every_unknown_name_is_told(config: Path) -> None:
    """Nothing is sized when one of several is wrong."""
    ran = estimate(config, "-m", "rout", "-m", "demo/large", "-m", "nowhere", stdin=HI)
    assert ran.status == 3
    assert [line.split('"')[1] for line in ran.err.splitlines()] == ["rout", "nowhere"]


@pytest.mark.parametrize(
    "argv", [("-m", "\x1b]0;x\x07"), ("-m", "demo/\x1b[2J"), ("\x1b[2J.json",)]
)
def test_names_cannot_steer_the_terminal(config: Path, argv: tuple[str, ...]) -> None:
    """Of models and of files, in tables and in complaints."""
    ran = estimate(config, *argv, stdin=HI)
    assert not {"\x1b", "\x07"} & set(ran.out + ran.err)
