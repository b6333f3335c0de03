import pytest

from gatewayctl.core.happened import Field, Happened


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("rejected", "rejected"),
        ("https://a:443", "https://a:443"),
        (3, "3"),
        (2.5, "2.5"),
        (True, "true"),
        (None, "none"),
        ("HTTP 500", '"HTTP 500"'),
        ("a to=b", '"a to=b"'),
        ("a\nb", '"a\\nb"'),
        ("a=b", '"a=b"'),
        ("", '""'),
    ],
)
def test_a_value_is_one_word_or_quoted(value: Field, told: str) -> None:
    """So that nothing that comes from outside can pass for a field, or for another line."""
    happened = Happened("it_changed", {"model": "a/b", "why": value})
    assert str(happened) == f"it_changed model=a/b why={told}"
