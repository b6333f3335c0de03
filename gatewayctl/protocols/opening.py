"""How a conversation opens: a digest by which a later turn of it is known again.

Agents send the whole conversation at every turn, so its opening stays the same: the first words of
the user, and the instructions, but for the lines that are written anew each time. Where these stand
in a body belongs to each protocol's ``conversation`` module, what is made of the digest to the
daemon. No text is kept.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence

import msgspec

from gatewayctl.core.shape import Conversation
from gatewayctl.protocols import body as request_body

# A line of the instructions is left out when it holds a date or a time of day (two numbers joined
# by a mark, or a day beside a month's name), a long number (a count of tokens, a timestamp), a
# hash, or one of the marks below. Leaving out a line that never changes costs nothing, so versions
# and addresses may go as well.
_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_CHANGING = re.compile(
    rb"""
    [0-9] (?: [0-9]{0,3}[-/.:][0-9]                              # 2026-01-05, 17:02, 1/5/26
            | [0-9,_]{4}                                         # 12,345
            | [0-9]?\.?[ ](?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) )
    | (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?[ ][0-9]
    | (?=[a-f]{0,6}[0-9])[0-9a-f]{7}                             # e83c516
    """,
    re.VERBOSE,
)
_MARKS = (
    b"x-anthropic-billing-header:",  # written by Claude Code, with a hash of the request
    b"oday's date",
    b"urrent date",
    b"orking directory",
    b"cwd",
)

# What agents write in the user's place before the user's own words.
_CONTEXT = (
    "<system-reminder>",
    "<environment_context>",
    "<user_instructions>",
    "<session_context>",
    "# AGENTS.md instructions",
    "This is the Gemini CLI.",
)


def conversation(
    system: Iterable[bytes],
    users: Sequence[bytes],
    session: str | None = None,
    *,
    continues: bool,
) -> Conversation:
    """Return what tells a conversation from others.

    ``system`` holds the instructions that stand before the first user message, ``users`` the
    genuine user messages in order, both as the JSON of a message's content (text, or parts of
    which some hold ``text``), ``session`` the session that the body itself names. ``continues``:
    tool results stand after the last user message.
    """
    if not users:
        return Conversation(session=session)
    digest = hashlib.blake2b(digest_size=16)
    for content in system:
        for text in _texts(content):
            digest.update(steady(text.encode()))
    digest.update(b"\0")
    digest.update(_first_words(users))
    return Conversation(
        session=session, opening=digest.digest(), turn=len(users), continues=continues
    )


def steady(text: bytes) -> bytes:
    """Return a text (UTF-8) without the lines that may be others at the next turn."""
    kept = []
    at = 0
    for start, end in changing(text):
        kept.append(text[at:start])
        at = end
    return b"".join([*kept, text[at:]])


def changing(text: bytes) -> list[tuple[int, int]]:
    """Return the spans of the lines that may be others at the next turn, in order."""
    found = set()
    for mark in _MARKS:
        at = text.find(mark)
        while at >= 0:
            line = _line(text, at)
            found.add(line)
            at = text.find(mark, line[1])
    zeros = text.translate(_ZEROS)
    at = zeros.find(b"0")
    while at >= 0:  # only lines with a digit in them are looked through
        line = _line(text, at)
        if _CHANGING.search(text, *line):
            found.add(line)
        at = zeros.find(b"0", line[1])
    return sorted(found)


def _line(text: bytes, at: int) -> tuple[int, int]:
    """Return the span of the line that ``at`` stands in, with its line feed."""
    end = text.find(b"\n", at)
    return text.rfind(b"\n", 0, at) + 1, len(text) if end < 0 else end + 1


def _first_words(users: Sequence[bytes]) -> bytes:
    """Return the first text that is the user's own; a message without text stands for itself."""
    for content in users:
        own = [text for text in _texts(content) if not text.lstrip().startswith(_CONTEXT)]
        if own:
            return "\n".join(own).encode()
    return bytes(users[0])


def _texts(content: bytes) -> list[str]:
    """Return the texts in a message's content, of whatever form it is."""
    found = request_body.value(msgspec.Raw(content)) if content else None
    parts = found if isinstance(found, list) else [found]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    return [text for text in texts if isinstance(text, str)]
