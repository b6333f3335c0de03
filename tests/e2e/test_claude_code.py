"""Genuine Claude Code through ``gatewayctl serve``, which forwards its credential."""

import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.agents import Setting, asked_models, assert_untouched, blend, forwarding
from support.processes import Finished, run, started
from support.waiting import until

from gatewayctl.simulator import SimModel
from gatewayctl.simulator.catalogue import MODELS
from gatewayctl.simulator.journal import Ending

pytestmark = pytest.mark.agents

SONNET = SimModel(id="claude-sonnet-4-5", window=200_000, max_output=64_000)
LARGE = MODELS["large"]
KEY = {"ANTHROPIC_API_KEY": "sk-ant-test-0001"}
TOKEN = {"ANTHROPIC_AUTH_TOKEN": "token-test-0002"}
LONGEST_RUN = 60.0
"""Seconds; a run takes one."""


def environment(setting: Setting, **more: str) -> dict[str, str]:
    """Return the environment that leads Claude Code through the tap."""
    return setting.env(
        ANTHROPIC_BASE_URL=setting.tap.url, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1", **more
    )


async def ask(claude: Path, setting: Setting, prompt: str, *more: str, **env: str) -> Finished:
    """Run Claude Code with one prompt; it has to succeed."""
    options = ["--model", SONNET.id, "--output-format", "stream-json", "--verbose"]
    done = await run(
        [claude, *more, "-p", prompt, *options, "--allowedTools", "Bash(echo:*)"],
        env=environment(setting, **env),
        cwd=setting.home,
        seconds=LONGEST_RUN,
    )
    assert done.status == 0, done.stdout + done.stderr
    return done


def told(done: Finished) -> dict[str, Any]:
    """Return the last line of a run, which is its result."""
    result: dict[str, Any] = msgspec.json.decode(done.stdout.strip().splitlines()[-1])
    assert result["type"] == "result"
    assert result["is_error"] is False
    return result


@pytest.mark.parametrize(
    ("credential", "header"),
    [
        (KEY, ("x-api-key", KEY["ANTHROPIC_API_KEY"])),
        (TOKEN, ("authorization", f"Bearer {TOKEN['ANTHROPIC_AUTH_TOKEN']}")),
    ],
    ids=["key", "token"],
)
async def test_a_tool_round_trip_arrives_untouched(
    claude: Path, tmp_path: Path, credential: dict[str, str], header: tuple[str, str]
) -> None:
    """Credential, user agent, query, every other header and the body arrive as they were sent."""
    async with forwarding("anthropic-compatible", "messages", SONNET, tmp_path) as setting:
        done = await ask(claude, setting, "run", **credential)
        sent = await setting.tap.posts("/v1/messages")
        arrived = setting.simulator.journal.calls()
        others = [each for each in await setting.tap.requests() if each not in sent]
    assert 'The tool answered: "gatewayctl-demo"' in told(done)["result"]
    assert [each.head.split(b"\r\n")[0] for each in others] == [b"HEAD / HTTP/1.1"]
    assert len(arrived) == 2
    assert_untouched(sent, arrived)
    for each in arrived:
        assert each.target == "/v1/messages?beta=true"
        assert each.header(header[0]) == header[1]
        assert (each.header("user-agent") or "").startswith("claude-cli/")


async def test_an_alias_changes_the_name_of_the_model_and_nothing_else(
    claude: Path, tmp_path: Path
) -> None:
    """Where the model is called otherwise upstream, that one string of the body is replaced."""
    aliases = '[aliases]\n"claude-*" = "up/large"\n'
    async with forwarding("anthropic-compatible", "messages", SONNET, tmp_path, aliases) as setting:
        done = await ask(claude, setting, "run", **KEY)
        sent = await setting.tap.posts("/v1/messages")
        arrived = setting.simulator.journal.calls()
    assert "simulated model large" in told(done)["result"]
    assert all(each.body.count(b'"model":"claude-sonnet-4-5"') == 1 for each in sent)
    assert [each.body for each in arrived] == [
        each.body.replace(b'"model":"claude-sonnet-4-5"', b'"model":"large"') for each in sent
    ]


async def test_a_second_turn_carries_the_first(claude: Path, tmp_path: Path) -> None:
    """``--continue`` resumes the conversation: the tool's result goes up again, untouched."""
    async with forwarding("anthropic-compatible", "messages", SONNET, tmp_path) as setting:
        await ask(claude, setting, "run", **KEY)
        done = await ask(claude, setting, "and then", "--continue", **KEY)
        assert_untouched(await setting.tap.posts("/v1/messages"), setting.simulator.journal.calls())
        last = setting.simulator.journal.calls()[-1].body
    assert 'You wrote: "and then"' in told(done)["result"]
    assert b'"type":"tool_result"' in last


async def test_its_view_of_the_context_is_counted_without_the_upstream(
    claude: Path, tmp_path: Path
) -> None:
    """``/context`` asks for counts only: each is answered, and none reaches the upstream."""
    async with forwarding("anthropic-compatible", "messages", SONNET, tmp_path) as setting:
        done = await ask(claude, setting, "/context", **KEY)
        counted = await setting.tap.posts("/v1/messages/count_tokens")
        assert not setting.simulator.journal.requests
    assert counted
    assert "System tools" in told(done)["result"]


async def test_anthropic_counts_its_view_of_the_context_itself(
    claude: Path, tmp_path: Path
) -> None:
    """Of kind ``anthropic`` each count goes up as it came, with its credential, and only once."""
    async with forwarding("anthropic", "messages", SONNET, tmp_path) as setting:
        done = await ask(claude, setting, "/context", **KEY)
        counted = await setting.tap.posts("/v1/messages/count_tokens")
        arrived = setting.simulator.journal.requests
    assert "System tools" in told(done)["result"]
    assert len(counted) > 5
    assert {each.target for each in arrived} == {"/v1/messages/count_tokens?beta=true"}
    assert sorted(each.body for each in arrived) == sorted({each.body for each in counted})
    assert {each.header("x-api-key") for each in arrived} == {KEY["ANTHROPIC_API_KEY"]}


async def test_interrupting_it_cancels_the_upstream(claude: Path, tmp_path: Path) -> None:
    """After Ctrl-C in the middle of an answer the upstream is told, and writes no further."""
    async with forwarding("anthropic-compatible", "messages", SONNET, tmp_path) as setting:
        setting.simulator.script(["words=20000,pace=0.01"])
        command: list[str | Path] = [claude, "-p", "hello", "--model", SONNET.id]
        calls = setting.simulator.journal.calls
        env = environment(setting, **KEY)
        async with started(command, env=env, cwd=setting.home) as process:
            await until(lambda: any(call.frames > 10 for call in calls()), seconds=LONGEST_RUN)
            process.send_signal(signal.SIGINT)
            await until(lambda: calls()[0].ending is not Ending.RUNNING)
        assert [call.ending for call in calls()] == [Ending.ABANDONED]


async def test_a_turn_of_a_blend_stays_with_its_model(claude: Path, tmp_path: Path) -> None:
    """The tool's result goes to the model that asked for it; the user's next words to the other."""
    more = blend("claude-*", SONNET, LARGE)
    async with forwarding("anthropic-compatible", "messages", SONNET, tmp_path, more) as setting:
        await ask(claude, setting, "run", **KEY)
        await ask(claude, setting, "run", "--continue", **KEY)
        asked = asked_models(setting.simulator)
    assert asked == [SONNET.id, SONNET.id, LARGE.id, LARGE.id]
