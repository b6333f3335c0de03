"""Genuine agents and SDKs whose only key is one of the gateway's, led by ``gatewayctl env``.

The setting is ``translated``'s with a price for its model and a daemon that asks for keys. What a
program does with a refusal is the tests' business.
"""

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
from support.processes import Finished, run
from support.translated import (
    LONGEST_RUN,
    ROOT,
    ROUTE,
    Translating,
    translating,
)

READ: Final = 3
CACHED: Final = 0.3
WRITTEN: Final = 15
"""USD per million tokens."""

_PRICED: Final = f"""
[model_defaults]
prices = {{ input = {READ}, input_cache_read = {CACHED}, output = {WRITTEN} }}
"""

_TWICE: Final = "for _ in range(2): print(ask(), flush=True)"
_OPENAI: Final = f"""
import openai
client = openai.OpenAI()
hello = [{{"role": "user", "content": "Hello!"}}]
def ask():
    reply = client.chat.completions.create(model="{ROUTE}", messages=hello)
    return reply.choices[0].message.content
{_TWICE}
"""
_ANTHROPIC: Final = f"""
import anthropic
client = anthropic.Anthropic()
hello = [{{"role": "user", "content": "Hello!"}}]
def ask():
    reply = client.messages.create(model="{ROUTE}", max_tokens=99, messages=hello)
    return reply.content[0].text
{_TWICE}
"""
_GENAI: Final = f"""
from google import genai
client = genai.Client()
def ask():
    return client.models.generate_content(model="{ROUTE}", contents="Hello!").text
{_TWICE}
"""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program that makes two requests where nothing is in its way.

    ``tool`` is what ``gatewayctl env`` calls it, ``variable`` that of its key, ``speaks`` its
    protocol, ``path`` a part of where it asks. An SDK's ``script`` is run by this Python.
    """

    tool: str
    variable: str
    speaks: str
    path: bytes
    script: str = ""


PROGRAMS: Final = {
    "claude": Program(
        tool="claude", variable="ANTHROPIC_AUTH_TOKEN", speaks="messages", path=b"/messages"
    ),
    "codex": Program(
        tool="codex", variable="GATEWAYCTL_KEY", speaks="responses", path=b"/responses"
    ),
    "gemini": Program(
        tool="gemini", variable="GEMINI_API_KEY", speaks="gemini", path=b":streamGenerateContent"
    ),
    "openai": Program(
        tool="openai",
        variable="OPENAI_API_KEY",
        speaks="chat_completions",
        path=b"/chat/completions",
        script=_OPENAI,
    ),
    "anthropic": Program(
        tool="claude",
        variable="ANTHROPIC_API_KEY",
        speaks="messages",
        path=b"/messages",
        script=_ANTHROPIC,
    ),
    "genai": Program(
        tool="gemini",
        variable="GEMINI_API_KEY",
        speaks="gemini",
        path=b":generateContent",
        script=_GENAI,
    ),
}
"""By name: three agents, which use a tool once, and three SDKs."""


class Keyed(msgspec.Struct, frozen=True, kw_only=True):
    """A running gateway that asks for keys; ``folder`` is the home of its daemon."""

    running: Translating
    folder: Path

    async def ctl(self, *words: str) -> str:
        """Return what ``gatewayctl WORDS`` prints beside the daemon."""
        return await ctl(self.folder, *words)

    async def run(self, name: str, installed: Path | None, key: str) -> Finished:
        """Run a program to its end, with ``key`` where its own would be."""
        program = PROGRAMS[name]
        variable = f"{program.variable}={key}"
        command: list[str | Path]
        match name:
            case "claude":
                assert installed is not None
                command = [installed, "-p", "run", "--output-format", "stream-json", "--verbose"]
                command += ["--allowedTools", "Bash(echo:*)"]
            case "codex":
                assert installed is not None
                await self.running.equip_codex()
                command = [installed, "exec", "--profile", "gatewayctl", "--json"]
                command += ["--skip-git-repo-check", "run"]
                return await self.running.plain(["env", variable, *command])
            case "gemini":
                assert installed is not None
                await self.running.equip_gemini()
                command = ["node", installed, "-p", "run", "--yolo", "--skip-trust"]
                command += ["--output-format", "json"]
            case _:
                command = [sys.executable, "-c", program.script]
        return await self.running.run(
            program.tool, ["env", variable, *command], CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1"
        )

    async def asked(self, name: str) -> int:
        """Return how many requests for an answer have come to the gateway at a program's path."""
        path = PROGRAMS[name].path
        requests = await self.running.setting.tap.requests()
        targets = [each.target.partition("?")[0].encode() for each in requests]
        return sum(target.endswith(path) for target in targets)


@contextlib.asynccontextmanager
async def keyed(protocol: str, folder: Path, **keys: str) -> AsyncIterator[tuple[Keyed, list[str]]]:
    """Run a gateway before an upstream of a protocol; return it with the secrets of ``keys``.

    They are given by name, each with its budget or nothing.
    """
    made = []
    for name, budget in keys.items():
        terms = ["--budget", budget] if budget else []
        made.append((await ctl(folder, "keys", "create", name, *terms)).strip())
    async with translating(protocol, folder, more=_PRICED) as running:
        # the command that prints an environment looks for keys where the daemon does
        (running.setting.home / ".local").symlink_to(folder / ".local")
        yield Keyed(running=running, folder=folder), made


async def ctl(folder: Path, *words: str) -> str:
    """Return what ``gatewayctl WORDS`` prints for whom ``folder`` is the home."""
    command = [sys.executable, "-m", "gatewayctl", *words]
    env = {"PATH": "", "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    done = await run(command, env=env, cwd=folder, seconds=LONGEST_RUN)
    assert done.status == 0, done.stderr
    return done.stdout


async def used(folder: Path, by: str) -> dict[str, Any]:
    """Return the rows of ``gatewayctl usage --by BY`` by their keys."""
    document = msgspec.json.decode(await ctl(folder, "usage", "--by", by, "--json"))
    return {row["key"]: row for row in document["rows"]}
