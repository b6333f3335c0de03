"""From ``[[models]]``, ``[model_defaults]`` and ``[tokenizer]`` as written to what they mean.

Precedence of estimator settings: per place, per model, ``[model_defaults]``, ``[tokenizer]``,
built in; a figure of ``char_ratio`` said nearer selects that kind.
"""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from gatewayctl.config.positions import Path
from gatewayctl.config.problems import Report, Wrong
from gatewayctl.config.providers import phases
from gatewayctl.config.schema import TokenizerDoc
from gatewayctl.config.schema_providers import ModelDoc, ModelKeys
from gatewayctl.config.schema_routes import PlaceTokenizer
from gatewayctl.config.settings import ModelOverride
from gatewayctl.config.walk import did_you_mean
from gatewayctl.core.model import (
    Capability,
    EstimatorKind,
    EstimatorSettings,
    ModelFacts,
    ModelSettings,
    Sourced,
)

SOURCE = "config"
_TIKTOKEN = "tiktoken:"


def base_settings(tokenizer: TokenizerDoc, defaults: ModelKeys, report: Report) -> ModelSettings:
    """Return what a model without an entry of its own gets."""
    basic = EstimatorSettings(
        kind=tokenizer.kind,
        chars_per_token=tokenizer.chars_per_token,
        safety_margin=tokenizer.safety_margin,
    )
    return _settings(ModelSettings(estimator=basic), defaults, ("model_defaults",), report)


def resolve_models(
    docs: tuple[ModelDoc, ...], defaults: ModelSettings, report: Report
) -> dict[str, ModelOverride]:
    """Return the entries by full id; a second entry for an id is reported."""
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
        found[doc.id] = ModelOverride(
            facts=_facts(doc.id, provider, doc),
            settings=_settings(defaults, doc, path, report),
            set=doc.set,
            drop=doc.drop,
            timeouts=phases(doc.timeouts),
        )
        first[doc.id] = number
    return found


def place_estimator(base: EstimatorSettings, doc: PlaceTokenizer) -> EstimatorSettings:
    """Return the estimator at one place of a route, over the model's own."""
    kind = doc.kind or (EstimatorKind.CHAR_RATIO if doc.chars_per_token else None)
    return _over(base, kind, doc.chars_per_token, doc.safety_margin)


def _over(
    base: EstimatorSettings,
    kind: EstimatorKind | None,
    ratio: Decimal | None,
    margin: Decimal | None,
) -> EstimatorSettings:
    return msgspec.structs.replace(
        base,
        kind=kind or base.kind,
        chars_per_token=ratio or base.chars_per_token,
        safety_margin=margin or base.safety_margin,
    )


def _settings(base: ModelSettings, doc: ModelKeys, path: Path, report: Report) -> ModelSettings:
    kind, vocabulary = None, None
    if doc.tokenizer is not None:
        try:
            kind, vocabulary = _tokenizer(doc.tokenizer, doc.tokenizer_file)
        except Wrong as wrong:
            report.error((*path, "tokenizer"), wrong.code, wrong.message, wrong.hint)
    elif doc.chars_per_token is not None:
        kind = EstimatorKind.CHAR_RATIO
    if doc.tokenizer_file is not None and doc.tokenizer != EstimatorKind.HUGGINGFACE:
        hint = 'write tokenizer = "huggingface"'
        message = 'tokenizer_file is used by "huggingface" alone'
        report.error((*path, "tokenizer_file"), "tokenizer-file-not-used", message, hint)
    estimator = _over(base.estimator, kind, doc.chars_per_token, doc.safety_margin)
    if kind is not None:
        estimator = msgspec.structs.replace(estimator, vocabulary=vocabulary)
    return ModelSettings(
        capacity_fraction=doc.capacity_fraction or base.capacity_fraction, estimator=estimator
    )


def _tokenizer(written: str, file: str | None) -> tuple[EstimatorKind, str | None]:
    """Read ``char_ratio``, ``auto``, ``tiktoken:VOCABULARY`` or ``huggingface``."""
    if written.startswith(_TIKTOKEN) and len(written) > len(_TIKTOKEN):
        return EstimatorKind.TIKTOKEN, written.removeprefix(_TIKTOKEN)
    known = ["char_ratio", "auto", "tiktoken:o200k_base", "huggingface"]
    if written not in known:
        hint = did_you_mean(written, known) or f"one of: {', '.join(known)}"
        raise Wrong("unknown-value", f'"{written}" is no tokenizer', hint)
    kind = EstimatorKind(written)
    if kind is EstimatorKind.HUGGINGFACE and file is None:
        raise Wrong("missing-tokenizer-file", '"huggingface" needs tokenizer_file = "PATH"')
    return kind, file if kind is EstimatorKind.HUGGINGFACE else None


def _facts(full_id: str, provider: str, doc: ModelDoc) -> ModelFacts:
    prices: Mapping[str, Decimal | None] = msgspec.structs.asdict(doc.prices)
    capabilities: Mapping[str, bool | None] = msgspec.structs.asdict(doc.capabilities)
    return ModelFacts(
        id=full_id,
        provider=provider,
        context_window=_tokens(doc.context_window),
        max_input_tokens=_tokens(doc.max_input_tokens),
        max_output_tokens=_tokens(doc.max_output_tokens),
        prices={
            dimension: Sourced(value=price, source=SOURCE)
            for dimension, price in prices.items()
            if price is not None
        },
        capabilities={
            Capability(name): Sourced(value=able, source=SOURCE)
            for name, able in capabilities.items()
            if able is not None
        },
    )


def _tokens(said: int | None) -> Sourced[int] | None:
    """Return a limit as a fact; 0 is "unknown"."""
    return Sourced(value=said, source=SOURCE) if said else None
