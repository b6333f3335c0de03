"""The content parts of items: what they are read as, and what they are written as."""

from typing import Any

import pytest

from gatewayctl.core.conversation import Audio, Document, Image, Inline, Linked, Refusal, Text
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.protocols.losses import Loss, Losses
from gatewayctl.protocols.responses import parts

PNG = Inline(media_type="image/png", data="AAAA")


def read(*content: Any) -> tuple[tuple[object, ...], tuple[str, ...]]:
    """Read content parts; return them, and what was left out."""
    losses = Losses()
    return parts.read(list(content), "$.content", losses), losses.found()


def write(part: parts.Shown) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Write a part; return it, and what was left out."""
    losses = Losses()
    return parts.written(part, losses), losses.found()


def test_other_dialects_forms_are_understood() -> None:
    """Compatible servers take them, so clients send them."""
    image = {"type": "image_url", "image_url": {"url": "https://example.org/x", "detail": "low"}}
    file = {"type": "file", "file": {"file_data": "AA==", "filename": "x.TXT"}}
    found, dropped = read(image, file, {"type": "text", "text": "a"})
    assert found == (
        Image(source=Linked(url="https://example.org/x"), detail="low"),
        Document(source=Inline(media_type="text/plain", data="AA=="), name="x.TXT"),
        Text(text="a"),
    )
    assert dropped == ()


def test_a_media_type_that_is_not_said_is_the_usual_one() -> None:
    """Every other protocol wants one."""
    image = {"type": "input_image", "image_url": "data:;base64,AAAA"}
    file = {"type": "input_file", "file_data": "BB=="}
    found, _ = read(image, file)
    assert found == (
        Image(source=PNG),
        Document(source=Inline(media_type="application/pdf", data="BB==")),
    )


def test_what_a_part_says_besides_is_named() -> None:
    """Sources that were cited, and marks for the provider's cache."""
    cited = {"type": "output_text", "text": "a", "annotations": [{"type": "url_citation"}]}
    marked = {"type": "input_text", "text": "b", "prompt_cache_breakpoint": {"mode": "explicit"}}
    found, dropped = read(cited, marked)
    assert found == (Text(text="a"), Text(text="b"))
    assert dropped == ("annotations", "prompt_cache_breakpoint")


def test_a_refusal_in_a_result_is_its_text() -> None:
    """A result shows things; nobody declines in it."""
    given = [{"type": "refusal", "refusal": "no"}]
    assert parts.read(given, "$", Losses()) == (Refusal(text="no"),)
    assert parts.shown(given, "$", Losses()) == (Text(text="no"),)
    assert parts.shown("", "$", Losses()) == ()


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ({"type": "input_audio", "input_audio": {"data": "AA=="}}, "$.content[0].input_audio"),
        ({"type": "input_image", "image_url": "data:x"}, "$.content[0].image_url"),
        ({"type": "refusal"}, "$.content[0].refusal"),
    ],
)
def test_a_malformed_part_is_refused_where_it_is_wrong(part: dict[str, Any], path: str) -> None:
    """With the JSON path at fault."""
    with pytest.raises(RequestInvalid) as caught:
        read(part)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("part", "written"),
    [
        (Text(text="a"), {"type": "input_text", "text": "a"}),
        (
            Image(source=PNG),
            {
                "type": "input_image",
                "image_url": "data:image/png;base64,AAAA",
                "detail": "auto",
            },
        ),
        (
            Image(source=Linked(url="https://example.org/x.png"), detail="low"),
            {"type": "input_image", "image_url": "https://example.org/x.png", "detail": "low"},
        ),
        (
            Document(source=Inline(media_type="application/pdf", data="BB==")),
            {
                "type": "input_file",
                "filename": "document.pdf",
                "file_data": "data:application/pdf;base64,BB==",
            },
        ),
        (
            Document(source=Inline(media_type="text/csv", data="CC=="), name="x.csv"),
            {
                "type": "input_file",
                "filename": "x.csv",
                "file_data": "data:text/csv;base64,CC==",
            },
        ),
        (
            Document(source=Linked(url="https://example.org/x.pdf")),
            {"type": "input_file", "file_url": "https://example.org/x.pdf"},
        ),
        (Document(text="words"), {"type": "input_text", "text": "words"}),
    ],
)
def test_parts_are_written_by_their_source(part: parts.Shown, written: dict[str, Any]) -> None:
    """In the body, at an address, or as text."""
    assert write(part) == (written, ())


def test_names_of_documents_that_have_no_place_are_named() -> None:
    """Text is no file, and one at an address has its own name."""
    linked = Linked(url="https://example.org/x.pdf")
    for document in (Document(text="words", name="x"), Document(source=linked, name="x")):
        assert write(document)[1] == (Loss.DOCUMENT_NAME,)


def test_sound_is_refused() -> None:
    """This protocol has no words for it."""
    with pytest.raises(RequestInvalid, match="sound"):
        write(Audio(source=Inline(media_type="audio/wav", data="AA==")))
