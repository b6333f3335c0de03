"""Masks: no secret of a config is printed, and nothing else is lost."""

import pytest

from gatewayctl.config.secrecy import MASK, masked


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
