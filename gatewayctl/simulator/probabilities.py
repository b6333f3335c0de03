"""Probabilities of tokens for who asks for them: the simulator is nearly sure of each.

``alternatives`` are the value; each protocol writes them in its own form.
"""

from typing import Final

import msgspec

_SURE: Final = -0.0625
_STEP: Final = -1.5


class Likely(msgspec.Struct, frozen=True, kw_only=True):
    """A token and the logarithm of its probability."""

    token: str
    logprob: float

    def openai(self) -> dict[str, object]:
        """Return it as both of OpenAI's protocols write it."""
        code = list(self.token.encode("utf-8", "replace"))
        return {"token": self.token, "logprob": self.logprob, "bytes": code}


def alternatives(token: str, count: int) -> tuple[Likely, ...]:
    """Return the ``count`` likeliest tokens in a token's place, itself first."""
    others = (
        Likely(token=f"{token}{index}", logprob=_SURE + index * _STEP) for index in range(1, count)
    )
    return (chosen(token), *others) if count else ()


def chosen(token: str) -> Likely:
    """Return the token that was written."""
    return Likely(token=token, logprob=_SURE)


def openai(token: str, count: int) -> dict[str, object]:
    """Return a token, and the likeliest ones in its place, as both of OpenAI's protocols do."""
    top = [likely.openai() for likely in alternatives(token, count)]
    return {**chosen(token).openai(), "top_logprobs": top}
