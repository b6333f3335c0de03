"""``gatewayctl config`` as people run it: real files, a real server on loopback."""

import http.server
import json
import os
import stat
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.terminal import Ran, in_environment, on_terminal

BROKEN = """\
[server]
prot = 1

[[alloys]]
id = "a"
name = "A"
[[alloys.constituents]]
model = "openai/gpt-5.4-mini"
context_window = 128000
[[alloys.constituents]]
model = "gemini/gemini-2.5-flash"
"""
WARNED = '[aliases]\na = "openai/no-such-model-anywhere"\n'
SECRET = "planted-secret-4711"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return an empty home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def run(home: Path, *words: str, stdin: str | bytes = b"", **environ: str) -> Ran:
    """Run ``gatewayctl config`` with nothing of this machine's environment but the path."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    # Ollama's usual port may be in use here: a test that wants a server names its own
    environ = {**kept, "HOME": str(home), "OLLAMA_HOST": "127.0.0.1:1", **environ}
    data = stdin.encode() if isinstance(stdin, str) else stdin
    return in_environment(environ, "config", *words, stdin=data)


def written(home: Path, text: str, mode: int = 0o600) -> Path:
    """Write a config file into its usual place."""
    path = home / ".config" / "gatewayctl" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_validate_shows_each_problem_with_line_caret_and_hint(home: Path) -> None:
    """Text for people: place, message, code, the line with a caret, what to do; exit 1."""
    path = written(home, BROKEN)
    done = run(home, "validate", str(path))
    assert done.status == 1
    assert done.out == (
        f'{path}:2:1: error: unknown key "prot" [unknown-key]\n'
        "  2 | prot = 1\n"
        "    | ^\n"
        '  hint: did you mean "port"?\n'
        f'{path}:10:10: error: missing key "context_window" [alloy-missing-context-window]\n'
        "  10 | [[alloys.constituents]]\n"
        "     |          ^\n"
        '  hint: write a number of tokens, or "auto" for the registry\'s value\n'
        f"{path}: not valid (2 errors)\n"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_only_a_terminal_gets_colour(home: Path) -> None:
    """On a terminal the same lines are coloured; NO_COLOR and pipes get them plain."""
    path = written(home, BROKEN)
    words = ("config", "validate", str(path))
    coloured = on_terminal(*words, columns=100, HOME=str(home))
    plain = on_terminal(*words, columns=100, HOME=str(home), NO_COLOR="1")
    assert "\x1b[1;31merror" in coloured
    assert "31m" not in plain
    assert 'unknown key "prot"' in plain


def test_validate_as_json(home: Path) -> None:
    """Programs get exactly the documented fields."""
    path = written(home, BROKEN)
    done = run(home, "validate", "--format", "json")
    assert done.status == 1
    document = json.loads(done.out)
    assert document["schema_version"] == 1
    assert document["valid"] is False
    assert document["problems"][1] == {
        "severity": "error",
        "code": "alloy-missing-context-window",
        "message": 'missing key "context_window"',
        "hint": 'write a number of tokens, or "auto" for the registry\'s value',
        "file": str(path),
        "line": 10,
        "column": 10,
        "key": "alloys[0].constituents[1].context_window",
    }


def test_the_file_and_the_form_are_named_as_with_other_commands(home: Path) -> None:
    """``--config`` and ``--json`` work here too; two files are one too many."""
    file = home / "config.toml"
    file.write_text(BROKEN)
    named = run(home, "validate", str(file), "--format", "json")
    assert run(home, "validate", "--config", str(file), "--json").out == named.out
    both = run(home, "validate", str(file), "--config", str(file))
    assert (both.status, "not both" in both.err) == (2, True)


def test_validate_as_github_annotations(home: Path) -> None:
    """One workflow command a problem, with everything escaped that would end it early."""
    path = written(home, '[aliases]\n"a:b,c%" = "nope"\n')
    done = run(home, "validate", "--format", "github", str(path))
    assert done.status == 1
    [line] = done.out.splitlines()
    assert line.startswith(f"::error file={path},line=2,col=12,title=unknown-name::")


def test_a_valid_file_is_valid_in_every_format(home: Path) -> None:
    """Exit 0; JSON says so; GitHub has nothing to say."""
    written(home, "[server]\nport = 1\n")
    assert run(home, "validate").out.endswith("config.toml: valid\n")
    assert json.loads(run(home, "validate", "--format", "json").out) == {
        "schema_version": 1,
        "valid": True,
        "problems": [],
    }
    assert run(home, "validate", "--format", "github").out == ""


def test_strict_makes_warnings_errors(home: Path) -> None:
    """A warning leaves the file valid, unless asked otherwise."""
    written(home, WARNED)
    relaxed = run(home, "validate", "--registry", "snapshot")
    strict = run(home, "validate", "--registry", "snapshot", "--strict", "--format", "json")
    assert relaxed.status == 0
    assert "valid (1 warning)" in relaxed.out
    assert strict.status == 1
    assert [it["severity"] for it in json.loads(strict.out)["problems"]] == ["error"]


def test_retirements_are_held_against_the_day_that_is_given(home: Path) -> None:
    """--as-of makes the answer the same every day, so that CI can rely on it."""
    written(home, '[aliases]\na = "anthropic/claude-sonnet-4-5"\n')
    early = run(home, "validate", "--registry", "snapshot", "--as-of", "2026-01-01")
    late = run(home, "validate", "--registry", "snapshot", "--as-of", "2099-01-01")
    assert "retiring-model" not in early.out
    assert "retiring-model" in late.out


@pytest.mark.parametrize(
    ("data", "code"),
    [(b'a = "\xff"', "not-utf8"), (b"a = [", "syntax"), (b"\x1b[2J = 1", "syntax")],
)
def test_what_is_no_toml_is_a_problem_and_not_a_crash(home: Path, data: bytes, code: str) -> None:
    """Exit 1 with a position, and nothing of the file steers the terminal."""
    done = run(home, "validate", "-", stdin=data)
    assert done.status == 1
    assert done.out.startswith("<stdin>:1:")
    assert f"[{code}]" in done.out
    assert "\x1b" not in done.out


def test_what_cannot_be_opened_exits_2(home: Path) -> None:
    """A named file that is missing, and no file at all, say so on stderr."""
    missing = run(home, "validate", str(home / "none.toml"))
    nothing = run(home, "validate")
    assert (missing.status, nothing.status) == (2, 2)
    assert "none.toml" in missing.err
    assert "config init" in nothing.err


def test_the_example_is_valid_strictly(home: Path) -> None:
    """config.toml.example has no error and no warning for anybody."""
    example = Path(__file__).parents[2] / "config.toml.example"
    done = run(home, "validate", str(example), "--strict", "--registry", "snapshot")
    assert (done.status, done.out) == (0, f"{example}: valid\n")


def test_no_format_prints_a_secret(home: Path) -> None:
    """A problem in the line of a secret shows the line without it."""
    text = f'[providers.openai]\nheaders = {{}}\nauth = "nope"\napi_key = "{SECRET}" x\n'
    inline = f'providers.openai = {{ api_key = "{SECRET}", foo = 1 }}\n'
    for content in (text, inline):
        for form in ("text", "json", "github"):
            done = run(home, "validate", "-", "--format", form, stdin=content)
            assert done.status == 1
            assert SECRET not in done.out + done.err


class _Models(http.server.BaseHTTPRequestHandler):
    """A model server as far as ``GET /v1/models`` goes."""

    def do_GET(self) -> None:
        found = self.path == "/v1/models"
        body = json.dumps({"object": "list", "data": [{"id": "qwen3:4b\n[evil]"}, {"id": "b"}]})
        self.send_response(200 if found else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep the test's output clean."""


@pytest.fixture
def model_server() -> Iterator[str]:
    """Serve a list of models on loopback; yields host:port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Models) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_init_writes_what_this_machine_has(home: Path, model_server: str) -> None:
    """Keys and servers are found, loopback is asked without a proxy, and the file is valid."""
    done = run(
        home,
        "init",
        OLLAMA_HOST=model_server,
        OPENAI_API_KEY=SECRET,
        HTTP_PROXY="http://127.0.0.1:1",
    )
    path = home / ".config" / "gatewayctl" / "config.toml"
    assert done.status == 0, done.err
    assert f"found ollama at http://{model_server}/v1: 2 models" in done.out
    text = path.read_text()
    assert tomllib.loads(text)["providers"] == {"ollama": {"base_url": f"http://{model_server}/v1"}}
    assert "OPENAI_API_KEY is set" in text
    assert SECRET not in text + done.out
    assert "gatewayctl env claude" in text
    assert "gatewayctl env claude" in done.out
    assert run(home, "validate", "--strict").status == 0
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_init_never_replaces_a_file_unasked(home: Path) -> None:
    """An existing file stays as it is without --force."""
    path = written(home, "# mine\n")
    refused = run(home, "init")
    assert refused.status == 1
    assert "--force" in refused.err
    assert path.read_text() == "# mine\n"
    assert run(home, "init", "--force").status == 0
    assert path.read_text() != "# mine\n"


def test_init_asks_nobody_beyond_loopback(home: Path) -> None:
    """A server of another machine in Ollama's variable is left alone."""
    done = run(home, "init", "--output", "-", OLLAMA_HOST="192.0.2.1:11434")
    assert done.status == 0
    assert "192.0.2.1" not in done.out


def test_the_routes_that_init_suggests_work_when_uncommented(home: Path) -> None:
    """What stands there as a comment is valid once its # is gone."""
    text = run(home, "init", "--output", "-", OPENAI_API_KEY="x").out
    head, _, tail = text.partition("# [[cascades]]\n")
    tail = "\n".join(
        line if " = " not in line and "[" not in line else line.removeprefix("# ")
        for line in tail.splitlines()
    )
    text = f"{head}[[cascades]]\n{tail}\n".replace("/MODEL", "/gpt-4o", 1)
    text = text.replace("anthropic/MODEL", "anthropic/claude-haiku-4-5")
    done = run(home, "validate", "-", stdin=text)
    assert (done.status, done.out) == (0, "<stdin>: valid\n")


@pytest.mark.parametrize("options", [(), ("--json",), ("--resolved",), ("--resolved", "--json")])
def test_show_never_prints_a_secret(home: Path, options: tuple[str, ...]) -> None:
    """Keys, credential headers, programs' arguments and URL users are masked in every form."""
    written(
        home,
        f"""
        [providers.openai]
        api_key = "{SECRET}"
        headers = {{ authorization = "Bearer {SECRET}", x-team = "a" }}
        proxy = "http://me:{SECRET}@127.0.0.1:3128"
        [providers.groq]
        api_key = {{ command = ["op", "{SECRET}"] }}
        [[models]]
        id = "openai/gpt-4o"
        set = {{ temperature = 0.5 }}
        [aliases]
        "b-*" = "openai/gpt-4o"
        """,
    )
    done = run(home, "show", *options)
    assert done.status == 0, done.err
    assert SECRET not in done.out + done.err
    values = json.loads(done.out) if "--json" in options else tomllib.loads(done.out)
    assert values["providers"]["openai"]["headers"]["x-team"] == "a"
    assert "127.0.0.1:3128" in values["providers"]["openai"]["proxy"]


def test_show_hides_what_the_format_does_not_know(home: Path) -> None:
    """Whatever a mistyped key is called, its value may be the secret."""
    written(
        home,
        f"""
        [providers.openai]
        pwd = "{SECRET}"
        headers = {{ "Bearer {SECRET}" = "x" }}
        [[models]]
        id = "openai/gpt-4o"
        tok = ["{SECRET}"]
        [other]
        deep = {{ pass = "{SECRET}" }}
        """,
    )
    done = run(home, "show")
    assert (done.status, SECRET in done.out + done.err) == (0, False)
    values = tomllib.loads(done.out)
    assert values["providers"]["openai"]["pwd"] == values["other"]["deep"]["pass"] == "*" * 8
    assert values["models"] == [{"id": "openai/gpt-4o", "tok": ["*" * 8]}]


def test_show_resolved_fills_in_defaults(home: Path) -> None:
    """Without a file it shows what holds then; with one, what it means."""
    bare = json.loads(run(home, "show", "--resolved", "--json", OPENAI_API_KEY="x").out)
    assert bare["server"]["port"] == 8790
    assert list(bare["providers"]) == ["openai"]
    written(home, "[server]\nport = 1\n")
    said = json.loads(run(home, "show", "--resolved", "--json").out)
    assert (said["server"]["port"], said["server"]["body_limit"]) == (1, 64 * 1024 * 1024)


def test_show_refuses_what_is_not_valid(home: Path) -> None:
    """What has no meaning has none to show; the problems are shown instead, exit 1."""
    written(home, BROKEN)
    done = run(home, "show", "--resolved")
    assert done.status == 1
    assert "alloy-missing-context-window" in done.out
    written(home, "a = [")
    assert run(home, "show").status == 1


def test_path_says_which_file_is_read(home: Path) -> None:
    """The option comes first, then the variable, then the usual place."""
    usual = home / ".config" / "gatewayctl" / "config.toml"
    assert run(home, "path").out == f"{usual}\n"
    assert run(home, "path", GATEWAYCTL_CONFIG="/b.toml").out == "/b.toml\n"
    assert run(home, "path", "--config", "/c.toml").out == "/c.toml\n"
    moved = run(home, "path", XDG_CONFIG_HOME=str(home / "x")).out
    assert moved == f"{home / 'x' / 'gatewayctl' / 'config.toml'}\n"


def test_schema_prints_json_schema(home: Path) -> None:
    """Editors get the whole format."""
    schema = json.loads(run(home, "schema").out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert set(schema["properties"]) >= {"server", "providers", "models", "aliases", "alloys"}
