"""What the lock files promise: every package pinned and hashed, from no index in particular."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("runtime", "dev")
EVERY_LOCK = (*LOCKS, "conformance", "faulty-upstream", "model-server")


def _text(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.lock").read_text(encoding="utf-8")


def _pins(lock: str) -> dict[str, str]:
    """Return the version of each package by its normalised name."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", _text(lock), flags=re.MULTILINE))


def _declared(lock: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    lines = [*project["project"]["dependencies"], *groups["build"]]
    if lock == "dev":  # what people may add is tested too
        extras = project["project"]["optional-dependencies"].values()
        lines += [*groups["dev"], *(line for extra in extras for line in extra)]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("lock", EVERY_LOCK)
def test_every_package_is_pinned_with_hashes(lock: str) -> None:
    """An entry without a hash would let pip install something nobody looked at."""
    entries = re.split(r"\n(?=[^\s#])", _text(lock))
    unhashed = [entry for entry in entries if "==" in entry and "--hash=sha256:" not in entry]
    assert _pins(lock)
    assert not unhashed


@pytest.mark.parametrize("lock", EVERY_LOCK)
def test_no_place_to_fetch_from_is_named(lock: str) -> None:
    """Whoever installs decides which index or mirror is asked; the hashes decide what counts."""
    assert not re.search(r"://|^-|^ *--(?!hash=)", _text(lock), flags=re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS)
def test_the_pins_satisfy_what_the_project_declares(lock: str) -> None:
    """A dependency added or moved in pyproject.toml without ``make lock`` is noticed."""
    pins = _pins(lock)
    unmet = [
        str(wanted)
        for wanted in _declared(lock)
        if pins.get(_normalised(wanted.name)) is None
        or not wanted.specifier.contains(pins[_normalised(wanted.name)])
    ]
    assert not unmet


def test_development_uses_the_versions_that_people_get() -> None:
    """The tests run against exactly the packages that the runtime lock installs."""
    assert _pins("runtime").items() <= _pins("dev").items()


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
