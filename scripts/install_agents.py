"""Install the genuine agents and upstreams that ``make agents`` drives.

``python scripts/install_agents.py [NAME …]`` installs what is missing (default: all) and prints
where each program is, one line each: ``claude``, ``codex``, ``gemini`` (a script for node), and
``conformance`` (llm-comply), ``faulty-upstream`` (llmock) and ``model-server``, whose program is
the Python that has it. Versions are pinned here and in the lock files of these names in
``requirements/``.

They go to ``$GATEWAYCTL_AGENTS``, else ``gatewayctl-agents`` in the user's cache folder, each in
one folder named for its version: delete it to install anew. Exit status: 0 all are there, 1 an
installation failed, 3 this machine lacks what one needs (npm, a C++ compiler, a network).
"""

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

_REQUIREMENTS: Final = Path(__file__).resolve().parent.parent / "requirements"
MISSING: Final = 3
"""Exit status when this machine lacks what an installation needs."""

_CLAUDE_CODE: Final = "2.1.197"
_CODEX: Final = "0.169.0"
_GEMINI_CLI: Final = "0.61.0"
_NPM_SECONDS: Final = 240
_PIP_SECONDS: Final = (
    600  # two thirds of it are a reserve: compiling takes two minutes on two cores
)

# The model is tiny and runs once: what counts is how long the compiler takes.
_CMAKE_ARGS: Final = (
    "-DLLAVA_BUILD=OFF -DGGML_NATIVE=OFF -DCMAKE_CXX_FLAGS_RELEASE=-O0 -DCMAKE_C_FLAGS_RELEASE=-O1"
)


# What npm and pip say when it is the network's fault, and not ours or the package's.
_OUT_OF_REACH: Final = re.compile(
    r"\b(ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ERR_SOCKET_TIMEOUT|EIDLETIMEOUT)\b"
    r"|self-signed certificate|NewConnectionError|ReadTimeoutError|CERTIFICATE_VERIFY_FAILED"
)
_TRIES: Final = 3


class Failed(Exception):
    """An installation failed; the message ends with what the installer said."""


class OutOfReach(Failed):
    """The registry cannot be reached from here, however often it is tried."""


class Agent(NamedTuple):
    """One program: its folder's name, what it needs, how it is installed, where it then is.

    ``needs`` is any one of some commands, empty when Python is enough; ``program`` is a pattern
    below the folder.
    """

    folder: str
    needs: tuple[str, ...]
    install: Callable[[Path], None]
    program: str


def agents() -> Mapping[str, Agent]:
    """Return every program by name."""
    binary = f"@anthropic-ai/claude-code-{_npm_platform()}"
    return {
        "claude": Agent(
            f"claude-code-{_CLAUDE_CODE}",
            ("npm",),
            lambda folder: _npm(folder, f"{binary}@{_CLAUDE_CODE}"),
            f"node_modules/{binary}/claude",
        ),
        "codex": Agent(
            f"codex-{_CODEX}",
            ("npm",),
            lambda folder: _npm(folder, f"@openai/codex@{_CODEX}"),
            "node_modules/@openai/codex-*/vendor/*/bin/codex",
        ),
        "conformance": _locked("llm-comply", "conformance", ()),
        "gemini": Agent(
            f"gemini-cli-{_GEMINI_CLI}",
            ("npm",),
            lambda folder: _npm(folder, f"@google/gemini-cli@{_GEMINI_CLI}"),
            "node_modules/@google/gemini-cli/bundle/gemini.js",
        ),
        "faulty-upstream": _locked("llmock", "faulty-upstream", ()),
        "model-server": _locked("llama-cpp-python", "model-server", ("c++", "g++", "clang++")),
    }


def _locked(package: str, name: str, needs: tuple[str, ...]) -> Agent:
    """Return a program that pip installs from a lock file; its folder changes with the lock."""
    file = _REQUIREMENTS / f"{name}.lock"
    lock = file.read_bytes()
    pinned = re.search(rf"^{package}==(\S+)".encode(), lock, flags=re.MULTILINE)
    assert pinned is not None, f"{file} does not pin {package}"  # noqa: S101 - ours
    key = f"{sys.implementation.cache_tag}-{hashlib.sha256(lock).hexdigest()[:8]}"
    folder = f"{package}-{pinned[1].decode()}-{key}"
    return Agent(folder, needs, lambda made: _pip(made, file), "bin/python")


def cache() -> Path:
    """Return the folder that holds the installations."""
    if chosen := os.environ.get("GATEWAYCTL_AGENTS"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gatewayctl-agents"


def installed(agent: Agent) -> Path | None:
    """Return where the program is, None when it is not there."""
    return next((it for it in (cache() / agent.folder).glob(agent.program) if it.exists()), None)


def install(agent: Agent) -> Path:
    """Install a program and return where it is; raise ``Failed``.

    It is made in a folder of its own and moved into place when it is whole, so that an
    interrupted installation leaves nothing that looks finished.
    """
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache(), ignore_cleanup_errors=True) as temporary:
        made = Path(temporary) / agent.folder
        made.mkdir()
        agent.install(made)
        target = cache() / agent.folder
        if target.exists() and installed(agent) is None:
            shutil.rmtree(target)
        try:
            made.rename(target)
        except OSError:
            if installed(agent) is None:  # otherwise someone else was faster
                raise
    found = installed(agent)
    if found is None:
        raise Failed(f"{agent.program} is not in {target} although its installer succeeded")
    return found


def _npm(folder: Path, package: str) -> None:
    """Install one exact version; no script of a package is run."""
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    _run(["npm", "install", *options, "--prefix", str(folder), package], {}, _NPM_SECONDS)


def _pip(folder: Path, lock: Path) -> None:
    """Install what a lock file names into an environment of its own.

    It is moved afterwards, which its Python survives and the scripts beside it do not.
    """
    _run([sys.executable, "-m", "venv", str(folder)], {}, _NPM_SECONDS)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--require-hashes"]
    _run([*pip, "-r", str(lock)], {"CMAKE_ARGS": _CMAKE_ARGS}, _PIP_SECONDS)


def _npm_platform() -> str:
    machine = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64"}
    return f"{sys.platform}-{machine.get(platform.machine(), platform.machine())}"


def _run(command: Sequence[str], env: Mapping[str, str], seconds: float) -> None:
    """Run an installer, again where the network failed it."""
    for left in reversed(range(_TRIES)):
        try:
            return _run_once(command, env, seconds)
        except OutOfReach:
            if not left:
                raise
    return None


def _run_once(command: Sequence[str], env: Mapping[str, str], seconds: float) -> None:
    try:
        subprocess.run(  # noqa: S603 - npm and pip, with versions pinned above
            command,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{command[0]} took longer than {seconds:.0f} s") from error
    except subprocess.CalledProcessError as error:
        kind = OutOfReach if _OUT_OF_REACH.search(error.stdout) else Failed
        raise kind(f"{command[0]} failed:\n{error.stdout[-4000:]}") from error


def _provide(name: str, agent: Agent) -> int:
    """Install one program unless it is there, say where it is, and return an exit status."""
    program = installed(agent)
    lacks = agent.needs and not any(shutil.which(command) for command in agent.needs)
    if program is None and lacks:
        print(f"{name} needs {' or '.join(agent.needs)}, which is not here", file=sys.stderr)
        return MISSING
    try:
        if program is None:
            print(f"Installing {agent.folder} into {cache()} …", file=sys.stderr)
            program = install(agent)
    except Failed as error:
        print(f"{name} could not be installed: {error}", file=sys.stderr)
        return MISSING if isinstance(error, OutOfReach) else 1
    print(program)
    return 0


def main() -> int:
    """Run the command line."""
    known = agents()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    names: list[str] = parser.parse_args().names or list(known)
    if unknown := set(names) - known.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    outcomes = {_provide(name, known[name]) for name in names}
    return 1 if 1 in outcomes else max(outcomes)


if __name__ == "__main__":
    sys.exit(main())
