"""Every fault of the simulator, and how a call with it ends: the table behind the fault matrix.

What the gateway then does about it is ``policy``'s business.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from support.policy import End, Ends, Fails

_EVERY: Final = ("chat_completions", "responses", "messages", "gemini")
_HOSTED: Final = _EVERY[:3]
_WHOLE: Final = Ends.WHOLE
_BROKEN: Final = Ends.BROKEN
_NETWORK: Final = Fails(kind="network")
_BAD: Final = Fails(kind="bad_response")
_TIMEOUT: Final = Fails(kind="timeout")
_BUSY: Final = Fails(kind="overloaded", status=529)
_EXPIRED: Final = Fails(kind="auth", status=400)
_UNAVAILABLE: Final = Fails(kind="overloaded", status=502)
_OVERFLOW: Final = Fails(kind="context_overflow", status=400)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One fault, as the simulator is asked for it, and how a call with it ends.

    ``whole`` is for calls that do not stream, ``messages`` for the Messages API where it differs,
    ``gemini`` for the Gemini API, streamed and not. ``provider`` is which of the matrix' providers
    it is for: ``up`` is patient, ``brief`` waits little for the first token, ``idle`` little
    between tokens.
    """

    fault: str
    stream: End
    whole: End
    messages: End | None = None
    gemini: tuple[End, End] | None = None
    provider: str = "up"
    protocols: tuple[str, ...] = _EVERY

    def end(self, protocol: str, *, stream: bool) -> End:
        """Return how a call ends."""
        if protocol == "gemini" and self.gemini is not None:
            return self.gemini[0 if stream else 1]
        usual = self.stream if stream else self.whole
        differs = protocol == "messages" and self.messages is not None
        return self.messages or usual if differs and isinstance(usual, Fails) else usual

    @property
    def once(self) -> bool:
        """Whether only the first call of a model ends so."""
        return self.fault.endswith("*1")


def _same(
    fault: str, end: End, messages: End | None = None, gemini: tuple[End, End] | None = None
) -> Row:
    return Row(fault=fault, stream=end, whole=end, messages=messages, gemini=gemini)


def _says(
    fault: str, kind: str, status: int, *, wait: float | None = None, vain: bool = False
) -> Row:
    return _same(fault, Fails(kind=kind, status=status, wait=wait, vain=vain))


_REFUSALS: Final = (
    _says("400", "bad_request", 400),
    _says("401", "auth", 401),
    _says("403", "forbidden", 403),
    _says("404", "model_not_found", 404),
    _same("expired-key", Fails(kind="auth", status=401), gemini=(_EXPIRED, _EXPIRED)),
    _says("429", "rate_limited", 429),
    _says("429=1", "rate_limited", 429, wait=1.0),
    _says("429=1*1", "rate_limited", 429, wait=1.0),
    _says("429=1!do-not-retry", "rate_limited", 429, wait=1.0, vain=True),
    _says("429=5.5", "rate_limited", 429, wait=5.5),
    _says("429=16", "rate_limited", 429, wait=16.0),
    _same(
        "quota",
        Fails(kind="quota_exhausted", status=429),
        messages=Fails(kind="quota_exhausted", status=400),
    ),
    _says("500", "server_error", 500),
    _says("500*1", "server_error", 500),
    _says("500!do-not-retry", "server_error", 500, vain=True),
    _same("502", Fails(kind="server_error", status=502), gemini=(_UNAVAILABLE, _UNAVAILABLE)),
    _says("503", "overloaded", 503),
    _says("503*1", "overloaded", 503),
    _says("503=1", "overloaded", 503, wait=1.0),
    _says("503=16", "overloaded", 503, wait=16.0),
    Row(fault="529", stream=_BUSY, whole=_BUSY, protocols=_HOSTED),
    Row(fault="529*1", stream=_BUSY, whole=_BUSY, protocols=_HOSTED),
    _says("flap=1000", "overloaded", 503),
    # Google answers, and says in place of an answer that there is none.
    _same("content-filter", Fails(kind="content_filter", status=400), gemini=(_WHOLE, _WHOLE)),
)
_SPOKEN: Final[Mapping[str, tuple[str, ...]]] = {
    "openai": ("chat_completions", "responses"),
    "anthropic": ("messages",),
    "gemini": ("chat_completions", "gemini"),
    "openrouter": _HOSTED,
    "groq": ("chat_completions", "responses"),
    "mistral": ("chat_completions",),
    "deepseek": ("chat_completions",),
    "moonshot": ("chat_completions",),
    "xai": ("chat_completions", "responses"),
    "together": ("chat_completions",),
    "fireworks": _HOSTED,
    "cerebras": ("chat_completions",),
    "ollama": _HOSTED,
    "lmstudio": _HOSTED,
    "llamacpp": _HOSTED,
    "vllm": _HOSTED,
}
_OVERFLOWS: Final = tuple(
    Row(fault=f"overflow={name}", stream=_OVERFLOW, whole=_OVERFLOW, protocols=spoken)
    for name, spoken in _SPOKEN.items()
)
_OVERLOADED_INSIDE: Final = Fails(kind="overloaded")
_ERROR_INSIDE: Final = Fails(kind="server_error")
_BREAKS: Final = (
    _same("reset", _NETWORK),
    _same("reset*1", _NETWORK),
    _same("close", _NETWORK),
    _same("cut-head", _NETWORK),
    _same("empty", _BAD),
    _same("page", _BAD),
    _same("wrong-type", _BAD),
    _same("gzip-garbage", _BAD),
    _same("cut=120", _NETWORK),
    _same("cut-reset=120", _NETWORK),
    _same("cut-events=1", _NETWORK, gemini=(_BROKEN, _NETWORK)),
    _same("cut-tokens=0", _NETWORK),
    _same("cut-tokens=0*1", _NETWORK),
    Row(fault="cut-tokens=2", stream=_BROKEN, whole=_NETWORK),
    _same("reset-before-content", _NETWORK),
    # The pause lets what was sent before the reset arrive.
    Row(fault="pace=0.05!reset-tokens=2", stream=_BROKEN, whole=_NETWORK),
    _same("malformed=0", _BAD),
    _same("malformed-tokens=0", _BAD),
    Row(fault="malformed-tokens=2", stream=_BROKEN, whole=_BAD),
    Row(fault="no-terminal", stream=_BROKEN, whole=_WHOLE),
    _same("stream-error=1", _ERROR_INSIDE, _OVERLOADED_INSIDE, (_BROKEN, _OVERLOADED_INSIDE)),
    _same("stream-error=1*1", _ERROR_INSIDE, _OVERLOADED_INSIDE, (_BROKEN, _OVERLOADED_INSIDE)),
    _same(
        "stream-error-tokens=0",
        _ERROR_INSIDE,
        _OVERLOADED_INSIDE,
        (_OVERLOADED_INSIDE, _OVERLOADED_INSIDE),
    ),
    Row(
        fault="stream-error-tokens=2",
        stream=_BROKEN,
        whole=_ERROR_INSIDE,
        messages=_OVERLOADED_INSIDE,
        gemini=(_BROKEN, _OVERLOADED_INSIDE),
    ),
    _same("failed=1", _ERROR_INSIDE, _OVERLOADED_INSIDE, (_BROKEN, _OVERLOADED_INSIDE)),
    Row(
        fault="failed-tokens=2",
        stream=_BROKEN,
        whole=_ERROR_INSIDE,
        messages=_OVERLOADED_INSIDE,
        gemini=(_BROKEN, _OVERLOADED_INSIDE),
    ),
)
_TIMES: Final = (
    Row(fault="silence", stream=_TIMEOUT, whole=_TIMEOUT, provider="brief"),
    Row(fault="headers-then-nothing", stream=_TIMEOUT, whole=_TIMEOUT, provider="brief"),
    Row(fault="stall=1", stream=_TIMEOUT, whole=_TIMEOUT, provider="brief", protocols=_HOSTED),
    Row(fault="slow=20", stream=_TIMEOUT, whole=_TIMEOUT, provider="brief"),
    Row(fault="stall-tokens=0", stream=_TIMEOUT, whole=_TIMEOUT, provider="brief"),
    Row(fault="stall-tokens=2", stream=_BROKEN, whole=_TIMEOUT, provider="idle"),
    _same("slow=0.1", _WHOLE),
    _same("pace=0.001", _WHOLE),
    _same("filtered", _WHOLE),
)

ROWS: Final = (*_REFUSALS, *_OVERFLOWS, *_BREAKS, *_TIMES)
"""The whole table."""
