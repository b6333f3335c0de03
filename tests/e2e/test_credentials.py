"""Credentials of genuine agents, and of the gateway's own logins, where client keys are asked for.

An agent's own goes to the provider that it is for, a subscription's to the client that it is for,
and a client key to nobody.
"""

import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import pytest
from support.agents import Setting, assert_untouched
from support.forwards import seen
from support.keyholders import ctl
from support.processes import Finished, run, serving
from support.tap import Tap
from support.token_server import CLIENT_ID, Authority
from support.token_server import serving as token_server
from support.translated import LONGEST_RUN, ROUTE, Translating

from gatewayctl import simulator as simulators
from gatewayctl.simulator import SimModel, Simulator
from gatewayctl.simulator.journal import Received
from gatewayctl.storage.credentials import Credential, Vault

pytestmark = pytest.mark.agents

SONNET: Final = SimModel(id="claude-sonnet-4-5", window=200_000, max_output=64_000)
OURS: Final = frozenset({b"x-gatewayctl-key"})
CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key"})


@contextlib.asynccontextmanager
async def upstreams(count: int) -> AsyncIterator[list[Simulator]]:
    """Run so many upstreams that know Claude Code's model."""
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for _ in range(count):
            found.append(await simulators.start(models=[SONNET]))
            stack.push_async_callback(found[-1].close)
        yield found


@contextlib.asynccontextmanager
async def guarded(
    config: str, simulator: Simulator, folder: Path
) -> AsyncIterator[tuple[Setting, str]]:
    """Run a gateway that asks for keys, with one of them."""
    home = folder / "home"
    home.mkdir()
    # the command that prints an environment looks for keys where the daemon does
    (home / ".local").symlink_to(folder / ".local")
    key = (await ctl(folder, "keys", "create", "holder")).strip()
    async with serving(config, folder) as daemon, Tap(daemon.host, daemon.port) as tap:
        yield Setting(simulator=simulator, tap=tap, home=home), key


async def claude_run(claude: Path, setting: Setting, **variables: str) -> Finished:
    """Run Claude Code, which uses a tool once where nothing is in its way."""
    env = setting.env(
        ANTHROPIC_BASE_URL=setting.tap.url,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        **variables,
    )
    options = ["-p", "run", "--model", SONNET.id, "--allowedTools", "Bash(echo:*)"]
    return await run([claude, *options], env=env, cwd=setting.home, seconds=LONGEST_RUN)


def assert_answered(done: Finished) -> None:
    """See that a run used its tool and ended well."""
    assert done.status == 0, done.stdout + done.stderr
    assert "The tool answered:" in done.stdout


HOUSE: Final = """
[providers.one]
kind = "anthropic-compatible"
base_url = "{one}/v1"
auth = "forward"
protocols = ["messages"]
[providers.two]
kind = "anthropic-compatible"
base_url = "{two}/v1"
auth = "forward"
protocols = ["messages"]
[providers.three]
kind = "anthropic-compatible"
base_url = "{three}/v1"
api_key = "sk-test-house"
protocols = ["messages"]
[aliases]
"claude-*" = "house"
[[cascades]]
id = "house"
steps = [
  {{ model = "one/claude-sonnet-4-5", context_window = 200000 }},
  {{ model = "two/claude-sonnet-4-5", context_window = 200000 }},
  {{ model = "three/claude-sonnet-4-5", context_window = 200000 }},
]
"""


@pytest.mark.parametrize("variable", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
async def test_claude_codes_own_credential_reaches_the_first_provider_and_no_other(
    claude: Path, tmp_path: Path, variable: str
) -> None:
    """The first sees its requests as they left but for the gateway's key, and fails at the second.

    The provider after it, which forwards too, is not asked at all; the last one answers with its
    own key, and hears neither of the other two.
    """
    own = "sk-ant-test-0001"
    async with upstreams(3) as (one, two, three):
        one.script(["", *["529"] * 10])
        config = HOUSE.format(one=one.base_url, two=two.base_url, three=three.base_url)
        async with guarded(config, one, tmp_path) as (setting, key):
            custom = f"x-gatewayctl-key: {key}"
            more = {variable: own, "ANTHROPIC_CUSTOM_HEADERS": custom}
            assert_answered(await claude_run(claude, setting, **more))
            sent = await setting.tap.posts("/v1/messages")
        assert len(sent) == 2
        assert_untouched(sent, one.journal.calls(), but=OURS)
        assert all(own.encode() in seen(each) for each in one.journal.calls())
        assert not two.journal.requests
        (answered,) = three.journal.requests
        assert (answered.status, answered.header("x-api-key")) == (200, "sk-test-house")
        assert own.encode() not in seen(answered)
        everything = (*one.journal.requests, answered)
        assert not any(key.encode() in seen(each) for each in everything)


OWN: Final = """
[providers.up]
kind = "{kind}"
base_url = "{url}"
auth = "forward"
protocols = ["{protocol}"]
[[cascades]]
id = "{route}"
steps = [{{ model = "up/{model}", context_window = 200000 }}]
"""


def assert_beside(arrived: Sequence[Received], header: str, own: str, key: str) -> None:
    """See that an agent's credential came up in its header, and of the client key nothing."""
    assert len(arrived) == 2
    assert {each.header(header) for each in arrived} == {own}
    assert not any(key.encode() in seen(each) for each in arrived)


async def codex_command(codex: Path, running: Translating, key: str) -> list[str | Path]:
    """Write what Codex is told by ``gatewayctl env``, and return the command that runs it."""
    await running.equip_codex()
    options = ["--profile", "gatewayctl", "--skip-git-repo-check"]
    return ["env", f"GATEWAYCTL_KEY={key}", codex, "exec", *options, "run"]


async def gemini_command(gemini: Path, running: Translating) -> list[str | Path]:
    """Write what Gemini CLI is told by ``gatewayctl env``, and return the command that runs it."""
    await running.equip_gemini()
    return ["node", gemini, "-p", "run", "--yolo", "--skip-trust"]


async def test_codex_sends_its_login_and_a_key_as_the_printed_profile_says(
    codex: Path, tmp_path: Path
) -> None:
    """The login goes on to the provider; the key, in the variable that is named, stays here."""
    async with upstreams(1) as (simulator,):
        url = f"{simulator.base_url}/v1"
        names = {"kind": "openai-compatible", "protocol": "responses", "model": SONNET.id}
        config = OWN.format(url=url, route=ROUTE, **names)
        async with guarded(config, simulator, tmp_path) as (setting, key):
            running = Translating(setting=setting, config=tmp_path / "config.toml")
            command = await codex_command(codex, running, key)
            login = {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-test-0003"}
            (setting.home / ".codex" / "auth.json").write_bytes(msgspec.json.encode(login))
            done = await running.plain(command)
        assert_answered(done)
        assert_beside(simulator.journal.calls(), "authorization", "Bearer sk-test-0003", key)


async def test_gemini_cli_sends_its_key_and_ours_as_it_was_told(
    gemini: Path, tmp_path: Path
) -> None:
    """Ours in the variable for headers that the hint names."""
    async with upstreams(1) as (simulator,):
        url = f"{simulator.base_url}/v1beta"
        names = {"kind": "gemini", "protocol": "gemini", "model": SONNET.id}
        config = OWN.format(url=url, route=ROUTE, **names)
        async with guarded(config, simulator, tmp_path) as (setting, key):
            running = Translating(setting=setting, config=tmp_path / "config.toml")
            done = await running.run(
                "gemini",
                await gemini_command(gemini, running),
                GEMINI_API_KEY="sk-test-0004",
                GEMINI_CLI_CUSTOM_HEADERS=f"x-gatewayctl-key: {key}",
            )
        assert_answered(done)
        assert 'GEMINI_CLI_CUSTOM_HEADERS="x-gatewayctl-key: KEY"' in done.stderr
        assert_beside(simulator.journal.calls(), "x-goog-api-key", "sk-test-0004", key)


CLUB: Final = """
[providers.club]
kind = "anthropic"
base_url = "{url}"
auth = "oauth"
oauth = {{ token_url = "{token_url}", client_id = "{client_id}" }}
clients = ["claude-cli/*"]
[[models]]
id = "club/claude-sonnet-4-5"
context_window = 200000
[aliases]
"claude-*" = "club/claude-sonnet-4-5"
"""


@contextlib.asynccontextmanager
async def club(folder: Path) -> AsyncIterator[tuple[Simulator, Authority, str]]:
    """Run the upstream of a subscription and its token server; return them with a config.

    It is logged in to, for a daemon whose home is ``folder``, without an access token yet.
    """
    authority = Authority()
    state = folder / ".local" / "state" / "gatewayctl"
    Vault(state).put("club", Credential(refresh_token=authority.login()))
    async with upstreams(1) as (simulator,), token_server(authority) as tokens:
        config = CLUB.format(url=simulator.base_url, token_url=tokens.url, client_id=CLIENT_ID)
        yield simulator, authority, config


async def test_a_subscription_serves_claude_code_as_it_is_and_nobody_else(
    claude: Path, tmp_path: Path
) -> None:
    """Its request arrives as it left, billing line and all, with a token that was just renewed.

    The SDK of the same maker and curl, with the same key, are told once whom it serves.
    """
    async with club(tmp_path) as (simulator, authority, config):
        async with guarded(config, simulator, tmp_path) as (setting, key):
            assert_answered(await claude_run(claude, setting, ANTHROPIC_AUTH_TOKEN=key))
            sent = await setting.tap.posts("/v1/messages")
            arrived = simulator.journal.calls()
            assert_untouched(sent, arrived, but=CREDENTIALS)
            for each in arrived:
                assert each.header("authorization") == "Bearer access-2"
                assert each.header("x-api-key") is None
                assert each.header("anthropic-beta")
                assert b"x-anthropic-billing-header:" in each.body
            for command, env in _others(setting.tap.url, key):
                told = await run(command, env=env, cwd=setting.home, seconds=LONGEST_RUN)
                assert "the credential of club serves claude-cli/* alone" in told.stdout
                assert "403" in told.stdout
            assert len(await setting.tap.posts("/v1/messages")) == len(sent) + 2
        assert len(simulator.journal.requests) == len(arrived) == 2
    assert len(authority.requests) == 1


def _others(url: str, key: str) -> list[tuple[list[str], dict[str, str]]]:
    """Return the commands of clients that are not Claude Code, with their environments."""
    ask = (
        "import anthropic\n"
        "hello = [{'role': 'user', 'content': 'Hello!'}]\n"
        "try: anthropic.Anthropic().messages.create("
        f"model='{SONNET.id}', max_tokens=9, messages=hello)\n"
        "except anthropic.PermissionDeniedError as error: print(error)\n"
    )
    body = f'{{"model":"{SONNET.id}","max_tokens":9,"messages":[{{"role":"user","content":"a"}}]}}'
    curl = ["curl", "-s", "-w", " %{http_code}", "-d", body, f"{url}/v1/messages"]
    path = {"PATH": os.environ["PATH"]}
    return [
        ([sys.executable, "-c", ask], {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": key}),
        ([*curl, "-H", f"x-api-key: {key}"], path),
    ]


async def test_claude_code_stops_at_a_subscription_that_is_used_up(
    claude: Path, tmp_path: Path
) -> None:
    """It asks once, hears how long that lasts and gives up; after that nothing is sent upstream."""
    async with club(tmp_path) as (simulator, _, config):
        simulator.plans["access-2"] = time.time() + 3600
        async with guarded(config, simulator, tmp_path) as (setting, key):
            for asked in (1, 2):
                done = await claude_run(claude, setting, ANTHROPIC_AUTH_TOKEN=key)
                assert done.status != 0
                assert "429" in done.stdout, done.stdout + done.stderr
                assert len(await setting.tap.posts("/v1/messages")) == asked
            assert "the quota of club is spent until" in done.stdout
        assert len(simulator.journal.requests) == 1


HOUSES: Final = """
[providers.up]
kind = "{kind}"
base_url = "{url}"
api_key = "sk-test-house"
protocols = ["{protocol}"]
[[cascades]]
id = "coding"
steps = [{{ model = "up/claude-sonnet-4-5", context_window = 200000 }}]
"""


async def test_codex_stops_at_a_provider_that_is_used_up_and_shows_why(
    codex: Path, tmp_path: Path
) -> None:
    """Both where the provider says so and where it is known: by itself it would wait an hour."""
    async with upstreams(1) as (simulator,):
        simulator.plans["sk-test-house"] = time.time() + 3600
        url = f"{simulator.base_url}/v1"
        config = HOUSES.format(url=url, kind="openai-compatible", protocol="responses")
        async with guarded(config, simulator, tmp_path) as (setting, key):
            running = Translating(setting=setting, config=tmp_path / "config.toml")
            command = await codex_command(codex, running, key)
            for asked, words in enumerate(
                ("your usage limit", "the quota of up is spent until"), 1
            ):
                done = await running.plain(command)
                assert done.status != 0
                assert words in done.stderr.partition("hit your usage limit. ")[2]
                assert len(await setting.tap.posts("/v1/responses")) == asked
        assert len(simulator.journal.requests) == 1


async def test_gemini_cli_stops_at_a_provider_that_is_used_up(gemini: Path, tmp_path: Path) -> None:
    """It is told an hour where it looks for it, which the provider had said in headers alone."""
    async with upstreams(1) as (simulator,):
        simulator.plans["sk-test-house"] = time.time() + 3600
        url = f"{simulator.base_url}/v1beta"
        config = HOUSES.format(url=url, kind="gemini", protocol="gemini")
        async with guarded(config, simulator, tmp_path) as (setting, key):
            running = Translating(setting=setting, config=tmp_path / "config.toml")
            done = await running.run(
                "gemini", await gemini_command(gemini, running), GEMINI_API_KEY=key
            )
            assert done.status != 0
            assert "You have reached your usage limit." in done.stderr
            asked = [each for each in await setting.tap.requests() if each.head[:4] == b"POST"]
        assert (len(asked), len(simulator.journal.requests)) == (1, 1)
