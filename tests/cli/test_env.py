"""``gatewayctl env``: what each tool is told, as shells and programs read it."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from support.terminal import Ran, gatewayctl, on_terminal

from gatewayctl.storage.client_keys import Terms, create

CONFIG = """
[server]
port = 9123
[providers.local]
kind = "openai-compatible"
base_url = "http://127.0.0.1:11434/v1"
overflow = "truncates"
[providers.other]
kind = "openai-compatible"
base_url = "http://127.0.0.1:11435/v1"
api_key = { env = "OTHER_KEY" }
[[models]]
id = "local/small"
context_window = 40_000
[[models]]
id = "other/large"
context_window = 400_000
max_output_tokens = 20_000
[[models]]
id = "other/unknown"
"""
ROUTES = """
[[cascades]]
id = "coding"
steps = [{ model = "local/small" }, { model = "other/large" }]
[[cascades]]
id = "second"
steps = [{ model = "local/small" }]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a config with two routes."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG + ROUTES)
    return path


def env(config: Path, *argv: str) -> Ran:
    """Run the command with a config."""
    return gatewayctl("env", *argv, "--config", str(config))


def told(config: Path, *argv: str) -> dict[str, Any]:
    """Return what it prints as JSON."""
    ran = env(config, *argv, "--json")
    assert ran.status == 0, ran.err
    document: dict[str, Any] = json.loads(ran.out)
    assert document["schema_version"] == 1
    return document


def test_claude_code_gets_every_tier_and_its_window(config: Path) -> None:
    """All that it would ask Anthropic for is asked here; what it may write is the model's limit."""
    variables = told(config, "claude")["variables"]
    assert variables == {
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:9123",
        "ANTHROPIC_AUTH_TOKEN": "gatewayctl",
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
        "ANTHROPIC_MODEL": "coding",
        "ANTHROPIC_DEFAULT_OPUS_MODEL": "coding",
        "ANTHROPIC_DEFAULT_SONNET_MODEL": "coding",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "coding",
        "ANTHROPIC_DEFAULT_FABLE_MODEL": "coding",
        "ANTHROPIC_SMALL_FAST_MODEL": "coding",
        "CLAUDE_CODE_SUBAGENT_MODEL": "coding",
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "400000",
        "CLAUDE_CODE_AUTO_COMPACT_WINDOW": "400000",
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "20000",
    }


def test_claude_codes_minor_tasks_may_go_elsewhere(config: Path) -> None:
    """The smallest tier is theirs as well."""
    variables = told(config, "claude", "--small-model", "local/small")["variables"]
    small = {name for name, value in variables.items() if value == "local/small"}
    assert small == {"ANTHROPIC_DEFAULT_HAIKU_MODEL", "ANTHROPIC_SMALL_FAST_MODEL"}
    assert env(config, "claude", "--small-model", "none").status == 1
    assert env(config, "codex", "--small-model", "local/small").status == 2


def test_the_shell_evaluates_it_whatever_else_is_said(config: Path) -> None:
    """``eval "$(gatewayctl env claude)"``: only assignments on standard output, even unquoted."""
    command = f"{sys.executable} -m gatewayctl env claude --config {config} --shell sh"
    for quoted in (f'eval "$({command})"', f"eval $({command})"):
        script = f"{quoted}; printenv ANTHROPIC_BASE_URL CLAUDE_CODE_SUBAGENT_MODEL"
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout == "http://127.0.0.1:9123\ncoding\n"
        assert "the first route of the config" in done.stderr


def test_codex_gets_a_config_that_has_it_compact_before_it_is_refused(config: Path) -> None:
    """The window is the ceiling without the output that it never names; the limit is below."""
    ran = env(config, "codex")
    found = tomllib.loads(ran.out)
    assert found["model"] == "coding"
    assert found["model_context_window"] == 400_000 - 4096
    assert found["model_auto_compact_token_limit"] == (400_000 - 4096) * 9 // 10
    provider = found["model_providers"][found["model_provider"]]
    assert provider == {
        "name": "gatewayctl",
        "base_url": "http://127.0.0.1:9123/v1",
        "wire_api": "responses",
    }
    assert told(config, "codex")["file"]["text"] == ran.out


def test_what_may_be_cut_without_a_word_is_compacted_earlier(config: Path) -> None:
    """There only what surely fits is sent, so that the tool's own count has to leave room."""
    codex = tomllib.loads(env(config, "codex", "-m", "local/small").out)
    assert codex["model_context_window"] == 40_000 - 4096
    assert codex["model_auto_compact_token_limit"] == (40_000 - 4096) * 3 // 4
    claude = told(config, "claude", "-m", "local/small")
    assert claude["variables"]["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] == "10000"
    assert int(claude["variables"]["CLAUDE_CODE_MAX_CONTEXT_TOKENS"]) <= 40_000
    assert any("are little" in hint for hint in claude["hints"])


def test_gemini_cli_gets_its_variables_and_the_settings_it_needs(config: Path) -> None:
    """It takes every window for 1,048,576 tokens, so its share of that is what can be set."""
    document = told(config, "gemini")
    assert document["variables"] == {
        "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9123",
        "GEMINI_API_KEY": "gatewayctl",
        "GEMINI_MODEL": "coding",
    }
    settings = json.loads(document["file"]["text"])
    assert settings["security"]["auth"]["selectedType"] == "gemini-api-key"
    assert settings["model"]["compressionThreshold"] * 1_048_576 <= 200_000
    assert "compressionThreshold" in env(config, "gemini").err
    assert 'an alias "gemini-*"' in env(config, "gemini").err
    config.write_text(CONFIG + ROUTES + '[aliases]\n"gemini-*" = "coding"')
    assert 'an alias "gemini-*"' not in env(config, "gemini").err
    assert env(config, "gemini", "--file").out == document["file"]["text"]
    assert env(config, "codex", "--file").out == env(config, "codex").out
    assert env(config, "claude", "--file").status == 2


def test_openais_variables_stand_for_every_other_tool(config: Path) -> None:
    """The base URL has the version in it, as the SDKs want it."""
    assert told(config, "openai", "--model", "other/large")["variables"] == {
        "OPENAI_BASE_URL": "http://127.0.0.1:9123/v1",
        "OPENAI_API_KEY": "gatewayctl",
        "OPENAI_MODEL": "other/large",
    }


@pytest.mark.parametrize("tool", ["claude", "codex", "gemini", "openai"])
def test_no_secret_of_a_provider_is_ever_printed(
    config: Path, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in what is evaluated nor in a hint."""
    for name in ("OTHER_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "sk-secret-0001")
    for ran in (env(config, tool), env(config, tool, "--json")):
        assert "sk-secret" not in ran.out + ran.err


def test_a_key_variable_that_is_in_use_is_not_replaced_silently(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that is started in the same shell would take the placeholder for a key."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0001")
    assert "this replaces OPENAI_API_KEY" in env(config, "openai").err


@pytest.mark.parametrize("tool", ["claude", "codex", "openai"])
def test_a_forwarded_credential_is_left_alone(tmp_path: Path, tool: str) -> None:
    """Where a provider is sent the client's own, a placeholder would be sent instead."""
    path = tmp_path / "config.toml"
    path.write_text("""
[providers.own]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
auth = "forward"
protocols = ["messages", "responses", "chat_completions"]
[[models]]
id = "own/m"
context_window = 100_000
""")
    document = told(path, tool, "-m", "own/m")
    assert not [name for name in document["variables"] if name.endswith(("_KEY", "_TOKEN"))]
    assert any("tool's own credential" in hint for hint in document["hints"])
    if tool == "codex":
        found = tomllib.loads(document["file"]["text"])
        assert found["model_providers"]["gatewayctl"]["requires_openai_auth"] is True


MAKERS = """
[providers.one]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
auth = "none"
[[models]]
id = "one/gpt-7"
context_window = 9000
"""
"""A model of a maker's, under a name that no table knows yet."""


@pytest.mark.parametrize(
    ("config", "tool", "model", "why"),
    [
        (ROUTES + '[aliases]\n"claude-*" = "second"', "claude", "second", "the alias claude-*"),
        (ROUTES + '[aliases]\n"claude-*" = "second"', "codex", "coding", "the first route"),
        ("", "claude", "local/small", "the first model of the config"),
        (MAKERS, "codex", "one/gpt-7", "the first gpt model of the config"),
        (MAKERS, "gemini", "local/small", "the first model of the config"),
    ],
)
def test_without_a_model_one_is_chosen_and_the_choice_is_explained(
    tmp_path: Path, config: str, tool: str, model: str, why: str
) -> None:
    """An alias for the tool's own names, else the first route, else the first model."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG + config)
    document = told(path, tool)
    assert document["model"] == model
    assert why in document["why"]
    assert why in env(path, tool).err


def test_a_tools_own_names_stay_where_a_provider_knows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Anthropic's key Claude Code goes on asking for the models that it knows."""
    path = tmp_path / "config.toml"
    path.write_text("")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret-0001")
    document = told(path, "claude")
    assert document["model"] is None
    assert not [name for name in document["variables"] if name.endswith("_MODEL")]
    assert "asks for its own" in env(path, "claude").err


def test_an_unknown_window_is_not_made_up(config: Path) -> None:
    """The tool is told none, and its user is told so."""
    assert "CLAUDE_CODE_AUTO_COMPACT_WINDOW" not in env(config, "claude", "-m", "other/unknown").out
    assert "window is unknown" in env(config, "claude", "-m", "other/unknown").err
    assert "model_context_window" not in env(config, "codex", "-m", "other/unknown").out


def test_a_name_that_means_nothing_is_refused_with_the_nearest(config: Path) -> None:
    """Nothing is printed that could be evaluated."""
    ran = env(config, "claude", "--model", "codign")
    assert (ran.status, ran.out) == (1, "")
    assert "did you mean coding" in ran.err


def test_the_gateway_may_be_somewhere_else(config: Path) -> None:
    """A URL with or without the version that tools add; one that is none is refused."""
    for url in ("http://host.docker.internal:9/", "http://host.docker.internal:9/v1"):
        assert told(config, "claude", "--url", url)["base_url"] == "http://host.docker.internal:9"
    for url in ("host:9", "http://[", "ftp://host", "http://host:99999"):
        assert env(config, "claude", "--url", url).status == 2


def test_hints_can_be_left_out(config: Path) -> None:
    """``--quiet`` leaves standard error empty and changes nothing else."""
    quiet = env(config, "gemini", "--quiet")
    assert quiet.err == ""
    assert quiet.out == env(config, "gemini").out


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_person_is_told_how_to_apply_it(config: Path) -> None:
    """On a terminal the line to type is said, in the shell's own words."""
    drawn = on_terminal(
        "env",
        "claude",
        "--config",
        str(config),
        "--shell",
        "fish",
        columns=200,
        HOME=str(config.parent),
    )
    assert "to apply it: gatewayctl env claude | source" in drawn
    drawn = on_terminal(
        "env", "codex", "--config", str(config), columns=200, HOME=str(config.parent)
    )
    assert "codex --profile gatewayctl" in drawn


def test_it_loads_no_http_server(config: Path) -> None:
    """It is run whenever a shell starts: the daemon's stack stays out."""
    probe = (
        "import sys; from gatewayctl.cli.main import main\n"
        f"sys.argv = ['gatewayctl', 'env', 'claude', '--config', {str(config)!r}]\n"
        "main_ = main\n"
        "try:\n    main_()\nexcept SystemExit:\n    sys.stdout.flush()\n"
        "assert 'aiohttp' not in sys.modules and 'rich' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True)


@pytest.fixture(params=["config", "state"])
def asking_for_keys(request: pytest.FixtureRequest, config: Path, folder: Path) -> Path:
    """Return a config whose gateway asks for keys: one of the file's own, or one that was made."""
    if request.param == "state":
        create(folder, "ci", Terms(), 0.0)
    else:
        keys = f'keys = ["sha256:{"0" * 64}"]'
        config.write_text(config.read_text().replace("[server]", f"[server]\n{keys}"))
    return config


@pytest.mark.parametrize(
    ("tool", "variable"),
    [
        ("claude", "ANTHROPIC_AUTH_TOKEN"),
        ("gemini", "GEMINI_API_KEY"),
        ("openai", "OPENAI_API_KEY"),
    ],
)
def test_where_keys_are_asked_for_no_placeholder_is_set(
    asking_for_keys: Path, tool: str, variable: str
) -> None:
    """Nobody but the client has its key: what is said is where to put it, and how to get one."""
    found = told(asking_for_keys, tool)
    assert variable not in found["variables"]
    (hint,) = (each for each in found["hints"] if "client key" in each)
    assert "gatewayctl keys create" in hint
    assert variable in hint


def test_codex_reads_a_client_key_from_a_variable(asking_for_keys: Path) -> None:
    """Its own config names the variable, which holds the key and no file does."""
    found = told(asking_for_keys, "codex")
    provider = tomllib.loads(found["file"]["text"])["model_providers"]["gatewayctl"]
    assert provider["env_key"] == "GATEWAYCTL_KEY"
    assert any("GATEWAYCTL_KEY" in each for each in found["hints"])


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ("claude", 'ANTHROPIC_CUSTOM_HEADERS="x-gatewayctl-key: KEY"'),
        ("codex", "GATEWAYCTL_KEY"),
        ("gemini", 'GEMINI_CLI_CUSTOM_HEADERS="x-gatewayctl-key: KEY"'),
        ("openai", "default headers"),
    ],
)
def test_beside_a_forwarded_credential_the_key_has_a_header_of_its_own(
    asking_for_keys: Path, tool: str, said: str
) -> None:
    """Both are needed then: the provider's in its usual place, the gateway's in its own."""
    base = 'base_url = "http://127.0.0.1:11434/v1"'
    spoken = 'protocols = ["chat_completions", "responses", "messages", "gemini"]'
    forwarding = f'{base}\nauth = "forward"\n{spoken}'
    asking_for_keys.write_text(asking_for_keys.read_text().replace(base, forwarding))
    found = told(asking_for_keys, tool)
    (hint,) = (each for each in found["hints"] if "client key" in each)
    assert "x-gatewayctl-key" in hint
    assert said in hint
    if tool == "codex":
        provider = tomllib.loads(found["file"]["text"])["model_providers"]["gatewayctl"]
        assert provider["env_http_headers"] == {"x-gatewayctl-key": "GATEWAYCTL_KEY"}
        assert "env_key" not in provider
