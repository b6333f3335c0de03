"""The billing line of Claude Code, taken out of what is translated."""

import pytest

from gatewayctl.core.conversation import Message, Part, Prompt, Role, Text
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.messages import billing

LINE = "x-anthropic-billing-header: cc_version=2.1; cch=1a2b;"


def prompt(*messages: Message) -> Prompt:
    """Return a prompt of these messages."""
    return Prompt(protocol=WireProtocol.MESSAGES, model="m", messages=messages)


def system(*texts: str) -> Message:
    """Return a system message of text parts."""
    return Message(role=Role.SYSTEM, parts=tuple(Text(text=text) for text in texts))


HELLO = Message(role=Role.USER, parts=(Text(text=f"{LINE}\nhi"),))


@pytest.mark.parametrize(
    ("texts", "left"),
    [
        ([LINE, "You are helpful."], ["You are helpful."]),
        ([f"{LINE}\nYou are helpful."], ["You are helpful."]),
        ([f'A "quoted"\n{LINE}\nend'], ['A "quoted"\nend']),
        (["a", f"b\n{LINE}"], ["a", "b"]),
        ([f"b\n{LINE}\n{LINE}"], [f"b\n{LINE}"]),
        ([f"in the middle {LINE}"], [f"in the middle {LINE}"]),
    ],
)
def test_the_line_is_taken_out_of_the_system_prompt(texts: list[str], left: list[str]) -> None:
    """The first whole line goes, all other text stays, and so does what a user says."""
    assert billing.without(prompt(system(*texts), HELLO)) == prompt(system(*left), HELLO)


def test_a_system_prompt_of_nothing_else_goes() -> None:
    """No empty message is left behind."""
    assert billing.without(prompt(system(LINE), HELLO)) == prompt(HELLO)


def test_cache_markers_stay() -> None:
    """Only the text of the part is changed."""
    parts: tuple[Part, ...] = (Text(text=f"{LINE}\na", cache="1h"),)
    found = billing.without(prompt(Message(role=Role.SYSTEM, parts=parts)))
    assert found.messages[0].parts == (Text(text="a", cache="1h"),)
