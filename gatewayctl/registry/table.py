"""The merged table as a file: every source's claims side by side, decoded model by model.

One JSON object holds the sources and, per ``provider/model``, a row with one cell per source, so
that loading 10,000 models costs one scan and a look-up decodes one row. Precedence is applied at
look-up (``registry.merge``), which lets one source be exchanged without the others' bytes.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated

import msgspec

from gatewayctl.core.errors import StorageFailed
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.merge import Spoken

FORMAT = 1
"""Goes up when claims gain a field or change their meaning; other formats count as absent."""


Moment = Annotated[
    str, msgspec.Meta(pattern=r"^\d{4}-\d\d-(0[1-9]|1\d|2\d|3[01])T\d\d:\d\d:\d\dZ$")
]
"""A time in our files, ISO 8601 UTC to the second."""


class TableSource(msgspec.Struct, frozen=True, kw_only=True):
    """One column: whose claims, since when, of how many models."""

    name: str
    fetched_at: Moment
    models: int


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One source's column on its own: ``models`` maps ids to claims (or to their JSON)."""

    fetched_at: str
    models: Mapping[str, Claims | msgspec.Raw]


class _File(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    base: str
    sources: tuple[TableSource, ...]
    models: dict[str, msgspec.Raw]


class _Format(msgspec.Struct, frozen=True, kw_only=True):
    format: int


_encoder = msgspec.json.Encoder(decimal_format="number")
_decode_file = msgspec.json.Decoder(_File).decode
_decode_row = msgspec.json.Decoder(tuple[Claims | None, ...]).decode
_decode_cells = msgspec.json.Decoder(tuple[msgspec.Raw, ...]).decode
_decode_claims = msgspec.json.Decoder(Claims).decode
_NOTHING = msgspec.Raw(b"null")


class Table:
    """A loaded table. ``base`` says which packaged table its unfetched parts came from.

    ``lost`` names the sources that were fetched and whose files cannot be read any more, so that
    the packaged table speaks for them.
    """

    def __init__(
        self,
        sources: tuple[TableSource, ...],
        rows: Mapping[str, msgspec.Raw],
        base: str,
        lost: frozenset[str] = frozenset(),
    ) -> None:
        self.sources = sources
        self.base = base
        self.lost = lost
        self._rows = rows

    @classmethod
    def load(cls, data: bytes) -> "Table":
        """Read a table's file; StorageFailed when it is damaged or of another format."""
        try:
            file = _decode_file(data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise StorageFailed(f"not a table of models: {error}") from error
        if file.format != FORMAT:
            raise StorageFailed(f"a table of format {file.format}, not {FORMAT}")
        return cls(file.sources, file.models, file.base)

    def without(self, lost: Collection[str]) -> "Table":
        """Return the same table, known to lack what was fetched of these sources."""
        return Table(self.sources, self._rows, self.base, frozenset(lost)) if lost else self

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, model_id: str) -> bool:
        return model_id in self._rows

    def ids(self) -> Iterable[str]:
        """Every ``provider/model``, in the file's order."""
        return self._rows.keys()

    def spoken(self, model_id: str) -> dict[str, Spoken]:
        """Return what each source says of a model, empty when none lists it.

        Rows are read as they are asked for: one that is damaged counts as not listed.
        """
        row = self._rows.get(model_id)
        if row is None:
            return {}
        try:
            cells = _decode_row(row)
        except msgspec.DecodeError:
            return {}
        return {
            source.name: Spoken(claims=claims, fetched_at=source.fetched_at)
            for source, claims in zip(self.sources, cells, strict=False)
            if claims is not None
        }

    def part(self, name: str) -> Part | None:
        """One source's column, None when the table has none of that name."""
        for column, source in enumerate(self.sources):
            if source.name == name:
                cells = ((key, _decode_cells(row)[column]) for key, row in self._rows.items())
                models = {key: cell for key, cell in cells if bytes(cell) != b"null"}
                return Part(fetched_at=source.fetched_at, models=models)
        return None


def join(parts: Mapping[str, Part], *, base: str = "") -> bytes:
    """Write the parts, by source name, side by side as one table's file: same parts, same bytes."""
    names = sorted(parts)
    ids = sorted({model_id for part in parts.values() for model_id in part.models})
    sources = tuple(
        TableSource(name=name, fetched_at=parts[name].fetched_at, models=len(parts[name].models))
        for name in names
    )
    rows = {
        key: msgspec.Raw(_encoder.encode([parts[name].models.get(key, _NOTHING) for name in names]))
        for key in ids
    }
    return _encoder.encode(_File(format=FORMAT, base=base, sources=sources, models=rows))


def claims_of(cell: Claims | msgspec.Raw) -> Claims:
    """Decode one cell of a part."""
    return _decode_claims(cell) if isinstance(cell, msgspec.Raw) else cell


def is_claims(cell: msgspec.Raw) -> bool:
    """Tell whether one cell of a part can be read."""
    try:
        _decode_claims(cell)
    except msgspec.DecodeError:
        return False
    return True
