"""What a login page sends back, read and held against the login that waits for it."""

import pytest

from gatewayctl.cli.answer import Answer, Answered, Expected, LoginFailed, NoAnswer, pasted, read

_QUERY = "code=a%2Fb&state=s%2B1"


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _expected(clock: _Clock | None = None) -> Expected:
    return Expected("s+1", 10.0, clock or _Clock())


@pytest.mark.parametrize(
    "text",
    [
        f"http://127.0.0.1:1455/callback?{_QUERY}",
        f"https://login.example/done?x=1&{_QUERY}#fragment",
        f"/callback?{_QUERY}",
        f"?{_QUERY}",
        _QUERY,
        f"  <http://localhost/?{_QUERY}>\r\n",
        f"'?{_QUERY}'",
    ],
)
def test_an_address_is_read_as_people_paste_it(text: str) -> None:
    """Whole, without its host, the query alone, with what a selection takes along."""
    assert pasted(text) == Answer(code="a/b", state="s+1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "http://127.0.0.1/callback",
        "http://127.0.0.1/callback#state",
        "/callback?x=1#state",
        "code#",
        "#state",
        "a code#state",
        "?state=s",
        "?code=a&code=b&state=s",
        "?code=",
        "?" + "code=a&" * 10_000,
    ],
)
def test_what_is_no_answer_is_none(text: str) -> None:
    """A login goes on waiting; two codes are none, since nobody knows which is meant."""
    with pytest.raises(NoAnswer):
        pasted(text)


def test_an_answer_is_not_shown_by_accident() -> None:
    """No repr holds a code."""
    assert "a/b" not in repr(read(_QUERY))


def test_a_state_is_good_once() -> None:
    """The second answer is told from the first, whatever it says."""
    expected = _expected()
    assert expected.take(read(_QUERY)) == "a/b"
    for again in (_QUERY, "code=x&state=s%2B1", "error=access_denied&state=s%2B1"):
        with pytest.raises(Answered):
            expected.take(read(again))


def test_a_state_ends_with_its_time() -> None:
    """An answer that comes too late is none, though its state is right."""
    clock = _Clock()
    expected = _expected(clock)
    clock.now = 10.5
    with pytest.raises(LoginFailed, match="too late"):
        expected.take(read(_QUERY))


@pytest.mark.parametrize("said", ["code=a", "error=access_denied"])
@pytest.mark.parametrize("state", ["&state=other", "&state=", "", "&state=%E2%82%AC"])
def test_another_state_ends_no_login(said: str, state: str) -> None:
    """Any page can send somebody's code, or a refusal: neither is used, and the login waits on."""
    expected = _expected()
    with pytest.raises(NoAnswer, match="another login"):
        expected.take(read(f"{said}{state}"))
    assert expected.take(read(_QUERY)) == "a/b"


def test_a_code_is_taken_with_its_state_as_a_page_shows_them() -> None:
    """CODE#STATE, which some providers' own pages have a person copy."""
    assert pasted(" a/b-_9=#s+1\n") == Answer(code="a/b-_9=", state="s+1")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            "error=access_denied&error_description=You+said+no&state=s%2B1",
            "the login was declined (access_denied: You said no)",
        ),
        ("error=access_denied&state=s%2B1", "the login was declined (access_denied)"),
        (
            "error=invalid_scope&error_description=a%1B%5B31m&state=s%2B1",
            "the login page refused (invalid_scope: a\N{REPLACEMENT CHARACTER}[31m)",
        ),
        (
            "error=x&state=s%2B1&error_description=" + "y" * 1000,
            f"the login page refused (x: {'y' * 297})",
        ),
    ],
)
def test_a_refusal_is_told_in_the_page_s_words(query: str, said: str) -> None:
    """Bounded, and nothing in it steers a terminal."""
    with pytest.raises(LoginFailed) as caught:
        _expected().take(read(query))
    assert str(caught.value) == said
