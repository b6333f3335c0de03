"""No command prints a planted secret, in text or JSON, beside a daemon that holds all of them."""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from support.daemon import daemon, environment
from support.dialects import encoded
from support.planted import PROMPT, PROVIDERS, Planted, echo, plant, secret, traces
from support.processes import run
from support.terminal import gatewayctl
from support.upstream import FakeUpstream
from typer.core import TyperGroup
from typer.main import get_command

from gatewayctl.cli.main import app

Words = tuple[str, ...]

COMMANDS: Final[Mapping[Words, tuple[Words, ...]]] = {
    ("estimate",): ((), ("--model", "plain/echo-400"), ("--exact",)),
    ("route-explain",): (("all",), ("all", "--live", "URL"), ("oauth/echo-400",), ("nobody/x",)),
    ("env",): (("claude",), ("codex",), ("gemini",), ("openai", "--model", "plain/echo-400")),
    ("log",): ((), ("--failed",), ("--limit", "500"), ("REQUEST",)),
    ("status",): (("URL",), ()),
    ("usage",): ((), ("--by", "model"), ("--by", "key"), ("--by", "session"), ("--csv",)),
    ("quota",): (("URL",), ("--probe", "URL"), ("--forget", "plain", "URL"), ()),
    ("keys", "list"): ((),),
    ("keys", "revoke"): (("nobody",),),
    ("keys", "rotate"): (("nobody",),),
    ("auth", "list"): ((),),
    ("auth", "refresh"): (("oauth", "--force"), ("borrow",), ("plain",)),
    ("auth", "import"): (("oauth", "--from", "FILE"), ("oauth", "--token"), ("plain", "--token")),
    ("config", "validate"): ((), ("--registry",), ("--strict",)),
    ("config", "show"): ((), ("--resolved",)),
    ("config", "path"): ((),),
    ("config", "init"): ((),),
    ("config", "schema"): ((),),
    ("models", "list"): (("--provider", "plain"), ("--conflicts",)),
    ("models", "show"): (("plain/echo-400",),),
    ("models", "refresh"): ((), ("--dry-run",), ("--source", "models_dev")),
    ("models", "forget"): (("plain/echo-400",),),
    ("auth", "logout"): (("oauth",), ("plain",)),
}
"""What each command is run with; ``URL``, ``FILE``, ``REQUEST`` stand for what is known later."""

ELSEWHERE: Final = {("serve",), ("auth", "login"), ("keys", "create")}
"""Those that have a test of their own."""


def leaves() -> Iterator[tuple[Words, frozenset[str]]]:
    """Yield every command there is with the names of its options."""

    def visit(command: object, path: Words) -> Iterator[tuple[Words, frozenset[str]]]:
        if isinstance(command, TyperGroup):
            for name, child in command.commands.items():
                yield from visit(child, (*path, name))
        else:
            options = (name for each in getattr(command, "params", ()) for name in each.opts)
            yield path, frozenset(options)

    yield from visit(get_command(app), ())


def test_every_command_there_is_has_been_thought_of() -> None:
    """A new one has to be run here, too."""
    assert {path for path, _ in leaves()} == set(COMMANDS) | ELSEWHERE


def _arguments(planted: Planted, url: str, request: str) -> Iterator[Words]:
    known = dict(leaves())
    config = str(planted.config)
    for path, variants in COMMANDS.items():
        options = known[path]
        for variant in variants:
            words = list(path)
            for word in variant:
                match word:
                    case "URL":
                        words += ["--url", url]
                    case "FILE":
                        words.append(str(planted.home / "borrowed.json"))
                    case "REQUEST":
                        words.append(request)
                    case _:
                        words.append(word)
            if "--config" in options and path != ("config", "validate"):
                words += ["--config", config]
            elif path == ("config", "validate"):
                words.append(config)
            yield tuple(words)
            if "--json" in options and "--csv" not in words:
                yield (*words, "--json")


async def _requested(url: str, headers: Mapping[str, str]) -> str:
    """Ask for every provider, so that there is something to tell; return one request's id."""
    found = ""
    async with aiohttp.ClientSession() as http:
        for name in PROVIDERS:
            body = encoded("chat_completions", f"{name}/echo-400", PROMPT)
            path = f"{url}/v1/chat/completions"
            async with http.post(path, data=body, headers=headers) as answer:
                await answer.read()
                found = answer.headers["x-gatewayctl-request-id"]
    return found


async def _told(words: Words, env: Mapping[str, str], home: Path) -> bytes:
    """Run a command, and return all that it prints."""
    if words[:2] == ("auth", "refresh"):  # it hears signals, which only a main thread can
        program = [sys.executable, "-m", "gatewayctl", *words]
        ended = await run(program, env=env, cwd=home, seconds=60)
        return f"{ended.stdout}\n{ended.stderr}".encode()
    stdin = secret("access") if "--token" in words else PROMPT
    ran = await asyncio.to_thread(gatewayctl, *words, stdin=stdin.encode())
    return f"{ran.out}\n{ran.err}".encode()


async def test_no_command_prints_a_secret_or_a_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them, in text and in JSON, with and without a daemon to ask."""
    found: list[str] = []
    async with FakeUpstream(choose=echo) as upstream:
        planted = plant(tmp_path, upstream.base_url)
        for name, value in planted.environ.items():
            monkeypatch.setenv(name, value)
        env = environment(planted.home, **planted.environ)
        options = ("--config", str(planted.config), "--log-level", "debug")
        with daemon(*options, env=env) as running:
            request = await _requested(running.url, {"authorization": f"Bearer {secret('env')}x"})
            for words in _arguments(planted, running.url, request):
                told = await _told(words, env, planted.home)
                assert b"Traceback" not in told, told.decode()
                found += (f"{' '.join(words)}: {each}" for each in traces(told))
        found += (f"log: {each}" for each in traces("".join(running.log).encode()))
    assert not found, "\n".join(found)


async def test_the_keys_of_clients_and_of_the_operator_come_to_light_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key is printed when it is made, and is in no log, no other output and no file after."""
    async with FakeUpstream(choose=echo) as upstream:
        planted = plant(tmp_path, upstream.base_url)
        for name, value in planted.environ.items():
            monkeypatch.setenv(name, value)
        made = await asyncio.to_thread(gatewayctl, "keys", "create", "one", "--json")
        key = next(iter(re.findall(r"gwk-[\w-]{43}", made.out)))
        env = environment(planted.home, **planted.environ)
        options = ("--config", str(planted.config), "--log-level", "debug")
        texts = []
        with daemon(*options, env=env) as running:
            for header in ("x-gatewayctl-key", "authorization", "x-api-key", "x-goog-api-key"):
                value = f"Bearer {key}" if header == "authorization" else key
                await _requested(running.url, {header: value})
            operator = (planted.state / "operator.key").read_text().strip()
            for words in (
                ("keys", "list"), ("keys", "list", "--json"),
                ("status", "--url", running.url), ("status", "--url", running.url, "--json"),
                ("quota", "--url", running.url, "--json"), ("usage", "--by", "key", "--json"),
                ("log", "--json"), ("keys", "revoke", "one"),
            ):  # fmt: skip
                ran = await asyncio.to_thread(gatewayctl, *words)
                assert "Traceback" not in ran.err
                texts.append(ran.out + ran.err)
            await asyncio.to_thread(running.stop)
        texts.append("".join(running.log))
        sent = b"".join(each.head + each.body for each in upstream.requests)
        kept = [path for path in planted.kept() if path.name != "operator.key"]
        texts += (path.read_bytes().decode(errors="replace") for path in kept)
    for text in (*texts, sent.decode()):
        assert key not in text
        assert key[4:] not in text
        assert operator not in text


async def test_a_login_that_fails_gives_nothing_away(tmp_path: Path) -> None:
    """Neither the code nor the verifier that were sent, though the token server repeats them."""
    async with FakeUpstream(choose=echo) as upstream:
        planted = plant(tmp_path, upstream.base_url)
        env = environment(planted.home, **planted.environ)
        words = ["auth", "login", "oauth", "--no-browser", "--config", str(planted.config)]
        out = await asyncio.to_thread(_log_in, words, env)
        assert len(upstream.requests) == 1
        sent = parse_qs(upstream.requests[0].body.decode()) or {}
        if not sent:
            sent = {k: [v] for k, v in json.loads(upstream.requests[0].body).items()}
    assert sent["code"] == ["canary-code"]
    (verifier,) = sent["code_verifier"]
    assert verifier not in out
    assert "canary" not in out
    kept = b"".join(path.read_bytes() for path in planted.kept())
    assert verifier.encode() not in kept
    assert b"canary-code" not in kept


def _log_in(words: list[str], env: Mapping[str, str]) -> str:
    """Run a login, be the browser that comes back with a code, and return what was printed."""
    argv = [sys.executable, "-m", "gatewayctl", *words]
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(env),
    ) as login:
        assert login.stdout is not None
        said = []
        for line in login.stdout:
            said.append(line)
            page = re.search(r"http://\S+/authorize\?\S+", line)
            if page is not None:
                query = parse_qs(urlsplit(page[0]).query)
                back = f"{query['redirect_uri'][0]}?code=canary-code&state={query['state'][0]}"
                with contextlib.suppress(urllib.error.HTTPError):
                    urllib.request.urlopen(back, timeout=20).close()
        return "".join(said)
