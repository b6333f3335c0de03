"""The paths of Gemini's clients: which model a path names and what it asks of it, and back.

The model and whether it streams stand in the path, nowhere else. Base URLs may double or leave out
the version, and model names have slashes (``%2F`` or plain) and colons. All functions take paths
without escapes. What is served at them is the daemon's business.
"""

import re
from typing import Final
from urllib.parse import parse_qsl, quote, unquote

import msgspec

GENERATE: Final = "generateContent"
STREAM: Final = "streamGenerateContent"
COUNT: Final = "countTokens"

RESOURCE: Final = "models/"
"""What stands before the names of models, in paths and in bodies, and belongs to none of them."""

_TUNED: Final = "tunedModels/"
_VERSION = r"(?:/v1(?:alpha|beta)?\d*)*"
_CALL = re.compile(rf"^{_VERSION}/(?P<model>(?:models|tunedModels)/.+):(?P<method>\w+)/?$")
_LISTED = re.compile(rf"^{_VERSION}/(?P<model>(?:models|tunedModels)/.+?)/?$")
_LIST = re.compile(rf"^{_VERSION}/models/?$")
_OURS = re.compile(
    r"^(?:/v1)*(?:/v1(?:alpha|beta)\d*(?:/|$)|/(?:models|tunedModels)/.+:"
    r"(?:countTokens|generateContent|streamGenerateContent|embedContent|batchEmbedContents)/?$)"
)
_OWN_QUERY: Final = frozenset({"key", "alt", "$alt"})


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """What a path asks for: a model by its name, and the method, which may be an unknown one."""

    model: str
    method: str


def is_gemini(path: str) -> bool:
    """Tell whether a path is one that only Gemini's clients ask for.

    ``/v1/models/…`` alone is others' too, whose ids may have a colon.
    """
    return _OURS.match(path) is not None


def called(path: str) -> Called | None:
    """Return what a POST to a path asks for, None where it names no model and method.

    A name may have slashes and colons; ``models/`` is no part of it, ``tunedModels/`` is.
    """
    found = _CALL.match(path)
    return None if found is None else Called(model=named(found["model"]), method=found["method"])


def listed(path: str) -> str | None:
    """Return which model a GET of a path asks about, an empty name for all of them.

    None where it asks for something else.
    """
    if _LIST.match(path):
        return ""
    found = _LISTED.match(path)
    return None if found is None else named(found["model"])


def named(model: str) -> str:
    """Return a model's name without Google's prefix, however often it stands there."""
    while model.startswith(RESOURCE):
        model = model.removeprefix(RESOURCE)
    return model


def wants_array(query: str) -> bool:
    """Tell whether a stream's client wants one JSON array: it asks for no server-sent events."""
    return all(
        name not in {"alt", "$alt"} or value.lower() != "sse"
        for name, value in parse_qsl(query, keep_blank_values=True)
    )


def address(model: str, query: str, *, stream: bool) -> str:
    """Return what stands behind a base URL, for an upstream's name of a model.

    The client's query goes along but for its key, which is a credential, and for the form.
    """
    kept = [each for each in query.split("&") if each and _name(each) not in _OWN_QUERY]
    if stream:
        kept.insert(0, "alt=sse")
    path = called_at(model, STREAM if stream else GENERATE)
    return f"{path}?{'&'.join(kept)}" if kept else path


def called_at(model: str, method: str) -> str:
    """Return the path of a method, behind a base URL, for an upstream's name of a model."""
    name = named(model)
    resource = name if name.startswith(_TUNED) else RESOURCE + name
    return f"/{quote(resource, safe='/')}:{method}"


def _name(parameter: str) -> str:
    return unquote(parameter.partition("=")[0])
