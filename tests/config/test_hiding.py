"""Lines of a broken file: no secret in them is shown, and they stay as long as they are."""

import pytest

from gatewayctl.config.hiding import hidden, hidden_unread


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('api_key = "planted"', 'api_key = "*******"'),
        ('proxy = "http://me:planted@h:1" x', 'proxy = "http://**********@h:1" x'),
        ("api_key = 'planted' # x y", "api_key = '*******' # * *"),
        ('x = { api_key = ["planted"], foo = 1 }', 'x = { api_key = ["*******"], foo = 1 }'),
        ('api_key = "planted', 'api_key = "*******'),
        (
            'headers = { Authorization = "Bearer planted" }',
            'headers = { Authorization = "**************" }',
        ),
        ('api_key = { env = "NAME" }', 'api_key = { env = "NAME" }'),
        ('keys = ["sha256:planted"]', 'keys = ["**************"]'),
        ('model = "openai/gpt-4o"', 'model = "openai/gpt-4o"'),
        ('timeouts = { first_token = "5 s", total = "x" }',) * 2,
        ('chars_per_token = "3.5"',) * 2,
    ],
)
def test_a_line_is_shown_without_its_secrets(line: str, shown: str) -> None:
    """The length stays, so that a caret below it still points at the right place."""
    assert hidden(line) == shown
    assert len(shown) == len(line)


@pytest.mark.parametrize(
    "line",
    [
        "bogus = 1 # old key planted",
        'proxy = "me:planted@h:1"',
        'base_url = "http://me:a/planted@h"',
        'base_url = "http://me:a planted@h"',
        'base_url = "http://me:a@planted@h"',
        'base_url = "https://h/v1?x=planted"',
        'headers = ["x-token: planted"]',
        'headers = "x-token: planted"',
        'headers = { x-token = { env = "planted" } }',
        'extra = "client_secret=planted"',
    ],
)
def test_what_people_write_in_the_wrong_place_is_hidden(line: str) -> None:
    """Where a file has an error, a secret may stand where none is looked for."""
    shown = hidden(line)
    assert "planted" not in shown
    assert len(shown) == len(line)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("api_key = planted", "api_key = *******"),
        ("api_key=my planted", "api_key=** *******"),
        ('api_key = { env = "planted"', 'api_key = { *** = "*******"'),
        ('  "planted', '  "*******'),
        ("  planted,", "  *******,"),
        ("export KEY=planted", "****** ***=*******"),
        ("# was planted", "* *** *******"),
        ("port == 1 # planted", "port == * * *******"),
        ("[providers.up", "[providers.up"),
        ("[[models]", "[[models]"),
    ],
)
def test_of_a_line_that_is_not_toml_the_key_is_shown(line: str, shown: str) -> None:
    """Which of its other words are secrets nobody can tell; the length stays."""
    assert hidden_unread(line) == shown


def test_a_line_inside_a_secrets_value_has_no_name_of_its_own() -> None:
    """An element of a list over several lines is as secret as its key says."""
    assert hidden('  "planted", "",', inside=True) == '  "*******", "",'
    assert hidden('  { env = "NAME" },', inside=True) == '  { env = "NAME" },'
