"""A config that is wrong in the very line that holds a secret: what is told is not the secret."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.planted import plant, traces
from support.terminal import gatewayctl

EVERY = 1 if "GATEWAYCTL_SOAK" in os.environ else 3
"""Of so many mistakes one is made: each of them in some of the lines."""

COMMANDS = (
    ("config", "validate"),
    ("config", "validate", "--json"),
)
SLOWER = (
    ("config", "show"),
    ("config", "show", "--json"),
    ("models", "list"),
    ("serve", "--port", "0"),
    ("status",),
    ("auth", "list"),
    ("env", "openai"),
    ("quota",),
)


def broken(line: str) -> Iterator[str]:
    """Yield a line of a config with a mistake of syntax or spelling in it, of many kinds."""
    key, _, value = line.partition(" = ")
    yield line[:-1]  # a quote or a brace is missing
    yield line.replace('"', "", 1)
    yield line.replace('"', "'", 1)
    yield line + " more"
    yield f"{line}\n{line}"  # twice
    yield f"{key} {value}"  # no equals sign
    yield f"{key}: {value}"
    yield f"{key}x = {value}"
    yield f"{key[:-1]} = {value}"
    yield f"{key} = [[{value}]]"
    yield f"{key} = {{ value = {value} }}"
    yield f"{key} = {{ file = 5, plain = {value} }}"
    yield f"{key} = {value}\n{key}.more = {value}"
    yield line.replace("http://", "htp://", 1)
    yield line.replace("@", "@@ ", 1)
    yield line.replace("canary", "canary\\q", 1)
    yield line.replace("canary", "canary\u0007", 1)
    yield line.replace("127.0.0.1", "nowhere.test:99999", 1)


def misplaced(line: str) -> Iterator[str]:
    """Yield a line whose secret stands where something else belongs."""
    _, _, value = line.partition(" = ")
    for key in ("timeouts", "kind", "auth", "max_concurrency", "base_url", "proxy", "headers"):
        yield f"{key} = {value}"
    for key in ("credential", "oauth", "clients", "protocols", "api_key"):
        yield f"{key} = [{value}]"
    yield f"api_key = {{ env = {value} }}"
    yield f"flags = {{ {value} = true }}" if value.startswith('"') else f"flags = {value}"
    yield f"[{value}]"
    yield value


def wrong(text: str, mistakes: Callable[[str], Iterator[str]]) -> Iterator[tuple[int, int, str]]:
    """Yield a config with each mistake in each line that holds something planted.

    Before it stand the numbers of the line, among those, and of the mistake.
    """
    lines = text.split("\n")
    planted = [number for number, line in enumerate(lines) if "canary" in line]
    for at, number in enumerate(planted):
        for kind, mutated in enumerate(mistakes(lines[number])):
            if mutated != lines[number]:
                yield at, kind, "\n".join((*lines[:number], mutated, *lines[number + 1 :]))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Plant a config, and make it the one that commands find."""
    planted = plant(tmp_path, "http://127.0.0.1:9")
    for name, value in planted.environ.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def leaks(config: Path, command: tuple[str, ...]) -> list[str]:
    """Run a command with a config; return what it gives away."""
    ran = gatewayctl(*command, "--config", str(config))
    return traces(f"{ran.out}\n{ran.err}".encode())


@pytest.mark.soak
@pytest.mark.parametrize(
    ("mistakes", "form"), [(broken, "sk-canary"), (broken, "canary"), (misplaced, "sk-canary")]
)
def test_no_mistake_in_a_config_brings_a_secret_to_light(
    home: Path, mistakes: Callable[[str], Iterator[str]], form: str
) -> None:
    """Mistakes of syntax, of type, of place and of spelling, in text and in JSON.

    A secret in a wrong place is known for one only by its usual form.
    """
    config = home / "config.toml"
    right = config.read_text().replace("sk-canary", form)
    right = right.replace("/canary-sourcepath", "/sourcepath")  # a path is a path
    found = {}
    for at, kind, text in wrong(right, mistakes):
        turn, left = divmod(at + kind, EVERY)
        if left:
            continue
        config.write_text(text)
        for command in COMMANDS if EVERY == 1 else (COMMANDS[turn % 2],):
            if told := leaks(config, command):
                found[f"{' '.join(command)} {at} {kind}"] = told[0]
    assert not found, "\n".join(f"{where}: {told}" for where, told in found.items())


@pytest.mark.parametrize("command", SLOWER, ids=" ".join)
def test_whichever_command_reads_it(home: Path, command: tuple[str, ...]) -> None:
    """Every command reads the config by the same way, and tells its mistakes in the same words."""
    config = home / "config.toml"
    right = config.read_text()
    few = [text for at, kind, text in wrong(right, broken) if (at + 2 * kind) % 31 == 0]
    for text in few:
        config.write_text(text)
        ran = gatewayctl("config", "validate", "--config", str(config))
        if command[0] != "serve" or ran.status:
            assert not leaks(config, command), command
