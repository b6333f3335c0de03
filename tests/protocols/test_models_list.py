"""The model list in both shapes, and the names made for Claude Code's discovery."""

from typing import Any

import msgspec
import pytest
from anthropic.types import ModelInfo
from openai.types import Model

from gatewayctl.protocols import models_list
from gatewayctl.protocols.models_list import ModelEntry

ROUTE = ModelEntry(
    id="fast",
    owned_by="gatewayctl",
    context_window=1000,
    max_output_tokens=100,
    capabilities={"tools": True},
    members=("local/a/b", "x/y"),
)
LOCAL = ModelEntry(id="local/a/b", owned_by="local")
OWN = ModelEntry(id="anthropic/claude-x", owned_by="anthropic", foreign=False)
ODD = ModelEntry(id="local/a--b", owned_by="local")


def decoded(body: bytes) -> dict[str, Any]:
    """Decode a rendered object."""
    return msgspec.json.decode(body, type=dict[str, Any])


def test_openais_shape_is_valid_and_tells_limits_and_members() -> None:
    """OpenAI's own type accepts every entry, and what is known stands beside its fields."""
    listed = decoded(models_list.openai_list([ROUTE, LOCAL]))
    assert listed["object"] == "list"
    assert [Model.model_validate(entry, strict=True).id for entry in listed["data"]] == [
        "fast",
        "local/a/b",
    ]
    assert listed["data"][0]["members"] == ["local/a/b", "x/y"]
    assert listed["data"][0] == decoded(models_list.openai_model(ROUTE))
    assert listed["data"][1]["context_window"] is None


def test_anthropics_shape_is_valid_and_lists_foreign_models_twice() -> None:
    """Each foreign id has a second name that starts with claude- and is accepted back."""
    listed = decoded(models_list.anthropic_list([ROUTE, LOCAL, OWN, ODD]))
    ids = [ModelInfo.model_validate_json(msgspec.json.encode(e)).id for e in listed["data"]]
    assert ids[:4] == [ROUTE.id, LOCAL.id, OWN.id, ODD.id]
    assert ids[4:] == ["claude-via-fast", "claude-via-local--a--b"]
    assert [models_list.unvia(name) for name in ids[4:]] == [ROUTE.id, LOCAL.id]
    assert (listed["first_id"], listed["last_id"]) == (ids[0], ids[-1])
    assert listed["data"][0]["gatewayctl"]["members"] == ["local/a/b", "x/y"]


def test_an_empty_list_has_no_first_and_last_id() -> None:
    """No model is configured: the page is whole and empty."""
    listed = decoded(models_list.anthropic_list([]))
    assert listed == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@pytest.mark.parametrize("name", ["gpt-5", "claude-opus-4", "local/a", "", "claude-via"])
def test_other_names_are_left_as_they_are(name: str) -> None:
    """Only the made-up prefix is taken back."""
    assert models_list.unvia(name) == name


def test_one_model_is_told_under_the_name_it_was_asked_for() -> None:
    """A client that asks for claude-via-fast gets an object with that id."""
    one = decoded(models_list.anthropic_model(ROUTE, "claude-via-fast"))
    assert (one["id"], one["type"], one["max_tokens"]) == ("claude-via-fast", "model", 100)


def test_googles_shape_names_resources_and_tells_limits_where_they_are_known() -> None:
    """Its clients ask for ``models/ID``, and read the limits of input and output apart."""
    listed = decoded(models_list.gemini_list([ROUTE, LOCAL]))["models"]
    assert [entry["name"] for entry in listed] == ["models/fast", "models/local/a/b"]
    first, second = listed
    assert (first["inputTokenLimit"], first["outputTokenLimit"]) == (1000, 100)
    assert "generateContent" in first["supportedGenerationMethods"]
    assert first["gatewayctl"]["members"] == ["local/a/b", "x/y"]
    assert not {"inputTokenLimit", "outputTokenLimit"} & set(second)
    assert first == decoded(models_list.gemini_model(ROUTE))
