"""The paths of Gemini's clients and upstreams: models, methods, queries."""

from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayctl.protocols.gemini import paths
from gatewayctl.protocols.gemini.paths import Called

NAMES = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("path", "model", "method"),
    [
        ("/v1beta/models/m:countTokens", "m", "countTokens"),
        ("/v1/models/m:generateContent/", "m", "generateContent"),
        ("/v1alpha/models/m:streamGenerateContent", "m", "streamGenerateContent"),
        ("/v1/v1beta/models/a/b:c:countTokens", "a/b:c", "countTokens"),
        ("/v1beta/v1beta/models/m:generateContent", "m", "generateContent"),
        ("/models/models/a/b:countTokens", "a/b", "countTokens"),
        ("/v1beta/tunedModels/t:generateContent", "tunedModels/t", "generateContent"),
        ("/v1beta/models/m:embedContent", "m", "embedContent"),
    ],
)
def test_the_model_and_the_method_stand_in_the_path(path: str, model: str, method: str) -> None:
    """Between the collection and the verb, with slashes and colons of its own."""
    assert paths.called(path) == Called(model=model, method=method)


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/models/:countTokens",
        "/v1beta/models/m",
        "/v1beta/models",
        "/elsewhere/v1beta/models/m:countTokens",
        "/v1/chat/completions",
    ],
)
def test_other_paths_call_nothing(path: str) -> None:
    """A path without a model, without a method, or of somebody else."""
    assert paths.called(path) is None


@pytest.mark.parametrize(
    ("path", "theirs"),
    [
        ("/v1beta/models", True),
        ("/v1beta/anything", True),
        ("/v1alpha", True),
        ("/v1/models/m:countTokens", True),
        ("/v1/models/m:generateContent", True),
        ("/models/m:streamGenerateContent", True),
        ("/v1/models/llama3:latest", False),
        ("/v1/models", False),
        ("/v1/chat/completions", False),
    ],
)
def test_some_paths_are_geminis_alone(path: str, *, theirs: bool) -> None:
    """Others' clients share ``/v1/models``, and local models' ids have colons."""
    assert paths.is_gemini(path) is theirs


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1beta/models", ""),
        ("/v1/models/", ""),
        ("/v1beta/models/m", "m"),
        ("/v1beta/models/ollama/llama3:latest", "ollama/llama3:latest"),
        ("/v1beta/models/models/m/", "m"),
        ("/v1beta/files", None),
        ("/v1/chat/completions", None),
    ],
)
def test_one_model_or_all_can_be_listed(path: str, asked: str | None) -> None:
    """A colon in a name is no method where nothing is called."""
    assert paths.listed(path) == asked


@pytest.mark.parametrize(
    ("model", "query", "stream", "address"),
    [
        ("m", "", False, "/models/m:generateContent"),
        ("m", "", True, "/models/m:streamGenerateContent?alt=sse"),
        ("models/m", "", False, "/models/m:generateContent"),
        ("tunedModels/t", "", False, "/tunedModels/t:generateContent"),
        ("a/b:c d", "", False, "/models/a/b%3Ac%20d:generateContent"),
        ("m", "key=sk-secret&alt=sse&x=1", False, "/models/m:generateContent?x=1"),
        (
            "m",
            "%24alt=json&prettyPrint=false&ke%79=sk",
            True,
            "/models/m:streamGenerateContent?alt=sse&prettyPrint=false",
        ),
    ],
)
def test_an_upstream_is_called_by_its_own_name_of_the_model(
    model: str, query: str, address: str, *, stream: bool
) -> None:
    """The client's key never goes along, however it is written, and the form is ours to choose."""
    assert paths.address(model, query, stream=stream) == address


@settings(max_examples=50)
@given(model=NAMES, stream=st.booleans())
def test_what_is_addressed_is_what_is_called(model: str, *, stream: bool) -> None:
    """Whatever a model's name is, the path that names it is read back as that name."""
    method = paths.STREAM if stream else paths.GENERATE
    address = paths.called_at(model, method)
    assert address.isascii()
    assert "?" not in address
    expected = Called(model=paths.named(model), method=method)
    assert paths.called(f"/v1beta{unquote(address)}") == expected


@pytest.mark.parametrize(
    ("query", "array"),
    [
        ("", True),
        ("alt=json", True),
        ("key=x&alt=sse", False),
        ("%24alt=sse", False),
        ("alt=SSE", False),
    ],
)
def test_a_stream_is_an_array_unless_events_are_asked_for(query: str, *, array: bool) -> None:
    """Google's own default is a JSON array."""
    assert paths.wants_array(query) is array
