"""``models list|show|refresh``: shapes, exit codes, freshness, and the config's part in it."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.models_command import Cli
from support.tables import TableServer

SOURCES = {"litellm", "models_dev"}
FIELDS = {"value", "source", "fetched_at"}
LIMITS = {"context_window", "max_input_tokens", "max_output_tokens"}


def test_the_list_is_the_documented_json(cli: Cli) -> None:
    """Offline, on a fresh install: sources never fetched, thousands of models, dates per field."""
    document = cli.json("list")
    assert {each["name"] for each in document["sources"]} == SOURCES
    for each in document["sources"]:
        assert each.keys() == {
            "name", "status", "fetched_at", "attempted_at", "models", "error", "provider", "next_at"
        }  # fmt: skip
        assert (each["status"], each["fetched_at"], each["attempted_at"]) == ("never", None, None)
    models = {model["id"]: model for model in document["models"]}
    assert len(models) == len(document["models"]) > 9000
    gpt = models["openai/gpt-5"]
    assert gpt["provider"] == "openai"
    assert gpt["context_window"]["value"] == 400_000
    assert gpt["max_input_tokens"]["value"] == 272_000
    assert gpt["prices"]["input"]["value"] == 1.25
    assert gpt["capabilities"]["tools"]["value"] is True
    for name in LIMITS:
        assert gpt[name].keys() == FIELDS
        assert gpt[name]["source"] in SOURCES
    unknown = models["anthropic/claude-opus-4-7"]["max_input_tokens"]
    assert unknown == dict.fromkeys(FIELDS)


def test_the_list_of_one_provider_is_text_for_people(cli: Cli) -> None:
    """Freshness first, then aligned lines; piped, there is no colour."""
    lines = cli("list", "--provider", "openai").splitlines()
    assert [line.split()[:3] for line in lines[:2]] == [
        ["·", "litellm", "never"],
        ["·", "models_dev", "never"],
    ]
    assert "gatewayctl models refresh" in lines[2]
    assert not lines[3]
    assert lines[4].split()[:4] == ["model", "window", "input", "output"]
    assert all(line.startswith("openai/") for line in lines[5:])
    (line,) = (line for line in lines if line.startswith("openai/gpt-5 "))
    assert line.split()[1:6] == ["400K", "272K", "128K", "1.25", "10"]
    assert "\x1b" not in "".join(lines)


def test_one_model_is_shown_with_what_the_others_say(cli: Cli) -> None:
    """gpt-5.4's total in LiteLLM's table stands beside the true input limit."""
    document = cli.json("show", "openai/gpt-5.4")
    assert document["id"] == "openai/gpt-5.4"
    assert document["context_window"]["value"] == 1_050_000
    limit = document["max_input_tokens"]
    assert (limit["value"], limit["source"]) == (922_000, "models_dev")
    assert [(other["source"], other["value"]) for other in limit["others"]] == [
        ("litellm", 1_050_000)
    ]
    assert [other["value"] for other in document["prices"]["input"]["others"]] == [2.5]
    text = cli("show", "openai/gpt-5.4")
    assert "922,000  models_dev" in text
    assert "litellm 1,050,000" in text


def test_the_prices_of_tiers_and_steps_are_a_table(cli: Cli) -> None:
    """A line for each, under the dimensions, with who says it; in JSON each has its own key."""
    document = cli.json("show", "openai/gpt-5.4")["prices"]
    assert document["input@flex>272000"]["value"] == 2.5
    assert document["output>272000"]["source"] == "litellm"
    lines = [line.split() for line in cli("show", "openai/gpt-5.4").splitlines()]
    title = next(number for number, line in enumerate(lines) if line[:3] == ["$/M", "at", "tier"])
    assert lines[title][3:] == ["input", "above", "in", "cache", "read", "out", "source", "age"]
    table = [line[:6] for line in lines[title + 1 :]]
    assert ["base", "-", "2.5", "0.25", "15", "litellm"] in table
    assert ["base", "272,000", "5", "0.5", "22.5", "litellm"] in table
    assert ["flex", "-", "1.25", "0.13", "7.5", "litellm"] in table
    assert ["priority", "-", "5", "0.5", "30", "litellm"] in table
    assert not any("@" in word for line in lines[:title] for word in line)


def test_a_tiers_price_from_the_config_stands_beside_what_others_say(
    cli: Cli, tmp_path: Path
) -> None:
    """One key is displaced, and the list names both who say something of it."""
    path = tmp_path / "tiers.toml"
    path.write_text('[[models]]\nid = "openai/gpt-5.4"\nprices = { "input@flex" = 1 }\n')
    text = cli("show", "openai/gpt-5.4", "--config", str(path))
    assert "config, litellm" in text
    assert "others say of input@flex: litellm 1.25" in text
    conflicts = cli.json("list", "--conflicts", "--provider", "openai", "--config", str(path))
    fields = [each["field"] for each in conflicts["conflicts"] if each["model"] == "openai/gpt-5.4"]
    assert [field for field in fields if field.startswith("prices.")] == ["prices.input@flex"]


def test_a_model_without_tiers_and_steps_has_no_table_of_them(cli: Cli) -> None:
    """Its prices stand among its fields already."""
    assert "at tier" not in cli("show", "groq/openai/gpt-oss-120b")


@pytest.mark.parametrize(
    ("model", "near"),
    [
        ("openai/gpt-55", "openai/gpt-5"),
        ("gpt-5", "openai/gpt-5"),
        ("claude-opus-4", "helicone/claude-opus-4"),
        ("nonsense-zzz", ""),
    ],
)
def test_an_unknown_id_exits_1_and_names_what_is_near(cli: Cli, model: str, near: str) -> None:
    """Nothing is printed as if it were known."""
    told = cli("show", model, code=1)
    assert f'no source knows "{model}"' in told
    assert near in told
    assert ("did you mean" in told) is bool(near)


def test_a_refresh_is_seen_at_once_and_by_its_age(cli: Cli, server: TableServer) -> None:
    """The fetched table replaces LiteLLM's packaged part; the source is fresh from then on."""
    cli.sources(server)
    config = ("--config", str(cli.config))
    source, off = cli.json("refresh", *config)["sources"]
    assert (source["name"], source["status"], source["models"]) == ("litellm", "fresh", 4001)
    assert (off["name"], off["status"], off["refresh"]) == ("models_dev", "off", None)
    assert source["fetched_at"] >= source["attempted_at"] > "2026"
    assert source["refresh"]["outcome"] == "fetched"
    price = cli.json("show", "openai/gpt-5", *config)["prices"]["input"]
    assert (price["value"], price["fetched_at"]) == (9, source["fetched_at"])
    listed = cli("list", "--provider", "openai", *config)
    assert listed.startswith(
        "✓ the source is fresh; the oldest was fetched just now (off: models_dev)\n\nmodel "
    )
    cli.config.write_text(cli.config.read_text() + '[registry]\nttl = "1ms"\n')
    source, _ = cli.json("list", *config)["sources"]
    assert source["status"] == "stale"


def test_a_failed_refresh_keeps_the_old_figures_and_their_date(
    cli: Cli, server: TableServer
) -> None:
    """Exit 5, the reason is kept, and the date of the last success stays."""
    cli.sources(server)
    config = ("--config", str(cli.config))
    before, _ = cli.json("refresh", *config)["sources"]
    server.status = 500
    assert "litellm: failed: HTTP 500" in cli("refresh", *config, code=5)
    after, _ = cli.json("list", *config)["sources"]
    assert (after["status"], after["fetched_at"]) == ("failed", before["fetched_at"])
    assert "HTTP 500" in after["error"]
    server.status = 200
    server.serve({"gpt-5": {"litellm_provider": "openai"}})
    source, _ = cli.json("refresh", *config, code=5)["sources"]
    assert (source["status"], source["models"]) == ("quarantined", 4001)


def test_some_failing_exits_4(cli: Cli, server: TableServer) -> None:
    """One of two fetched is neither all nor none; asking for the good one alone is all."""
    cli.sources(server, models_dev="http://127.0.0.1:1/")
    config = ("--config", str(cli.config))
    document = cli.json("refresh", *config, code=4)
    assert {each["name"]: each["status"] for each in document["sources"]} == {
        "litellm": "fresh",
        "models_dev": "failed",
    }
    cli("refresh", *config, "--source", "litellm")
    cli("refresh", *config, "--source", "models_dev", code=5)
    assert "is no source" in cli("refresh", "--source", "other", code=2)


def test_a_table_comes_from_disk_where_there_is_no_network(cli: Cli, server: TableServer) -> None:
    """``--from`` finds out whose table it is, and says so when it is nobody's."""
    path = cli.home / "table.json"
    path.write_bytes(server.body)
    assert "litellm: fetched: 4,001 models" in cli("refresh", "--from", str(path))
    assert not server.asked
    assert cli.json("show", "openai/gpt-5")["prices"]["input"]["value"] == 9
    path.write_text("{}")
    assert "no known source" in cli("refresh", "--from", str(path), code=5)
    assert "cannot read" in cli("refresh", "--from", str(cli.home / "none"), code=5)
    told = cli("refresh", "--from", str(path), "--source", "litellm", code=5)
    assert "quarantined: it has no model" in told


def test_a_source_that_is_off_is_not_fetched_or_believed(cli: Cli, server: TableServer) -> None:
    """models.dev turned off: LiteLLM's figure for gpt-5 stands for the window."""
    cli.sources(server)
    config = ("--config", str(cli.config))
    assert cli.json("show", "openai/gpt-5", *config)["context_window"]["source"] == "litellm"
    assert "turned off" in cli("refresh", *config, "--source", "models_dev", code=5)
    assert not server.asked


def test_a_proxy_of_the_environment_is_used(cli: Cli, server: TableServer) -> None:
    """Where the network is behind a proxy, the usual variables are enough."""
    cli.sources(server, litellm="http://tables.invalid/table.json")
    cli.environ["http_proxy"] = server.url.removesuffix("/table.json")
    cli("refresh", "--config", str(cli.config))
    assert server.asked[0]["host"] == "tables.invalid"


def test_models_of_the_config_are_listed_with_source_config(cli: Cli) -> None:
    """The user's own figures win, over a provider of another name too, and have no date."""
    cli.config.write_text(
        """
        [providers.work]
        kind = "openai"
        [providers.local]
        kind = "openai-compatible"
        base_url = "http://127.0.0.1:1/v1"
        [[models]]
        id = "local/mine"
        context_window = "32K"
        [[models]]
        id = "work/gpt-5"
        max_output_tokens = 1000
        """
    )
    config = ("--config", str(cli.config))
    mine = cli.json("show", "local/mine", *config)
    assert mine["context_window"] == {
        "value": 32768, "source": "config", "fetched_at": None, "others": []
    }  # fmt: skip
    work = cli.json("show", "work/gpt-5", *config)
    assert work["context_window"]["value"] == 400_000
    assert (work["max_output_tokens"]["value"], work["max_output_tokens"]["source"]) == (
        1000,
        "config",
    )
    assert work["max_output_tokens"]["others"][0]["value"] == 128_000
    listed = {model["id"] for model in cli.json("list", *config)["models"]}
    assert {"local/mine", "work/gpt-5"} <= listed
    assert "local/mine" in cli("list", "--provider", "local", *config)
    assert 'no model of "nobody" is known\n' in cli("list", "--provider", "nobody", *config)
    assert "did you mean openai?" in cli("list", "--provider", "opena", *config)


def test_a_config_that_is_not_valid_is_named_with_its_errors(cli: Cli) -> None:
    """No traceback; a missing file is another exit status than a wrong one."""
    cli.config.write_text("[server]\nprot = 1\n")
    told = cli("list", "--config", str(cli.config), code=1)
    assert f"{cli.config}:2:1: " in told
    assert "Traceback" not in told
    cli("list", "--config", str(cli.home / "none.toml"), code=2)


def test_what_only_a_refresh_can_mend_does_not_hinder_it(cli: Cli, server: TableServer) -> None:
    """An alloy that waits for the registry to learn a window must not block the refresh."""
    cli.sources(server)
    cli.config.write_text(
        cli.config.read_text()
        + """
        [[alloys]]
        id = "blend"
        name = "Blend"
        constituents = [
            { model = "openai/m1", context_window = "auto" },
            { model = "openai/m2", context_window = "auto" },
        ]
        """
    )
    cli("refresh", "--config", str(cli.config))


def test_listing_needs_no_http_client(cli: Cli) -> None:
    """``models list`` starts fast: neither aiohttp nor the daemon is loaded for it."""
    probe = (
        "import sys; from gatewayctl.cli.main import main; sys.argv = sys.argv[:1] + "
        "['models', 'show', 'openai/gpt-5']; main()"
    )
    code = f"import atexit\natexit.register(lambda: print(*sorted(sys.modules)))\n{probe}"
    done = subprocess.run(
        [sys.executable, "-c", "import sys\n" + code],
        env=cli.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "gatewayctl.registry.lookup" in loaded
    assert not loaded & {"aiohttp", "gatewayctl.daemon", "rich", "tiktoken", "pydantic"}


def test_a_damaged_cache_is_told_and_answered_from_the_package(
    cli: Cli, server: TableServer
) -> None:
    """The listing goes on and does not call fresh what is not in use any more."""
    cli.sources(server)
    config = ("--config", str(cli.config))
    cli("refresh", *config)
    damaged = list(Path(cli.environ["XDG_CACHE_HOME"]).rglob("*.json"))
    assert len(damaged) == 3
    for path in damaged:
        path.write_bytes(path.read_bytes()[:100])
    shown = cli("list", "--provider", "openai", *config)
    assert shown.startswith("✗ litellm     failed ")
    assert "what was fetched cannot be read any more" in shown


def test_the_hours_of_lower_prices_are_told_in_words(cli: Cli) -> None:
    """UTC, beside the prices that hold at them; null for a model that has none."""
    hours = "Mon-Fri 00:00-01:00, 04:00-06:00, 10:00-24:00; Sat-Sun all day, UTC"
    told = cli.json("show", "deepseek/deepseek-v4-pro")
    assert (told["off_peak"]["value"], told["off_peak"]["source"]) == (hours, "litellm")
    assert told["prices"]["input@off_peak"]["value"] == 0.66
    shown = cli("show", "deepseek/deepseek-v4-pro")
    assert shown.splitlines()[-1] == f"off_peak: {hours}"
    assert cli.json("show", "openai/gpt-5.4")["off_peak"]["value"] is None
