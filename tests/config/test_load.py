"""Reading a file: where it is found, how it is opened, and what its values come to mean."""

import sys
from pathlib import Path

import pytest
from support.catalog import SmallCatalog

from gatewayctl.config.catalog import EmptyCatalog
from gatewayctl.config.kinds import DEFAULT_FLAGS
from gatewayctl.config.load import default_settings, find_config, load, load_text, usual_path
from gatewayctl.config.problems import Severity
from gatewayctl.config.settings import (
    FromCommand,
    FromEnv,
    FromFile,
    OverflowStatus,
    Plain,
    Settings,
)
from gatewayctl.core.errors import ConfigUnreadable
from gatewayctl.core.model import Auth, Overflow, WireProtocol
from gatewayctl.core.routing.graph import (
    Alloy,
    Cascade,
    Dispatcher,
    FitMode,
    Order,
    Place,
    Policy,
    Rule,
    When,
)


def settings(text: str, **environ: str) -> Settings:
    """Return what a text means; it must have no error."""
    loaded = load_text(text, name="x.toml", environ=environ, catalog=SmallCatalog())
    assert loaded.settings is not None, loaded.problems
    return loaded.settings


def codes(text: str) -> list[str]:
    """Return the codes of a text's problems."""
    loaded = load_text(text, name="x.toml", environ={}, catalog=SmallCatalog())
    return [problem.code for problem in loaded.problems]


def test_an_empty_file_means_the_defaults() -> None:
    """Nothing said is the same as the documented defaults, and no provider without a key."""
    found = settings("")
    assert found.server.port == 8790
    assert found.server.body_limit == 64 * 1024 * 1024
    assert found.session_ttl == 3600.0
    assert found.graph.policy == Policy()
    assert found.providers == {}
    assert found.registry.background
    assert found.registry.sources["models_dev"].url == "https://models.dev/api.json"
    assert found.registry.sources["litellm"].ttl == 86400.0


@pytest.mark.parametrize("written", ["413", '"413"'])
def test_a_status_can_be_a_number_or_a_word(written: str) -> None:
    """Both are how people write it."""
    found = settings(f"[server]\noverflow_status = {written}")
    assert found.server.overflow_status is OverflowStatus.S413


def test_without_a_file_key_variables_make_providers() -> None:
    """A set key variable configures its provider, an empty one and a local kind do not."""
    found = default_settings({"OPENAI_API_KEY": "x", "GROQ_API_KEY": "", "PATH": "y"})
    assert list(found.providers) == ["openai"]
    openai = found.providers["openai"]
    assert openai.secrets == (FromEnv(name="OPENAI_API_KEY"),)
    assert openai.provider.key_hint == "set OPENAI_API_KEY"
    assert found.path is None


def test_the_second_key_variable_counts_where_the_first_is_unset() -> None:
    """Gemini's key may be in either of its variables."""
    found = default_settings({"GOOGLE_API_KEY": "x"})
    assert found.providers["gemini"].secrets == (FromEnv(name="GOOGLE_API_KEY"),)


def test_a_referenced_provider_without_a_key_is_no_problem() -> None:
    """It is configured all the same, so that routing can say which key is missing."""
    found = settings('[aliases]\na = "openai/gpt-4o"\nb = "ollama/qwen"\n')
    assert found.providers["openai"].provider.auth is Auth.KEY
    assert found.providers["ollama"].provider.auth is Auth.NONE
    assert found.providers["ollama"].provider.overflow is Overflow.TRUNCATES


def test_a_bare_id_of_a_provider_without_a_key_is_no_problem() -> None:
    """What is valid does not depend on whose keys are set; configured providers come first."""
    text = '[aliases]\na = "claude-haiku-4-5"\n'
    assert list(settings(text).providers) == ["anthropic"]
    mine = '[providers.mine]\nkind = "anthropic"\n'
    assert list(settings(mine + text).providers) == ["mine"]


def test_a_provider_table_changes_only_what_it_says() -> None:
    """Phases, flags and headers of a table stand over the kind's own, one by one."""
    found = settings(
        """
        [providers.work]
        kind = "anthropic"
        base_url = "https://proxy.example/anthropic/"
        api_key = { command = ["op", "read", "x"] }
        clients = ["claude-cli/*"]
        overflow = "truncates"
        headers = { x-team = "a", x-old = "" }
        timeouts = { idle = "1500ms", headers = "2m" }
        proxy = "http://127.0.0.1:3128"
        """
    ).providers["work"]
    assert found.base_url == "https://proxy.example/anthropic/v1"
    assert found.secrets == (FromCommand(argv=("op", "read", "x")),)
    assert found.provider.auth is Auth.KEY
    assert found.provider.protocols == (WireProtocol.MESSAGES,)
    assert found.provider.overflow is Overflow.TRUNCATES
    assert (found.timeouts.idle, found.timeouts.headers, found.timeouts.connect) == (1.5, 120, 5)
    assert found.flags == {**DEFAULT_FLAGS, "strip_billing_attribution": False}
    assert found.headers == {"x-team": "a", "x-old": ""}
    assert found.proxy == "http://127.0.0.1:3128"


@pytest.mark.parametrize(
    ("written", "secret"),
    [
        ('{ env = "A" }', FromEnv(name="A")),
        ('{ file = "/run/secrets/a" }', FromFile(path="/run/secrets/a")),
        ('{ command = ["a"] }', FromCommand(argv=("a",))),
        ('[{ env = "A" }]', FromEnv(name="A")),
        ('"plain"', Plain(value="plain")),
    ],
)
def test_a_key_can_be_in_many_places(written: str, secret: object) -> None:
    """Each way to name one secret, alone or as a list of one."""
    found = settings(f"[providers.openai]\napi_key = {written}\n").providers["openai"]
    assert found.secrets == (secret,)


def test_forwarding_keeps_no_secret() -> None:
    """Auth = "forward" uses the client's own credential and none of ours."""
    found = settings('[providers.anthropic]\nauth = "forward"\n', ANTHROPIC_API_KEY="x")
    assert found.providers["anthropic"].provider.auth is Auth.FORWARD
    assert found.providers["anthropic"].secrets == ()


def test_a_compatible_provider_without_a_key_uses_none() -> None:
    """The default of auth is key if one is named, else none."""
    text = '[providers.a]\nkind = "openai-compatible"\nbase_url = "http://127.0.0.1:1/v1/"\n'
    found = settings(text).providers["a"]
    assert found.provider.auth is Auth.NONE
    assert found.base_url == "http://127.0.0.1:1/v1"


def test_rules_and_modes_become_the_graph() -> None:
    """Every condition is kept, header names in lower case, and the mode's figures with them."""
    text = """
        [[dispatchers]]
        id = "d"
        targets = ["gemini/gemini-2.5-flash"]
        order = "cheapest"
        reevaluate = "worst_case"
        assume_session_max_tokens = "100K"
        [[dispatchers.rules]]
        when = { min_input_tokens = "10K", tools = false, header = { X-Team = "A*" } }
        target = "openai/gpt-4o"
    """
    route = settings(text).graph.routes["d"]
    assert isinstance(route, Dispatcher)
    assert (route.order, route.assume_session_max_tokens) == (Order.CHEAPEST, 102_400)
    when = When(min_input_tokens=10_240, tools=False, header={"x-team": "A*"})
    assert route.rules == (Rule(when=when, target=Place(model="openai/gpt-4o")),)


def test_a_minimum_is_held_against_what_is_left_of_a_window() -> None:
    """capacity_fraction counts: a window above the minimum may have a ceiling below it."""
    path = Path(__file__).parent / "cases" / "alloy-constituent-under-minimum.toml"
    text = path.read_text().replace("200000", "120000", 1)
    assert codes(text) == []
    assert codes(f"{text}\n[model_defaults]\ncapacity_fraction = 0.9\n") == [
        "alloy-constituent-under-minimum"
    ]


ROUTES = """\
[routing]
min_output = "2K"
deadline = "1m"
[aliases]
"gpt-4o" = "mix"
"claude-*" = "mix"
"claude-opus-*" = "pick"
[[alloys]]
id = "mix"
name = "Mix"
strategy = "round_robin"
scope = "request"
fit = "strict"
[[alloys.constituents]]
model = "openai/gpt-4o"
context_window = "auto"
[[alloys.constituents]]
model = "gemini/gemini-2.5-flash"
context_window = "1M"
[[cascades]]
id = "steps"
fallback_on = ["timeout"]
deadline = "10s"
[[cascades.steps]]
model = "mix"
timeout = "60s"
[[cascades.steps]]
model = "kimi-k2.6"
[[dispatchers]]
id = "pick"
targets = ["mix", "steps"]
order = "smallest"
"""


def test_routes_and_aliases_become_the_graph() -> None:
    """Every kind of route, its overrides of [routing], and patterns longest first."""
    found = settings(ROUTES, MOONSHOT_API_KEY="x").graph
    assert found.wildcards == (("claude-opus-*", "pick"), ("claude-*", "mix"))
    mix, steps, pick = found.routes["mix"], found.routes["steps"], found.routes["pick"]
    assert isinstance(mix, Alloy)
    assert mix.policy.fit is FitMode.STRICT
    assert mix.policy.min_output == 2048
    assert [place.context_window for place in mix.places] == [None, 1_048_576]
    assert isinstance(steps, Cascade)
    assert steps.policy.deadline == 10.0
    assert len(steps.policy.fallback_on) == 1
    assert steps.inherits == {"on_break"}
    assert mix.inherits == {"on_break", "fallback_on", "deadline"}
    assert steps.places[0].timeout == 60.0
    assert isinstance(pick, Dispatcher)
    assert pick.order is Order.SMALLEST


def test_sources_can_be_moved_and_turned_off() -> None:
    """A source is a URL, nothing, or a table that says more."""
    found = settings(
        """
        [registry]
        refresh = "manual"
        ttl = "1h"
        [registry.sources]
        litellm = ""
        models_dev = { ttl = "2h" }
        """
    ).registry
    assert not found.background
    assert found.sources["litellm"].url == ""
    assert found.sources["models_dev"].url == "https://models.dev/api.json"
    assert (found.sources["litellm"].ttl, found.sources["models_dev"].ttl) == (3600.0, 7200.0)


def test_every_configured_provider_is_a_source_of_its_own_models() -> None:
    """Its listing is asked by its kind's API where the provider is, as often as it may change."""
    found = settings(
        """
        [registry]
        timeout = "5s"
        [registry.sources]
        mine = { url = "http://127.0.0.1:9/v1", timeout = "2s" }
        quiet = ""
        [providers.anthropic]
        [providers.mine]
        kind = "ollama"
        [providers.quiet]
        kind = "openai-compatible"
        base_url = "https://quiet.example/v1"
        [providers.near]
        kind = "openai-compatible"
        base_url = "http://192.168.1.7:8001/v1"
        """
    ).registry.sources
    assert {name: (source.provider, source.listing) for name, source in found.items()} == {
        "litellm": (None, ""),
        "models_dev": (None, ""),
        "anthropic": ("anthropic", "anthropic"),
        "mine": ("mine", "ollama"),
        "quiet": ("quiet", "compatible"),
        "near": ("near", "compatible"),
    }
    assert found["anthropic"].url == "https://api.anthropic.com/v1"
    assert found["mine"].url == "http://127.0.0.1:9/v1"
    assert found["quiet"].url == ""
    told = {name: (source.ttl, source.timeout) for name, source in found.items()}
    assert told["anthropic"] == told["quiet"] == (86400.0, 5.0)
    assert told["mine"] == (600.0, 2.0)
    assert told["near"] == (600.0, 5.0)
    assert settings('[providers.mine]\nkind = "vllm"').registry.sources["mine"].timeout == 10.0


def test_a_provider_that_is_called_like_a_table_is_another_source() -> None:
    """Its listing has a name of its own, by which the file may speak of it."""
    found = settings(
        """
        [registry.sources]
        litellm-api = { ttl = "1h" }
        [providers.litellm]
        kind = "openai-compatible"
        base_url = "https://proxy.example/v1"
        """
    ).registry.sources
    assert found["litellm"].provider is None
    assert found["litellm-api"].provider == "litellm"
    assert found["litellm-api"].ttl == 3600.0


def test_bom_and_crlf_do_not_move_positions() -> None:
    """A file from Windows has its problems in the same lines and columns."""
    text = "\ufeff[server]\r\nport = 1\r\nprot = 2\r\n"
    loaded = load_text(text, name="x", environ={}, catalog=EmptyCatalog())
    assert [(it.line, it.column, it.key) for it in loaded.problems] == [(3, 1, "server.prot")]


def test_a_minimum_names_both_figures_and_three_remedies() -> None:
    """What to do is said, with the numbers that matter."""
    path = Path(__file__).parent / "cases" / "alloy-constituent-under-minimum.toml"
    [problem] = load(path, environ={}, catalog=SmallCatalog()).problems
    assert "128000" in problem.message
    assert "200000" in problem.message
    assert "lower min_context_window to 128000" in problem.hint
    assert "replace" in problem.hint
    assert "partial_context" in problem.hint


def test_a_partial_alloy_may_have_members_under_its_minimum() -> None:
    """partial_context drops members that do not fit, so the minimum does not bind them."""
    path = Path(__file__).parent / "cases" / "alloy-constituent-under-minimum.toml"
    text = path.read_text().replace('name = "A"', 'name = "A"\npartial_context = true')
    assert codes(text) == []


def test_a_suffix_error_names_the_integer_and_the_binary_spelling() -> None:
    """200K names 200000; 262K names 262144 and that it is 256K."""
    entry = '[[models]]\nid = "{}"\ncontext_window = "{}"\n'
    texts = [
        entry.format("anthropic/claude-haiku-4-5", "200K"),
        entry.format("moonshot/kimi-k2.6", "262K"),
    ]
    hints = [
        load_text(text, name="x", environ={}, catalog=SmallCatalog()).problems[0].hint
        for text in texts
    ]
    assert hints == ["write 200000", 'write 262144 (262144 is "256K")']


def test_a_reload_survives_what_the_registry_lost(tmp_path: Path) -> None:
    """A bare id or an automatic window that only the registry knew is a warning on reload."""
    path = tmp_path / "c.toml"
    path.write_text('[aliases]\na = "kimi-k2.6"\n')
    path.chmod(0o600)
    first = load(path, environ={}, catalog=EmptyCatalog())
    again = load(path, environ={}, catalog=EmptyCatalog(), reload=True)
    assert first.settings is None
    assert again.settings is not None
    assert [it.severity for it in again.problems] == [Severity.WARNING]


def test_bytes_that_are_no_text_have_a_position(tmp_path: Path) -> None:
    """Not UTF-8 is a problem of the file, at the byte where it begins."""
    path = tmp_path / "c.toml"
    path.write_bytes(b'[server]\nhost = "\xff"\n')
    [problem] = load(path, environ={}, catalog=EmptyCatalog()).problems
    assert (problem.code, problem.line, problem.column) == ("not-utf8", 2, 9)


def test_what_cannot_be_opened_is_no_problem_but_an_error(tmp_path: Path) -> None:
    """A missing file and a folder raise, with the path in the message."""
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigUnreadable, match=str(path)):
            load(path, environ={}, catalog=EmptyCatalog())


@pytest.mark.skipif(sys.platform == "win32", reason="modes are a POSIX matter")
def test_a_plain_secret_is_worse_where_others_can_read_it(tmp_path: Path) -> None:
    """The warning says so only when it is so."""
    path = tmp_path / "c.toml"
    path.write_text('[providers.openai]\napi_key = "planted-secret"\n')
    messages = []
    for mode in (0o600, 0o644):
        path.chmod(mode)
        [problem] = load(path, environ={}, catalog=EmptyCatalog()).problems
        messages.append(problem.message)
        assert "planted" not in f"{problem}"
    assert [("other users" in message) for message in messages] == [False, True]


def test_the_file_is_found_where_it_is_said(tmp_path: Path) -> None:
    """An explicit path comes before the variable, that before the usual place."""
    named = tmp_path / "a.toml"
    assert find_config(named, {"GATEWAYCTL_CONFIG": "/b.toml"}) == named
    assert find_config(None, {"GATEWAYCTL_CONFIG": "/b.toml"}) == Path("/b.toml")
    assert usual_path({"APPDATA": str(tmp_path)}).parts[-2:] == ("gatewayctl", "config.toml")
