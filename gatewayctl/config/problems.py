"""What is wrong with a config file, as values, and the report that collects all of it.

How a problem is shown is ``gatewayctl.cli``'s business.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from gatewayctl.config.hiding import hidden, hidden_unread
from gatewayctl.config.positions import Path, Position, Positions
from gatewayctl.config.secrecy import holds_secret, told

_BARE = re.compile(r"[A-Za-z0-9_-]+")
FEW = 50
NOWHERE = Positions(keys={}, values={})
"""The positions of a text that is not TOML."""


class Severity(StrEnum):
    """Whether a file with this problem can be used."""

    ERROR = "error"
    WARNING = "warning"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One problem. ``line`` and ``column`` count from 1, None where it has no place.

    ``key`` is the path of the key at fault (``alloys[0].id``), ``""`` for the file as a whole;
    ``source_line`` is the line it stands in, without its line end, secrets starred out.
    """

    severity: Severity
    code: str
    message: str
    hint: str
    file: str
    line: int | None
    column: int | None
    key: str
    source_line: str

    @property
    def place(self) -> str:
        """Return ``file:line:column``, or the file alone where there is no more to say."""
        return self.file if self.line is None else f"{self.file}:{self.line}:{self.column}"


class Wrong(Exception):
    """A value that cannot be used: raised by a form, caught by the walk."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest of the known names, ``""`` when none is near."""
    names = list(known)
    near = [each for each in names if each.lower() == name.lower()]
    near = near or difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?' if near else ""


def key_of(path: Path) -> str:
    """Write a path as people read it: ``aliases."claude-*"``, ``alloys[0].constituents[1]``."""
    parts = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        else:
            name = step if _BARE.fullmatch(step) else msgspec.json.encode(step).decode()
            parts.append(f".{name}" if parts else name)
    return "".join(parts)


class Report:
    """Collects the problems of one file, in the order in which they stand in it.

    ``forgiven`` are the codes of errors that only count as warnings. After an error at a key,
    further errors at it or below it are follow-ups and left out.
    """

    def __init__(
        self,
        file: str,
        text: str,
        positions: Positions = NOWHERE,
        *,
        forgiven: frozenset[str] = frozenset(),
    ) -> None:
        self._forgiven = forgiven
        self._file = file
        self._lines = text.split("\n")
        self._positions = positions
        self._wrong: set[Path] = set()
        self._touched: set[Path] = set()
        self._problems: list[Problem] = []
        self._hidden: dict[tuple[int, str, bool], str] = {}

    def error(self, path: Path, code: str, message: str, hint: str = "") -> None:
        """Report what makes the file unusable, at the value of ``path``."""
        if code in self._forgiven:
            self.warn(path, code, message, hint)
        elif not self.is_wrong(path):
            self._mark(path)
            self._add(Severity.ERROR, path, (code, message, hint), self._positions.values)

    def unknown(self, path: Path, code: str, message: str, hint: str = "") -> None:
        """Report a key that should not be there, at the key itself."""
        self._mark(path)
        self._add(Severity.ERROR, path, (code, message, hint), self._positions.keys)

    def warn(self, path: Path, code: str, message: str, hint: str = "") -> None:
        """Report what works but is probably not what was meant."""
        if not self.is_wrong(path):
            self._add(Severity.WARNING, path, (code, message, hint), self._positions.values)

    def at(self, where: Position | None, code: str, message: str, hint: str = "") -> None:
        """Report an error of the file as a whole, at a position instead of a key."""
        self._append(Severity.ERROR, (), where, (code, message, hint))

    def is_wrong(self, path: Path) -> bool:
        """Tell whether an error was reported at a key or above it."""
        return any(path[:length] in self._wrong for length in range(1, len(path) + 1))

    def is_touched(self, path: Path) -> bool:
        """Tell whether an error was reported at a key, above it or below it."""
        return path in self._touched or self.is_wrong(path)

    @property
    def few(self) -> bool:
        """Whether there are so few problems yet that each is worth looking for what was meant."""
        return len(self._problems) < FEW

    @property
    def failed(self) -> bool:
        """Whether there is an error so far."""
        return any(problem.severity is Severity.ERROR for problem in self._problems)

    def problems(self) -> tuple[Problem, ...]:
        """Return everything reported so far, by line and column."""
        return tuple(sorted(self._problems, key=lambda p: (p.line or 0, p.column or 0)))

    def _mark(self, path: Path) -> None:
        self._wrong.add(path)
        self._touched.update(path[:length] for length in range(1, len(path) + 1))

    def _add(
        self,
        severity: Severity,
        path: Path,
        said: tuple[str, str, str],
        known: Mapping[Path, Position],
    ) -> None:
        # a missing key has no position: its table's header has
        near = next((known[path[:n]] for n in range(len(path), 0, -1) if path[:n] in known), None)
        self._append(severity, path, near, said)

    def _shown(self, number: int, path: Path, code: str) -> str:
        """Return a line without its secrets. One line may have thousands of problems."""
        inside = any(isinstance(step, str) and holds_secret(step) for step in path)
        kind = code if code in {"syntax", "unknown-key"} else ""
        if (known := self._hidden.get((number, kind, inside))) is not None:
            return known
        line = self._lines[number - 1] if number <= len(self._lines) else ""
        if code == "syntax":
            shown = hidden_unread(line)
        else:
            shown = hidden(line, every=code == "unknown-key", inside=inside)
        self._hidden[number, kind, inside] = shown
        return shown

    def _append(
        self, severity: Severity, path: Path, where: Position | None, said: tuple[str, str, str]
    ) -> None:
        code, message, hint = said
        self._problems.append(
            Problem(
                severity=severity,
                code=code,
                message=told(message),
                hint=told(hint),
                file=self._file,
                line=where.line if where else None,
                column=where.column if where else None,
                key=told(key_of(path)),
                source_line=self._shown(where.line, path, code) if where else "",
            )
        )
