"""The daemon's log: one line an event on stderr, as text or as JSON. Never a prompt or a secret."""

import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType

import msgspec

from gatewayctl.config.levels import LogFormat, LogLevel
from gatewayctl.config.secrecy import told
from gatewayctl.core.errors import GatewayctlError
from gatewayctl.core.happened import Happened

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_OWN_WORDS = (GatewayctlError, OSError, TypeError, AttributeError, NameError, RuntimeError)
"""Exceptions whose words are about the program; those of others may quote what it was given."""

_ESCAPED = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160))}


class _Formatter(logging.Formatter):
    """Tells an exception by its place and its type, and by its words where they quote nobody."""

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - logging's name
        """Return the traceback, that of what caused it first."""
        if ei[1] is None:
            return ""
        chain = reversed(list(_chain(ei[1])))
        return "\nand then\n".join(map(_described, chain))


class TextFormatter(_Formatter):
    """One line a record: a line break in a model's name must not forge another."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line, its control characters escaped."""
        return super().formatMessage(record).translate(_ESCAPED)


class JsonFormatter(_Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON: time (UTC), level, logger, message, exception.

        Of a change there are its name (``event``) and its fields besides.
        """
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if isinstance(record.msg, Happened):
            line |= {"event": record.msg.name, **record.msg.fields}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def configure(level: LogLevel, style: LogFormat) -> None:
    """Send all log records to stderr from ``level`` on."""
    handler = logging.StreamHandler()
    if style is LogFormat.JSON:
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(TextFormatter("%(asctime)s %(levelname)-7s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("gatewayctl").setLevel(level.upper())


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception, what caused it, and so on."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        hidden = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or hidden


def _described(error: BaseException) -> str:
    frames = "".join(traceback.format_tb(error.__traceback__))
    words = told(str(error)) if isinstance(error, _OWN_WORDS) else "…"
    return f"Traceback (most recent call last):\n{frames}{type(error).__name__}: {words}"
