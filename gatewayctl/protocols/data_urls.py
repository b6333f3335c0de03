"""Data URLs, in which OpenAI's dialects carry images and files, and the IR's sources of them.

Where such URLs stand in a body is each protocol's own business.
"""

from base64 import b64encode
from urllib.parse import unquote, unquote_to_bytes

from gatewayctl.core.conversation import Inline, Linked
from gatewayctl.protocols.body import invalid

_SCHEME = "data:"
_LONGEST_HEAD = 1024


def source(url: str, path: str) -> Inline | Linked:
    """Return what an address stands for: the data in it, or something that is to be fetched.

    The media type is empty where the URL says none. Raises ``RequestInvalid`` with ``path`` for a
    data URL that has no data.
    """
    if url[: len(_SCHEME)].lower() != _SCHEME:
        return Linked(url=url)
    comma = url.find(",", 0, _LONGEST_HEAD)
    if comma < 0:
        raise invalid(path, "this data URL has no comma before its data.")
    media_type, *parameters = (field.strip() for field in url[len(_SCHEME) : comma].split(";"))
    data = url[comma + 1 :]
    if parameters and parameters[-1].lower() == "base64":
        data = unquote(data) if "%" in data else data
    else:
        data = b64encode(unquote_to_bytes(data)).decode()
    return Inline(media_type=media_type.lower(), data=data)


def written(inline: Inline) -> str:
    """Return the data URL of data."""
    return f"{_SCHEME}{inline.media_type};base64,{inline.data}"
