"""Every reply of every upstream to every client, whole and as a stream."""

from typing import Any, Final

import msgspec
import pytest
from support import meaning, strict, translating
from support.translating import PROTOCOLS, Answered

from gatewayctl.core.conversation import Call, Refusal, Seal, Text, Thought
from gatewayctl.core.events import Choice, Reply, Usage
from gatewayctl.core.model import WireProtocol

CASES = translating.replies()
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.title.replace(" ", "-"))
every_client = pytest.mark.parametrize("client", PROTOCOLS)


UNFINISHED: Final = "a call cut by its budget"


def without_order(reply: Reply) -> Reply:
    """Return a reply as Chat Completions has it whole: thoughts, words, calls, one after another.

    Thoughts and texts are one each there; proofs stand beside them all.
    """
    choices = []
    for choice in reply.choices:
        thoughts = [part for part in choice.parts if isinstance(part, Thought)]
        texts = "".join(part.text for part in choice.parts if isinstance(part, Text))
        rest = [part for part in choice.parts if not isinstance(part, Text | Thought)]
        seals = [
            detail
            for thought in thoughts
            if thought.seal is not None
            for detail in msgspec.json.decode(thought.seal.data)
        ]
        seal = Seal(form="all", data=msgspec.json.encode(seals).decode())
        thought = Thought(text="".join(each.text for each in thoughts), seal=seal)
        parts = (thought, Text(text=texts), *rest)
        choices.append(msgspec.structs.replace(choice, parts=parts))
    return msgspec.structs.replace(reply, choices=tuple(choices))


def gist(choice: Choice) -> tuple[str, str, list[tuple[str, Any]]]:
    """Return what is thought, what is said, and what is called, in order."""
    calls = [part for part in choice.parts if isinstance(part, Call)]
    return (
        "".join(part.text for part in choice.parts if isinstance(part, Thought)),
        "".join(part.text for part in choice.parts if isinstance(part, Text | Refusal)),
        [(call.name, meaning.arguments(call.arguments)) for call in calls],
    )


def tokens(usage: Usage) -> tuple[int, int]:
    """Return all tokens in and out; what is unknown counts nothing."""
    read, written = usage.input_cache_read, usage.input_cache_write_5m
    given = (usage.input, read, written, usage.input_cache_write_1h)
    return sum(figure or 0 for figure in given), usage.output or 0


@every_case
def test_the_cases_are_valid_by_the_vendors_own_types(case: Answered) -> None:
    """What is tested against is what such upstreams really send, in the order they send it."""
    for upstream, whole in case.wholes.items():
        strict.reply(upstream, whole)
        strict.events(upstream, case.streams[upstream].replace(b"\r\n", b"\n"))


@every_case
def test_a_stream_says_what_the_whole_reply_says(case: Answered) -> None:
    """Read event by event or at once, an upstream's reply is the same."""
    for upstream, whole in case.wholes.items():
        streamed = translating.read_stream(upstream, case.streams[upstream])
        assert streamed == translating.read(upstream, whole), upstream


@every_client
@every_case
def test_a_whole_reply_is_one_of_the_clients_protocol(case: Answered, client: WireProtocol) -> None:
    """By the vendor's own type, and with every field that clients may count on."""
    for upstream, body in case.wholes.items():
        told = translating.whole(body, upstream, client)
        strict.reply(client, told)
        strict.complete(client, told)


@every_client
@every_case
def test_a_stream_is_one_of_the_clients_protocol(case: Answered, client: WireProtocol) -> None:
    """Each event by the vendor's own type, in order, with every field that clients count on."""
    for upstream, body in case.streams.items():
        told = translating.stream([body], upstream, client)
        strict.events(client, told)
        strict.complete_events(client, told)


@every_client
@every_case
def test_a_translated_stream_folds_to_the_translated_reply(
    case: Answered, client: WireProtocol
) -> None:
    """Whoever puts the pieces together has the reply that comes without streaming."""
    for upstream, whole in case.wholes.items():
        if case.title == UNFINISHED and client is WireProtocol.MESSAGES:
            continue  # a whole reply has a call's input as an object, a stream has what there was
        told = translating.stream([case.streams[upstream]], upstream, client)
        folded = translating.read_stream(client, told)
        expected = translating.read(client, translating.whole(whole, upstream, client))
        if client is WireProtocol.CHAT_COMPLETIONS:
            folded, expected = without_order(folded), without_order(expected)
        assert folded == expected, upstream


@every_client
@every_case
def test_a_client_reads_what_the_upstream_said(case: Answered, client: WireProtocol) -> None:
    """Words, thoughts, calls and tokens are the same, whatever they are written in."""
    for upstream, whole in case.wholes.items():
        said = translating.read(upstream, whole)
        told = translating.read(client, translating.whole(whole, upstream, client))
        for before, after in zip(said.choices, told.choices, strict=False):
            if case.title == UNFINISHED and client is WireProtocol.GEMINI:
                continue  # which has a call whole or not at all, and a reason for an end like this
            assert gist(after) == gist(before), upstream
        assert told.choices
        assert tokens(told.usage) == tokens(said.usage), upstream


@every_client
@every_case
def test_any_chunking_gives_the_same_stream(case: Answered, client: WireProtocol) -> None:
    """A byte at a time, in odd pieces or at once: the client gets the same bytes."""
    for upstream, body in case.streams.items():
        at_once = translating.stream([body], upstream, client)
        for size in (1, 7, 1000):
            pieces = [body[start : start + size] for start in range(0, len(body), size)]
            assert translating.stream(pieces, upstream, client) == at_once, (upstream, size)
