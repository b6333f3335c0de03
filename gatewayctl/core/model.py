"""Who can answer: providers, models, their limits, and where each figure comes from.

Pure values. Nothing here reads a file, asks a provider or decides where a request goes; how a
model's figures are gathered is ``gatewayctl.registry``'s business, how they are used is
``gatewayctl.core.fit``'s.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from gatewayctl.core.correction import Observed
from gatewayctl.core.hours import Hours

T = TypeVar("T")


class WireProtocol(StrEnum):
    """A wire protocol, named by what is spoken, not by who invented it."""

    CHAT_COMPLETIONS = "chat_completions"
    RESPONSES = "responses"
    MESSAGES = "messages"
    GEMINI = "gemini"


class Auth(StrEnum):
    """How a request to a provider is authenticated."""

    KEY = "key"
    FORWARD = "forward"
    OAUTH = "oauth"
    NONE = "none"


class Overflow(StrEnum):
    """What a provider does with a request that is larger than its window."""

    ERROR = "error"
    TRUNCATES = "truncates"


class Capability(StrEnum):
    """What a request may need and a model may lack. Absence of knowledge is never a "no"."""

    TOOLS = "tools"
    PARALLEL_TOOLS = "parallel_tools"
    TOOL_CHOICE = "tool_choice"
    IMAGES = "images"
    DOCUMENTS = "documents"
    AUDIO = "audio"
    JSON_SCHEMA = "json_schema"
    REASONING = "reasoning"
    SYSTEM_MESSAGES = "system_messages"
    PREFILL = "prefill"


class Sourced(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A value, who says so, and since when.

    ``source`` is ``"config"``, a table's name (``"litellm"``, ``"models_dev"``) or a provider's
    name; ``fetched_at`` is an ISO 8601 UTC time, None where a date means nothing (the config).
    """

    value: T
    source: str
    fetched_at: str | None = None


class Unlocked(msgspec.Struct, frozen=True, kw_only=True):
    """A window, in tokens, that a request gets whose header of betas names ``beta``."""

    beta: str
    context_window: int


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about one model at one provider. None or a missing key means unknown.

    ``id`` is ``provider/model``. Limits are tokens: ``context_window`` is input and output
    together, ``max_input_tokens`` and ``max_output_tokens`` each side alone; the three are never
    derived from one another. ``served`` is the window that a server is running the model with,
    ``learned`` the one that an upstream's replies gave away: both cap every other, whoever says
    it. ``truncates``: what does not fit is known to be cut there without a word, whatever holds for
    other models of the provider. ``output_apart``: what is said of its window is a limit of the
    input, unless it is more than the input may have. ``unlocked`` are larger windows that hold for
    requests with a certain beta header alone. Prices are USD per million tokens, by rate key
    (``core.pricing``); ``off_peak`` are the hours at which those of the tier of this name hold,
    None where there are none. ``lifecycle`` is the provider's own word (``"active"``,
    ``"deprecated"``), dates are ISO 8601.
    """

    id: str
    provider: str
    context_window: Sourced[int] | None = None
    max_input_tokens: Sourced[int] | None = None
    max_output_tokens: Sourced[int] | None = None
    served: Sourced[int] | None = None
    learned: Sourced[int] | None = None
    truncates: bool = False
    output_apart: bool = False
    unlocked: tuple[Unlocked, ...] = ()
    prices: dict[str, Sourced[Decimal]] = {}
    off_peak: Sourced[Hours] | None = None
    capabilities: dict[Capability, Sourced[bool]] = {}
    lifecycle: Sourced[str] | None = None
    deprecated_at: Sourced[str] | None = None
    retires_at: Sourced[str] | None = None


def layered(own: ModelFacts, under: ModelFacts | None) -> ModelFacts:
    """Return ``own`` with the fields that it leaves open taken from ``under``, key by key."""
    if under is None:
        return own
    return ModelFacts(
        id=own.id,
        provider=own.provider,
        context_window=own.context_window or under.context_window,
        max_input_tokens=own.max_input_tokens or under.max_input_tokens,
        max_output_tokens=own.max_output_tokens or under.max_output_tokens,
        served=own.served or under.served,
        learned=own.learned or under.learned,
        truncates=own.truncates or under.truncates,
        output_apart=own.output_apart or under.output_apart,
        unlocked=own.unlocked or under.unlocked,
        prices={**under.prices, **own.prices},
        off_peak=own.off_peak or under.off_peak,
        capabilities={**under.capabilities, **own.capabilities},
        lifecycle=own.lifecycle or under.lifecycle,
        deprecated_at=own.deprecated_at or under.deprecated_at,
        retires_at=own.retires_at or under.retires_at,
    )


class EstimatorKind(StrEnum):
    """How input tokens are estimated from text."""

    AUTO = "auto"
    CHAR_RATIO = "char_ratio"
    TIKTOKEN = "tiktoken"
    HUGGINGFACE = "huggingface"


class Vision(StrEnum):
    """Which published formula says what images cost (``core.media`` has the formulas)."""

    GPT_4O = "gpt-4o"
    GPT_4O_MINI = "gpt-4o-mini"
    O1 = "o1"
    GPT_5 = "gpt-5"
    COMPUTER_USE = "computer-use"
    PATCHES = "patches"
    PATCHES_MINI = "patches-mini"
    PATCHES_NANO = "patches-nano"
    PATCHES_O4_MINI = "patches-o4-mini"
    GPT_5_4 = "gpt-5.4"
    GPT_5_5 = "gpt-5.5"
    GPT_5_6 = "gpt-5.6"
    CLAUDE = "claude"
    CLAUDE_HIGH = "claude-high"
    GEMINI_2 = "gemini-2"
    GEMINI_3 = "gemini-3"


class EstimatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one estimator, after precedence: place, model, model_defaults, tokenizer.

    ``vocabulary`` names a tiktoken encoding or a tokenizer file; under ``auto`` it is the one that
    the model is known to use, for counting exactly where that decides. ``chars_per_token`` is used
    by ``char_ratio`` alone; ``safety_margin`` >= 1 covers the counting error only. ``vision`` is
    None where no formula for images is published. ``model`` is the full id of whose replies
    anchor and correct the estimate (filled in where a name is resolved), ``observed`` what they
    taught.
    """

    kind: EstimatorKind = EstimatorKind.AUTO
    chars_per_token: Decimal = Decimal("3.5")
    safety_margin: Decimal = Decimal("1.10")
    vocabulary: str | None = None
    vision: Vision | None = None
    model: str = ""
    observed: Observed | None = None


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """What routing looks at in a provider; addresses and secrets stay in the config layer.

    ``key_hint`` says what to do when no credential is usable (``"set OPENAI_API_KEY"``).
    ``selective``: its credential serves certain clients alone.
    """

    name: str
    kind: str
    protocols: tuple[WireProtocol, ...]
    auth: Auth
    overflow: Overflow = Overflow.ERROR
    key_hint: str = ""
    selective: bool = False

    @property
    def as_it_came(self) -> bool:
        """Whether requests go there as they came: not translated, with the client's own headers.

        Nothing is changed but the model's name and a budget that has to be clamped.
        """
        return self.auth is Auth.FORWARD or (self.auth is Auth.OAUTH and self.selective)


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the config says about how one model is used (its facts are in ``ModelFacts``)."""

    capacity_fraction: Decimal = Decimal(1)
    estimator: EstimatorSettings = EstimatorSettings()
