import pytest

from gatewayctl.core.errors import Failure, FailureKind
from gatewayctl.core.model import Auth
from gatewayctl.upstream.scrub import scrub

from .conftest import MakeProvider


def failure(words: str) -> Failure:
    """Return a failure that says these words everywhere."""
    return Failure(
        kind=FailureKind.SERVER_ERROR,
        message=words,
        body=words.encode(),
        headers=(("x-echo", words), ("x-latin", "caf\xe9 \udcff")),
    )


def test_whatever_an_upstream_was_sent_does_not_come_back_from_it(provider: MakeProvider) -> None:
    """Key, configured headers and the URL's password vanish from words, body and headers."""
    settings = provider(
        base_url="http://user:url-password@127.0.0.1:9", headers={"x-team": "header-secret"}
    )
    found = scrub(settings, "the-key", {}).failure(
        failure("the-key, header-secret, url-password, other")
    )
    assert found.message == "…, …, …, other"
    assert found.body == b"..., ..., ..., other"
    assert found.headers == (
        ("x-echo", "..., ..., ..., other"),
        ("x-latin", "caf\xe9 \udcff"),
    )


def test_a_user_without_a_password_is_a_secret(provider: MakeProvider) -> None:
    """Some services take a token for the user of their address."""
    settings = provider(base_url="http://url%20token@127.0.0.1:9", proxy="http://me%20-token:@h:1")
    said = failure("url token, url%20token, me -token, me%20-token")
    assert scrub(settings, None, {}).message(said.message) == "…, …, …, …"


@pytest.mark.parametrize(
    "written",
    [
        "Key/with+odd\\back",
        "Key/with+odd\\\\back",
        "Key\\/with+odd\\\\back",
        "Key%2Fwith%2Bodd%5Cback",
        "Key/with+odd\\\\\\\\back",
        "Key\\\\\\/with+odd\\\\\\\\back",
    ],
    ids=["as it is", "JSON", "JSON of PHP", "URL", "JSON in JSON", "JSON in JSON of PHP"],
)
def test_a_key_is_found_however_it_is_written(provider: MakeProvider, written: str) -> None:
    """Whoever quotes a key in JSON or in a URL writes some characters another way."""
    found = scrub(provider(), "Key/with+odd\\back", {}).failure(failure(f'{{"key": "{written}"}}'))
    assert (found.message, found.body) == ('{"key": "…"}', b'{"key": "..."}')


def test_a_key_in_a_configured_header_is_found_without_its_scheme(provider: MakeProvider) -> None:
    """An upstream quotes the key, and not the word before it."""
    settings = provider(headers={"Authorization": "Bearer header/key"})
    said = failure("header/key, header%2Fkey, Bearer header/key")
    assert scrub(settings, None, {}).failure(said).body == b"..., ..., ..."


def test_what_describes_a_request_is_no_secret(provider: MakeProvider) -> None:
    """A configured media type leaves that of the reply as it is."""
    settings = provider(headers={"accept": "application/json", "x-team": "header-secret"})
    said = (("content-type", "application/json"), ("x-echo", "header-secret"))
    assert scrub(settings, None, {}).headers(said) == (said[0], ("x-echo", "..."))


def test_a_stand_in_for_a_key_leaves_every_word_whole(provider: MakeProvider) -> None:
    """Local servers are given keys like "e" or "none"; taking those out would break the JSON."""
    said = failure('{"error": {"message": "none left"}}')
    for key in ("e", "none"):
        assert scrub(provider(), key, {}).failure(said) == said


def test_a_forwarded_credential_stays_out_of_words_and_passes_to_its_owner(
    provider: MakeProvider,
) -> None:
    """The client may see its own key quoted; the log may not."""
    settings = provider(auth=Auth.FORWARD)
    client = {"authorization": "Bearer opaque%41token", "x-api-key": "opaque/key"}
    found = scrub(settings, None, client).failure(failure("opaque%41token opaque%2Fkey"))
    assert (found.message, found.body) == ("… …", b"opaque%41token opaque%2Fkey")
    unknown = scrub(settings, None, {"x-who": "opaque-\udcff"}).message("no opaque-\udcff")
    assert unknown == "no …"


def test_nothing_of_it_shows_in_a_repr(provider: MakeProvider) -> None:
    """A traceback or a debugger shows no secret."""
    assert "the-key" not in repr(scrub(provider(), "the-key", {}))
