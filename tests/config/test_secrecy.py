"""Masks: no secret of a config is printed, and nothing else is lost."""

import pytest

from gatewayctl.config.secrecy import MASK, hidden, hidden_unread, masked


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"api_key": "abc"}, {"api_key": MASK}),
        ({"api_key": ["abc", {"env": "A"}]}, {"api_key": [MASK, {"env": "A"}]}),
        ({"api_key": {"file": "/run/a"}}, {"api_key": {"file": "/run/a"}}),
        ({"api_key": {"command": ["op", "x"]}}, {"api_key": {"command": ["op", MASK]}}),
        ({"headers": {"Authorization": "Bearer abc"}}, {"headers": {"Authorization": MASK}}),
        ({"headers": {"x-api-key": "abc"}}, {"headers": {"x-api-key": MASK}}),
        ({"headers": {"x-team": "a"}}, {"headers": {"x-team": "a"}}),
        ({"proxy": "http://me:pw@h:1/x"}, {"proxy": f"http://{MASK}@h:1/x"}),
        (
            {"oauth": {"extra": {"client_secret": "abc"}}},
            {"oauth": {"extra": {"client_secret": MASK}}},
        ),
        (
            {"secrets": [{"type": "plain", "value": "abc"}]},
            {"secrets": [{"type": "plain", "value": MASK}]},
        ),
        ({"auth": "key", "tokenizer": "char_ratio"}, {"auth": "key", "tokenizer": "char_ratio"}),
        ({"drop": ["sk-abcdefghijklmnopqrst"]}, {"drop": [MASK]}),
        ({"chars_per_token": 3.5}, {"chars_per_token": 3.5}),
        ({"headers": {"x-secretkey": "abc"}}, {"headers": {"x-secretkey": MASK}}),
        ({"headers": {"password1": "abc"}}, {"headers": {"password1": MASK}}),
        ({"headers": {"x-via": "Bearer abc"}}, {"headers": {"x-via": f"Bearer {MASK}"}}),
        ({"timeouts": {"first_token": "5m"}}, {"timeouts": {"first_token": "5m"}}),
        ({"max_output_tokens": "8K"}, {"max_output_tokens": "8K"}),
        ({"api_key": {"env": "sk-abcdefghijklmnopqrst"}}, {"api_key": {"env": MASK}}),
        ({"proxy": "me:pw@h:1"}, {"proxy": f"{MASK}@h:1"}),
        ({"proxy": "http://me:p/w @ @h:1"}, {"proxy": f"http://{MASK}@h:1"}),
        ({"url": "https://h/x?a=pw&b=pw"}, {"url": f"https://h/x?a={MASK}&b={MASK}"}),
        ({"url": "https://h/x?pw"}, {"url": f"https://h/x?{MASK}"}),
        ({"headers": {"x-jwt": "pw"}}, {"headers": {"x-jwt": MASK}}),
        ({"headers": {"x-token": {"env": "pw"}}}, {"headers": {"x-token": {"env": MASK}}}),
        ({"headers": ["x-token: pw"]}, {"headers": [MASK]}),
        ({"oauth": {"extra": "client_secret=pw"}}, {"oauth": {"extra": MASK}}),
    ],
)
def test_secrets_are_masked_and_references_stay(value: object, shown: object) -> None:
    """Keys, credential headers, URL users and what looks like a key; where a secret is stays."""
    assert masked(value) == shown


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
