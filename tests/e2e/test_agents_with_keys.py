"""Genuine agents at a gateway that asks for client keys, set up as ``gatewayctl env`` says.

A key lets its agent in and goes no further; one that is over its limit ends the run at once, with
the gateway's own words instead of retries.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from support.agents import Setting, forwarding
from support.processes import Finished, run
from support.translated import Translating, translating

from gatewayctl.simulator import SimModel
from gatewayctl.storage.client_keys import Terms, create

pytestmark = pytest.mark.agents

SONNET: Final = SimModel(id="claude-sonnet-4-5", window=200_000, max_output=64_000)
GPT: Final = SimModel(id="gpt-5.4", window=1_050_000, max_output=128_000)
LONGEST_RUN: Final = 60.0
PRICED: Final = "[model_defaults]\nprices = { input = 1.0, output = 2.0 }\n"
AGENTS: Final = ("claude", "codex", "gemini")


def made(folder: Path, **terms: object) -> str:
    """Make a key for the daemon whose home is ``folder``, and return its secret."""
    state = folder / ".local" / "state" / "gatewayctl"
    return create(state, "agent", Terms(**terms), 0.0)[1]  # type: ignore[arg-type]


@asynccontextmanager
async def asking(folder: Path, **terms: object) -> AsyncIterator[tuple[Translating, str]]:
    """Run a gateway that asks for a key, before an upstream that needs none."""
    key = made(folder, **terms)
    async with translating("chat_completions", folder) as running:
        # the command that prints an environment looks for keys where the daemon does
        (running.setting.home / ".local").symlink_to(folder / ".local")
        yield running, key


async def ran(agent: str, program: Path, running: Translating, key: str) -> Finished:
    """Run an agent with one prompt, its key where its own would be."""
    match agent:
        case "claude":
            return await running.run(
                "claude",
                [program, "-p", "hello"],
                ANTHROPIC_AUTH_TOKEN=key,
                CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
            )
        case "codex":
            await running.equip_codex()
            options = ["--profile", "gatewayctl", "--skip-git-repo-check"]
            variable = f"GATEWAYCTL_KEY={key}"
            return await running.plain(["env", variable, program, "exec", *options, "hello"])
        case _:
            await running.equip_gemini()
            options = ["-p", "hello", "--yolo", "--skip-trust"]
            return await running.run("gemini", ["node", program, *options], GEMINI_API_KEY=key)


@pytest.mark.parametrize("agent", AGENTS)
async def test_an_agent_is_let_in_by_its_key(
    request: pytest.FixtureRequest, tmp_path: Path, agent: str
) -> None:
    """The key stands where the tool's own would, and no byte of it reaches the upstream."""
    program = request.getfixturevalue(agent)
    async with asking(tmp_path) as (running, key):
        done = await ran(agent, program, running, key)
        assert "simulated model" in done.stdout, done.stdout + done.stderr
        assert running.arrived
        assert not any(key.encode() in str(each.headers).encode() for each in running.arrived)


@pytest.mark.parametrize("agent", AGENTS)
async def test_an_agent_over_its_limit_stops_with_words_that_say_why(
    request: pytest.FixtureRequest, tmp_path: Path, agent: str
) -> None:
    """No waiting helps a request that is larger than the key's minute, so that none is made."""
    program = request.getfixturevalue(agent)
    async with asking(tmp_path, tpm=1) as (running, key):
        done = await ran(agent, program, running, key)
        said = done.stdout + done.stderr
        assert 'client key "agent"' in said, said
        assert not running.arrived
        assert len(await running.setting.tap.requests()) <= 10


async def test_claude_code_has_both_its_login_and_a_key(claude: Path, tmp_path: Path) -> None:
    """The credential is forwarded as it came, and the key beside it stays at the gateway."""
    key = made(tmp_path, budgets=("100/day",))
    kind, protocol = "anthropic-compatible", "messages"
    async with forwarding(kind, protocol, SONNET, tmp_path, PRICED) as setting:
        env = setting.env(
            ANTHROPIC_BASE_URL=setting.tap.url,
            ANTHROPIC_API_KEY="sk-ant-test-0001",
            ANTHROPIC_CUSTOM_HEADERS=f"x-gatewayctl-key: {key}",
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        )
        await _answered(setting, [claude, "-p", "hello", "--model", SONNET.id], env)
        _assert_forwarded(setting, key, b"sk-ant-test-0001")


async def test_codex_has_both_its_login_and_a_key(codex: Path, tmp_path: Path) -> None:
    """Its file names the header and the variable that the key is in."""
    key = made(tmp_path, budgets=("100/day",))
    async with forwarding("openai-compatible", "responses", GPT, tmp_path, PRICED) as setting:
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
env_http_headers = {{ x-gatewayctl-key = "GATEWAYCTL_KEY" }}
"""
        )
        env = setting.env(LOCAL_KEY="sk-test-0003", GATEWAYCTL_KEY=key)
        await _answered(setting, [codex, "exec", "--skip-git-repo-check", "hello"], env)
        _assert_forwarded(setting, key, b"sk-test-0003")


async def _answered(setting: Setting, command: list[str | Path], env: dict[str, str]) -> None:
    done = await run(command, env=env, cwd=setting.home, seconds=LONGEST_RUN)
    assert done.status == 0, done.stdout + done.stderr
    assert "simulated model" in done.stdout


def _assert_forwarded(setting: Setting, key: str, credential: bytes) -> None:
    """Compare what arrived with what may: the tool's own credential, and nothing of the key."""
    calls = setting.simulator.journal.calls()
    assert calls
    for each in calls:
        told = json.dumps([[name.decode(), value.decode()] for name, value in each.headers])
        assert credential.decode() in told
        assert key not in told
