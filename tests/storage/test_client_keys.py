"""The file of client keys: no secret in it, one change at a time, and never half understood."""

import json
import multiprocessing
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage.client_keys import (
    FILE,
    MOST_KEYS,
    ClientKey,
    KeyRefused,
    Terms,
    create,
    digest,
    read,
    revoke,
    rotate,
)

NOW = 1_795_262_400.0


def _keys(folder: Path) -> tuple[ClientKey, ...]:
    found = read(folder)
    assert found is not None
    return found


def test_a_secret_is_told_once_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    """Thirty-two random bytes in a private file that does not hold them."""
    assert read(tmp_path) is None
    terms = Terms(models=("openai/*",), budgets=("20/day",), rpm=60, tpm=100_000, expires=NOW + 9)
    made, secret = create(tmp_path, "ci", terms, NOW)
    assert re.fullmatch(r"gwk-[A-Za-z0-9_-]{43}", secret)
    assert made.hash == digest(secret)
    assert _keys(tmp_path) == (made,)
    path = tmp_path / FILE
    assert secret[4:] not in path.read_text()
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_name_is_given_once_even_after_it_was_revoked(tmp_path: Path) -> None:
    """What the ledger says of a name is of one key for good."""
    create(tmp_path, "ci", Terms(), NOW)
    with pytest.raises(KeyRefused, match="rotate"):
        create(tmp_path, "ci", Terms(), NOW)
    revoke(tmp_path, "ci", NOW)
    with pytest.raises(KeyRefused, match="revoked"):
        create(tmp_path, "ci", Terms(), NOW)
    assert [each.state(NOW) for each in _keys(tmp_path)] == ["revoked"]


def test_a_new_secret_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    """At once, or after a grace; terms stay."""
    made, _ = create(tmp_path, "ci", Terms(rpm=5), NOW)
    turned, secret = rotate(tmp_path, "ci", NOW + 1, grace=3600)
    assert turned.hash == digest(secret) != made.hash
    assert turned.replaced is not None
    assert (turned.replaced.hash, turned.replaced.until) == (made.hash, NOW + 3601)
    assert (turned.rpm, turned.created) == (5, NOW)
    assert _keys(tmp_path) == (turned,)


def test_an_expired_key_needs_another_time_to_be_rotated(tmp_path: Path) -> None:
    """Otherwise the new secret would be good for nothing."""
    create(tmp_path, "ci", Terms(expires=NOW + 1), NOW)
    with pytest.raises(KeyRefused, match="--expires"):
        rotate(tmp_path, "ci", NOW + 2)
    turned, _ = rotate(tmp_path, "ci", NOW + 2, expires=NOW + 10)
    assert turned.state(NOW + 3) == "active"
    assert turned.state(NOW + 10) == "expired"


@pytest.mark.parametrize("change", [rotate, revoke])
def test_only_a_key_that_is_there_and_good_can_be_changed(
    tmp_path: Path, change: Callable[[Path, str, float], object]
) -> None:
    """An unknown name and a revoked key are told apart."""
    create(tmp_path, "ci", Terms(), NOW)
    with pytest.raises(KeyRefused, match='no key is called "cd"'):
        change(tmp_path, "cd", NOW)
    revoke(tmp_path, "ci", NOW)
    with pytest.raises(KeyRefused, match='"ci" is revoked'):
        change(tmp_path, "ci", NOW)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "config:1234", "operator", "é", "x" * 65])
def test_names_are_plain_words(tmp_path: Path, name: str) -> None:
    """They stand in tables, files, rules and commands; the gateway's own are taken."""
    with pytest.raises(KeyRefused, match="is no name of a key"):
        create(tmp_path, name, Terms(), NOW)
    assert read(tmp_path) is None


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (Terms(budgets=("20/year",)), "20/day"),
        (Terms(budgets=("20/day", "30/day")), "two budgets for one period"),
        (Terms(rpm=0), "rpm"),
        (Terms(tpm=-1), "tpm"),
        (Terms(models=(" ",)), "blanks"),
        (Terms(models=("x",) * 101), "more than 100 models"),
    ],
)
def test_terms_that_mean_nothing_are_refused(tmp_path: Path, terms: Terms, said: str) -> None:
    """Before anything is written."""
    with pytest.raises(KeyRefused, match=said):
        create(tmp_path, "ci", terms, NOW)
    assert read(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "truncated"),
        (b"[]", "Expected"),
        (b'{"schema_version":1}', "keys"),
        (b'{"schema_version":1,"keys":[{"name":"a"}]}', "hash"),
        (b'{"schema_version":1,"keys":[{"name":"a","hash":"x","created":0}]}', "SHA-256"),
        (b'{"schema_version":1,"keys":[],"more":1}', "more"),
        (b"[" * 100_000, "client-keys.json"),
        (b'{"schema_version":2,"keys":[]}', "written by a newer gatewayctl"),
    ],
)
def test_what_is_not_understood_is_no_list_of_keys(
    tmp_path: Path, content: bytes, said: str
) -> None:
    """Nor is anything written over it."""
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(StorageFailed, match=said):
        read(tmp_path)
    with pytest.raises(StorageFailed):
        create(tmp_path, "ci", Terms(), NOW)
    assert (tmp_path / FILE).read_bytes() == content


def test_two_keys_of_one_name_are_no_list_of_keys(tmp_path: Path) -> None:
    """A file that was edited by hand is held to the same rules."""
    create(tmp_path, "ci", Terms(), NOW)
    told = json.loads((tmp_path / FILE).read_bytes())
    told["keys"] *= 2
    (tmp_path / FILE).write_text(json.dumps(told))
    with pytest.raises(StorageFailed, match='two keys are called "ci"'):
        read(tmp_path)


def test_when_there_is_no_room_who_was_revoked_first_goes(tmp_path: Path) -> None:
    """The file is bounded, and no key that is still good is ever dropped."""
    revoked = {3: NOW + 2, 5: NOW + 1}
    keys = [
        ClientKey(name=f"k{number}", hash="0" * 64, created=NOW, revoked=revoked.get(number))
        for number in range(MOST_KEYS)
    ]
    data = msgspec.json.encode({"schema_version": 1, "keys": keys})
    (tmp_path / FILE).write_bytes(data)
    create(tmp_path, "new", Terms(), NOW)
    create(tmp_path, "newer", Terms(), NOW)
    names = {each.name for each in _keys(tmp_path)}
    assert len(names) == MOST_KEYS
    assert {"k3", "k5"}.isdisjoint(names)
    shown: list[str] = []
    with pytest.raises(KeyRefused, match="1000 keys"):
        create(tmp_path, "newest", Terms(), NOW, lambda _, secret: shown.append(secret))
    assert not shown, "a key that is not made is not shown"


def _make(folder: Path, first: int) -> None:
    for number in range(first, first + 10):
        create(folder, f"k{number}", Terms(), NOW)


def test_processes_that_make_keys_at_once_lose_none(tmp_path: Path) -> None:
    """Each change is made to what the one before left."""
    context = multiprocessing.get_context("spawn")
    makers = [context.Process(target=_make, args=(tmp_path, first)) for first in (0, 10)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join(30)
        assert maker.exitcode == 0
    assert {each.name for each in _keys(tmp_path)} == {f"k{number}" for number in range(20)}


def test_a_secret_that_had_expired_gets_no_grace(tmp_path: Path) -> None:
    """More time for the key is for its new secret: the old one stays dead."""
    create(tmp_path, "ci", Terms(expires=NOW + 1), NOW)
    turned, _ = rotate(tmp_path, "ci", NOW + 2, grace=3600, expires=NOW + 10)
    assert turned.replaced is not None
    assert turned.replaced.until == NOW + 2
