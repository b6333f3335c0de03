"""Data URLs become sources and sources data URLs, with nothing lost on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.conversation import Inline, Linked
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.protocols import data_urls


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:image/png;base64,iVBO", Inline(media_type="image/png", data="iVBO")),
        ("DATA:Image/PNG;name=a;base64,iVBO", Inline(media_type="image/png", data="iVBO")),
        ("data:text/plain,a%20b", Inline(media_type="text/plain", data="YSBi")),
        ("data:text/plain;charset=utf-8,a", Inline(media_type="text/plain", data="YQ==")),
        ("data:;base64,YQ%3D%3D", Inline(media_type="", data="YQ==")),
        ("https://a.example/x.png", Linked(url="https://a.example/x.png")),
    ],
)
def test_an_address_is_read_for_what_it_is(url: str, expected: Inline | Linked) -> None:
    """Clients write parameters, capitals and escapes, and data that is no base64."""
    assert data_urls.source(url, "$.x") == expected


def test_a_data_url_without_data_is_refused_where_it_stands() -> None:
    """There is nothing that could be sent in its place."""
    with pytest.raises(RequestInvalid) as refusal:
        data_urls.source("data:image/png;base64", "$.messages[0].content[1].image_url.url")
    assert refusal.value.path == "$.messages[0].content[1].image_url.url"


@given(data=st.binary(max_size=20))
def test_what_is_written_is_read_again(data: bytes) -> None:
    """The base64 of any data comes back as it went in."""
    inline = Inline(media_type="application/pdf", data=data.hex())
    assert data_urls.source(data_urls.written(inline), "$") == inline
