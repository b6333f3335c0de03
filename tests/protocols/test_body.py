"""Reading a body: what is UTF-8, however long it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.protocols import body

PIECES = st.one_of(
    st.text("aé漢😀", max_size=8).map(str.encode),
    st.binary(max_size=6),
    st.sampled_from([b"\x80", b"\xc3", b"\xe6\xbc", b"\xf0\x9f\x98", b"\xf0\x9f\x98\x80\x80"]),
)


@given(st.lists(PIECES, max_size=6), st.integers(0, 12))
def test_the_first_wrong_byte_is_found_wherever_a_window_ends(
    pieces: list[bytes], shift: int
) -> None:
    """A body that is looked at in steps is judged as if it were decoded at once."""
    data = b"a" * (body._WINDOW - shift) + b"".join(pieces)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        with pytest.raises(RequestInvalid, match=rf"at byte {error.start}\.$"):
            body.check_utf8(data)
    else:
        body.check_utf8(data)
