import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.upstream.token_reply import TERMINAL, Refused, Tokens, read, refusal

FIELDS = (
    *("access_token", "refresh_token", "expires_in", "scope", "error", "id_token", "token_type"),
    *("account", "organization", "code", "type", "message", "email", "email_address"),
)


def reply(**fields: object) -> Tokens:
    """Return what is read of a reply with an access token and these fields."""
    found = read(json.dumps({"access_token": "a", **fields}).encode())
    assert isinstance(found, Tokens)
    return found


def jwt(**claims: object) -> str:
    """Return a token that says this of itself."""
    told = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{told}.signature"


def test_all_that_the_standard_has_is_read() -> None:
    """Tokens, lifetime and scopes."""
    found = reply(refresh_token="r", expires_in=60, scope="a b a", token_type="bearer")
    assert (found.access_token, found.refresh_token) == ("a", "r")
    assert (found.lifetime, found.scopes, found.unusable) == (60.0, ("a", "b"), None)


def test_scopes_may_be_a_list() -> None:
    """Some servers send one."""
    assert reply(scope=["a", 1, "b"]).scopes == ("a", "b")
    assert reply(scope="").scopes is None


def test_a_token_that_says_when_it_ends_is_believed() -> None:
    """Where the reply has no lifetime: some providers rely on the token's own claims."""
    found = read(json.dumps({"access_token": jwt(exp=1_800_000_000)}).encode())
    assert isinstance(found, Tokens)
    assert (found.lifetime, found.expires_at) == (None, 1_800_000_000.0)


@pytest.mark.parametrize(
    ("fields", "who", "plan"),
    [
        ({"account": {"email_address": "me@x"}}, "me@x", None),
        ({"organization": {"name": "Us", "organization_type": "team"}}, "Us", "team"),
        (
            {
                "id_token": jwt(
                    email="me@x", **{"https://api.openai.com/auth": {"chatgpt_plan_type": "plus"}}
                )
            },
            "me@x",
            "plus",
        ),
        ({"email": "me@x\n\x1b[31m", "plan": " "}, "me@x??[31m", None),
        ({"account": "me", "organization": [], "id_token": "no.token"}, None, None),
        ({"id_token": "a.!!!.b", "plan": 7}, None, None),
    ],
)
def test_whose_account_it_is_is_read_where_it_is_told(
    fields: dict[str, object], who: str | None, plan: str | None
) -> None:
    """In the forms that providers have for it, as text that can be shown."""
    account = reply(**fields).account
    assert (account.who, account.plan) == (who, plan)


@pytest.mark.parametrize("code", sorted(TERMINAL))
@pytest.mark.parametrize(
    "form",
    [
        '{"error": "CODE"}',
        '{"error": "CODE", "error_description": "words"}',
        '{"error": {"code": "CODE"}}',
        '{"type": "error", "error": {"type": "CODE", "message": "words"}}',
        '{"error": {"type": "invalid_request_error", "code": "CODE"}}',
        '{"error": "invalid_request", "code": "CODE"}',
    ],
)
def test_terminal_codes_are_found_in_every_form(code: str, form: str) -> None:
    """As the standard has them, and as the providers' own errors do."""
    found = refusal(form.replace("CODE", code).encode())
    assert found is not None
    assert (found.code, found.terminal) == (code, True)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "temporarily_unavailable"}',
        b'{"error": "invalid_request", "error_description": "invalid_grant"}',
        b'{"error": {"message": "invalid_grant"}}',
        b'{"error": "an invalid_grant"}',
        b'{"error": "INVALID_GRANT"}',
        b'{"message": "access_denied"}',
        b"{}",
        b"invalid_grant",
    ],
)
def test_words_do_not_end_a_credential(body: bytes) -> None:
    """Only a code does, exactly as it is listed."""
    found = refusal(body)
    assert found is None or not found.terminal


def test_an_error_inside_a_success_is_a_refusal() -> None:
    """Some servers answer 200 to everything."""
    found = read(b'{"error": "invalid_grant"}')
    assert isinstance(found, Refused)
    assert found.terminal


@given(
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(FIELDS),
                inner,
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_nothing_that_a_server_says_breaks_the_reading(body: bytes) -> None:
    """And what is read can be sent and shown."""
    refusal(body)
    found = read(body)
    if isinstance(found, Tokens):
        for token in (found.access_token, found.refresh_token):
            assert token is None or (token.isascii() and token.isprintable() and " " not in token)
        assert found.lifetime is None or found.lifetime > 0
        assert all((fact or "").isprintable() for fact in (found.account.who, found.account.plan))
    if isinstance(found, Refused):
        assert found.message.isprintable()
