"""What the daemon logs and how: the values of two keys of the config and two options. Light."""

from enum import StrEnum


class LogLevel(StrEnum):
    """From which severity on the daemon logs."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How the daemon writes its log."""

    TEXT = "text"
    JSON = "json"
