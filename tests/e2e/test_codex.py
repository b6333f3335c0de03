"""Genuine Codex through ``gatewayctl serve``, which forwards its credential."""

import base64
import signal
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from support.agents import Setting, asked_models, assert_untouched, blend, forwarding
from support.processes import run, started
from support.waiting import until

from gatewayctl.simulator import SimModel
from gatewayctl.simulator.catalogue import MODELS
from gatewayctl.simulator.journal import Ending

pytestmark = pytest.mark.agents

GPT = SimModel(id="gpt-5.4", window=1_050_000, max_output=128_000)
KEY = "sk-test-0003"
LONGEST_RUN = 60.0
"""Seconds; a run takes less than one."""


WITH_A_KEY: Final = """
name = "local"
env_key = "LOCAL_KEY"
"""
LOGGED_IN: Final = """
name = "OpenAI"
requires_openai_auth = true
supports_websockets = false
"""


def configure(setting: Setting, provider: str = WITH_A_KEY) -> None:
    """Write the config that leads Codex through the tap; ``provider`` is how it says who it is."""
    folder = setting.home / ".codex"
    folder.mkdir()
    (folder / "config.toml").write_text(
        f"""
model = "{GPT.id}"
model_provider = "local"
approval_policy = "never"
sandbox_mode = "danger-full-access"
[analytics]
enabled = false
[features]
enable_request_compression = true
[model_providers.local]
base_url = "{setting.tap.url}/v1"
wire_api = "responses"
{provider}
""",
        encoding="utf-8",
    )


def log_in(setting: Setting) -> str:
    """Write the file of a ChatGPT login nobody has, and return its access token."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()

    claims = {"exp": int(time.time()) + 86_400, "email": "nobody@example.com"}
    token = ".".join((part({"alg": "none"}), part(claims), "c2lnbmF0dXJl"))
    tokens = {"id_token": token, "access_token": token, "refresh_token": "none"}
    today = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    login = {"tokens": {**tokens, "account_id": "nobody"}, "last_refresh": today}
    (setting.home / ".codex" / "auth.json").write_bytes(msgspec.json.encode(login))
    return token


def environment(setting: Setting) -> dict[str, str]:
    """Return an environment in which whatever is not on loopback goes to a proxy that is not there.

    An account's login would make Codex look for its maker's other services.
    """
    return setting.env(LOCAL_KEY=KEY, HTTPS_PROXY="http://127.0.0.1:9", NO_PROXY="127.0.0.1")


async def ask(codex: Path, setting: Setting, *arguments: str) -> list[dict[str, Any]]:
    """Run ``codex exec``, which has to succeed, and return its events."""
    done = await run(
        [codex, "exec", *arguments],
        env=environment(setting),
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
        configure(setting)
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
        configure(setting)
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


async def test_a_compressed_body_arrives_as_it_was_before_compression(
    codex: Path, tmp_path: Path
) -> None:
    """Logged in with an account, Codex compresses with zstd; the account's token goes up too."""
    async with forwarding("openai-compatible", "responses", GPT, tmp_path) as setting:
        configure(setting, LOGGED_IN)
        token = log_in(setting)
        events = await ask(codex, setting, "--json", "--skip-git-repo-check", "run")
        sent = await setting.tap.posts("/v1/responses")
        arrived = setting.simulator.journal.calls()
    assert "The tool answered:" in said(events)
    assert [each.header("content-encoding") for each in sent] == [b"zstd", b"zstd"]
    assert_untouched(sent, arrived)
    assert {each.header("authorization") for each in arrived} == {f"Bearer {token}"}
    assert {each.header("content-encoding") for each in arrived} == {None}


async def test_interrupting_it_cancels_the_upstream(codex: Path, tmp_path: Path) -> None:
    """After Ctrl-C in the middle of an answer the upstream is told, and writes no further."""
    async with forwarding("openai-compatible", "responses", GPT, tmp_path) as setting:
        configure(setting)
        setting.simulator.script(["words=20000,pace=0.01"])
        command: list[str | Path] = [codex, "exec", "--json", "--skip-git-repo-check", "hello"]
        calls = setting.simulator.journal.calls
        async with started(command, env=environment(setting), cwd=setting.home) as process:
            await until(lambda: any(call.frames > 10 for call in calls()), seconds=LONGEST_RUN)
            process.send_signal(signal.SIGINT)
            await until(lambda: calls()[0].ending is not Ending.RUNNING)
        assert [call.ending for call in calls()] == [Ending.ABANDONED]


async def test_a_turn_of_a_blend_stays_with_its_model(codex: Path, tmp_path: Path) -> None:
    """The tool's result goes to the model that asked for it; the user's next words to the other."""
    more = blend(GPT.id, GPT, MODELS["large"])
    async with forwarding("openai-compatible", "responses", GPT, tmp_path, more) as setting:
        configure(setting)
        await ask(codex, setting, "--json", "--skip-git-repo-check", "run")
        await ask(codex, setting, "resume", "--last", "--json", "--skip-git-repo-check", "run")
        asked = asked_models(setting.simulator)
    assert asked == [GPT.id, GPT.id, "large", "large"]
