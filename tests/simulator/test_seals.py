import pytest

from gatewayctl.simulator.seals import opened, sealed

SEAL = sealed("", "messages", "small", "a thought")


def test_a_seal_says_what_it_is_of() -> None:
    """Maker, model and text can be told from it, and a changed text as well."""
    seal = opened("", "messages", SEAL)
    assert seal is not None
    assert (seal.maker, seal.model) == ("messages", "small")
    assert seal.is_of("a thought")
    assert not seal.is_of("another")


@pytest.mark.parametrize(
    "data",
    ["", "AAAA", "not base64!", None, 5, SEAL[:-4], SEAL.replace("I", "J"), "A" * 4 + SEAL],
)
def test_what_was_not_sealed_here_is_none(data: object) -> None:
    """Whatever stands in its place, it is known as foreign, and nothing breaks."""
    assert opened("", "messages", data) is None


def test_another_secret_or_protocol_is_foreign() -> None:
    """Two providers do not know each other's seals, nor two protocols of one."""
    assert opened("other", "messages", SEAL) is None
    assert opened("", "responses", SEAL) is None


def test_a_seal_may_come_in_the_letters_for_urls() -> None:
    """Google's own SDK decodes what it is given, and writes it so."""
    found = next(
        seal for at in range(200) if {"+", "/"} <= set(seal := sealed("", "gemini", "m", str(at)))
    )
    assert opened("", "gemini", found.replace("+", "-").replace("/", "_")) == opened(
        "", "gemini", found
    )
