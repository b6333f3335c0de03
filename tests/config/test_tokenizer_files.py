"""Tokenizer files are found where the config says; those of no use are told where they stand."""

import subprocess
import sys
from pathlib import Path

import pytest

from gatewayctl.config.catalog import EmptyCatalog
from gatewayctl.config.load import Loaded, load
from gatewayctl.config.problems import Severity
from gatewayctl.config.settings import Settings
from gatewayctl.config.tokenizer_files import LARGEST, look
from gatewayctl.core.model import EstimatorKind, EstimatorSettings
from gatewayctl.core.routing.graph import Cascade

PROVIDER = '[providers.local]\nkind = "vllm"\n'


def read(folder: Path, text: str, *, reload: bool = False, **environ: str) -> Loaded:
    """Read a config that stands in a folder."""
    path = folder / "config.toml"
    path.write_text(PROVIDER + text)
    return load(path, environ=environ, catalog=EmptyCatalog(), reload=reload)


def settings(folder: Path, text: str) -> Settings:
    """Return a config's settings; fail with its problems when it is wrong."""
    loaded = read(folder, text)
    assert loaded.settings is not None, loaded.problems
    return loaded.settings


def problems(loaded: Loaded) -> list[tuple[str, str, int | None, str]]:
    """Return severity, code, line and key of each problem."""
    return [(it.severity.value, it.code, it.line, it.key) for it in loaded.problems]


def counted_by(path: Path, **more: object) -> EstimatorSettings:
    """Return an estimator that counts with a file."""
    return EstimatorSettings(kind=EstimatorKind.HUGGINGFACE, vocabulary=str(path), **more)  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a file that could be a tokenizer's, beside the config."""
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    return path


def test_a_relative_path_starts_at_the_configs_folder(tmp_path: Path, file: Path) -> None:
    """The daemon may be started anywhere."""
    model = '[[models]]\nid = "local/a"\ntokenizer = "huggingface"\ntokenizer_file = "{}"\n'
    for written in ("tokenizer.json", "./tokenizer.json", str(file)):
        found = settings(tmp_path, model.format(written))
        assert found.model("local/a").settings.estimator == counted_by(file)


def test_the_home_folder_may_be_written_short(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``~`` is the user's home, as in a shell."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    text = '[tokenizer]\nkind = "huggingface"\ntokenizer_file = "~/tokenizer.json"\n'
    assert settings(tmp_path, text).defaults.estimator == counted_by(file)


DEFAULT = """
[tokenizer]
kind = "huggingface"
tokenizer_file = "tokenizer.json"
safety_margin = 1.2
"""


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Write another such file."""
    path = tmp_path / "other.json"
    path.write_text("{}")
    return path


def test_the_nearest_word_on_the_tokenizer_counts(tmp_path: Path, file: Path, other: Path) -> None:
    """A model's over all models'; whoever says only another file keeps the kind."""
    found = settings(
        tmp_path,
        f"""{DEFAULT}
        [[models]]
        id = "local/same"
        tokenizer = "huggingface"
        [[models]]
        id = "local/other"
        tokenizer_file = "other.json"
        [[models]]
        id = "local/by-ratio"
        tokenizer = "char_ratio"
        [[models]]
        id = "local/auto"
        tokenizer = "auto"
        """,
    )
    same, another, by_ratio, auto = (
        found.model(f"local/{name}").settings.estimator
        for name in ("same", "other", "by-ratio", "auto")
    )
    margin = found.defaults.estimator.safety_margin
    assert same == counted_by(file, safety_margin=margin)
    assert another == counted_by(other, safety_margin=margin)
    assert by_ratio.kind is EstimatorKind.CHAR_RATIO
    assert (auto.kind, auto.vocabulary) == (EstimatorKind.AUTO, None)


def test_a_place_has_the_last_word(tmp_path: Path, file: Path, other: Path) -> None:
    """It names a file, or a kind that uses none: then the model's file is no vocabulary."""
    found = settings(
        tmp_path,
        f"""{DEFAULT}
        [[models]]
        id = "local/by-ratio"
        tokenizer = "char_ratio"
        [[cascades]]
        id = "c"
        [[cascades.steps]]
        model = "local/by-ratio"
        tokenizer = {{ kind = "huggingface", tokenizer_file = "other.json" }}
        [[cascades.steps]]
        model = "local/same"
        tokenizer = {{ tokenizer_file = "other.json" }}
        [[cascades.steps]]
        model = "local/other"
        tokenizer = {{ kind = "tiktoken" }}
        """,
    )
    margin = found.defaults.estimator.safety_margin
    assert found.defaults.estimator == counted_by(file, safety_margin=margin)
    route = found.graph.routes["c"]
    assert isinstance(route, Cascade)
    first, second, third = (place.estimator for place in route.places)
    assert first == counted_by(other, safety_margin=margin)
    assert second == first
    assert third is not None
    assert (third.kind, third.vocabulary) == (EstimatorKind.TIKTOKEN, None)


def test_a_file_that_cannot_be_opened_is_an_error_wherever_it_is_named(tmp_path: Path) -> None:
    """Each place that names it is told, with the reason."""
    loaded = read(
        tmp_path,
        """
[model_defaults]
tokenizer = "huggingface"
tokenizer_file = "gone.json"
[[cascades]]
id = "c"
[[cascades.steps]]
model = "local/a"
tokenizer = { kind = "huggingface", tokenizer_file = "gone.json" }
""",
    )
    code = "tokenizer-file-unusable"
    assert problems(loaded) == [
        ("error", code, 6, "model_defaults.tokenizer_file"),
        ("error", code, 11, "cascades[0].steps[0].tokenizer.tokenizer_file"),
    ]
    assert "No such file" in loaded.problems[0].message


def test_on_a_reload_a_file_that_has_gone_is_a_warning(tmp_path: Path) -> None:
    """A running daemon goes on by ratio; what else was changed must not wait for the file."""
    text = '[tokenizer]\nkind = "huggingface"\ntokenizer_file = "gone.json"\n'
    loaded = read(tmp_path, text, reload=True)
    assert loaded.settings is not None
    assert [it.severity for it in loaded.problems] == [Severity.WARNING]


def test_what_is_no_file_or_too_large_is_told(tmp_path: Path) -> None:
    """A folder, a name that cannot be one, and a file of more than 100 MB."""
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(LARGEST + 1)
    for path in (str(tmp_path), "a\0b", str(huge)):
        trouble = look(path)
        assert trouble is not None
        assert trouble.error


def test_a_file_is_read_only_where_that_is_asked_for(file: Path) -> None:
    """Every command loads the config; only a check takes the time to look into the file."""
    assert look(str(file)) is None
    trouble = look(str(file), read=lambda path: f"{Path(path).name} is no tokenizer")
    assert trouble is not None
    assert trouble.message == "tokenizer.json is no tokenizer"


def test_without_the_package_the_config_is_valid_and_says_what_to_install(file: Path) -> None:
    """The file is not at fault, and requests are answered by ratio meanwhile."""
    program = (
        "import sys; sys.modules['tokenizers'] = None\n"
        "from gatewayctl.config.tokenizer_files import look\n"
        f"found = look({str(file)!r})\n"
        "print(found.code, found.error, found.hint)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert said.stdout == ("tokenizers-not-installed False pip install 'gatewayctl[huggingface]'\n")
