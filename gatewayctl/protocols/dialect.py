"""What a request may be written in when it is handed over to be judged: a protocol, or plain text.

Light: read by every ``--help``.
"""

from enum import StrEnum


class Dialect(StrEnum):
    """A body in a wire protocol, or the text of one message."""

    CHAT_COMPLETIONS = "chat_completions"
    RESPONSES = "responses"
    MESSAGES = "messages"
    GEMINI = "gemini"
    TEXT = "text"
