"""``gatewayctl route-explain``: the daemon's decision, offline."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from support.dialects import PATHS, PROTOCOLS, encoded
from support.gateway import gateway
from support.terminal import Ran, gatewayctl, on_terminal
from support.upstream import FakeUpstream, sized

CONFIG = """
[providers.demo]
kind = "openai-compatible"
base_url = "{url}/v1"
auth = "none"
protocols = ["chat_completions", "responses", "messages"]
[providers.keyed]
kind = "openai-compatible"
base_url = "{url}/v1"
api_key = {{ env = "NOT_SET_ANYWHERE" }}
[[models]]
id = "demo/small"
context_window = 32768
[[models]]
id = "demo/large"
context_window = 262144
[[models]]
id = "demo/priced"
context_window = 262144
prices = {{ input = 2, output = 10 }}
[aliases]
"gpt-*" = "route"
[[dispatchers]]
id = "route"
targets = ["demo/small", "inner"]
[[cascades]]
id = "inner"
steps = [{{ model = "keyed/m" }}, {{ model = "demo/large" }}]
[[alloys]]
id = "blend"
name = "Blend"
[[alloys.constituents]]
model = "demo/small"
context_window = 32768
[[alloys.constituents]]
model = "demo/large"
context_window = 262144
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a config with routes."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(url="http://127.0.0.1:9"))
    return path


def explain(config: Path, *argv: str, stdin: bytes = b"Hi") -> Ran:
    """Run the command with a config and some input."""
    return gatewayctl("route-explain", *argv, "--config", str(config), stdin=stdin)


def read(ran: Ran) -> dict[str, Any]:
    """Return the decision that was printed as JSON."""
    told: dict[str, Any] = json.loads(ran.out)
    assert told["schema_version"] == 1
    return told


def test_every_candidate_and_every_skip_is_there_with_its_reason(config: Path) -> None:
    """An alias to a dispatcher over a cascade, with a request too large for the first."""
    ran = explain(config, "gpt-4o", "--json", stdin=b"word " * 40_000)
    assert ran.status == 0
    told = read(ran)
    assert (told["requested"], told["route_kind"]) == ("gpt-4o", "dispatcher")
    assert told["chosen"] == "demo/large"
    (attempt,) = told["attempts"]
    assert {"model", "provider", "protocol", "fit", "reason", "estimate", "ceiling"} <= set(attempt)
    assert set(attempt["estimate"]) == {"low", "likely", "high", "method"}
    assert {each["model"]: each["reason"] for each in told["skipped"]} == {
        "demo/small": "too_large",
        "keyed/m": "no_key",
    }
    assert told["tree"]["kind"] == "alias"
    assert told["tree"]["children"][0]["children"][1]["id"] == "inner"
    assert told["error"] is None


def test_what_cannot_be_routed_exits_3_with_the_refusal(config: Path) -> None:
    """By size, and for an unknown name with suggestions."""
    ran = explain(config, "demo/small", "--json", stdin=b"word " * 40_000)
    assert ran.status == 3
    assert read(ran)["error"]["kind"] == "too_large"
    ran = explain(config, "rout", "--json")
    assert ran.status == 3
    assert read(ran)["chosen"] is None
    assert "route" in read(ran)["error"]["message"]


def test_a_seed_makes_the_draw_repeatable(config: Path) -> None:
    """The same seed, the same head; over some seeds both come up."""
    heads = [
        read(explain(config, "blend", "--json", "--seed", str(seed)))["chosen"]
        for seed in (1, 1, 2, 3, 4, 5, 6, 7)
    ]
    assert heads[0] == heads[1]
    assert set(heads) == {"demo/small", "demo/large"}


def test_a_seed_has_64_bits(config: Path) -> None:
    """As everywhere: one more is a mistake, not another draw."""
    assert explain(config, "blend", "--seed", str(2**64 - 1)).status == 0
    assert explain(config, "blend", "--seed", str(2**64)).status == 2


def test_an_output_budget_can_be_given_in_place_of_the_bodys(config: Path) -> None:
    """32,000 of output leave a 32,768 window too small for anything."""
    ran = explain(config, "demo/small", "--json", "--max-output", "32768")
    assert read(ran)["skipped"] == [] or ran.status == 3
    assert read(explain(config, "demo/small", "--json"))["chosen"] == "demo/small"


def test_an_unreadable_request_exits_2(config: Path) -> None:
    """Where it is wrong, on standard error."""
    ran = explain(config, "route", stdin=b'{"messages": [')
    assert ran.status == 2
    assert "not valid JSON" in ran.err


def test_what_only_a_daemon_knows_is_said(config: Path) -> None:
    """Whose turn it is in a round robin, and what a conversation keeps."""
    text = config.read_text()

    def told(*more: str) -> str:
        config.write_text(text.replace('id = "blend"', "\n".join(('id = "blend"', *more))))
        return explain(config, "blend").out

    assert "--live" not in told('scope = "request"')
    assert "whose turn it is" in told('scope = "request"', 'strategy = "round_robin"')
    assert "what sessions keep" in told('scope = "session"')


def test_a_body_that_the_daemon_would_not_read_is_told(config: Path) -> None:
    """Whatever the models could hold."""
    config.write_text(f'{config.read_text()}[server]\nbody_limit = "1K"\n')
    assert "no request of more than 1,024 bytes" in explain(config, "route", stdin=b"w " * 999).err
    assert not explain(config, "route").err


def test_the_tree_is_drawn_with_a_reason_at_every_leaf(config: Path) -> None:
    """Plain text when piped, a line for each node, whatever its length."""
    ran = explain(config, "gpt-4o", stdin=b"word " * 40_000)
    assert "\x1b" not in ran.out
    (small,) = [line for line in ran.out.splitlines() if "✗ demo/small" in line]
    assert re.search(r"[\d,]+ in \+ 4,096 out exceeds the ceiling 32,768 by [\d,]+", small)
    assert "window 32,768 (config)" in small
    assert "→ demo/large" in ran.out
    assert "set NOT_SET_ANYWHERE" in ran.out


def test_where_limits_come_from_and_what_it_costs_are_there(config: Path) -> None:
    """Each limit with source and date, the price from the least to the most."""
    told = read(explain(config, "demo/priced", "--json", stdin=b"word " * 40_000))
    (facts,) = told["models"].values()
    assert facts["context_window"] == {"value": 262_144, "source": "config", "fetched_at": None}
    (attempt,) = told["attempts"]
    least, most = attempt["estimate"]["low"], attempt["estimate"]["high"]
    assert facts["price"]["low"] == pytest.approx(least * 2 / 1e6)
    assert facts["price"]["high"] == pytest.approx((most * 2 + 4096 * 10) / 1e6)
    drawn = explain(config, "demo/priced", stdin=b"word " * 40_000).out
    assert re.search("[$]0[.][0-9]+\N{EN DASH}0[.][0-9]+", drawn)


@pytest.mark.parametrize("name", ["\x1b]0;title\x07", "demo/\x1b[2Jx", "[bold]demo[/bold]"])
def test_names_cannot_steer_the_terminal(config: Path, name: str) -> None:
    """A name with an escape sequence in it, unknown or at a provider that may know it."""
    ran = explain(config, name)
    assert ran.status in {0, 3}
    assert not {"\x1b", "\x07"} & set(ran.out + ran.err)
    if "bold" in name:
        assert name in ran.out


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")
@pytest.mark.parametrize("command", [("route-explain", "gpt-4o"), ("estimate", "-m", "gpt-4o")])
def test_a_terminal_gets_colour_and_no_line_too_long(
    config: Path, command: tuple[str, ...]
) -> None:
    """Eighty columns, as most have at least; and no colour where that is asked for."""
    argv = (*command, "--config", str(config))
    drawn = on_terminal(*argv, columns=80, stdin=b"word " * 40_000)
    assert "\x1b[" in drawn
    lines = re.sub(r"\x1b\[[0-9;]*m", "", drawn).splitlines()
    assert max(len(line) for line in lines if str(config) not in line) <= 80
    assert any("demo/large" in line for line in lines)
    plain = on_terminal(*argv, columns=80, stdin=b"word " * 40_000, NO_COLOR="1")
    assert "\x1b[3" not in plain


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ["route", "inner", "blend", "demo/small", "nothing", "gpt-x"])
@pytest.mark.parametrize("words", [1, 9_000, 40_000, 300_000])
async def test_the_command_line_and_the_daemon_agree(
    tmp_path: Path, protocol: str, name: str, words: int
) -> None:
    """The same first candidate, the same refusal, for each size, name and protocol."""
    body = encoded(protocol, name, "w " * words)
    async with FakeUpstream([sized(b"{}", status=503)]) as upstream:
        text = CONFIG.format(url=upstream.base_url)
        config = tmp_path / "config.toml"
        config.write_text(text)
        offline = read(
            gatewayctl(
                *("route-explain", name, "--json", "--protocol", protocol, "--seed", "1"),
                *("--config", str(config)),
                stdin=body,
            )
        )
        async with (
            gateway(text) as it,
            it.client.post(it.url + PATHS[protocol], data=body) as answer,
        ):
            served = await answer.read()
        if offline["chosen"] is None:
            assert upstream.connections == 0
            assert answer.status in {400, 403, 404, 413}
            refused = json.loads(served)["error"]["gatewayctl"]
            assert refused["kind"] == offline["error"]["kind"]
            assert refused.get("candidates") == offline["error"].get("candidates")
        else:
            asked = {json.loads(request.body)["model"] for request in upstream.requests}
            assert asked == {each["model"].partition("/")[2] for each in offline["attempts"]}
