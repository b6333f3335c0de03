"""Text counted with a model's own ``tokenizer.json``, by the package ``tokenizers``.

That package is an extra (``pip install 'gatewayctl[huggingface]'``), imported here alone and only
when something is counted. What a request adds to its text belongs to ``tokenizers.count``.
"""

from collections import OrderedDict
from typing import TYPE_CHECKING

from gatewayctl.config.tokenizer_files import INSTALL, LARGEST, opened
from gatewayctl.core.errors import CountUnavailable
from gatewayctl.storage.files import Stamp, stamp_of
from gatewayctl.tokenizers.encoder import Encoder, panicked

if TYPE_CHECKING:
    import tokenizers

KEPT = 100 * 1024 * 1024
"""Bytes of files whose tokenizers are kept."""

_GROWS = 10
"""How many times a file's bytes its tokenizer takes in memory, about."""


class FileEncoder(Encoder):
    """Counts text with a tokenizer that was read from a file; it adds no special tokens to it."""

    refusals = (Exception,)  # the package raises its errors as this class itself

    def __init__(self, tokenizer: "tokenizers.Tokenizer") -> None:
        super().__init__()
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True  # what looks like one is plain text
        self._tokenizer = tokenizer

    def encode(self, text: str) -> int:
        """Return how many tokens a text has."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))


class Files:
    """The tokenizers of files, the last used of them kept. A file that changes is read anew.

    What cannot be used is remembered too: finding out may take as long as reading it.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._known: OrderedDict[str, tuple[Stamp, FileEncoder | CountUnavailable]] = OrderedDict()

    def encoder(self, path: str) -> FileEncoder:
        """Return the encoder of a file; ``CountUnavailable`` says why there is none."""
        known = self._known.get(path)
        with opened(path) as (file, found):
            stamp = stamp_of(found)  # with another one it is read anew
            if known is None or known[0] != stamp:
                known = (stamp, _made(path, file.read(LARGEST + 1)))
        self._keep(path, known)
        if isinstance(known[1], CountUnavailable):
            raise known[1]
        return known[1]

    @property
    def resident(self) -> int:
        """The bytes of memory that the tokenizers take, about."""
        return _GROWS * sum(it[0][1] for it in self._known.values())

    def _keep(self, path: str, known: tuple[Stamp, FileEncoder | CountUnavailable]) -> None:
        self._known[path] = known
        self._known.move_to_end(path)
        while len(self._known) > 1 and sum(it[0][1] for it in self._known.values()) > self._kept:
            self._known.popitem(last=False)


_FILES = Files()


def encoder(path: str) -> FileEncoder:
    """Return the encoder of a file, as it is now; ``CountUnavailable`` says why there is none."""
    return _FILES.encoder(path)


def resident() -> int:
    """Return the bytes of memory that tokenizers take in this process, about."""
    return _FILES.resident


def problem(path: str) -> str | None:
    """Say why a file cannot be counted with, None when it can; reads all of it."""
    try:
        Files().encoder(path)
    except CountUnavailable as error:
        return str(error).rstrip(".")
    return None


def _made(path: str, data: bytes) -> FileEncoder | CountUnavailable:
    try:
        import tokenizers  # noqa: PLC0415 - an extra, and only for those who count with it
    except ImportError:
        # Not remembered: it may be installed before the next request.
        raise CountUnavailable(
            f"{path} cannot be used: the package tokenizers is not installed ({INSTALL})."
        ) from None
    try:
        return FileEncoder(tokenizers.Tokenizer.from_buffer(data))
    except BaseException as error:
        if not (isinstance(error, Exception) or panicked(error)):
            raise
        return CountUnavailable(f"{path} is no tokenizer that can be read: {_why(error)}.")


def _why(error: BaseException) -> str:
    """Return what the package says, which quotes nothing of the file but names in it."""
    words = str(error).removeprefix("Cannot instantiate Tokenizer from buffer: ")
    return words[:200].rstrip(".") or type(error).__name__
