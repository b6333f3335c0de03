"""How each provider refuses a prompt that its model cannot hold: status, body and words.

The words are the providers' own, with the numbers of the call filled in, as they come back over
their chat completions address; over the Messages and the Gemini API the same words stand in
Anthropic's and in Google's envelope.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gatewayctl.simulator import problems
from gatewayctl.simulator.problems import Problem, Vendor

_INVALID: Final = "invalid_request_error"
_TOKENS: Final = 537_812
_WINDOW: Final = 131_072
_OUTPUT: Final = 4096


class _Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One provider's refusal: ``error`` is its error object, the words apart.

    ``around`` stands beside it in the body. Where ``flat``, the error object is the body itself.
    ``listed``: the body is a list of one. Where there is no ``error``, it is the words alone.
    ``figures`` are fields of the error object that hold one of the call's numbers.
    """

    words: str
    error: Mapping[str, Any] | None = None
    around: Mapping[str, Any] = {}
    flat: bool = False
    listed: bool = False
    figures: Mapping[str, str] = {}

    def body(self, numbers: Mapping[str, int]) -> object:
        words = self.words.format_map(numbers)
        figures = {field: numbers[name] for field, name in self.figures.items()}
        error = words if self.error is None else {"message": words, **self.error, **figures}
        whole = error if self.flat else {**self.around, "error": error}
        return [whole] if self.listed else whole


_OF_CHAT: Final = (
    "This model's maximum context length is {m} tokens. However, you requested {n} tokens "
    "({input} in the messages, {output} in the completion). Please reduce the length of the "
    "messages or completion."
)
_BY_PROVIDER: Final[dict[str, _Refusal]] = {
    "openai": _Refusal(
        words=(
            "This model's maximum context length is {m} tokens. However, your messages resulted "
            "in {n} tokens. Please reduce the length of the messages."
        ),
        error={"type": _INVALID, "param": "messages", "code": "context_length_exceeded"},
    ),
    "anthropic": _Refusal(
        words="prompt is too long: {n} tokens > {m} maximum",
        error={"type": _INVALID, "param": None, "code": _INVALID},
    ),
    "gemini": _Refusal(
        words=("The input token count ({n}) exceeds the maximum number of tokens allowed ({m})."),
        error={"code": 400, "status": "INVALID_ARGUMENT"},
        listed=True,
    ),
    "openrouter": _Refusal(
        words=(
            "This endpoint's maximum context length is {m} tokens. However, you requested about "
            "{n} tokens ({input} of text input, {output} in the output). Please reduce the length "
            'of either one, or use the "middle-out" transform to compress your prompt '
            "automatically."
        ),
        error={"code": 400, "metadata": {"provider_name": None}},
    ),
    "groq": _Refusal(
        words="Please reduce the length of the messages or completion.",
        error={"type": _INVALID, "param": "messages", "code": "context_length_exceeded"},
    ),
    "mistral": _Refusal(
        words=(
            "Prompt contains {n} tokens and 0 draft tokens, too large for model with {m} maximum "
            "context length"
        ),
        error={"object": "error", "type": _INVALID, "param": None, "code": "3051"},
        flat=True,
    ),
    "deepseek": _Refusal(words=_OF_CHAT, error={"type": _INVALID, "param": None, "code": _INVALID}),
    "moonshot": _Refusal(
        words="Invalid request: Your request exceeded model token limit: {m} (requested: {n})",
        error={"type": _INVALID},
    ),
    "xai": _Refusal(
        words=("This model's maximum prompt length is {m} but the request contains {n} tokens."),
        around={"code": "Client specified an invalid argument"},
    ),
    "together": _Refusal(
        words="The input ({n} tokens) is longer than the model's context length ({m} tokens).",
        error={"type": _INVALID, "param": None, "code": None},
        around={"id": "simulated"},
    ),
    "fireworks": _Refusal(
        words="The prompt is too long: {n}, model maximum context length: {m}",
        error={"object": "error", "type": _INVALID, "code": _INVALID},
    ),
    "cerebras": _Refusal(
        words=(
            "Please reduce the length of the messages or completion. Current length is {n} while "
            "limit is {m}"
        ),
        error={"type": _INVALID, "param": "messages", "code": "context_length_exceeded"},
        flat=True,
    ),
    "ollama": _Refusal(
        words="prompt too long; exceeded max context length by {over} tokens",
        error={"type": _INVALID, "param": None, "code": None},
    ),
    "lmstudio": _Refusal(
        words=(
            "Trying to keep the first {n} tokens when context the overflows. However, the model "
            "is loaded with context length of only {m} tokens, which is not enough. Try to load "
            "the model with a larger context length, or provide a shorter input. Error Data: n/a, "
            "Additional Data: n/a"
        ),
    ),
    "llamacpp": _Refusal(
        words=(
            "request ({n} tokens) exceeds the available context size ({m} tokens), try increasing "
            "it"
        ),
        error={"code": 400, "type": "exceed_context_size_error"},
        figures={"n_prompt_tokens": "n", "n_ctx": "m"},
    ),
    "vllm": _Refusal(words=_OF_CHAT, error={"type": "BadRequestError", "param": None, "code": 400}),
}

PROVIDERS: Final = tuple(_BY_PROVIDER)
"""Whose words there are."""


def overflow(
    provider: str,
    vendor: Vendor,
    *,
    tokens: int = _TOKENS - _OUTPUT,
    output: int = _OUTPUT,
    window: int = _WINDOW,
) -> bytes:
    """Return the body of a 400 by which ``provider`` refuses a prompt over a protocol.

    ``tokens`` are the prompt's, ``output`` what is to be written besides, where that counts.
    """
    refusal = _BY_PROVIDER[provider]
    numbers = {
        "n": tokens + output,
        "m": window,
        "input": tokens,
        "output": output,
        "over": tokens + output - window,
    }
    if vendor is Vendor.ANTHROPIC:
        words = refusal.words.format_map(numbers)
        return problems.anthropic_body(Problem(status=400, message=words))
    if vendor is Vendor.GOOGLE:
        words = refusal.words.format_map(numbers)
        return problems.google_body(Problem(status=400, message=words))
    return msgspec.json.encode(refusal.body(numbers))
