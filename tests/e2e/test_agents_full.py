"""Genuine Claude Code and Codex in a tool loop whose results fill the window, and resumed in one.

Upstream is a provider whose tokenizer the gateway does not know. What is too large never gets
there: the gateway refuses it in words that the agent acts upon, once. Every request is counted on
both sides of the gateway, so that neither a loop nor a dead end could go unnoticed.
"""

import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import pytest
from support.agents import Setting, forwarding
from support.processes import Finished, run
from support.steps import Steps
from support.upstream import RawRequest

from gatewayctl.simulator import SimModel
from gatewayctl.simulator.journal import Received

pytestmark = pytest.mark.agents

LONGEST_RUN: Final = 60.0
"""Seconds; a run takes one or two."""
MESSAGES: Final = "/v1/messages"
RESPONSES: Final = "/v1/responses"
TOLERANCE: Final = 0.02
"""How far the gateway's figure may be from the metered one, late in a conversation."""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent sent, and what of it arrived upstream, in order."""

    sent: list[RawRequest]
    arrived: list[Received]

    @property
    def kept_back(self) -> list[RawRequest]:
        """What the gateway refused by itself: nothing is sent upstream twice."""
        bodies = {each.body for each in self.arrived}
        return [each for each in self.sent if each.body not in bodies]


async def counted(setting: Setting, path: str) -> Counted:
    """Return what has gone through so far; no agent may be running."""
    return Counted(
        sent=await setting.tap.posts(path), arrived=setting.simulator.journal.calls(path)
    )


# --- Claude Code -------------------------------------------------------------------------------


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """A model of Claude Code's, and the steps that take it past the window once, and no further."""

    window: int
    output: int
    steps: int
    lines: int


SMALL: Final = Size(window=60_000, output=8_000, steps=6, lines=620)
USUAL: Final = Size(window=200_000, output=32_000, steps=20, lines=870)


def claude_model(size: Size) -> SimModel:
    """Return the model: named as Claude Code expects, with a window of that size."""
    return SimModel(id="claude-sonnet-4-5", window=size.window, max_output=size.output)


@contextlib.asynccontextmanager
async def claude_setting(size: Size, folder: Path) -> AsyncIterator[tuple[Setting, Steps]]:
    """Run the setting for Claude Code, with the steps of its loop."""
    steps = Steps(size.steps, size.lines)
    async with forwarding(
        "anthropic-compatible", "messages", claude_model(size), folder, tokenizer="cl100k_base"
    ) as setting:
        setting.simulator.command = steps
        yield setting, steps


async def ask_claude(
    claude: Path, setting: Setting, size: Size, prompt: str, *more: str
) -> list[dict[str, Any]]:
    """Run Claude Code with one prompt, which has to end well, and return its events."""
    env = setting.env(
        ANTHROPIC_BASE_URL=setting.tap.url,
        ANTHROPIC_API_KEY="sk-ant-test-0001",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        CLAUDE_CODE_MAX_OUTPUT_TOKENS=str(size.output),
    )
    options = ["--model", "claude-sonnet-4-5", "--output-format", "stream-json", "--verbose"]
    done = await run(
        [claude, *more, "-p", prompt, *options, "--allowedTools", "Bash(seq:*)"],
        env=env,
        cwd=setting.home,
        seconds=LONGEST_RUN,
    )
    assert done.status == 0, done.stdout[-4000:] + done.stderr
    return [msgspec.json.decode(line) for line in done.stdout.strip().splitlines()]


def assert_finished(events: list[dict[str, Any]], steps: Steps, *, compactions: int) -> None:
    """See that all steps were taken, the last answer shown, and how often it compacted."""
    result = events[-1]
    assert (result["type"], result["is_error"]) == ("result", False)
    assert "This is the simulated model" in result["result"]
    assert steps.taken == steps.count
    boundaries = [event for event in events if event.get("subtype") == "compact_boundary"]
    assert len(boundaries) == compactions


async def assert_refused_once(setting: Setting, requests: Counted, size: Size) -> None:
    """See that one request was kept back, with the true figures, and none refused upstream."""
    assert [each.status for each in requests.arrived] == [200] * len(requests.arrived)
    assert len(requests.sent) - len(requests.arrived) == 1
    (refused,) = requests.kept_back
    tokens = await metered(setting, refused)
    assert tokens + size.output > size.window
    status, told = await again(setting, refused)
    words = re.fullmatch(
        r"prompt is too long: (\d+) tokens > (\d+) maximum", told["error"]["message"]
    )
    assert words is not None
    assert status == 413
    assert int(words[2]) == size.window
    assert int(words[1]) == pytest.approx(tokens + size.output, rel=TOLERANCE)


async def metered(setting: Setting, request: RawRequest) -> int:
    """Return what the upstream would have counted for a request."""
    url = f"{setting.simulator.base_url}{MESSAGES}/count_tokens"
    async with aiohttp.ClientSession() as http, http.post(url, data=request.body) as reply:
        return int((await reply.json())["input_tokens"])


async def again(setting: Setting, request: RawRequest) -> tuple[int, dict[str, Any]]:
    """Send a request once more; return the status and the body of the reply."""
    headers = {"x-api-key": "sk-ant-test-0001", "anthropic-version": "2023-06-01"}
    url = f"{setting.tap.url}{MESSAGES}"
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(url, data=request.body) as reply,
    ):
        return reply.status, await reply.json(content_type=None)


@pytest.mark.parametrize("size", [SMALL, USUAL], ids=["small", "usual"])
async def test_claude_code_compacts_once_in_a_tool_loop_and_finishes(
    claude: Path, tmp_path: Path, size: Size
) -> None:
    """It is refused once, its request for a summary goes through, and it takes every step."""
    async with claude_setting(size, tmp_path) as (setting, steps):
        events = await ask_claude(claude, setting, size, "take the steps")
        requests = await counted(setting, MESSAGES)
        assert_finished(events, steps, compactions=1)
        assert steps.summaries == 1
        # One for each step and one for the end, the refused one and that for the summary.
        assert len(requests.sent) == size.steps + 3
        await assert_refused_once(setting, requests, size)


async def test_claude_code_compacts_once_when_resumed_in_a_full_window(
    claude: Path, tmp_path: Path
) -> None:
    """The first request of ``-c`` is too large already; it compacts and does what it was asked."""
    async with claude_setting(SMALL, tmp_path) as (setting, steps):
        steps.count = 4
        first = await ask_claude(claude, setting, SMALL, "take the steps")
        assert_finished(first, steps, compactions=0)
        steps.count = 5
        before = len(await setting.tap.posts(MESSAGES))
        prompt = "mind these words " * 1000
        second = await ask_claude(claude, setting, SMALL, prompt, "-c")
        requests = await counted(setting, MESSAGES)
        assert_finished(second, steps, compactions=1)
        assert steps.summaries == 1
        assert requests.sent[before].body == requests.kept_back[0].body
        await assert_refused_once(setting, requests, SMALL)


async def test_claude_code_compacts_once_in_a_tool_loop_of_a_resumed_session(
    claude: Path, tmp_path: Path
) -> None:
    """Resumed with room to spare, it fills the window, compacts and finishes all the same."""
    async with claude_setting(SMALL, tmp_path) as (setting, steps):
        steps.count = 3
        first = await ask_claude(claude, setting, SMALL, "take the steps")
        assert_finished(first, steps, compactions=0)
        steps.count = 6
        second = await ask_claude(claude, setting, SMALL, "take the other steps", "-c")
        requests = await counted(setting, MESSAGES)
        assert_finished(second, steps, compactions=1)
        assert steps.summaries == 1
        await assert_refused_once(setting, requests, SMALL)


# --- Codex -------------------------------------------------------------------------------------

GPT: Final = SimModel(id="gpt-5.4", window=40_000, max_output=8_000)
CODEX_STEPS: Final = 12
CODEX_LINES: Final = 870


@contextlib.asynccontextmanager
async def codex_setting(folder: Path, config: str = "") -> AsyncIterator[tuple[Setting, Steps]]:
    """Run the setting for Codex with more config of its own, with the steps of its loop."""
    steps = Steps(CODEX_STEPS, CODEX_LINES)
    async with forwarding(
        "openai-compatible", "responses", GPT, folder, tokenizer="cl100k_base"
    ) as setting:
        setting.simulator.command = steps
        (setting.home / ".codex").mkdir()
        (setting.home / ".codex" / "config.toml").write_text(
            f"""
model = "{GPT.id}"
model_provider = "local"
approval_policy = "never"
sandbox_mode = "danger-full-access"
{config}
[analytics]
enabled = false
[model_providers.local]
name = "local"
base_url = "{setting.tap.url}/v1"
wire_api = "responses"
env_key = "LOCAL_KEY"
""",
            encoding="utf-8",
        )
        yield setting, steps


async def ask_codex(codex: Path, setting: Setting, *arguments: str) -> Finished:
    """Run ``codex exec`` to its end, whatever that is."""
    env = setting.env(
        LOCAL_KEY="sk-test-0003", HTTPS_PROXY="http://127.0.0.1:9", NO_PROXY="127.0.0.1"
    )
    command: list[str | Path] = [codex, "exec", *arguments, "--json", "--skip-git-repo-check"]
    return await run(command, env=env, cwd=setting.home, seconds=LONGEST_RUN)


def assert_out_of_room(done: Finished) -> None:
    """See that it failed, and told its user why in words of its own."""
    assert done.status == 1
    last = msgspec.json.decode(done.stdout.strip().splitlines()[-1])
    assert last["type"] == "turn.failed"
    assert "ran out of room" in last["error"]["message"]


async def test_codex_stops_after_one_refusal_with_its_own_words(
    codex: Path, tmp_path: Path
) -> None:
    """Its last request is kept back; it is not sent again, and resuming is refused once, too."""
    async with codex_setting(tmp_path) as (setting, steps):
        assert_out_of_room(await ask_codex(codex, setting, "take the steps"))
        requests = await counted(setting, RESPONSES)
        assert [each.status for each in requests.arrived] == [200] * len(requests.arrived)
        assert 0 < steps.taken < steps.count
        assert len(requests.sent) == len(requests.arrived) + 1 == steps.taken + 1
        assert requests.kept_back == [requests.sent[-1]]
        assert_out_of_room(await ask_codex(codex, setting, "resume", "--last", "and then"))
        resumed = await counted(setting, RESPONSES)
    # What still fits without the round that was kept back is answered; then it is refused, once.
    assert resumed.kept_back == [requests.sent[-1], resumed.sent[-1]]
    assert len(resumed.sent) == len(resumed.arrived) + 2
    assert [each.status for each in resumed.arrived] == [200] * len(resumed.arrived)


@pytest.mark.parametrize(
    "config",
    [
        f"model_context_window = {GPT.window - 4096}",
        f"model_context_window = {GPT.window}\nmodel_auto_compact_token_limit = 30000",
    ],
    ids=["window", "limit"],
)
async def test_codex_compacts_ahead_of_time_by_the_usage_that_is_reported(
    codex: Path, tmp_path: Path, config: str
) -> None:
    """Told the window, it asks for a summary before it is full: nothing is ever refused."""
    async with codex_setting(tmp_path, config) as (setting, steps):
        done = await ask_codex(codex, setting, "take the steps")
        requests = await counted(setting, RESPONSES)
    assert done.status == 0, done.stdout[-4000:] + done.stderr
    assert '"turn.completed"' in done.stdout
    assert (steps.taken, steps.summaries) == (steps.count, 1)
    assert [each.status for each in requests.arrived] == [200] * len(requests.sent)
    assert len(requests.sent) == steps.count + 2
