"""What proves a thought: signatures and encrypted reasoning that the simulator makes and knows.

A seal names the protocol and the model that it is of, and the text that was thought, under a code
that only a simulator with the same secret can have made. Where it stands is each protocol's.
"""

import binascii
import hmac
from base64 import b64decode, b64encode
from hashlib import blake2b
from typing import Final

import msgspec

_SIZE: Final = 16
_USUAL: Final = str.maketrans("-_", "+/")
_BODY: Final = msgspec.json.Decoder(tuple[str, str, str])


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """What a seal says: who made it (``messages``), of which model, and of what text."""

    maker: str
    model: str
    digest: str

    def is_of(self, text: str) -> bool:
        """Tell whether it is of this text, unchanged."""
        return self.digest == _digest(text)


def sealed(secret: str, maker: str, model: str, text: str) -> str:
    """Return the seal of a thought, as base64."""
    body = msgspec.json.encode((maker, model, _digest(text)))
    return b64encode(_code(secret, body) + body).decode()


def opened(secret: str, maker: str, data: object) -> Seal | None:
    """Return what a seal of this maker says, None where it is another's or no seal at all.

    It may come in the letters for URLs, as Google's own SDK writes bytes.
    """
    if not isinstance(data, str):
        return None
    try:
        raw = b64decode(data.translate(_USUAL), validate=True)
        code, body = raw[:_SIZE], raw[_SIZE:]
        if not hmac.compare_digest(code, _code(secret, body)):
            return None
        seal = Seal(**dict(zip(("maker", "model", "digest"), _BODY.decode(body), strict=True)))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None
    return seal if seal.maker == maker else None


def _code(secret: str, body: bytes) -> bytes:
    return blake2b(body, digest_size=_SIZE, key=secret.encode()).digest()


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
