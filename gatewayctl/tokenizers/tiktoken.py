"""Text counted with the packaged vocabularies, by tiktoken.

Older releases of it panic at very long runs instead of refusing them: ``encoder`` sees to both.
What a request adds to its text belongs to ``tokenizers.count``.
"""

from functools import cache
from typing import TYPE_CHECKING

from gatewayctl.tokenizers import catalog
from gatewayctl.tokenizers.encoder import Encoder

if TYPE_CHECKING:
    import tiktoken


class TiktokenEncoder(Encoder):
    """Counts text with one vocabulary.

    Making one takes about 100 ms, most of it while holding the interpreter's lock, and 60 MB: in
    the daemon that is the counting process's business.
    """

    refusals = (ValueError,)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._encoding = _encoding(name)

    def encode(self, text: str) -> int:
        """Return how many tokens a text has."""
        return len(self._encoding.encode_ordinary(text))


@cache
def encoder(name: str) -> TiktokenEncoder:
    """Return the encoder of a vocabulary, made on first use; ``CountUnavailable`` as in load."""
    return TiktokenEncoder(name)


def _encoding(name: str) -> "tiktoken.Encoding":
    ranks = catalog.load(name)
    import tiktoken  # noqa: PLC0415 - 10 ms that only those who count pay

    pattern = catalog.find(name).pattern
    return tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
