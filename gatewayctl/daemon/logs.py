"""The daemon's log: one line an event on stderr, as text or as JSON. Never a prompt or a secret."""

import logging
from datetime import UTC, datetime

import msgspec

from gatewayctl.config.levels import LogFormat, LogLevel

_ESCAPED = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160))}


class TextFormatter(logging.Formatter):
    """One line a record: a line break in a model's name must not forge another."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line, its control characters escaped."""
        return super().formatMessage(record).translate(_ESCAPED)


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON: time (UTC), level, logger, message, exception."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
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
