"""Families of models: whose text a published vocabulary counts, whose images a published formula.

A kind's file lists its families, the first that matches an id holds. A family is only what its
vendor publishes: an id that none matches is estimated as an unknown model's. What the user's
config says of a tokenizer stands over it.
"""

import re
from fnmatch import translate
from functools import cached_property

import msgspec

from gatewayctl.core.model import EstimatorKind, EstimatorSettings, Vision


class Family(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ``[[families]]`` table: ids as ``*`` patterns, and what is known of them."""

    models: tuple[str, ...]
    vocabulary: str | None = None
    vision: Vision | None = None

    @property
    def pattern(self) -> str:
        """A regular expression that matches the family's ids."""
        return "|".join(f"(?:{translate(glob)})" for glob in self.models)


class Families:
    """The families of one kind; asking costs a few matches of patterns, compiled when first asked.

    Compiling those of every kind would take a tenth of a command's time, and few kinds are asked.
    """

    def __init__(self, families: tuple[Family, ...]) -> None:
        self._families = families

    def find(self, model: str) -> Family | None:
        """Return the family of a bare model id, as the provider calls it."""
        for pattern, family in self._compiled:
            if pattern.match(model):
                return family
        return None

    @cached_property
    def _compiled(self) -> tuple[tuple[re.Pattern[str], Family], ...]:
        return tuple((re.compile(family.pattern), family) for family in self._families)

    def known(self, settings: EstimatorSettings, model: str) -> EstimatorSettings:
        """Return settings with what is known of the model; what they say themselves stays."""
        family = self.find(model)
        if family is None:
            return settings
        vocabulary = settings.vocabulary
        if settings.kind in {EstimatorKind.AUTO, EstimatorKind.TIKTOKEN} and vocabulary is None:
            vocabulary = family.vocabulary
        return msgspec.structs.replace(
            settings, vocabulary=vocabulary, vision=settings.vision or family.vision
        )
