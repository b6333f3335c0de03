"""Genuine Claude Code, Codex and Gemini CLI, each on an upstream of each other protocol.

They are set up with what ``gatewayctl env`` prints, and nothing else leads them to the gateway. The
upstream speaks one protocol, and refuses what its provider would: a thought without its proof, a
call without a result, a result of nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from support.processes import Finished
from support.translated import MODEL, ROUTE, Translating, translating

from gatewayctl.simulator.request import Ask

pytestmark = pytest.mark.agents

ALL: Final = ("chat_completions", "responses", "messages", "gemini")
ECHO: Final = "echo gatewayctl-demo"


class Once:
    """Chooses one round of calls, the first time that tools are offered, then texts."""

    def __init__(self) -> None:
        self.called = False

    def __call__(self, ask: Ask) -> str | None:
        """Return the command, None when a text is wanted."""
        if self.called or not ask.tools:
            return ""
        self.called = True
        return ECHO


def others(own: str) -> list[str]:
    """Return the protocols that a client does not speak."""
    return [each for each in ALL if each != own]


def lines(done: Finished) -> list[dict[str, Any]]:
    """Return the events that a run printed; it has to have succeeded."""
    assert done.status == 0, done.stdout[-4000:] + done.stderr
    return [msgspec.json.decode(line) for line in done.stdout.strip().splitlines()]


def assert_translated(running: Translating, protocol: str, requests: int) -> None:
    """See that everything arrived in the upstream's protocol, and that it liked all of it."""
    paths = {
        "chat_completions": "/v1/chat/completions",
        "responses": "/v1/responses",
        "messages": "/v1/messages",
        "gemini": f"/v1beta/models/{MODEL.id}:streamGenerateContent",
    }
    assert {each.path for each in running.arrived} == {paths[protocol]}
    assert [each.status for each in running.arrived] == [200] * requests


def ran(results: Sequence[str], calls: int) -> bool:
    """Tell whether the outputs of commands are those of so many calls."""
    found = sorted(each.strip() for each in results)
    return found == ["gatewayctl-demo", *(f"gatewayctl-demo {at}" for at in range(1, calls))]


# --- Claude Code -------------------------------------------------------------------------------


async def ask_claude(
    claude: Path, running: Translating, prompt: str, *more: str
) -> list[dict[str, Any]]:
    """Run Claude Code with one prompt, and return its events."""
    options = ["--output-format", "stream-json", "--verbose", "--allowedTools", "Bash(echo:*)"]
    command: list[str | Path] = [claude, *more, "-p", prompt, *options]
    return lines(await running.run("claude", command, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1"))


def claude_results(events: list[dict[str, Any]]) -> list[str]:
    """Return what its tools gave."""
    blocks = [
        block
        for event in events
        if event["type"] == "user"
        for block in event["message"]["content"]
        if isinstance(block, dict)
    ]
    return [str(block["content"]) for block in blocks if block.get("type") == "tool_result"]


@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize("protocol", others("messages"))
async def test_claude_code_makes_a_round_trip_of_bash(
    claude: Path, tmp_path: Path, protocol: str, calls: int
) -> None:
    """One call, and two at once: run, answered, and the answer shown; the second turn goes on.

    It sends no thoughts back of a model that calls itself otherwise than it was asked for, as every
    model behind a route does. The upstream wants them, and has them from the gateway's memory.
    """
    async with translating(protocol, tmp_path) as running:
        running.setting.simulator.command = Once()
        running.setting.simulator.script([f"calls={calls}"])
        events = await ask_claude(claude, running, "run")
        assert ran(claude_results(events), calls)
        assert "The tool answered:" in events[-1]["result"]
        assert f"simulated model {MODEL.id}" in events[-1]["result"]
        again = await ask_claude(claude, running, "and then", "--continue")
        assert 'You wrote: "and then"' in again[-1]["result"] or "and then" in again[-1]["result"]
        assert_translated(running, protocol, 3)
        asked = {
            msgspec.json.decode(each.body)["model"]
            for each in await running.setting.tap.posts("/v1/messages")
        }
    assert asked == {ROUTE}


# --- Codex -------------------------------------------------------------------------------------


async def ask_codex(codex: Path, running: Translating, *arguments: str) -> list[dict[str, Any]]:
    """Run ``codex exec`` with the profile that was printed, and return its events."""
    if not (running.setting.home / ".codex").exists():
        await running.equip_codex()
    options = ["--profile", "gatewayctl", "--json", "--skip-git-repo-check"]
    return lines(await running.plain([codex, "exec", *options, *arguments]))


@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize("protocol", others("responses"))
async def test_codex_makes_a_round_trip_of_its_shell(
    codex: Path, tmp_path: Path, protocol: str, calls: int
) -> None:
    """One call, and two at once: run, answered, and the answer shown; the second turn goes on."""
    async with translating(protocol, tmp_path) as running:
        running.setting.simulator.command = Once()
        running.setting.simulator.script([f"calls={calls}"])
        events = await ask_codex(codex, running, "run")
        items = [event["item"] for event in events if event["type"] == "item.completed"]
        outputs = [it["aggregated_output"] for it in items if it["type"] == "command_execution"]
        assert ran(outputs, calls)
        assert "The tool answered:" in items[-1]["text"]
        usage = events[-1]["usage"]
        assert usage["input_tokens"] > 5000
        again = await ask_codex(codex, running, "resume", "--last", "and then")
        said = [event["item"] for event in again if event["type"] == "item.completed"]
        assert "and then" in said[-1]["text"]
        assert_translated(running, protocol, 3)


async def test_codex_goes_on_by_post_where_it_asks_for_a_websocket(
    codex: Path, tmp_path: Path
) -> None:
    """Told that there may be one it asks for it, and is sent on its way with 426."""
    async with translating("responses", tmp_path) as running:
        await running.equip_codex("supports_websockets = true\n")
        events = await ask_codex(codex, running, "hello")
        sent = await running.setting.tap.requests()
        assert_translated(running, "responses", 1)
    assert any(b"upgrade: websocket" in each.head.lower() for each in sent)
    assert "simulated model" in str(events[-2])


# --- Gemini CLI --------------------------------------------------------------------------------


async def ask_gemini(gemini: Path, running: Translating, prompt: str) -> dict[str, Any]:
    """Run Gemini CLI with one prompt, and return the document that it prints."""
    await running.equip_gemini()
    options = ["--yolo", "--skip-trust", "--output-format", "json"]
    done = await running.run("gemini", ["node", gemini, "-p", prompt, *options])
    assert done.status == 0, done.stdout[-4000:] + done.stderr
    found: dict[str, Any] = msgspec.json.decode(done.stdout)
    return found


@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize("protocol", others("gemini"))
async def test_gemini_cli_makes_a_round_trip_of_its_shell(
    gemini: Path, tmp_path: Path, protocol: str, calls: int
) -> None:
    """One call, and two at once: run, answered, and the answer shown."""
    async with translating(protocol, tmp_path) as running:
        running.setting.simulator.command = Once()
        running.setting.simulator.script([f"calls={calls}"])
        told = await ask_gemini(gemini, running, "run")
        assert "The tool answered:" in told["response"]
        assert told["stats"]["tools"]["byName"]["run_shell_command"]["success"] == calls
        assert_translated(running, protocol, 2)
        last = running.arrived[-1].body
    assert last.count(b"Output: gatewayctl-demo") >= calls
