"""From ``[[models]]``, ``[model_defaults]`` and ``[tokenizer]`` as written to what they mean.

Precedence: per place, per model, ``[model_defaults]``, ``[tokenizer]``, built in. A ratio said
nearer selects ``char_ratio``; tables (``set``, ``timeouts``, ``prices`` …) are merged key by key.
"""

from collections.abc import Mapping

import msgspec

from gatewayctl.config.positions import Path
from gatewayctl.config.problems import Report
from gatewayctl.config.providers import phases
from gatewayctl.config.schema import TokenizerDoc
from gatewayctl.config.schema_providers import ModelDoc, ModelKeys
from gatewayctl.config.schema_routes import PlaceTokenizer
from gatewayctl.config.settings import ModelOverride
from gatewayctl.config.tokenizer_files import TokenizerFiles
from gatewayctl.core.hours import Hours, hours
from gatewayctl.core.model import (
    Capability,
    EstimatorKind,
    EstimatorSettings,
    ModelFacts,
    ModelSettings,
    Sourced,
    layered,
)

SOURCE = "config"
_NEEDED = frozenset({"model", "messages", "input", "stream"})
"""Fields of a body that choose the model, hold the conversation and say how it is answered."""
_FILE = 'write tokenizer_file = "PATH"'


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Where an entry stands, and what it is read with: ``kind`` is its key for the tokenizer."""

    path: Path
    files: TokenizerFiles
    report: Report
    kind: str = "tokenizer"


def resolve_defaults(
    tokenizer: TokenizerDoc, doc: ModelKeys, files: TokenizerFiles, report: Report
) -> ModelOverride:
    """Return what a model without an entry of its own gets; its facts name no model."""
    entry = Entry(path=("tokenizer",), files=files, report=report, kind="kind")
    kind, vocabulary = _chosen(EstimatorSettings(), tokenizer.kind, None, tokenizer, entry)
    basic = EstimatorSettings(
        kind=kind or tokenizer.kind,
        chars_per_token=tokenizer.chars_per_token,
        safety_margin=tokenizer.safety_margin,
        vocabulary=vocabulary,
    )
    built_in = ModelOverride(
        facts=ModelFacts(id="", provider=""), settings=ModelSettings(estimator=basic)
    )
    entry = Entry(path=("model_defaults",), files=files, report=report)
    return _over(built_in, doc, "", entry)


def resolve_models(
    docs: tuple[ModelDoc, ...], defaults: ModelOverride, files: TokenizerFiles, report: Report
) -> dict[str, ModelOverride]:
    """Return the entries by full id, over the defaults; a second entry for an id is reported."""
    found: dict[str, ModelOverride] = {}
    first: dict[str, int] = {}
    for number, doc in enumerate(docs):
        path = ("models", number)
        if doc.id is None:
            continue
        provider, slash, model = doc.id.partition("/")
        if not (slash and provider and model):
            hint = 'write id = "PROVIDER/MODEL"'
            message = f'"{doc.id}" names no provider'
            report.error((*path, "id"), "model-id-out-of-form", message, hint)
            continue
        if doc.id in found:
            message = f'"{doc.id}" has an entry already: models[{first[doc.id]}]'
            report.error((*path, "id"), "duplicate-id", message, "merge the two entries")
        entry = Entry(path=path, files=files, report=report)
        found[doc.id] = _over(defaults, doc, doc.id, entry)
        first[doc.id] = number
    return found


def _over(base: ModelOverride, doc: ModelKeys, full_id: str, entry: Entry) -> ModelOverride:
    """Put what is said nearer over what is said of all models."""
    path, report = entry.path, entry.report
    for key, fields in (("set", tuple(doc.set)), ("drop", doc.drop or ())):
        if needed := [field for field in fields if field in _NEEDED]:
            message = f"{needed[0]} stays as the client sends it: the gateway reads it too"
            report.error((*path, key), "field-not-changeable", message, "remove it here")
    for field in doc.drop or ():
        if field in doc.set:
            message = f"{field} is both set and dropped"
            report.error((*path, "drop"), "set-and-dropped", message, "keep one of the two")
    dropped = base.drop if doc.drop is None else doc.drop
    return ModelOverride(
        facts=layered(_facts(full_id, doc), base.facts),
        settings=_settings(base.settings, doc, entry),
        set={**{field: it for field, it in base.set.items() if field not in dropped}, **doc.set},
        drop=tuple(field for field in dropped if field not in doc.set),
        timeouts={**base.timeouts, **phases(doc.timeouts)},
    )


def place_estimator(
    base: EstimatorSettings, doc: PlaceTokenizer, entry: Entry
) -> EstimatorSettings:
    """Return the estimator at one place of a route, over the model's own."""
    said = doc.kind or (EstimatorKind.CHAR_RATIO if doc.chars_per_token else None)
    named = None
    if said is EstimatorKind.TIKTOKEN and base.kind is not EstimatorKind.HUGGINGFACE:
        named = base.vocabulary
    kind, vocabulary = _chosen(base, said, named, doc, entry)
    return _estimator(base, kind, vocabulary, doc)


def _estimator(
    base: EstimatorSettings,
    kind: EstimatorKind | None,
    vocabulary: str | None,
    doc: PlaceTokenizer | ModelKeys,
) -> EstimatorSettings:
    """Put the figures that are said over a base; a kind brings its vocabulary with it."""
    return msgspec.structs.replace(
        base,
        kind=kind or base.kind,
        vocabulary=base.vocabulary if kind is None else vocabulary,
        chars_per_token=doc.chars_per_token or base.chars_per_token,
        safety_margin=doc.safety_margin or base.safety_margin,
    )


def _settings(base: ModelSettings, doc: ModelKeys, entry: Entry) -> ModelSettings:
    said, named = None, None
    if doc.tokenizer is not None:
        name, _, rest = doc.tokenizer.partition(":")
        said, named = EstimatorKind(name), rest or None
    elif doc.chars_per_token is not None:
        said = EstimatorKind.CHAR_RATIO
    kind, vocabulary = _chosen(base.estimator, said, named, doc, entry)
    return ModelSettings(
        capacity_fraction=doc.capacity_fraction or base.capacity_fraction,
        estimator=_estimator(base.estimator, kind, vocabulary, doc),
    )


def _chosen(
    base: EstimatorSettings,
    said: EstimatorKind | None,
    named: str | None,
    doc: TokenizerDoc | ModelKeys | PlaceTokenizer,
    entry: Entry,
) -> tuple[EstimatorKind | None, str | None]:
    """Return the kind that is said, None where none is, and the vocabulary that comes with it.

    That of ``huggingface`` is a file: the one said beside it, else the base's.
    """
    kind = said or base.kind
    where = (*entry.path, "tokenizer_file")
    if doc.tokenizer_file is not None and kind is not EstimatorKind.HUGGINGFACE:
        message = 'tokenizer_file is used by "huggingface" alone'
        hint = f'write {entry.kind} = "huggingface"'
        entry.report.error(where, "tokenizer-file-not-used", message, hint)
        return said, named
    if doc.tokenizer_file is not None:
        return kind, entry.files.find(doc.tokenizer_file, where)
    if said is not EstimatorKind.HUGGINGFACE:
        return said, named
    if base.kind is not EstimatorKind.HUGGINGFACE:
        message = '"huggingface" needs tokenizer_file'
        entry.report.error((*entry.path, entry.kind), "missing-tokenizer-file", message, _FILE)
    return said, base.vocabulary


def _facts(full_id: str, doc: ModelKeys) -> ModelFacts:
    capabilities: Mapping[str, bool | None] = msgspec.structs.asdict(doc.capabilities)
    return ModelFacts(
        id=full_id,
        provider=full_id.partition("/")[0],
        context_window=_tokens(doc.context_window),
        max_input_tokens=_tokens(doc.max_input_tokens),
        max_output_tokens=_tokens(doc.max_output_tokens),
        prices={key: Sourced(value=price, source=SOURCE) for key, price in doc.prices.items()},
        off_peak=_hours(doc.off_peak_hours),
        capabilities={
            Capability(name): Sourced(value=able, source=SOURCE)
            for name, able in capabilities.items()
            if able is not None
        },
    )


def _hours(said: tuple[Hours, ...]) -> Sourced[Hours] | None:
    """Return several hours as one fact."""
    found = hours([each for it in said for each in it.ranges])
    return None if found is None else Sourced(value=found, source=SOURCE)


def _tokens(said: int | None) -> Sourced[int] | None:
    """Return a limit as a fact; 0 is "unknown"."""
    return Sourced(value=said, source=SOURCE) if said else None
