"""Ids of tool calls, in the form that Anthropic takes.

Other servers call their calls what they like (``functions.bash:0``). Such an id is spelled in
letters that are allowed, so that the client's next request says what it was; one that is too long
for that is told by its digest, which stays the same as long as the id does.
"""

import binascii
import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

_FITS: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_SPELLED: Final = "toolu_as_"
_DIGEST: Final = "toolu_of_"
_MOST: Final = 64


def fitting(call_id: str) -> str:
    """Return an id of the right form: this one if it has it, else always the same for it."""
    if _FITS.fullmatch(call_id) and not call_id.startswith(_SPELLED):
        return call_id
    data = call_id.encode(errors="surrogatepass")
    spelled = _SPELLED + urlsafe_b64encode(data).decode().rstrip("=")
    return spelled if len(spelled) <= _MOST else _DIGEST + hashlib.sha256(data).hexdigest()[:40]


def original(call_id: str) -> str:
    """Return the id that ``fitting`` spelled, any other one as it is."""
    if not call_id.startswith(_SPELLED):
        return call_id
    spelled = call_id.removeprefix(_SPELLED)
    try:
        found = urlsafe_b64decode(spelled + "=" * (-len(spelled) % 4)).decode()
    except (binascii.Error, ValueError):
        return call_id
    return found if fitting(found) == call_id else call_id
