"""The local server that is being played: how much it serves of what its model was trained for.

What it says of that is the business of the module of its kind.
"""

from enum import StrEnum
from typing import Any, Final, Protocol

import msgspec

CONTEXT: Final = 4096
TRAINED: Final = 40_960
ARCHITECTURE: Final = "qwen3"
SINCE: Final = 1_767_225_600
SINCE_ISO: Final = "2026-01-01T00:00:00Z"
SIZE: Final = 5_225_388_164
DIGEST: Final = "500a1f067a9f782620b40bee6f7b0c89e17ae61f686b92c24933e4ca4b2b8b41"


class Overlong(StrEnum):
    """What becomes of a prompt that is longer than the context."""

    CUT = "cut"
    REFUSE = "refuse"


class Local:
    """A local server of ``kind``, a key of ``servers.KINDS``, with some models.

    ``context`` is what it serves, in tokens of input and output together; it can be changed while
    the server runs, as by its operator. ``trained`` is what its listing advertises. ``overlong``
    is the kind's own way unless given. ``loaded`` are the models that were asked for so far.
    """

    def __init__(
        self,
        kind: str,
        *,
        context: int = CONTEXT,
        trained: int = TRAINED,
        models: tuple[str, ...] = (),
        overlong: Overlong | None = None,
    ) -> None:
        self.kind = kind
        self.context = context
        self.trained = trained
        self.models = models
        self.overlong = overlong
        self.loaded: set[str] = set()


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What a server answers on a path of its own."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"


class Kind(Protocol):
    """One kind of server. The modules beside this one satisfy it."""

    @property
    def MODEL(self) -> str:  # noqa: N802 - a constant of the module
        """What its model is called unless told, in this server's way of naming."""
        ...

    @property
    def OVERLONG(self) -> Overlong:  # noqa: N802
        """What it does with a prompt that is too long, unless told otherwise."""
        ...

    @property
    def WORDS(self) -> str:  # noqa: N802
        """Whose words it refuses in: a provider of ``overflows``."""
        ...

    @property
    def RESERVES_OUTPUT(self) -> bool:  # noqa: N802
        """Whether the output that is asked for has to fit besides the prompt."""
        ...

    def answer(self, method: str, path: str, body: bytes, local: Local) -> Answered | None:
        """Answer what is no call of a model; None for a path that this server does not have."""
        ...


def said(value: object, status: int = 200) -> Answered:
    """Return an answer in JSON."""
    return Answered(body=msgspec.json.encode(value), status=status)


def fields_of(body: bytes) -> dict[str, Any]:
    """Return a body's JSON object, empty where it is none."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return value if isinstance(value, dict) else {}


def openai_list(models: list[dict[str, object]]) -> Answered:
    """Return a list of models in OpenAI's envelope."""
    return said({"object": "list", "data": models})
