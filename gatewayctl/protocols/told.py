"""Reading an upstream's error object, whatever its dialect: its words, its codes, its wait.

What they mean for an attempt is ``upstream.failures``' business.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

_MEMBERS = ("code", "type", "status")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?s")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """An error object. ``codes`` are its code, type, status and reasons, in that order.

    ``wait`` is the seconds that Google's RetryInfo asks for.
    """

    message: str = ""
    codes: tuple[str, ...] = ()
    wait: float | None = None

    @property
    def code(self) -> str | None:
        """The first of its codes."""
        return self.codes[0] if self.codes else None

    @property
    def words(self) -> str:
        """Its message, or what stands for one."""
        return self.message or self.code or "unknown error"

    @property
    def status(self) -> int | None:
        """The HTTP status that stands in the object as its code."""
        found = (int(code) for code in self.codes if re.fullmatch("[45][0-9][0-9]", code))
        return next(found, None)


def told(value: Any) -> Told:
    """Read an error object, or its words where it is no object."""
    if not isinstance(value, dict):
        return Told(message=value if isinstance(value, str) else "")
    details = [it for it in _listed(value.get("details")) if isinstance(it, dict)]
    return Told(
        message=next(_words(value), ""),
        codes=tuple(dict.fromkeys(_codes(value, details))),
        wait=next((wait for it in details if (wait := _wait(it)) is not None), None),
    )


def _codes(value: dict[str, Any], details: list[dict[str, Any]]) -> Iterator[str]:
    named = [value.get(member) for member in _MEMBERS]
    named += [detail.get("reason") for detail in details]
    for name in named:
        if isinstance(name, str | int) and not isinstance(name, bool) and name not in {"", "error"}:
            yield str(name)


def _words(value: dict[str, Any]) -> Iterator[str]:
    for member in ("message", "detail", "error"):
        if isinstance(words := value.get(member), str) and words:
            yield words


def _wait(detail: dict[str, Any]) -> float | None:
    delay = detail.get("retryDelay")
    if not isinstance(delay, str) or not _SECONDS.fullmatch(delay):
        return None
    return float(delay.removesuffix("s"))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
