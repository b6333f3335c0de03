"""The merged table as a file: every source's claims side by side, read provider by provider.

One JSON object holds the sources, per provider and model what the public tables say, and apart from
them what each provider's own listing says. Loading 10,000 models is one shallow scan: a provider's
rows are found when it is first asked about, and a look-up decodes one row. Precedence is applied at
look-up (``registry.merge``), which lets one source be exchanged without the others' bytes.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated

import msgspec

from gatewayctl.core.errors import StorageFailed
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.merge import Spoken

FORMAT = 4
"""Goes up when claims gain a field or change their meaning; other formats count as absent."""


Moment = Annotated[
    str, msgspec.Meta(pattern=r"^\d{4}-\d\d-(0[1-9]|1\d|2\d|3[01])T\d\d:\d\d:\d\dZ$")
]
"""A time in our files, ISO 8601 UTC to the second."""


class TableSource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One source: whose claims, since when, of how many models.

    ``provider`` is whose own listing it is, None for a public table; ``url`` is where it was asked,
    so that another server's listing is never taken for it.
    """

    name: str
    fetched_at: Moment
    models: int
    provider: str | None = None
    url: str = ""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One source on its own: ``models`` maps ``provider/model`` to claims (or to their JSON)."""

    fetched_at: str
    models: Mapping[str, Claims | msgspec.Raw]
    provider: str | None = None
    url: str = ""


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """``models`` is by provider, ``listings`` by source; rows are decoded when they are asked for.

    A row of ``models`` has pairs of a source's place in ``sources`` and its claims; ``count`` is
    how many rows there are.
    """

    format: int
    base: str
    count: int
    sources: tuple[TableSource, ...]
    models: dict[str, msgspec.Raw]
    listings: dict[str, msgspec.Raw]


_Rows = dict[str, msgspec.Raw]

_encoder = msgspec.json.Encoder(decimal_format="number")
_decode_file = msgspec.json.Decoder(_File).decode
_decode_rows = msgspec.json.Decoder(_Rows).decode
_decode_row = msgspec.json.Decoder(tuple[tuple[int, Claims], ...]).decode
_decode_cells = msgspec.json.Decoder(tuple[tuple[int, msgspec.Raw], ...]).decode
_decode_claims = msgspec.json.Decoder(Claims).decode

_UNSAID = (b",null", b",[]", b",{}", b",false")
"""How fields that say nothing end a row."""


class Table:
    """A loaded table. ``base`` says which packaged table its unfetched parts came from.

    ``lost`` names the sources that were fetched and whose files cannot be read any more, so that
    the packaged table speaks for them. ``len``, ``in`` and ``ids`` are about the public tables.
    """

    def __init__(self, file: _File, lost: frozenset[str] = frozenset()) -> None:
        self.sources = file.sources
        self.base = file.base
        self.lost = lost
        self._file = file
        self._dates = {source.name: source.fetched_at for source in file.sources}
        self._models: dict[str, _Rows] = {}
        self._listings: dict[str, _Rows] = {}

    @classmethod
    def load(cls, data: bytes) -> "Table":
        """Read a table's file; StorageFailed when it is damaged or of another format."""
        try:
            file = _decode_file(data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise StorageFailed(f"not a table of models: {error}") from error
        if file.format != FORMAT:
            raise StorageFailed(f"a table of format {file.format}, not {FORMAT}")
        return cls(file)

    def but(self, lost: Collection[str], dates: Mapping[str, str]) -> "Table":
        """Return the same table, known to lack what was fetched of the sources that are ``lost``.

        ``dates`` has the times at which sources said last that nothing has changed.
        """
        newer = {
            source.name: date
            for source in self.sources
            if (date := dates.get(source.name, "")) > source.fetched_at
        }
        if frozenset(lost) == self.lost and not newer:
            return self
        sources = tuple(
            msgspec.structs.replace(each, fetched_at=newer.get(each.name, each.fetched_at))
            for each in self.sources
        )
        table = Table(msgspec.structs.replace(self._file, sources=sources), frozenset(lost))
        table._models, table._listings = self._models, self._listings
        return table

    def __len__(self) -> int:
        return self._file.count

    def __contains__(self, model_id: str) -> bool:
        provider, _, model = model_id.partition("/")
        return model in self.models(provider)

    def ids(self) -> Iterator[str]:
        """Every ``provider/model`` of the public tables, in the file's order."""
        for provider in self._file.models:
            for model in self.models(provider):
                yield f"{provider}/{model}"

    def providers(self) -> Collection[str]:
        """Return the providers of which any public table speaks."""
        return self._file.models.keys()

    def models(self, provider: str) -> Collection[str]:
        """Return the bare ids that the public tables have of a provider."""
        return _opened(self._models, self._file.models, provider).keys()

    def is_from(self, name: str, url: str) -> bool:
        """Tell whether the table has a source, asked at this address and at no other."""
        return any(each.name == name and each.url == url for each in self.sources)

    def listed(self, source: str) -> Collection[str]:
        """Return the bare ids in a provider's own listing; empty for a source that is none."""
        return _opened(self._listings, self._file.listings, source).keys()

    def spoken(self, model_id: str) -> dict[str, Spoken]:
        """Return what each public table says of a model, empty when none lists it.

        Rows are read as they are asked for: one that is damaged counts as not listed.
        """
        provider, _, model = model_id.partition("/")
        row = _opened(self._models, self._file.models, provider).get(model)
        if row is None:
            return {}
        try:
            cells = _decode_row(row)
        except msgspec.DecodeError:
            return {}
        return {
            self.sources[column].name: Spoken(
                claims=claims, fetched_at=self.sources[column].fetched_at
            )
            for column, claims in cells
            if 0 <= column < len(self.sources)
        }

    def own(self, source: str, model: str) -> Spoken | None:
        """Return what a provider's own listing says of a model; None when it does not list it."""
        row = _opened(self._listings, self._file.listings, source).get(model)
        if row is None:
            return None
        try:
            return Spoken(claims=_decode_claims(row), fetched_at=self._dates.get(source))
        except msgspec.DecodeError:
            return None

    def part(self, name: str) -> Part | None:
        """One source's claims, None when the table has none of that name."""
        for column, source in enumerate(self.sources):
            if source.name == name:
                return Part(
                    fetched_at=source.fetched_at,
                    models=dict(self._column(column)),
                    provider=source.provider,
                    url=source.url,
                )
        return None

    def _column(self, column: int) -> Iterator[tuple[str, msgspec.Raw]]:
        source = self.sources[column]
        if source.provider is not None:
            rows = _opened(self._listings, self._file.listings, source.name)
            yield from ((f"{source.provider}/{model}", row) for model, row in rows.items())
            return
        for provider in self._file.models:
            for model, row in _opened(self._models, self._file.models, provider).items():
                for place, cell in _decode_cells(row):
                    if place == column:
                        yield f"{provider}/{model}", cell


def _opened(opened: dict[str, _Rows], closed: Mapping[str, msgspec.Raw], key: str) -> _Rows:
    """Return rows by model, found in the file's bytes when they are first asked for."""
    rows = opened.get(key)
    if rows is None:
        if key not in closed:
            return {}
        try:
            rows = _decode_rows(closed[key])
        except msgspec.DecodeError:
            rows = {}
        opened[key] = rows
    return rows


def join(parts: Mapping[str, Part], *, base: str = "") -> bytes:
    """Write the parts, by source name, side by side as one table's file: same parts, same bytes."""
    names = sorted(parts)
    sources = tuple(_source(name, parts[name]) for name in names)
    models: dict[str, dict[str, list[tuple[int, msgspec.Raw]]]] = {}
    listings: dict[str, dict[str, msgspec.Raw]] = {}
    for column, name in enumerate(names):
        part = parts[name]
        if part.provider is not None:
            listings[name] = dict(sorted(_by_model(part)))
            continue
        for model_id, cell in part.models.items():
            provider, _, model = model_id.partition("/")
            row = models.setdefault(provider, {}).setdefault(model, [])
            row.append((column, written(cell)))
    file = _File(
        format=FORMAT,
        base=base,
        count=sum(len(rows) for rows in models.values()),
        sources=sources,
        models={
            provider: _raw(dict(sorted(models[provider].items()))) for provider in sorted(models)
        },
        listings={name: _raw(rows) for name, rows in listings.items()},
    )
    return _encoder.encode(file)


def _source(name: str, part: Part) -> TableSource:
    return TableSource(
        name=name,
        fetched_at=part.fetched_at,
        models=len(part.models),
        provider=part.provider,
        url=part.url,
    )


def _by_model(part: Part) -> Iterator[tuple[str, msgspec.Raw]]:
    """Yield a listing's rows by bare id; what is not its own provider's is nobody's."""
    start = f"{part.provider}/"
    for model_id, cell in part.models.items():
        if model_id.startswith(start):
            yield model_id[len(start) :], written(cell)


def _raw(rows: Mapping[str, object]) -> msgspec.Raw:
    return msgspec.Raw(_encoder.encode(rows))


def written(cell: Claims | msgspec.Raw) -> msgspec.Raw:
    """Return claims as JSON, without the fields at the end that say nothing."""
    data = bytes(cell) if isinstance(cell, msgspec.Raw) else _encoder.encode(cell)
    while data[:-1].endswith(_UNSAID):
        data = data[: data.rindex(b",")] + b"]"
    return msgspec.Raw(data)


def claims_of(cell: Claims | msgspec.Raw) -> Claims:
    """Decode one cell of a part."""
    return _decode_claims(cell) if isinstance(cell, msgspec.Raw) else cell


def are_claims(cells: Iterable[msgspec.Raw]) -> bool:
    """Tell whether all cells of a part can be read."""
    try:
        for cell in cells:
            _decode_claims(cell)
    except msgspec.DecodeError:
        return False
    return True
