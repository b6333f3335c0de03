"""``models list --conflicts|--stale|--retiring`` and ``models refresh --dry-run``."""

import json

from support.models_command import Cli
from support.tables import TableServer

SOURCES = {"litellm", "models_dev"}


def test_a_file_can_be_checked_without_storing_it(cli: Cli, server: TableServer) -> None:
    """Every entry is a model or left out for a named reason, and nothing is changed."""
    models = json.loads(server.body)
    models["sample_spec"] = {"max_tokens": "prose"}
    models["nobody"] = {"max_input_tokens": 5}
    path = cli.home / "table.json"
    path.write_text(json.dumps(models))
    told = cli("refresh", "--from", str(path), "--dry-run")
    assert told.splitlines() == [
        "litellm: readable: 4,001 models; nothing was stored",
        "  1 left out: no provider",
        "  1 left out: special key",
        "  4,003 entries in all, each a model or left out",
    ]
    assert cli.json("list")["sources"][0]["status"] == "never"
    document = cli.json("refresh", "--from", str(path), "--dry-run")
    done = document["sources"][0]["refresh"]
    assert (done["models"], done["skipped"]) == (4001, {"no provider": 1, "special key": 1})
    path.write_text(json.dumps(dict(list(models.items())[:1000])))
    doubted = cli("refresh", "--from", str(path), "--dry-run", code=5)
    assert doubted.startswith("litellm: would be quarantined: it has 1000 models, fewer than half")
    assert "1,000 entries in all" in doubted
    assert "--dry-run belongs to --from" in cli("refresh", "--dry-run", code=2)
    assert "is no table" in cli("refresh", "--from", str(path), "--source", "x", code=2)


def test_conflicts_say_who_says_what_and_why_it_does_not_hold(cli: Cli) -> None:
    """gpt-5.4 is the case that every table mixes up; the filter and the JSON say the same."""
    text = cli("list", "--conflicts", "--provider", "openai")
    lines = text.splitlines()
    at = lines.index("openai/gpt-5.4")
    assert lines[at + 1] == "  max_input_tokens"
    assert lines[at + 2].startswith("    ✓   922,000  models_dev, ")
    assert lines[at + 3].startswith("    ✗ 1,050,000  litellm, ")
    assert lines[at + 3].endswith(": no less than the window, so it may be the whole of it")
    assert lines[-1].startswith("sources disagree about ")
    found = cli.json("list", "--conflicts", "--provider", "openai")["conflicts"]
    (conflict,) = (each for each in found if each["model"] == "openai/gpt-5.4")
    assert conflict.keys() == {"model", "field", "value", "source", "fetched_at", "against"}
    assert (conflict["field"], conflict["value"]) == ("max_input_tokens", 922_000)
    (loser,) = conflict["against"]
    assert loser.keys() == {"value", "source", "fetched_at", "why"}
    assert (loser["value"], loser["why"]) == (1_050_000, "whole_window")
    assert all(each["model"].startswith("openai/") for each in found)
    everyone = cli.json("list", "--conflicts")["conflicts"]
    assert len(everyone) > len(found) > 0
    assert "no two sources disagree" in cli("list", "--conflicts", "--provider", "nobody")


def test_stale_facts_and_sources_are_listed_until_they_are_fetched(
    cli: Cli, server: TableServer
) -> None:
    """Packaged facts are as old as they are; what was just fetched is not among them."""
    cli.sources(server)
    config = ("--config", str(cli.config))
    text = cli("list", "--stale", "--provider", "anthropic")
    assert "· models_dev  never" in text
    assert "with facts older than their source's ttl" in text
    found = cli.json("list", "--stale", "--provider", "anthropic")
    assert {each["name"] for each in found["sources"]} == SOURCES
    model = found["models"][0]
    assert model.keys() == {"id", "source", "fetched_at", "fields", "known"}
    assert 0 < len(model["fields"]) <= model["known"]
    cli("refresh", *config)
    assert cli("list", "--stale", *config) == "no fact is older than its source's ttl\n"
    assert cli.json("list", "--stale", *config) == {
        "schema_version": 1, "sources": [], "models": []
    }  # fmt: skip


def test_models_on_their_way_out_are_listed_as_of_a_day(cli: Cli) -> None:
    """The day is an argument, so that a pipeline says the same every time."""
    document = cli.json("list", "--retiring", "--as-of", "2026-08-01")
    assert (document["as_of"], document["days"]) == ("2026-08-01", 60)
    stages = {each["stage"] for each in document["models"]}
    assert {"retiring", "retired"} <= stages
    for each in document["models"]:
        assert each.keys() == {"id", "stage", "deprecated_at", "retires_at", "days", "source"}
        if each["days"] is not None:
            assert (each["days"] <= 0) is (each["stage"] == "retired")
            assert each["days"] <= 60 or each["stage"] == "deprecated"
    lines = cli("list", "--retiring", "--as-of", "2026-08-01").splitlines()
    assert lines[0].split() == ["model", "stage", "retires", "in", "days", "source"]
    days = [line.split()[2] for line in lines[1:-1] if " - " not in line]
    assert days == sorted(days)
    assert lines[-1].startswith("as of 2026-08-01, 60 days ahead: ")
    nobody = cli("list", "--retiring", "--provider", "nobody", "--as-of", "2026-08-01")
    assert nobody.startswith("no model is deprecated, retired, or retires within 60 days of 2026")
    assert "choose one" in cli("list", "--retiring", "--stale", code=2)
    assert "--as-of belongs to" in cli("list", "--as-of", "2026-08-01", code=2)
