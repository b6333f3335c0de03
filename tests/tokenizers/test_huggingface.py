"""Text is counted with a tokenizer file as its own package counts it, and no file does harm."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from support.tokenizer_files import MAKERS, byte_level, characters, written
from tokenizers import Tokenizer

from gatewayctl.config.tokenizer_files import LARGEST
from gatewayctl.core.errors import CountUnavailable
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import Segment
from gatewayctl.tokenizers import huggingface
from gatewayctl.tokenizers.count import count
from gatewayctl.tokenizers.huggingface import Files, encoder

TEXT = "The quick brown fox: naïve café, 天地玄黄, 12345 + 6.78!\n\n\treturn x 🙂\n"
RUN = 300_000
RUNS = {
    "spaces": " " * RUN,
    "spaces, then a word": " " * RUN + "x",
    "newlines": "\n" * RUN,
    "one letter": "a" * RUN,
    "one digit": "7" * RUN,
    "one mark": "=" * RUN,
    "one emoji": "🙂" * (RUN // 4),
    "combining marks": "\u0301" * (RUN // 2),
    "random letters": "".join(random.Random(3).choices("abcdefxyz", k=RUN)),  # noqa: S311
}


@pytest.fixture(scope="session", params=MAKERS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of a tokenizer file, of each kind in turn."""
    return written(tmp_path_factory.mktemp("tokenizer"), MAKERS[request.param]())


def test_a_text_counts_as_the_package_counts_it(path: str) -> None:
    """Short texts and long ones, up to what is counted at once."""
    own = Tokenizer.from_file(path)
    for text in (TEXT, "".join(TEXT for _ in range(900))):
        assert encoder(path).count(text) == len(own.encode(text, add_special_tokens=False))


def test_a_longer_text_counts_the_same_to_a_thousandth(path: str) -> None:
    """What is cut for its length is cut where words end, which models without pieces may join."""
    own = Tokenizer.from_file(path)
    text = "The quick brown fox jumps over the lazy dog. " * 4_000
    whole = len(own.encode(text, add_special_tokens=False))
    assert abs(encoder(path).count(text) - whole) <= whole / 1_000


@pytest.mark.parametrize("text", RUNS.values(), ids=RUNS)
def test_a_long_run_of_anything_is_counted(path: str, text: str) -> None:
    """No run of one character panics or is given whole to a regular expression.

    Some tokenizers have no token for blanks, and a single one for all that they do not know.
    """
    assert 0 <= encoder(path).count(text) <= len(text.encode()) + len(text) // 1_000 + 2


def test_what_looks_like_a_special_token_is_plain_text(tmp_path: Path) -> None:
    """Nobody makes a prompt smaller by writing control tokens into it."""
    assert encoder(written(tmp_path, byte_level())).count("<|endoftext|>") > 1


def test_truncation_and_padding_of_the_file_do_not_count(tmp_path: Path) -> None:
    """Files often say how training examples are cut to length."""
    made = characters()
    made.enable_truncation(5)
    made.enable_padding(length=50)
    assert encoder(written(tmp_path, made)).count("Hello, world") == 12


def test_lone_surrogates_count_by_their_bytes(tmp_path: Path) -> None:
    """What the package refuses counts as much as it can cost."""
    assert encoder(written(tmp_path, characters())).count("\ud800" * 1_000) == 3_000


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    """The next count is by what the file says by then, without a restart."""
    path = written(tmp_path, characters())
    assert encoder(path).count("The quick brown fox") == 19
    written(tmp_path, byte_level())
    assert encoder(path).count("The quick brown fox") < 10


def test_a_file_that_did_not_change_is_read_once(tmp_path: Path) -> None:
    """The same encoder answers, with the counts that it remembers."""
    path = written(tmp_path, characters())
    assert encoder(path) is encoder(path)


def test_tokenizers_are_kept_up_to_a_size(tmp_path: Path) -> None:
    """However many files are counted with, only the last used of them are held in memory."""
    paths = [written(tmp_path, characters(), f"{number}.json") for number in range(5)]
    files = Files(kept=2 * Path(paths[0]).stat().st_size)
    for path in paths:
        files.encoder(path)
    assert list(files._known) == paths[-2:]
    assert files.resident == 20 * Path(paths[0]).stat().st_size


BROKEN = {
    "not JSON": b"hello",
    "not UTF-8": b'{"model": "\xff"}',
    "empty": b"",
    "no tokenizer": b"{}",
    "of a kind that is not known": b'{"model": {"type": "Telepathy", "vocab": {}}}',
    "nested deeply": b"[" * 100_000,
    "cut short": byte_level().to_str().encode()[:2_000],
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_no_tokenizer_is_unavailable(tmp_path: Path, data: bytes) -> None:
    """It is said with the file's name; the same words come again, and a good file then counts."""
    file = tmp_path / "tokenizer.json"
    file.write_bytes(data)
    for _ in range(2):
        with pytest.raises(CountUnavailable, match=r"tokenizer\.json is no tokenizer"):
            encoder(str(file))
    assert huggingface.problem(str(file)) is not None
    written(tmp_path, characters())
    assert encoder(str(file)).count("abc") == 3
    assert huggingface.problem(str(file)) is None


def test_a_file_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    """A name that cannot be opened is said with the reason."""
    with pytest.raises(CountUnavailable, match="cannot be read: No such file"):
        encoder(str(tmp_path / "gone.json"))
    with pytest.raises(CountUnavailable, match=r"is no file|cannot be read"):
        encoder(str(tmp_path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes by name here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """What is no file is refused, whether or not somebody writes to it."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CountUnavailable, match="is no file"):
        encoder(str(tmp_path / "pipe"))


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    """A file of more than 100 MB is none that a model comes with."""
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(CountUnavailable, match="larger than"):
        encoder(str(huge))


def test_requests_are_counted_with_a_file(tmp_path: Path) -> None:
    """Text by the file, four tokens a message and three for the reply; tools by their JSON."""
    path = written(tmp_path, characters())
    tool = {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    body = json.dumps({"model": "m", "messages": turns, "tools": [tool]})
    counted = count(WireProtocol.MESSAGES, body.encode(), path)
    assert counted.tokens[Segment.MESSAGES] == 7
    assert counted.tokens[Segment.TOOLS] >= len(json.dumps(tool, separators=(",", ":")))
    plain = count(
        WireProtocol.MESSAGES, json.dumps({"model": "m", "messages": turns}).encode(), path
    )
    assert plain.overhead == 3 + 2 * 4


def test_without_the_package_it_is_said_what_to_install(tmp_path: Path) -> None:
    """In a Python that has no tokenizers, counting by a file says which extra has them."""
    path = written(tmp_path, characters())
    program = (
        "import sys; sys.modules['tokenizers'] = None\n"
        "from gatewayctl.tokenizers import huggingface\n"
        f"print(huggingface.problem({path!r}))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert b"pip install 'gatewayctl[huggingface]'" in said.stdout


def test_the_package_is_imported_only_to_count() -> None:
    """Neither the daemon nor a command pays for it that does not count with a file."""
    program = (
        "import sys\nimport gatewayctl.daemon.composition, gatewayctl.cli.main\n"
        "import gatewayctl.tokenizers.count\nprint('tokenizers' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert said.stdout.strip() == b"False"
