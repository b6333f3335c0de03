"""The table's file keeps what went in, side by side, and refuses what it cannot read."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.errors import StorageFailed
from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.table import FORMAT, Part, Table, claims_of, join

SIZES = st.none() | st.integers(1, 10**9)
CLAIMS = st.builds(
    Claims,
    context_window=SIZES,
    max_input_tokens=SIZES,
    max_output_tokens=SIZES,
    prices=st.dictionaries(
        st.sampled_from(["input", "output"]), st.decimals(0, 1000, allow_nan=False)
    ),
    capabilities=st.dictionaries(st.sampled_from(list(Capability)), st.booleans()),
    retires_at=st.none() | st.just("2026-12-31"),
)
PARTS = st.dictionaries(
    st.sampled_from(["litellm", "models_dev"]),
    st.builds(
        Part,
        fetched_at=st.just("2026-01-01T00:00:00Z"),
        models=st.dictionaries(st.text(min_size=1).map("p/{}".format), CLAIMS, max_size=5),
    ),
)


@given(PARTS)
def test_what_is_joined_comes_apart_again(parts: dict[str, Part]) -> None:
    """Each source's part survives the file exactly, so one can be exchanged without the others."""
    table = Table.load(join(parts))
    for name, part in parts.items():
        back = table.part(name)
        assert back is not None
        assert back.fetched_at == part.fetched_at
        assert {key: claims_of(cell) for key, cell in back.models.items()} == part.models
        for model_id, claims in part.models.items():
            assert table.spoken(model_id)[name].claims == claims
    assert table.part("nobody") is None


@given(PARTS)
def test_the_same_parts_give_the_same_bytes(parts: dict[str, Part]) -> None:
    """Order of arrival does not show, and a part taken from a file is as good as the original."""
    data = join(parts)
    assert join(dict(reversed(parts.items()))) == data
    table = Table.load(data)
    assert join({name: part for name in parts if (part := table.part(name)) is not None}) == data


def test_a_model_that_nobody_lists_has_no_claims() -> None:
    """An unknown id is no error."""
    assert Table.load(join({})).spoken("p/m") == {}


def test_prices_stay_exact() -> None:
    """Decimals are written as they are, not by way of a float."""
    exact = Decimal("0.1234567890123456789")
    part = Part(fetched_at="2026-01-01T00:00:00Z", models={"p/m": Claims(prices={"input": exact})})
    claims = Table.load(join({"litellm": part})).spoken("p/m")["litellm"].claims
    assert claims.prices["input"] == exact


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        msgspec.json.encode(
            {
                "format": FORMAT + 1,
                "base": "",
                "count": 0,
                "sources": [],
                "models": {},
                "listings": {},
            }
        ),
    ],
)
def test_a_damaged_file_or_another_format_is_refused(data: bytes) -> None:
    """Callers fall back to another table; nothing is half read."""
    with pytest.raises(StorageFailed):
        Table.load(data)
