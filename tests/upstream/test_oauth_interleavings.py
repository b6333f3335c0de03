"""A credential is never lost, in whatever order its refreshers come: seeded, at every wait."""

import asyncio
import os
import tempfile
from pathlib import Path

import pytest
from support.interleaving import NAME, Plan, World

from gatewayctl.storage.credentials import State

pytestmark = pytest.mark.soak

SOAK = bool(os.environ.get("GATEWAYCTL_SOAK"))
SEEDS = range(2000 if SOAK else 100)


async def run(seed: int, plan: Plan) -> tuple[World, str]:
    """Run one interleaving to its end; return what was asked for last."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of the test's own is made in it
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        world = World(Path(folder), seed, plan)
        stored = await world.run()
        token = await world.last()
        assert not world.wrong, (seed, world.wrong)
        rotation = world.rotations.get(stored.refresh_token or "")
        if world.authority.accepts(token):
            return world, token
        # it is over: then new tokens were made, and never stored
        assert rotation is not None, (seed, token)
        assert not rotation.stored, seed
        assert rotation.lost or rotation.by.dead, seed
        now = world.processes[0].oauth._vault.get(NAME)
        assert now is not None
        assert now.state is State.TERMINAL, seed
        assert "most likely because at" in token, (seed, token)
        assert f"gatewayctl auth login {NAME}" in token, (seed, token)
        return world, token


def outcomes(plan: Plan, seeds: range) -> list[tuple[World, str]]:
    """Run many interleavings."""
    return [asyncio.run(run(seed, plan)) for seed in seeds]


def test_no_order_of_refreshers_kills_a_credential_sub2api_1035() -> None:
    """Whoever refreshes when, with refused tokens, faults and logins in between: it never dies.

    The server takes a refresh token once, and ends the whole login the second time.
    """
    told = outcomes(Plan(), SEEDS)
    assert all(world.authority.accepts(token) for world, token in told)
    assert all(not world.authority.refused for world, _ in told)
    assert sum(world.served for world, _ in told) > 5 * len(told)
    assert sum(len(world.rotations) for world, _ in told) > 2 * len(told)


def test_a_full_disk_costs_nothing() -> None:
    """New tokens that cannot be stored are kept until they can, and nobody refreshes meanwhile."""
    told = outcomes(Plan(full=True), SEEDS)
    assert all(world.authority.accepts(token) for world, token in told)


def test_a_refresher_without_manners_kills_nothing_sub2api_1035() -> None:
    """One that takes no lease races with the others, and whoever loses uses what the winner has."""
    told = outcomes(Plan(rude=True, strict=False), SEEDS)
    assert all(world.authority.accepts(token) for world, token in told)
    assert any(world.authority.refused for world, _ in told)


def test_kills_at_any_point_cost_a_credential_only_between_rotation_and_store() -> None:
    """And then it is said plainly that it was a kill, and what to do."""
    told = outcomes(Plan(kills=True), SEEDS)
    over = [said for world, said in told if not world.authority.accepts(said)]
    assert 0 < len(over) < len(told) / 4
    assert all("gatewayctl was killed after it had asked for new tokens" in each for each in over)


def test_lost_replies_are_said_as_such() -> None:
    """With kills besides, and a server that does not end the whole login."""
    told = outcomes(Plan(kills=True, loses=True, strict=False), SEEDS)
    over = [said for world, said in told if not world.authority.accepts(said)]
    assert over
    assert any("got lost" in each for each in over)
