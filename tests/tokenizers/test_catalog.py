"""The packaged vocabularies are OpenAI's, and damage to one is noticed."""

import base64
import hashlib
import subprocess
import sys

import pytest

from gatewayctl.config import forms
from gatewayctl.core.errors import CountUnavailable
from gatewayctl.tokenizers import catalog
from gatewayctl.tokenizers.catalog import VOCABULARIES, Vocabulary

EACH = pytest.mark.parametrize("vocabulary", VOCABULARIES.values(), ids=lambda entry: entry.name)


@EACH
def test_a_vocabulary_is_the_published_one(vocabulary: Vocabulary) -> None:
    """Written out as OpenAI publishes it, a vocabulary has the hash that tiktoken expects."""
    ranks = catalog.load(vocabulary.name)
    lines = (b"%b %d\n" % (base64.b64encode(token), rank) for token, rank in ranks.items())
    assert hashlib.sha256(b"".join(lines)).hexdigest() == vocabulary.published


@EACH
@pytest.mark.parametrize("place", [0, 4, 5, 12, 1_000, 200_000, -1])
def test_a_changed_byte_is_noticed(vocabulary: Vocabulary, place: int) -> None:
    """Whichever byte of the file changes, header or content, the file counts as damaged."""
    data = bytearray(catalog.packed(vocabulary))
    data[place] ^= 0x41
    with pytest.raises(CountUnavailable, match=f"{vocabulary.name} is damaged: reinstall"):
        catalog.unpack(vocabulary, bytes(data))


@EACH
@pytest.mark.parametrize("length", [0, 3, 1_000])
def test_a_truncated_file_is_noticed(vocabulary: Vocabulary, length: int) -> None:
    """A file that was not written to its end counts as damaged."""
    with pytest.raises(CountUnavailable, match="damaged"):
        catalog.unpack(vocabulary, catalog.packed(vocabulary)[:length])


def test_a_vocabulary_for_another_is_noticed() -> None:
    """One intact file in the place of another counts as damaged."""
    one, other = VOCABULARIES.values()
    with pytest.raises(CountUnavailable, match="damaged"):
        catalog.unpack(one, catalog.packed(other))


def test_an_unknown_vocabulary_is_said() -> None:
    """A vocabulary that is not packaged is an error that names it, never a download."""
    with pytest.raises(CountUnavailable, match="no vocabulary 'p50k_base' is packaged"):
        catalog.load("p50k_base")


def test_the_config_knows_the_packaged_vocabularies() -> None:
    """What may be written in the config is what is packaged, though neither imports the other."""
    assert set(forms.VOCABULARIES) == VOCABULARIES.keys()


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    """Importing the layer leaves tiktoken and zstandard out, for the daemon and for ``--help``."""
    code = (
        "import sys; import gatewayctl.tokenizers.counter; "
        "sys.exit(', '.join({'tiktoken', 'zstandard', 'regex'} & sys.modules.keys()) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
