"""Genuine Codex through ``gatewayctl serve``, which forwards its credential."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.agents import Setting, assert_untouched, forwarding
from support.processes import run

from gatewayctl.simulator import SimModel

pytestmark = pytest.mark.agents

GPT = SimModel(id="gpt-5.4", window=1_050_000, max_output=128_000)
KEY = "sk-test-0003"
LONGEST_RUN = 60.0
"""Seconds; a run takes less than one."""


async def ask(codex: Path, setting: Setting, *arguments: str) -> list[dict[str, Any]]:
    """Run ``codex exec``, which has to succeed, and return its events."""
    folder = setting.home / ".codex"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(
        f"""
model = "{GPT.id}"
model_provider = "local"
approval_policy = "never"
sandbox_mode = "danger-full-access"
[model_providers.local]
name = "local"
base_url = "{setting.tap.url}/v1"
env_key = "LOCAL_KEY"
wire_api = "responses"
[analytics]
enabled = false
""",
        encoding="utf-8",
    )
    done = await run(
        [codex, "exec", *arguments],
        env=setting.env(LOCAL_KEY=KEY),
        cwd=setting.home,
        seconds=LONGEST_RUN,
    )
    assert done.status == 0, done.stdout + done.stderr
    return [msgspec.json.decode(line) for line in done.stdout.splitlines()]


def said(events: list[dict[str, Any]]) -> str:
    """Return the agent's last message."""
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    return str([item["text"] for item in items if item["type"] == "agent_message"][-1])


async def test_a_tool_round_trip_arrives_untouched(codex: Path, tmp_path: Path) -> None:
    """Credential, user agent, every other header and the body arrive as they were sent."""
    async with forwarding("openai-compatible", "responses", GPT, tmp_path) as setting:
        events = await ask(codex, setting, "--json", "--skip-git-repo-check", "run")
        sent = await setting.tap.posts("/v1/responses")
        arrived = setting.simulator.journal.calls()
    assert events[-1]["type"] == "turn.completed"
    ran = [event["item"] for event in events if event.get("item", {}).get("exit_code") is not None]
    assert [item["aggregated_output"] for item in ran] == ["gatewayctl-demo\n"]
    assert "The tool answered:" in said(events)
    assert len(arrived) == 2
    assert_untouched(sent, arrived)
    for each in arrived:
        assert each.header("authorization") == f"Bearer {KEY}"
        assert (each.header("user-agent") or "").startswith("codex_exec/")


async def test_a_second_turn_carries_the_first(codex: Path, tmp_path: Path) -> None:
    """``exec resume`` goes on: the tool's result goes up again, untouched."""
    async with forwarding("openai-compatible", "responses", GPT, tmp_path) as setting:
        await ask(codex, setting, "--json", "--skip-git-repo-check", "run")
        events = await ask(
            codex, setting, "resume", "--last", "--json", "--skip-git-repo-check", "and then"
        )
        assert_untouched(
            await setting.tap.posts("/v1/responses"), setting.simulator.journal.calls()
        )
        last = setting.simulator.journal.calls()[-1].body
    assert 'You wrote: "and then"' in said(events)
    assert b'"function_call_output"' in last
