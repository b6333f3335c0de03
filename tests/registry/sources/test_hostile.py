"""Whatever a server answers, a listing ends: with a table, or as a failed source."""

import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.listings import drive

from gatewayctl.core.errors import SourceFailed
from gatewayctl.registry.sources import LISTINGS
from gatewayctl.registry.sources.asking import MOST_PAGES
from gatewayctl.registry.sources.entries import day, model_id

PROVIDERS = sorted(LISTINGS.keys() - {"litellm", "models_dev"})
ENTRIES = {"gemini": "models", "ollama": "models", "lmstudio": "models"}
IDS = {"gemini": "name", "ollama": "model", "lmstudio": "key"}

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
FIELDS = [
    "aliases",
    "architecture",
    "active",
    "archived",
    "capabilities",
    "config",
    "context_length",
    "context_window",
    "data",
    "deprecation",
    "details",
    "has_more",
    "id",
    "key",
    "last_id",
    "lifecycle",
    "limits",
    "loaded_context_length",
    "loaded_instances",
    "max_completion_tokens",
    "max_context_length",
    "max_input_tokens",
    "max_model_len",
    "max_tokens",
    "meta",
    "model",
    "model_info",
    "models",
    "n_ctx",
    "n_ctx_train",
    "name",
    "nextPageToken",
    "parameters",
    "parent",
    "policy",
    "pricing",
    "prompt",
    "remote_host",
    "retires_at",
    "shutdown_date",
    "state",
    "status",
    "supports",
    "supportedGenerationMethods",
    "supported_parameters",
    "top_provider",
    "value",
    "default_generation_settings",
    "general.architecture",
    "x.context_length",
]
NAMES = st.sampled_from(FIELDS) | st.text(max_size=6)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(NAMES, inner, max_size=8),
    max_leaves=40,
)


@pytest.mark.parametrize("name", PROVIDERS)
@settings(max_examples=20)  # for each of the listings
@given(entries=st.lists(JSON, max_size=8), rest=st.dictionaries(NAMES, JSON, max_size=3))
def test_every_entry_is_read_or_left_out_for_a_reason(
    name: str, entries: list[Any], rest: dict[str, Any]
) -> None:
    """Parsed and skipped entries add up, whatever their fields hold; nothing else is raised."""
    page = {**rest, ENTRIES.get(name, "data"): entries, "has_more": False, "nextPageToken": None}
    found = drive(name, msgspec.json.encode(page))
    own = [model for model, said in found.models.items() if said.alias_of is None]
    leading = [model for model, said in found.models.items() if said.alias_of is not None]
    entered = len(entries) - sum(found.skipped.values())
    assert len(own) <= entered <= len(own) + len(leading)
    assert set(found.skipped) <= REASONS


REASONS = {
    "duplicate",
    "not an object",
    "no model id",
    "retired",
    "generates no content",
    "archived",
    "not active",
    "not enabled",
}


@pytest.mark.parametrize("name", PROVIDERS)
@given(reply=JSON)
def test_any_reply_ends_in_a_table_or_a_failed_source(name: str, reply: object) -> None:
    """No other exception comes out, however the reply is shaped."""
    with contextlib.suppress(SourceFailed):
        drive(name, msgspec.json.encode(reply))


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"<html>502</html>",
        b"null",
        b'"x"',
        b"{}" * 2,
        b"[" * 100_000,
        b'{"data":{}}',
        b'{"data":"x","models":7}',
        b"1e999999999999999999",
    ],
)
def test_what_is_no_listing_is_a_failed_source(name: str, body: bytes) -> None:
    """An empty table would pass for a provider without models."""
    with pytest.raises(SourceFailed):
        drive(name, body)


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("status", [204, 301, 401, 404, 429, 500])
def test_a_refusal_is_a_failed_source(name: str, status: int) -> None:
    """Nothing is made of an error's body."""
    with pytest.raises(SourceFailed):
        drive(name, status)


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("size", [b"1e999999", b"9" * 4000, b"-1", b"0", b"0.5", b"1e400"])
def test_figures_beyond_belief_are_unknown(name: str, size: bytes) -> None:
    """They are neither expanded nor believed."""
    fields = b",".join(b'"%s":%s' % (field.encode(), size) for field in FIELDS[:40:2])
    key = IDS.get(name, "id").encode()
    entry = b'{%s,"%s":"m","supportedGenerationMethods":["generateContent"]}' % (fields, key)
    with contextlib.suppress(SourceFailed):
        found = drive(name, b'{"%s":[%s]}' % (ENTRIES.get(name, "data").encode(), entry))
        for said in found.models.values():
            assert said.context_window is None
            assert said.served is None
            assert said.max_input_tokens is None
            assert said.max_output_tokens is None


class _Endless(Mapping[str, Any]):
    """Pages that always have a next one: the same over and over, or ever new ones."""

    def __init__(self, *, new: bool) -> None:
        self._new = new
        self.asked = 0

    def get(self, key: str, default: object = None) -> object:
        del key, default
        self.asked += 1
        mark = f"c{self.asked if self._new else 0}"
        return {
            "data": [{"id": f"m{self.asked}"}],
            "models": [],
            "has_more": True,
            "last_id": mark,
            "nextPageToken": mark,
        }

    def __getitem__(self, key: str) -> object:
        return self.get(key)

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize("name", ["anthropic", "gemini"])
@pytest.mark.parametrize(("new", "pages", "why"), [(False, 2, "circle"), (True, MOST_PAGES, "50")])
def test_pages_without_end_are_a_failed_source(
    name: str, why: str, pages: int, *, new: bool
) -> None:
    """The same cursor again is a circle, and nobody has that many pages."""
    endless = _Endless(new=new)
    with pytest.raises(SourceFailed, match=why):
        drive(name, endless)
    assert endless.asked == pages


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-10-23", "2026-10-23"),
        ("2026-10-23T10:00:00Z", "2026-10-23"),
        ("2026-10-23 10:00", "2026-10-23"),
        ("2026-13-23", None),
        ("2026-10-23x", None),
        ("soon", None),
        (20261023, None),
    ],
)
def test_a_date_is_a_day_of_the_calendar(value: object, expected: str | None) -> None:
    """Times lose their hour, and what is no day is none."""
    assert day(value) == expected


@pytest.mark.parametrize("value", ["", " ", " m", "m\n", "m\x00", "m" * 600, "\u202em", 7, None])
def test_what_nobody_could_ask_for_is_no_id(value: object) -> None:
    """Ids with controls or blanks around them would break lines and look like others."""
    assert model_id(value) is None
