"""Genuine agents whose upstream of another protocol refuses: by size, by rate, or altogether.

What it says in its own dialect has to become what the agent acts upon in its own: Claude Code
compacts and goes on, Codex and Gemini CLI stop once with words that say why, and nobody retries
for ever.
"""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from support.processes import Finished
from support.steps import Steps
from support.translated import Translating, translating

from gatewayctl.simulator import SimModel

pytestmark = pytest.mark.agents

SMALL: Final = SimModel(id="small-1", window=60_000, max_output=8_000)
SMALLER: Final = SimModel(id="smaller-1", window=40_000, max_output=8_000)
TINY: Final = SimModel(id="tiny-1", window=20_000, max_output=4_000)
BELIEVED: Final = 200_000
"""What the gateway takes the window for, so that the upstream is the one that refuses."""
STEPS: Final = 6
LINES: Final = 620
VOCABULARY: Final = "cl100k_base"
"""What the upstream counts by, which the gateway does not know."""
PERSISTENT: Final = 100
"""Calls; more than any agent makes."""
ATTEMPTS: Final = 3
"""What each agent is told to make, so that the runs are short."""


def refusing(
    protocol: str, folder: Path, model: SimModel
) -> AbstractAsyncContextManager[Translating]:
    """Run an upstream whose window is smaller than the gateway believes."""
    return translating(
        protocol, folder, model, declared=BELIEVED, tokenizer=VOCABULARY, strict=False
    )


async def claude_run(claude: Path, running: Translating, prompt: str) -> Finished:
    """Run Claude Code with one prompt, whatever comes of it."""
    options = ["--output-format", "stream-json", "--verbose", "--allowedTools", "Bash(seq:*)"]
    command: list[str | Path] = [claude, "-p", prompt, *options]
    return await running.run(
        "claude",
        command,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        CLAUDE_CODE_MAX_RETRIES=str(ATTEMPTS - 1),
    )


async def codex_run(codex: Path, running: Translating, prompt: str) -> Finished:
    """Run Codex with one prompt, whatever comes of it."""
    retries = f"request_max_retries = {ATTEMPTS - 1}\nstream_max_retries = {ATTEMPTS - 1}\n"
    await running.equip_codex(retries)
    options = ["--profile", "gatewayctl", "--json", "--skip-git-repo-check"]
    return await running.plain([codex, "exec", *options, prompt])


async def gemini_run(gemini: Path, running: Translating, prompt: str, *more: str) -> Finished:
    """Run Gemini CLI with one prompt, whatever comes of it."""
    await running.equip_gemini(general={"maxAttempts": ATTEMPTS - 1})
    options = ["--yolo", "--skip-trust", "--output-format", "json"]
    return await running.run("gemini", ["node", gemini, *more, "-p", prompt, *options])


STARTS: Final = {"claude": claude_run, "codex": codex_run, "gemini": gemini_run}


def events(done: Finished) -> list[dict[str, Any]]:
    """Return the events that a run printed."""
    return [msgspec.json.decode(line) for line in done.stdout.strip().splitlines()]


def compactions(done: Finished) -> int:
    """Return how often Claude Code compacted."""
    return sum(event.get("subtype") == "compact_boundary" for event in events(done))


@pytest.mark.parametrize(
    ("protocol", "count"),
    # Google's window is the input's alone, so that more fits
    [("chat_completions", STEPS), ("responses", STEPS), ("gemini", STEPS + 2)],
)
async def test_claude_code_compacts_when_a_foreign_upstream_refuses_by_size_litellm_37767(
    claude: Path, tmp_path: Path, protocol: str, count: int
) -> None:
    """The upstream's refusal arrives as the one that Claude Code compacts upon, and it finishes."""
    async with refusing(protocol, tmp_path, SMALL) as running:
        steps = Steps(count, LINES)
        running.setting.simulator.command = steps
        done = await claude_run(claude, running, "take the steps")
        assert done.status == 0, done.stdout[-3000:] + done.stderr
        assert steps.taken == steps.count
        assert compactions(done) == 1
        refused = [each for each in running.arrived if each.status == 400]
        sent = await running.setting.tap.posts("/v1/messages")
    # Once: what was learned of it keeps the rest back, or lets it through.
    assert len(refused) == 1
    assert len(sent) <= count + 4


@pytest.mark.parametrize("protocol", ["chat_completions", "responses", "gemini"])
async def test_claude_code_that_was_told_the_window_is_never_refused(
    claude: Path, tmp_path: Path, protocol: str
) -> None:
    """With what ``gatewayctl env`` prints it compacts before the window is full."""
    wide = SimModel(id="wide-1", window=80_000, max_output=8_000)
    async with translating(protocol, tmp_path, wide, tokenizer=VOCABULARY, strict=False) as running:
        steps = Steps(10, 870)
        running.setting.simulator.command = steps
        done = await claude_run(claude, running, "take the steps")
        assert done.status == 0, done.stdout[-3000:] + done.stderr
        assert steps.taken == steps.count
        assert compactions(done) >= 1
        sent = await running.setting.tap.posts("/v1/messages")
        assert [each.status for each in running.arrived] == [200] * len(sent)


@pytest.mark.parametrize("protocol", ["chat_completions", "messages", "gemini"])
async def test_codex_stops_once_when_a_foreign_upstream_refuses_by_size_floway_166(
    codex: Path, tmp_path: Path, protocol: str
) -> None:
    """It fails with its own words for it, and sends the request no second time."""
    async with refusing(protocol, tmp_path, SMALLER) as running:
        running.setting.simulator.command = Steps(12, 870)
        done = await codex_run(codex, running, "take the steps")
        refused = [each for each in running.arrived if each.status == 400]
        sent = await running.setting.tap.posts("/v1/responses")
    assert done.status == 1
    assert "ran out of room" in done.stdout
    assert len(refused) == 1
    assert len(sent) == len(running.arrived)


@pytest.mark.parametrize("protocol", ["chat_completions", "messages", "responses"])
async def test_gemini_cli_stops_once_when_a_foreign_upstream_refuses_by_size_floway_166(
    gemini: Path, tmp_path: Path, protocol: str
) -> None:
    """It fails and says why; a refusal inside a 200 would be a silent success."""
    async with refusing(protocol, tmp_path, TINY) as running:
        done = await gemini_run(gemini, running, "mind these words " * 7_000)
        arrived = running.arrived
    assert done.status != 0
    assert "exceeds the maximum number of tokens" in done.stdout + done.stderr
    assert [each.status for each in arrived] == [400]


@pytest.mark.parametrize(
    ("tool", "protocol"),
    [("claude", "chat_completions"), ("codex", "messages"), ("gemini", "responses")],
)
async def test_an_agent_gives_up_a_rate_limit_of_a_foreign_upstream_floway_166(
    tool: str, protocol: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """It waits as it was asked, a few times, and then says that it is a rate limit."""
    program: Path = request.getfixturevalue(tool)
    async with translating(protocol, tmp_path, strict=False) as running:
        running.setting.simulator.script(["429=1"] * PERSISTENT)
        done = await STARTS[tool](program, running, "hello")
        arrived = running.arrived
    said = (done.stdout + done.stderr).lower()
    assert done.status != 0
    assert "rate limit" in said or "429" in said
    assert 2 <= len(arrived) <= 2 * ATTEMPTS**2  # Codex repeats each of its streams


async def test_gemini_cli_compacts_between_turns_at_its_share_of_the_window(
    gemini: Path, tmp_path: Path
) -> None:
    """With the settings that ``gatewayctl env`` prints it does so at half of the true window."""
    async with translating(
        "messages", tmp_path, SMALL, tokenizer=VOCABULARY, strict=False
    ) as running:
        steps = Steps(4, 620)
        running.setting.simulator.command = steps
        done = await gemini_run(gemini, running, "take the steps")
        assert done.status == 0, done.stdout[-3000:] + done.stderr
        steps.count = 5
        again = await gemini_run(gemini, running, "take one more", "--resume", "latest")
        assert again.status == 0, again.stdout[-3000:] + again.stderr
        sizes = [each.tokens or 0 for each in running.arrived]
        assert [each.status for each in running.arrived] == [200] * len(sizes)
        targets = {each.target for each in await running.setting.tap.requests()}
    assert (steps.taken, steps.summaries) == (5, 2)  # a summary, and a second look at it
    assert max(sizes) > SMALL.window / 2 > sizes[-1]
    assert any("coding:" not in target for target in targets)  # it asks a model of its own for it
