"""Which keys are known follows the file; where that cannot be read nobody is let in by it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewayctl.daemon.keyring import FRESH, JUST_NOW, Keyring
from gatewayctl.storage.client_keys import FILE, Terms, create, digest, revoke, rotate
from gatewayctl.storage.operator import FILE as OPERATOR
from gatewayctl.storage.operator import operator_key

NOW = 1_795_262_400.0


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def _ring(
    folder: Path, clock: Callable[[], float], *hashes: str, required: bool = False
) -> Keyring:
    return await asyncio.to_thread(Keyring, folder, hashes, clock, required=required)


async def _later(ring: Keyring, clock: _Clock, seconds: float = FRESH) -> None:
    clock.now += seconds
    await ring.refreshed()


async def test_without_any_key_nobody_is_asked_for_one(tmp_path: Path) -> None:
    """But beyond loopback, where somebody always is."""
    clock = _Clock()
    assert (await _ring(tmp_path, clock)).empty
    assert not (await _ring(tmp_path, clock, required=True)).empty
    assert not (await _ring(tmp_path, clock, "sha256:" + "0" * 64)).empty


async def test_changes_are_seen_when_the_file_is_another(tmp_path: Path) -> None:
    """Made, given a new secret, revoked: each is known soon, and the door stays shut after all."""
    clock = _Clock()
    ring = await _ring(tmp_path, clock)
    _, first = create(tmp_path, "ci", Terms(), NOW)
    assert ring.find(first) is None
    await _later(ring, clock)
    entry = ring.find(first)
    assert entry is not None
    assert entry.key is not None
    assert (entry.key.name, entry.until) == ("ci", None)
    _, second = rotate(tmp_path, "ci", NOW, grace=60)
    await _later(ring, clock)
    old, new = ring.find(first), ring.find(second)
    assert old is not None
    assert new is not None
    assert (old.until, new.until) == (NOW + 60, None)
    revoke(tmp_path, "ci", NOW)
    await _later(ring, clock)
    assert not ring.empty
    ended = ring.find(second)
    assert ended is not None
    assert ended.key is not None
    assert ended.key.revoked == NOW


async def test_nobody_goes_by_what_was_known_before_while_the_file_is_looked_at(
    tmp_path: Path,
) -> None:
    """Of many that come at once after a long while, all are told by the file as it is now."""
    clock = _Clock()
    _, secret = create(tmp_path, "ci", Terms(), NOW)
    ring = await _ring(tmp_path, clock)
    revoke(tmp_path, "ci", NOW)

    async def revoked() -> bool:
        await ring.refreshed()
        entry = ring.find(secret)
        return entry is not None and entry.key is not None and entry.key.revoked == NOW

    clock.now += 3600.0
    leaving = asyncio.create_task(revoked())
    others = [asyncio.create_task(revoked()) for _ in range(9)]
    await asyncio.sleep(0)
    leaving.cancel()
    assert await asyncio.gather(*others) == [True] * 9


async def test_the_file_is_not_looked_at_for_every_request(tmp_path: Path) -> None:
    """Only after a while, and sooner where somebody presents what nobody knows yet."""
    clock = _Clock()
    ring = await _ring(tmp_path, clock)
    create(tmp_path, "ci", Terms(), NOW)
    await _later(ring, clock, FRESH / 2)
    assert ring.empty
    clock.now += JUST_NOW
    await ring.refreshed(within=JUST_NOW)
    assert not ring.empty


async def test_the_operator_and_the_configs_keys_are_known_beside_the_file(tmp_path: Path) -> None:
    """Both by their hashes; the operator's is made by the daemon itself."""
    ring = await _ring(tmp_path, _Clock(), f"sha256:{digest('mine')}")
    own = ring.find(operator_key(tmp_path))
    assert own is not None
    assert own.key is None
    configured = ring.find("mine")
    assert configured is not None
    assert configured.key is not None
    assert configured.key.name == f"config:{digest('mine')[:8]}"
    assert ring.names == {configured.key.name}


async def test_a_key_that_is_in_both_is_what_the_file_says_of_it(tmp_path: Path) -> None:
    """Its hash in the config takes off no limit, nor does it bring back a revoked key."""
    made, secret = create(tmp_path, "ci", Terms(), NOW)
    revoke(tmp_path, "ci", NOW)
    entry = (await _ring(tmp_path, _Clock(), f"sha256:{made.hash}")).find(secret)
    assert entry is not None
    assert entry.key is not None
    assert (entry.key.name, entry.key.revoked) == ("ci", NOW)


def _said(ring: Keyring) -> str:
    """Return what is wrong, which nobody can come in by."""
    assert ring.trouble == ring.degraded
    return ring.trouble or ""


def _garble(path: Path) -> None:
    path.write_bytes(b"{")


def _hide(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [_garble, _hide, Path.unlink])
async def test_a_file_that_breaks_or_goes_lets_nobody_in(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """Not even those who were known: one of them may have been revoked in what is lost."""
    clock = _Clock()
    _, secret = create(tmp_path, "ci", Terms(), NOW)
    ring = await _ring(tmp_path, clock, f"sha256:{digest('mine')}")
    assert _said(ring) == ""
    spoil(tmp_path / FILE)
    await _later(ring, clock)
    assert FILE in _said(ring)
    assert (ring.empty, ring.find(secret)) == (False, None)
    assert ring.find("mine") is not None
    await _later(ring, clock)
    assert FILE in _said(ring)


async def test_a_file_that_is_repaired_lets_them_in_again(tmp_path: Path) -> None:
    """Without a restart, also where it was broken from the start."""
    clock = _Clock()
    _, secret = create(tmp_path, "ci", Terms(), NOW)
    whole = (tmp_path / FILE).read_bytes()
    _garble(tmp_path / FILE)
    ring = await _ring(tmp_path, clock)
    assert FILE in (ring.degraded or "")
    (tmp_path / FILE).unlink()
    await _later(ring, clock)
    assert not ring.empty, "what was there may not be forgotten by removing it"
    (tmp_path / FILE).write_bytes(whole)
    await _later(ring, clock)
    assert ring.degraded is None
    assert ring.find(secret) is not None


async def test_an_operators_key_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    """Without it the command line has none to show; clients are served."""
    _, secret = create(tmp_path, "ci", Terms(), NOW)
    (tmp_path / OPERATOR).mkdir()
    ring = await _ring(tmp_path, _Clock())
    assert ring.degraded is not None
    assert ring.find(secret) is not None


async def test_a_file_that_was_emptied_of_its_keys_opens_no_door(tmp_path: Path) -> None:
    """Nobody is let in until it says who, or until a restart begins anew."""
    clock = _Clock()
    _, secret = create(tmp_path, "ci", Terms(), NOW)
    before = (tmp_path / FILE).read_bytes()
    ring = await _ring(tmp_path, clock)
    (tmp_path / FILE).write_text('{"schema_version": 1, "keys": []}')
    await _later(ring, clock)
    assert not ring.empty
    assert "has no keys any more" in (ring.trouble or "")
    await _later(ring, clock)
    assert not ring.empty
    assert (await _ring(tmp_path, clock)).empty
    (tmp_path / FILE).write_bytes(before)
    await _later(ring, clock)
    assert ring.trouble is None
    assert ring.find(secret) is not None
