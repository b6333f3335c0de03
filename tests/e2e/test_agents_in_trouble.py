"""Genuine Claude Code and Codex when the upstream fails, with their own retries on top.

Each run ends, with an answer or with words that say why not, and what reaches the upstream is
bounded by their attempts times the gateway's policy. Both are told to retry twice, so that the
runs are short: by themselves they would do so up to ten times, with growing waits.
"""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec
import pytest
from support.agents import Setting, forwarding
from support.processes import Finished, run

from gatewayctl.simulator import SimModel

pytestmark = pytest.mark.agents

SONNET: Final = SimModel(id="claude-sonnet-4-5", window=200_000, max_output=64_000)
GPT: Final = SimModel(id="gpt-5.4", window=1_050_000, max_output=128_000)
LONGEST_RUN: Final = 90.0
"""Seconds; the longest waits a few times for a rate limit."""
ATTEMPTS: Final = 3
PERSISTENT: Final = 100
"""Calls; more than any agent makes."""
PROMPT: Final = "hello"
IMPATIENT: Final = """
[providers.up.timeouts]
first_token = "2s"
idle = "2s"
"""


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """A run that ended, the requests the agent sent and the times at which calls arrived."""

    done: Finished
    sent: int
    arrived: tuple[float, ...]

    @property
    def said(self) -> str:
        """All that its user could see."""
        return self.done.stdout + self.done.stderr

    @property
    def gaps(self) -> list[float]:
        """The seconds between calls at the upstream."""
        return [after - before for before, after in pairwise(self.arrived)]

    @property
    def answered(self) -> bool:
        """Whether the simulator's answer was shown."""
        return self.done.status == 0 and "You wrote" in self.said


async def claude_run(
    claude: Path, folder: Path, faults: Sequence[str], more: str = IMPATIENT
) -> Ran:
    """Run Claude Code with one prompt; ``faults`` befall the first calls at the upstream."""
    async with forwarding("anthropic-compatible", "messages", SONNET, folder, more) as setting:
        env = setting.env(
            ANTHROPIC_BASE_URL=setting.tap.url,
            ANTHROPIC_API_KEY="sk-ant-test-0001",
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
            CLAUDE_CODE_MAX_RETRIES=str(ATTEMPTS - 1),
        )
        command: list[str | Path] = [claude, "-p", PROMPT, "--model", SONNET.id]
        return await _ran(setting, command, env, faults, "/v1/messages")


async def codex_run(codex: Path, folder: Path, faults: Sequence[str], more: str = IMPATIENT) -> Ran:
    """Run Codex with one prompt; ``faults`` befall the first calls at the upstream."""
    async with forwarding("openai-compatible", "responses", GPT, folder, more) as setting:
        (setting.home / ".codex").mkdir()
        (setting.home / ".codex" / "config.toml").write_text(
            f"""
model = "{GPT.id}"
model_provider = "local"
[analytics]
enabled = false
[model_providers.local]
name = "local"
base_url = "{setting.tap.url}/v1"
wire_api = "responses"
env_key = "LOCAL_KEY"
request_max_retries = {ATTEMPTS - 1}
stream_max_retries = {ATTEMPTS - 1}
""",
            encoding="utf-8",
        )
        env = setting.env(LOCAL_KEY="sk-test-0003")
        command: list[str | Path] = [codex, "exec", "--skip-git-repo-check", PROMPT]
        return await _ran(setting, command, env, faults, "/v1/responses")


async def _ran(
    setting: Setting,
    command: list[str | Path],
    env: dict[str, str],
    faults: Sequence[str],
    path: str,
) -> Ran:
    setting.simulator.script(faults)
    done = await run(command, env=env, cwd=setting.home, seconds=LONGEST_RUN)
    return Ran(
        done=done,
        sent=len(await setting.tap.posts(path)),
        arrived=tuple(call.at for call in setting.simulator.journal.calls()),
    )


@pytest.mark.parametrize("fault", ["500", "529", "reset", "reset-before-content", "429=2"])
async def test_what_one_retry_mends_claude_code_never_hears_of(
    claude: Path, tmp_path: Path, fault: str
) -> None:
    """It asks once and shows the answer; the upstream was called twice."""
    ran = await claude_run(claude, tmp_path, [fault])
    assert ran.answered, ran.said
    assert (ran.sent, len(ran.arrived)) == (1, 2)


@pytest.mark.parametrize("fault", ["500", "529", "reset", "reset-before-content", "429=2"])
async def test_what_one_retry_mends_codex_never_hears_of(
    codex: Path, tmp_path: Path, fault: str
) -> None:
    """It asks once and shows the answer; the upstream was called twice."""
    ran = await codex_run(codex, tmp_path, [fault])
    assert ran.answered, ran.said
    assert (ran.sent, len(ran.arrived)) == (1, 2)


async def test_both_wait_for_a_model_that_thinks_for_long(
    claude: Path, codex: Path, tmp_path: Path
) -> None:
    """After 15 seconds of silence headers and keepalives go out, in events that each knows."""
    folders = [tmp_path / "claude", tmp_path / "codex"]
    for folder in folders:
        folder.mkdir()
    both = await asyncio.gather(
        claude_run(claude, folders[0], ["slow=17"], more=""),
        codex_run(codex, folders[1], ["slow=17"], more=""),
    )
    for ran in both:
        assert ran.answered, ran.said
        assert (ran.sent, len(ran.arrived)) == (1, 1)


TWICE: Final = {
    "cut after the commit": (["cut-events=8"], 2),
    "stalled after the commit": (["stall=8"], 2),
    "silent before the commit": (["headers-then-nothing"], 2),
    "rate limited twice": (["429=2", "429=2"], 3),
}
"""Faults that the gateway cannot mend alone, and the calls until the agent has its answer."""


@pytest.mark.parametrize(("faults", "calls"), TWICE.values(), ids=TWICE)
async def test_claude_code_asks_a_second_time_for_what_broke(
    claude: Path, tmp_path: Path, faults: list[str], calls: int
) -> None:
    """One more request of its own, after the wait it was asked for, and its user has the answer."""
    ran = await claude_run(claude, tmp_path, faults)
    assert ran.answered, ran.said
    assert (ran.sent, len(ran.arrived)) == (2, calls)
    assert all(gap >= 2 for gap in ran.gaps) or faults[0].startswith("cut")


@pytest.mark.parametrize(("faults", "calls"), TWICE.values(), ids=TWICE)
async def test_codex_asks_a_second_time_for_what_broke(
    codex: Path, tmp_path: Path, faults: list[str], calls: int
) -> None:
    """The same: its user sees that it reconnected, and then the answer."""
    ran = await codex_run(codex, tmp_path, faults)
    assert ran.answered, ran.said
    assert (ran.sent, len(ran.arrived)) == (2, calls)


async def test_claude_code_gives_up_an_upstream_that_stays_overloaded(
    claude: Path, tmp_path: Path
) -> None:
    """Three requests of its own, each of them two calls; its user reads why."""
    ran = await claude_run(claude, tmp_path, ["529"] * PERSISTENT)
    assert (ran.sent, len(ran.arrived)) == (ATTEMPTS, 2 * ATTEMPTS)
    assert ran.done.status != 0
    assert "overloaded" in ran.said.lower()


async def test_codex_gives_up_an_upstream_that_stays_overloaded(
    codex: Path, tmp_path: Path
) -> None:
    """It repeats each of three streams three times, by itself nine calls; its user reads why."""
    ran = await codex_run(codex, tmp_path, ["529"] * PERSISTENT)
    assert (ran.sent, len(ran.arrived)) == (ATTEMPTS**2, 2 * ATTEMPTS**2)
    assert ran.done.status != 0
    assert "overloaded" in ran.said.lower()


async def test_claude_code_does_not_go_round_in_circles_when_every_stream_is_cut(
    claude: Path, tmp_path: Path
) -> None:
    """A stream that broke after its commit is not retried; the agent then asks without streaming.

    Those three requests break before their commit, so that the gateway retries each of them.
    """
    ran = await claude_run(claude, tmp_path, ["cut-events=8"] * PERSISTENT)
    assert (ran.sent, len(ran.arrived)) == (1 + ATTEMPTS, 1 + 2 * ATTEMPTS)
    assert "API Error" in ran.said


async def test_codex_does_not_go_round_in_circles_when_every_stream_is_cut(
    codex: Path, tmp_path: Path
) -> None:
    """The same, with the words of the error in what its user reads."""
    ran = await codex_run(codex, tmp_path, ["cut-events=8"] * PERSISTENT)
    assert len(ran.arrived) == ran.sent == ATTEMPTS
    assert ran.done.status != 0
    assert "broke off" in ran.said
