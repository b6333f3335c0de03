"""The common words for what a translation leaves out, and how they are gathered.

Every codec records with the same words, so that people can look for them in logs and headers. A
reader names what the IR cannot hold as the client's body calls it (``logit_bias``,
``tools[web_search]``); a writer names what its protocol cannot say in these words. What leaves out
what is each codec's own business.
"""

from collections.abc import Iterable
from enum import StrEnum

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.shape import Demand


class Loss(StrEnum):
    """What a prompt may hold and a protocol may have no place for.

    The ``*_OF_*`` members are no fields of a body: they stand for something that was changed or
    left out wherever it stood.
    """

    TEMPERATURE = "temperature"
    TOP_P = "top_p"
    TOP_K = "top_k"
    SEED = "seed"
    PRESENCE_PENALTY = "presence_penalty"
    FREQUENCY_PENALTY = "frequency_penalty"
    LOGPROBS = "logprobs"
    TOP_LOGPROBS = "top_logprobs"
    PARALLEL = "parallel_tool_calls"
    TOOL_STRICT = "strict of a tool"
    FORMAT_NAME = "name of a response format"
    FORMAT_STRICT = "strict of a response format"
    VERBOSITY = "verbosity"
    USER = "user"
    METADATA = "metadata"
    STORE = "store"
    TIER = "service_tier"
    SPEED = "speed"
    REASONING = "reasoning"
    REASONING_EFFORT = "reasoning effort"
    REASONING_BUDGET = "reasoning budget"
    REASONING_SUMMARY = "reasoning summary"
    REASONING_OF_ANOTHER = "reasoning of another model"
    REASONING_IN_HISTORY = "reasoning in the history"
    REASONING_ALONE = "reasoning that nothing follows"
    ROLE_OF_LATER_SYSTEM = "role of a later system message"
    ROLE_OF_FIRST_ASSISTANT = "role of a first message of the assistant"
    NAME_OF_SPEAKER = "name of a speaker"
    CACHE = "cache_control"
    IS_ERROR = "is_error"
    IMAGE = "image"
    DOCUMENT = "document"
    AUDIO = "audio"
    IMAGE_DETAIL = "detail of an image"
    DOCUMENT_NAME = "name of a document"
    IMAGE_OF_ASSISTANT = "image of the assistant"
    REFUSAL = "refusal"
    EMPTY_MESSAGE = "empty message"
    CALL_WITHOUT_RESULT = "call without a result"
    RESULT_WITHOUT_CALL = "result without a call"
    BLANK_STOP = "blank stop sequence"


def tool(kind: str) -> str:
    """Return the word for a tool that is no function, by its type."""
    return f"tools[{kind}]"


def item(field: str, kind: str) -> str:
    """Return the word for an element of unknown type in a list (``input[web_search_call]``)."""
    return f"{field}[{kind}]"


_WEIGHTY = frozenset(
    {
        Loss.REASONING_OF_ANOTHER,
        Loss.REASONING_IN_HISTORY,
        Loss.REASONING_ALONE,
        Loss.IMAGE,
        Loss.DOCUMENT,
        Loss.AUDIO,
        Loss.IMAGE_OF_ASSISTANT,
    }
    | {Loss.REFUSAL, Loss.CALL_WITHOUT_RESULT, "unknown fields"}
)


def weighs(dropped: Iterable[str]) -> bool:
    """Tell whether what was left out would have counted as input, as elements of lists do."""
    return any(word in _WEIGHTY or word.endswith("]") for word in dropped)


class Losses:
    """Gathers words: each once, in the order in which they come.

    Names of a body's own fields may be anything: what is too long or not printable ASCII is told
    as ``OTHER``, and there is a limit to how many are told at all.
    """

    MOST = 64
    LONGEST = 80
    OTHER = "unknown fields"

    def __init__(self, found: Iterable[str] = ()) -> None:
        self._found: dict[str, None] = {}
        self.add(*found)

    def add(self, *words: str) -> None:
        """Record that something was left out."""
        for word in words:
            known = len(word) <= self.LONGEST and word.isascii() and word.isprintable()
            if not known or len(self._found) >= self.MOST:
                self._found[self.OTHER] = None
            else:
                self._found[str(word)] = None

    def found(self) -> tuple[str, ...]:
        """Return what was left out."""
        return tuple(self._found)


def refused(demand: Demand, path: str) -> RequestInvalid:
    """Return the refusal of what may not be left out: ``path`` is where the body demands it."""
    return RequestInvalid(f"{path}: {demand} cannot be said in another protocol.", path)
