"""Score the simulator and the gateway in front of it with llm-comply, into ``docs/conformance.md``.

The simulator is scored first, in each of the four formats; then ``serve`` in front of it, which has
a provider for each upstream protocol: each format at each of them. ``--check`` writes nothing, and
fails where the table is not up to date; where llm-comply can be had nowhere, it says so and passes.

Exit status: 1 when the gateway loses a test that the upstream passes in the client's own format, or
when the simulator itself loses one.
"""

import argparse
import asyncio
import contextlib
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import install_agents
import msgspec
from generated import ROOT

from gatewayctl import simulator as simulators
from gatewayctl.simulator import SimModel

_TARGET: Final = ROOT / "docs" / "conformance.md"
_MODEL: Final = "gpt-5-claude-4"
"""llm-comply asks only models of such names to think."""

_PATIENCE: Final = 60
_ANTHROPIC: Final = ("--auth-header", "x-api-key", "--no-bearer", "-H")


_ID: Final = re.compile("[0-9a-f]{16,}")


class Format(NamedTuple):
    """One of llm-comply's formats: the protocol that it tests, and how it is called."""

    name: str
    protocol: str
    options: tuple[str, ...] = ()


FORMATS: Final = (
    Format("openai-chat", "chat_completions"),
    Format("open-responses", "responses"),
    Format("anthropic", "messages", (*_ANTHROPIC, "anthropic-version:2023-06-01")),
    Format("google-genai", "gemini", ("--auth-header", "x-goog-api-key", "--no-bearer")),
)
UPSTREAMS: Final = tuple(one.protocol for one in FORMATS)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How one test went; warnings do not fail it."""

    id: str
    status: str
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """All tests of a format at one address."""

    results: tuple[Verdict, ...]

    @property
    def passed(self) -> frozenset[str]:
        """The tests that passed."""
        return frozenset(it.id for it in self.results if it.status == "passed")

    @property
    def warned(self) -> frozenset[str]:
        """The tests that passed with a warning."""
        return frozenset(it.id for it in self.results if it.id in self.passed and it.warnings)


class Scores(NamedTuple):
    """What was scored: the simulator by format, the gateway by format and upstream protocol."""

    direct: Mapping[str, Run]
    through: Mapping[tuple[str, str], Run]


def losses(scores: Scores) -> list[str]:
    """Return a line for each test that fails: of the simulator, or of the gateway alone."""
    lost = [
        f"{one.name}, the simulator itself: {_told(verdict)}"
        for one in FORMATS
        for verdict in scores.direct[one.name].results
        if verdict.status == "failed"
    ]
    for (name, upstream), run in scores.through.items():
        wanted = scores.direct[name].passed
        lost += [
            f"{name} at {upstream}: {_told(verdict)}"
            for verdict in run.results
            if verdict.id in wanted - run.passed
        ]
    return lost


def remarks(scores: Scores) -> list[str]:
    """Return a line for each warning that the simulator does not get in the client's own format."""
    return [
        f"{name} at {upstream}: {verdict.id}: {'; '.join(verdict.warnings)}"
        for (name, upstream), run in scores.through.items()
        for verdict in run.results
        if verdict.id in run.warned - scores.direct[name].warned
    ]


def _told(verdict: Verdict) -> str:
    """Return a line without what differs from run to run: ids."""
    said = "; ".join(verdict.errors) or verdict.status
    return f"{verdict.id}: {_ID.sub('…', said)}"


def page(scores: Scores, version: str) -> str:
    """Return the document."""
    heads = ["client's format", "the simulator itself", *(f"`{name}`" for name in UPSTREAMS)]
    rows = [_row(heads), _row(["---"] * len(heads))]
    for one in FORMATS:
        runs = [scores.direct[one.name], *(scores.through[one.name, name] for name in UPSTREAMS)]
        rows.append(_row([f"{one.name} (`{one.protocol}`)", *map(_cell, runs)]))
    lost = [f"- {line}" for line in losses(scores)] or ["None."]
    remarked = [f"- {line}" for line in remarks(scores)] or ["None."]
    return "\n".join(
        [
            "# Conformance",
            "",
            f"Scores of llm-comply {version}, made by `make conformance`: tests passed of all.",
            "First the simulator is asked directly, then a gateway that has it for an upstream,",
            "over the protocol that heads the column.",
            "",
            *rows,
            "",
            "## Tests that are lost",
            "",
            "What the upstream passes in the client's own format, and the gateway does not:",
            "",
            *lost,
            "",
            "## Warnings",
            "",
            "What passes, but less well than the upstream does in the client's own format:",
            "",
            *remarked,
            "",
        ]
    )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(run: Run) -> str:
    return f"{len(run.passed)} of {len(run.results)}"


async def _scored(python: Path, one: Format, url: str, model: str) -> Run:
    """Run llm-comply in one format."""
    address = ["-u", f"{url}/v1", "-k", "sk-test", "-m", model]
    command = [str(python), "-m", "llm_comply.cli", "--json", "--format", one.name]
    process = await asyncio.create_subprocess_exec(
        *command, *address, *one.options, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(_PATIENCE):
        said, _ = await process.communicate()
    return msgspec.json.decode(said, type=Run)


def _config(url: str) -> str:
    """Return the config of a gateway that has the simulator once for each protocol."""
    lines = ['[registry]\nrefresh = "manual"\n']
    for protocol in UPSTREAMS:
        kind, base = ("gemini", "v1beta") if protocol == "gemini" else ("openai-compatible", "v1")
        lines.append(
            f'[providers.{protocol}]\nkind = "{kind}"\nbase_url = "{url}/{base}"\nauth = "none"\n'
            f'protocols = ["{protocol}"]\n'
            f'[[models]]\nid = "{protocol}/{_MODEL}"\ncontext_window = 131072\n'
            "max_output_tokens = 32768\n"
        )
    return "\n".join(lines)


@contextlib.asynccontextmanager
async def _serving(url: str, folder: Path) -> AsyncIterator[str]:
    """Run ``gatewayctl serve`` in front of the simulator; yield its address."""
    config = folder / "config.toml"
    config.write_text(_config(url), encoding="utf-8")
    command = [sys.executable, "-m", "gatewayctl", "serve", "--config", str(config), "--port", "0"]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        *command, env=env, cwd=folder, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None  # noqa: S101 - a pipe was asked for
    said = b""
    async with asyncio.timeout(_PATIENCE):
        while not (found := re.search(rb"listening on (http://[\d.]+:\d+)", said)):
            line = await process.stderr.readline()
            if not line:
                sys.exit(f"serve ended early: {said.decode()}")
            said += line
    draining = asyncio.create_task(process.stderr.read())
    try:
        yield found[1].decode()
    finally:
        process.terminate()
        async with asyncio.timeout(_PATIENCE):
            await process.wait()
            await draining


async def score(python: Path) -> Scores:
    """Score the simulator, then a gateway in front of it."""
    model = SimModel(id=_MODEL, window=131_072, max_output=32_768)
    simulator = await simulators.start(models=[model])
    try:
        direct = {
            one.name: await _scored(python, one, simulator.base_url, _MODEL) for one in FORMATS
        }
        through = {}
        with tempfile.TemporaryDirectory() as folder:
            async with _serving(simulator.base_url, Path(folder)) as url:
                for one in FORMATS:
                    for upstream in UPSTREAMS:
                        run = await _scored(python, one, url, f"{upstream}/{_MODEL}")
                        through[one.name, upstream] = run
    finally:
        await simulator.close()
    return Scores(direct=direct, through=through)


def _tester() -> tuple[Path, str]:
    """Return the Python that has llm-comply, installed if need be, and its version."""
    agent = install_agents.agents()["conformance"]
    python = install_agents.installed(agent) or install_agents.install(agent)
    return python, agent.folder.removeprefix("llm-comply-").partition("-")[0]


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    check = parser.parse_args().check
    try:
        python, version = _tester()
    except install_agents.OutOfReach as error:
        print(f"conformance was not scored: {error}", file=sys.stderr)
        return 0 if check else 1
    scores = asyncio.run(score(python))
    found = page(scores, version)
    lost = losses(scores)
    for line in (*lost, *(f"warning: {it}" for it in remarks(scores))):
        print(line)
    if not check:
        _TARGET.write_text(found, encoding="utf-8", newline="\n")
    elif not _TARGET.is_file() or _TARGET.read_text(encoding="utf-8") != found:
        print("out of date: docs/conformance.md; run: make conformance", file=sys.stderr)
        return 1
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
