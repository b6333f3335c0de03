"""What a log line tells of a change: its name and its fields, for people and for programs.

Which changes are told is the business of whoever notes them, how a line looks ``daemon.logs``'.
"""

import re
from collections.abc import Mapping

import msgspec

Field = str | int | float | bool | None

_PLAIN = re.compile(r"[^\s\"=]+")


class Happened(msgspec.Struct, frozen=True):
    """A change by name, such as ``quota_changed``; to be given to a logger as its message.

    A field is called neither ``event`` nor like what every line has (``daemon.logs``). None is not
    known, or none.
    """

    name: str
    fields: Mapping[str, Field]

    def __str__(self) -> str:
        """Return it as one line: ``quota_changed from=allowed to=rejected``."""
        return " ".join([self.name, *(f"{key}={_told(it)}" for key, it in self.fields.items())])


def _told(value: Field) -> str:
    """Return a value without white space, or quoted, so that no text passes for another field."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.10g}"
        case int():
            return str(value)
        case str():
            return value if _PLAIN.fullmatch(value) else msgspec.json.encode(value).decode()
