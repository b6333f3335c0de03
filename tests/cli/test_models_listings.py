"""``models``: providers' own listings, asked with their key, and what they say of a window."""

from collections.abc import Iterator

import pytest
from support.models_command import Cli
from support.tables import TableServer

KEY = "sk-a-secret-that-nobody-prints"


@pytest.fixture
def listing() -> Iterator[TableServer]:
    """Run a server that serves 4,096 tokens of one model, and says nothing of another."""
    running = TableServer()
    running.serve(
        {"object": "list", "data": [{"id": "big", "max_model_len": 4096}, {"id": "other"}, 5]}
    )
    yield running
    running.close()


@pytest.fixture
def config(cli: Cli, listing: TableServer) -> tuple[str, str]:
    """Configure the server with a key, and a provider whose key is its clients'."""
    base = listing.url.removesuffix("/table.json")
    cli.environ["LOCAL_KEY"] = KEY
    cli.config.write_text(f"""
[registry.sources]
litellm = ""
models_dev = ""
[providers.local]
kind = "vllm"
base_url = "{base}/v1"
auth = "key"
api_key = {{ env = "LOCAL_KEY" }}
[providers.anthropic]
auth = "forward"
[[models]]
id = "local/big"
context_window = 40960
capacity_fraction = 0.75
[aliases]
"gpt-4o" = "local/big"
""")
    return ("--config", str(cli.config))


def test_a_refresh_asks_the_providers_whose_key_is_at_hand(
    cli: Cli, listing: TableServer, config: tuple[str, str]
) -> None:
    """With the key in its header and nowhere else; one whose key is its clients' is not asked."""
    told = cli("refresh", *config)
    assert told.splitlines() == [
        "local: fetched: 2 models",
        "  1 left out: not an object",
        "  3 entries in all, each a model or left out",
    ]
    assert [each["authorization"] for each in listing.asked] == [f"Bearer {KEY}"]
    sources = {each["name"]: each for each in cli.json("list", *config)["sources"]}
    assert {name: each["status"] for name, each in sources.items()} == {
        "litellm": "off", "models_dev": "off", "local": "fresh",
        "anthropic": "personal",
    }  # fmt: skip
    assert sources["local"]["provider"] == "local"
    assert sources["local"]["next_at"] > sources["local"]["fetched_at"]
    assert sources["anthropic"]["next_at"] is None
    everything = told + cli("list", *config) + cli("show", "local/big", *config, "--json")
    assert KEY not in everything + "".join(path.read_text() for path in cli.home.rglob("*.json"))


def test_what_a_server_runs_a_model_with_caps_what_the_config_says(
    cli: Cli, config: tuple[str, str]
) -> None:
    """The sum in words, the part of it that is used, and the names that lead to the model."""
    cli("refresh", *config)
    lines = cli("show", "local/big", *config).splitlines()
    assert lines[:3] == [
        "local/big  also gpt-4o",
        "effective window 4,096 = min(40,960 declared (config), 4,096 served (local, just now))",
        "ceiling          3,072 = 0.75 × 4,096 (capacity_fraction)",
    ]
    assert cli("show", "gpt-4o", *config).splitlines() == lines
    told = cli.json("show", "local/big", *config)
    assert (told["effective_window"]["value"], told["ceiling"]) == (4096, 3072)
    assert [each["kind"] for each in told["effective_window"]["of"]] == ["declared", "served"]
    assert told["asked_as"] == ["gpt-4o"]
    assert told["context_window"]["others"][0]["value"] == 4096
    (conflict,) = (
        each
        for each in cli.json("list", "--conflicts", *config)["conflicts"]
        if each["field"] == "effective_window"
    )
    assert (conflict["value"], conflict["against"][0]["why"]) == (4096, "served")
    unknown = cli("show", "local/other", *config)
    assert "effective window unknown" in unknown


def test_one_source_can_be_asked_alone_and_says_why_it_cannot(
    cli: Cli, listing: TableServer, config: tuple[str, str]
) -> None:
    """By the provider's name; a key that is not had is a failure with a reason, and on record."""
    cli("refresh", "--source", "local", *config)
    assert 'anthropic is not asked: auth = "forward" is for' in cli(
        "refresh", "--source", "anthropic", *config, code=5
    )
    assert "litellm is turned off" in cli("refresh", "--source", "litellm", *config, code=5)
    assert "is no source; there are litellm, models_dev, local, anthropic" in cli(
        "refresh", "--source", "nobody", *config, code=2
    )
    text = cli.config.read_text()
    cli.config.write_text(text.replace('{ env = "LOCAL_KEY" }', '{ command = ["false"] }'))
    told = cli("refresh", *config, code=5)
    assert told.startswith("local: failed: no credential for local: the command false failed")
    assert len(listing.asked) == 1
    source = cli.json("list", *config)["sources"][2]
    assert (source["status"], source["models"]) == ("failed", 2)
    assert "the command false failed" in source["error"]


def test_a_server_that_is_down_keeps_what_it_said(
    cli: Cli, listing: TableServer, config: tuple[str, str]
) -> None:
    """Its figures stay with their own date, and the failure is told with the next attempt."""
    cli("refresh", *config)
    listing.status = 503
    assert "local: failed: HTTP 503" in cli("refresh", *config, code=5)
    (line,) = (each for each in cli("list", *config).splitlines() if "✗ local" in each)
    assert "2 models, fetched just now, due in " in line
    assert "; tried just now: HTTP 503" in line
    assert cli.json("show", "local/big", *config)["effective_window"]["value"] == 4096


def test_a_login_is_not_used_for_a_listing_and_no_login_is_asked_for(cli: Cli) -> None:
    """Logging in would not help: what is said of the source must not say that it would."""
    cli.config.write_text("""
[providers.team]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
auth = "oauth"
oauth = { token_url = "http://127.0.0.1:9/t", client_id = "i" }
""")
    told = cli("refresh", "--source", "team", "--config", str(cli.config), code=5)
    assert 'team is not asked: auth = "oauth" is for its clients' in told
    assert "login" not in told
