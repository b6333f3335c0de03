"""Whose thoughts are in a history: remembered from the replies that proved them.

A provider refuses what another one proved, and where both speak the client's protocol nothing in
a body says whose it is. So the proofs that pass by are known again, by a digest; those of another
provider are marked on their way up, and taken out like everything of another model
(``protocols.provenance``). What nobody remembers goes as it came.
"""

import hashlib
from collections import OrderedDict

from gatewayctl.core.conversation import Seal
from gatewayctl.protocols.provenance import proofs, tag

MOST = 8192
"""Proofs that are remembered, the latest ones."""

_STANDARD = bytes.maketrans(b"-_", b"+/")


class Owners:
    """Remembers by which provider a thought was proved."""

    def __init__(self) -> None:
        self._owners: OrderedDict[bytes, str] = OrderedDict()

    def saw(self, provider: str, data: bytes) -> None:
        """Take note of what a reply of a provider proves, or a part of it."""
        if not _may_prove(data):
            return
        for proof in proofs(data):
            digest = _digest(proof)
            self._owners[digest] = provider
            self._owners.move_to_end(digest)
            if len(self._owners) > MOST:
                self._owners.popitem(last=False)

    def marked(self, provider: str, body: bytes) -> bytes:
        """Return a body with what is known to be another provider's marked as such."""
        if not self._owners or not _may_prove(body):
            return body
        for proof in frozenset(proofs(body)):
            owner = self._owners.get(_digest(proof), provider)
            if owner != provider:
                seal = Seal(form="unknown", data="", origin=owner)
                body = body.replace(proof, tag(seal, owner).encode())
        return body


def _may_prove(data: bytes) -> bool:
    """Tell quickly whether there can be any proof in it: every event comes through here."""
    return b"ignature" in data or b"encrypted_content" in data or b"redacted_thinking" in data


def _digest(proof: bytes) -> bytes:
    """Return what a proof is known by, also in the letters for URLs and without its padding."""
    proof = proof.translate(_STANDARD).rstrip(b"=")
    return hashlib.blake2b(proof, digest_size=12).digest()
