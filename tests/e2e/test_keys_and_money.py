"""Genuine agents and SDKs at a gateway that asks for keys, counts money and passes credentials on.

Whatever refuses them ends the run with words that say why, and the requests that it took to say so
are counted: none goes round in circles. What they may use at all is ``test_agents_with_keys``'
business.
"""

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from support.agents import Setting, assert_untouched
from support.forwards import seen
from support.keyholders import PROGRAMS, READ, WRITTEN, ctl, keyed, used
from support.processes import Finished, run, serving
from support.tap import Tap
from support.token_server import CLIENT_ID, Authority
from support.token_server import serving as token_server
from support.translated import LONGEST_RUN, MODEL, ROUTE

from gatewayctl import simulator as simulators
from gatewayctl.simulator import SimModel, Simulator
from gatewayctl.storage.credentials import Credential, Vault

pytestmark = pytest.mark.agents

NOBODYS: Final = f"gwk-{'x' * 43}"
"""A key of the right form that nobody was given."""

BUDGETS: Final = {"claude": "0.09", "codex": "0.04", "gemini": "0.06"}
"""USD that hold a first request of each agent, and its second not."""

HELLO: Final = "0.0004"
"""USD that an SDK's first answer goes over."""


def installed(request: pytest.FixtureRequest, name: str) -> Path | None:
    """Return an agent's program, None for an SDK."""
    if PROGRAMS[name].script:
        return None
    program: Path = request.getfixturevalue(name)
    return program


REFUSED: Final = {
    "claude": ("is no client key of this gateway", 1),
    "codex": ("is no client key of this gateway", 6),
    "gemini": ("is no client key of this gateway", 1),
    "openai": ("AuthenticationError: Error code: 401", 1),
    "anthropic": ("AuthenticationError: Error code: 401", 1),
    "genai": ("401 UNAUTHENTICATED", 1),
}
"""What each says of a key that nobody has, and how often it asks: Codex repeats any stream."""


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_wrong_key_ends_the_run_with_words_that_say_so(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    """Nothing of it reaches the upstream, and nothing of it is in the ledger under a name."""
    words, requests = REFUSED[name]
    async with keyed("chat_completions", tmp_path, somebody="") as (it, _):
        done = await it.run(name, installed(request, name), NOBODYS)
        said = done.stdout + done.stderr
        assert done.status != 0
        assert words in said, said[-4000:]
        assert NOBODYS not in said
        assert await it.asked(name) == requests
        assert not it.running.arrived
    assert "somebody" not in await used(tmp_path, "key")


OVER: Final = {
    "claude": 'Request rejected (429) · the client key \\"holder\\" has a budget of',
    "codex": "Quota exceeded",
    "gemini": "has a budget of",
    "openai": "RateLimitError: Error code: 429",
    "anthropic": "RateLimitError: Error code: 429",
    "genai": "429 RESOURCE_EXHAUSTED",
}


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_program_over_budget_is_refused_once_and_stops(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    """Its first request is answered; the second would go over, and comes once, since it is vain.

    No more than the output of that one answer is spent over the budget.
    """
    budget = BUDGETS.get(name, HELLO)
    speaks = PROGRAMS[name].speaks
    async with keyed(speaks, tmp_path, holder=f"{budget}/month") as (it, (key,)):
        done = await it.run(name, installed(request, name), key)
        said = done.stdout + done.stderr
        assert done.status != 0, said[-4000:]
        assert OVER[name] in said, said[-4000:]
        assert key not in said
        assert await it.asked(name) == 2
        assert len(it.running.arrived) == 1
    row = (await used(tmp_path, "key"))["holder"]
    assert (row["requests"], row["failed"]) == (2, 1)
    assert 0 < row["cost"] <= float(budget) + row["tokens"]["output"] * WRITTEN / 1e6


async def test_costs_add_up_to_what_the_upstream_metered(
    claude: Path, codex: Path, gemini: Path, tmp_path: Path
) -> None:
    """By key, session, model and route, for agents that use a tool, to the last token and cent."""
    agents = {"claude": claude, "codex": codex, "gemini": gemini}
    ends: dict[str, Finished] = {}
    spent: dict[str, tuple[int, int]] = {}
    async with keyed("chat_completions", tmp_path, claude="", codex="", gemini="") as (it, keys):
        for (name, program), key in zip(agents.items(), keys, strict=True):
            before = len(it.running.arrived)
            ends[name] = await it.run(name, program, key)
            calls = it.running.arrived[before:]
            assert len(calls) == 2, ends[name].stdout[-4000:] + ends[name].stderr
            read, written = zip(*((call.tokens, call.written) for call in calls), strict=True)
            spent[name] = sum(read), sum(written)
    told = msgspec.json.decode(ends["claude"].stdout.strip().splitlines()[-1])
    thread = msgspec.json.decode(ends["codex"].stdout.splitlines()[0])["thread_id"]
    total = sum(each[0] for each in spent.values()), sum(each[1] for each in spent.values())
    groups: dict[str, dict[Any, tuple[int, int]]] = {
        "key": spent,
        "session": {
            told["session_id"]: spent["claude"],
            thread: spent["codex"],
            None: spent["gemini"],
        },
        "model": {f"up/{MODEL.id}": total},
        "route": {ROUTE: total},
    }
    for by, expected in groups.items():
        rows = await used(tmp_path, by)
        assert {key: _metered(row) for key, row in rows.items()} == expected, by
        for key, tokens in expected.items():
            assert rows[key]["cost"] == pytest.approx(_price(*tokens), abs=1e-12)
        assert not any(row["failed"] or row["estimated"] for row in rows.values())
    assert told["usage"]["input_tokens"] == spent["claude"][0]
    assert told["usage"]["output_tokens"] == spent["claude"][1]


def _metered(row: dict[str, Any]) -> tuple[int, int]:
    tokens = row["tokens"]
    assert {name for name, count in tokens.items() if count} <= {
        "input",
        "output",
        "reasoning_output",
    }
    return tokens["input"], tokens["output"]


def _price(read: int, written: int) -> float:
    return (read * READ + written * WRITTEN) / 1e6


# --- credentials of others ---------------------------------------------------------------------

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
    key = (await ctl(folder, "keys", "create", "holder")).strip()
    async with serving(config, folder) as daemon, Tap(daemon.host, daemon.port) as tap:
        yield Setting(simulator=simulator, tap=tap, home=home), key


async def claude_run(claude: Path, setting: Setting, **variables: str) -> Finished:
    """Run Claude Code until it has used a tool once and answered."""
    env = setting.env(
        ANTHROPIC_BASE_URL=setting.tap.url,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        **variables,
    )
    command: list[str | Path] = [
        claude,
        "-p",
        "run",
        "--model",
        SONNET.id,
        "--allowedTools",
        "Bash(echo:*)",
    ]
    done = await run(command, env=env, cwd=setting.home, seconds=LONGEST_RUN)
    assert done.status == 0, done.stdout + done.stderr
    assert 'The tool answered: "gatewayctl-demo"' in done.stdout
    return done


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
            await claude_run(claude, setting, **{variable: own, "ANTHROPIC_CUSTOM_HEADERS": custom})
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


async def test_a_subscription_serves_claude_code_as_it_is_and_nobody_else(
    claude: Path, tmp_path: Path
) -> None:
    """Its request arrives as it left, billing line and all, with a token that was just renewed.

    The SDK of the same maker and curl, with the same key, are told once whom it serves.
    """
    authority = Authority()
    state = tmp_path / ".local" / "state" / "gatewayctl"
    Vault(state).put("club", Credential(refresh_token=authority.login()))
    async with upstreams(1) as (simulator,), token_server(authority) as tokens:
        config = CLUB.format(url=simulator.base_url, token_url=tokens.url, client_id=CLIENT_ID)
        async with guarded(config, simulator, tmp_path) as (setting, key):
            await claude_run(claude, setting, ANTHROPIC_AUTH_TOKEN=key)
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
