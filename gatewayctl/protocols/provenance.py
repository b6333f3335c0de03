"""Thoughts on their way through a foreign protocol: whose they are, and how they come back.

A provider proves its model's thoughts with opaque data, and refuses others'. Where a reply is
translated, the client is given a tag in their place, which holds the data and the model that they
are of; when the client sends the tag back, the thoughts go to that model again and to no other.
Tags are base64, so that they can stand wherever such data can. Where each protocol keeps them is
its own codec's business.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator

import msgspec

from gatewayctl.core.conversation import Seal
from gatewayctl.core.model import WireProtocol

_HEAD = b"gatewayctl1:"  # twelve bytes, so that their base64 is the same whatever follows

MARK = b64encode(_HEAD)
"""What every tag begins with: a body without it holds none."""

_BODY = msgspec.json.Decoder(tuple[str, str, str])
_MARK = MARK.decode()
_FROM_URL = str.maketrans("-_", "+/")


def tag(seal: Seal | None, origin: str) -> str:
    """Return the tag for a thought of the model ``origin``; None: in plain text, unproven."""
    found = Seal(form="text", data="") if seal is None else seal
    body = msgspec.json.encode((found.origin or origin, found.form, found.data))
    return b64encode(_HEAD + body).decode()


def tagged(data: str) -> Seal | None:
    """Return what a tag holds, None for data that is no tag of ours.

    It may come back in the letters for URLs, or without the padding: google-genai decodes the data
    and encodes them again.
    """
    if not data.startswith(_MARK):
        return None
    standard = data.translate(_FROM_URL).rstrip("=")
    padded = standard + "=" * (-len(standard) % 4)
    try:
        origin, form, inner = _BODY.decode(b64decode(padded, validate=True)[len(_HEAD) :])
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return None
    return Seal(form=form, data=inner, origin=origin)


def sealed(form: str, data: str) -> Seal:
    """Return what stands where a protocol keeps such data: a tag's content, or the data itself."""
    return tagged(data) or Seal(form=form, data=data)


def returns(seal: Seal | None, protocol: WireProtocol, origin: str) -> bool:
    """Tell whether a thought may go to a model: only if that model had it, in this protocol.

    ``origin`` is the model's full id. What is only text goes back as text, to its own model.
    """
    if seal is None or seal.origin != origin:
        return False
    return seal.form == "text" or seal.form.startswith(f"{protocol.value}.")


def proofs(data: bytes) -> Iterator[bytes]:
    """Yield the proofs of thoughts in a body, a reply or an event of any protocol, as they stand.

    They are looked for by the names of their fields, so that nothing need be decoded.
    """
    for name in _PROOFS:
        at = data.find(name)
        while at >= 0:
            at += len(name)
            found = _VALUE.match(data, at)
            if found is not None:
                yield found[1]
                at = found.end()
            at = data.find(name, at)


# Signatures of Messages and of Gemini (``thoughtSignature``), encrypted reasoning of Responses,
# hidden thoughts of Messages: their data follows their type in all that is known to write them.
_PROOFS = (b'ignature"', b'"encrypted_content"', b'"redacted_thinking","data"')
_VALUE = re.compile(rb'\s*:\s*"([A-Za-z0-9+/_=-]{24,})"')
