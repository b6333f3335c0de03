"""Where every key, table and array element of a TOML text stands; tomllib does not say.

The text must be one that ``tomllib`` accepts: what is valid is tomllib's business, so nothing is
checked here. ``Path`` is used by everything that names a place in a config file.
"""

import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

Path = tuple[str | int, ...]
"""Keys from the root of the file; an int is an index into an array (``("alloys", 0, "id")``)."""

_BLANK = " \t"
_BETWEEN = " \t\n"
_BARE_END = " \t\n.=]#"
_SCALAR_END = ",]}#\n"
_TRIPLE = 3


class Position(msgspec.Struct, frozen=True):
    """A place in the text. ``line`` and ``column`` count from 1; columns are code points."""

    line: int
    column: int


class Positions(msgspec.Struct, frozen=True, kw_only=True):
    """Positions by path. ``keys`` has where each is named, ``values`` where its value starts.

    A table with a header stands in both, at its name in that header; an array element has only
    its value, and so both positions are the same.
    """

    keys: Mapping[Path, Position]
    values: Mapping[Path, Position]


def index(text: str) -> Positions:
    """Return the positions of a valid TOML text, its line ends one character each, without BOM."""
    scanner = _Scanner(text)
    scanner.document()
    return Positions(keys=MappingProxyType(scanner.keys), values=MappingProxyType(scanner.values))


class _Scanner:
    """One pass over the text; ``at`` is the offset of the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.keys: dict[Path, Position] = {}
        self.values: dict[Path, Position] = {}
        self._starts = [0, *(i + 1 for i, char in enumerate(text) if char == "\n")]
        self._tables: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        self._skip(_BETWEEN)
        while self.at < len(self.text):
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BETWEEN)

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _here(self, offset: int) -> Position:
        line = bisect_right(self._starts, offset)
        return Position(line, offset - self._starts[line - 1] + 1)

    def _skip(self, blank: str) -> None:
        """Skip blank characters, and comments where they may stand."""
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif char in blank:
                self.at += 1
            else:
                return

    def _header(self) -> Path:
        """Read ``[a.b]`` or ``[[a.b]]`` and return the path that its keys are under."""
        many = self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        names = self._names()
        self.at += 2 if many else 1
        path: Path = ()
        for number, (name, where) in enumerate(names, 1):
            path = (*path, name)
            self._named(path, where)
            if many and number == len(names):
                self._tables[path] = self._tables.get(path, 0) + 1
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
                self._named(path, where)
        return path

    def _named(self, path: Path, where: Position) -> None:
        """Note a table; the first mention counts."""
        self.keys.setdefault(path, where)
        self.values.setdefault(path, where)

    def _names(self) -> list[tuple[str, Position]]:
        """Read a dotted key, up to what follows it."""
        names = []
        while True:
            self._skip(_BLANK)
            where = self._here(self.at)
            names.append((self._name(), where))
            self._skip(_BLANK)
            if self._peek() != ".":
                return names
            self.at += 1

    def _name(self) -> str:
        start = self.at
        if self._peek() in {'"', "'"}:
            self._string()
            raw = self.text[start : self.at]
            return str(tomllib.loads(f"name = {raw}")["name"])
        while self.at < len(self.text) and self.text[self.at] not in _BARE_END:
            self.at += 1
        return self.text[start : self.at]

    def _pair(self, table: Path) -> None:
        """Read ``key = value``; a dotted key names the tables on its way."""
        names = self._names()
        path = table
        for name, where in names[:-1]:
            path = (*path, name)
            self._named(path, where)
        name, where = names[-1]
        path = (*path, name)
        self.keys[path] = where
        self.at += 1
        self._skip(_BLANK)
        self._value(path)

    def _value(self, path: Path) -> None:
        self.values[path] = self._here(self.at)
        match self._peek():
            case '"' | "'":
                self._string()
            case "[":
                self._array(path)
            case "{":
                self._inline(path)
            case _:
                while self.at < len(self.text) and self.text[self.at] not in _SCALAR_END:
                    self.at += 1

    def _array(self, path: Path) -> None:
        self.at += 1
        number = 0
        self._skip(_BETWEEN)
        while self._peek() != "]":
            self.keys[(*path, number)] = self._here(self.at)
            self._value((*path, number))
            number += 1
            self._skip(_BETWEEN)
            if self._peek() == ",":
                self.at += 1
                self._skip(_BETWEEN)
        self.at += 1

    def _inline(self, path: Path) -> None:
        self.at += 1
        self._skip(_BETWEEN)
        while self._peek() != "}":
            self._pair(path)
            self._skip(_BETWEEN)
            if self._peek() == ",":
                self.at += 1
                self._skip(_BETWEEN)
        self.at += 1

    def _string(self) -> None:
        """Skip a string of any of the four kinds."""
        quote = self.text[self.at]
        if self.text.startswith(quote * _TRIPLE, self.at):
            self.at += _TRIPLE
            self._until(quote * _TRIPLE, escapes=quote == '"')
            # up to two quotes may stand right before the closing three
            for _ in range(2):
                if self._peek() == quote:
                    self.at += 1
        else:
            self.at += 1
            self._until(quote, escapes=quote == '"')

    def _until(self, end: str, *, escapes: bool) -> None:
        while not self.text.startswith(end, self.at):
            self.at += 2 if escapes and self.text[self.at] == "\\" else 1
        self.at += len(end)
