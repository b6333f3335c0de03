"""Real processes, real files, real HTTP, real kills: one credential among them."""

import asyncio
import os
import random
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from support.refresher import Told
from support.token_server import Authority, Fault, TokenServer, held, serving

from gatewayctl.storage.credentials import Credential, State, Vault

from .conftest import until

ROOT = Path(__file__).parents[2]
SOAK = bool(os.environ.get("GATEWAYCTL_SOAK"))
KILLS = 200 if SOAK else 4
PATIENCE = 60.0


@asynccontextmanager
async def refresher(folder: Path, server: TokenServer, at_once: int = 1) -> AsyncIterator[Process]:
    """Run a process that asks for tokens; it is killed in the end if it still runs."""
    command = [sys.executable, "-m", "support.refresher", str(folder), server.url, str(at_once)]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    process = await asyncio.create_subprocess_exec(
        *command, env=env, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def go(process: Process) -> None:
    """Let a process ask."""
    assert process.stdin is not None
    process.stdin.write(b"\n")


async def heard(process: Process) -> list[Told]:
    """Return what its callers got."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        return msgspec.json.decode(await process.stdout.readline(), type=list[Told])


def logged_in(folder: Path, authority: Authority) -> Vault:
    """Return a vault with a credential that has no access token yet."""
    vault = Vault(folder)
    vault.put("claude", Credential(refresh_token=authority.login()))
    return vault


async def test_ten_cold_starts_in_each_of_four_processes_make_one_token_request(
    tmp_path: Path,
) -> None:
    """Forty callers in four processes get the one token that one of them has asked for."""
    async with (
        serving(Authority()) as server,
        refresher(tmp_path, server, 10) as one,
        refresher(tmp_path, server, 10) as two,
        refresher(tmp_path, server, 10) as three,
        refresher(tmp_path, server, 10) as four,
    ):
        vault = logged_in(tmp_path, server.authority)
        processes = (one, two, three, four)
        with held(server):
            for process in processes:
                go(process)
            await until(lambda: bool(server.heads))
            await asyncio.sleep(0.3)
        told = [caller for process in processes for caller in await heard(process)]
        stored = vault.get("claude")
        assert stored is not None
        assert [each.token for each in told] == [stored.access_token] * 40
        assert len(server.authority.requests) == 1
        assert server.authority.is_living(stored.refresh_token)


async def test_a_rejection_reaches_the_callers_of_every_process(tmp_path: Path) -> None:
    """After one token request all forty are told the same, with what to do."""
    async with (
        serving(Authority()) as server,
        refresher(tmp_path, server, 10) as one,
        refresher(tmp_path, server, 10) as two,
    ):
        Vault(tmp_path).put("claude", Credential(refresh_token="never-issued"))
        with held(server):
            go(one)
            go(two)
            await until(lambda: bool(server.heads))
        told = [*await heard(one), *await heard(two)]
        assert len({each.error for each in told}) == 1
        assert "gatewayctl auth login claude" in (told[0].error or "")
        assert len(server.authority.requests) == 1


async def test_kill_9_between_rotation_and_store_is_said_plainly(tmp_path: Path) -> None:
    """The next process finds out, ends the credential, and says why and what to do."""
    async with serving(Authority()) as server, refresher(tmp_path, server) as next_one:
        vault = logged_in(tmp_path, server.authority)
        async with refresher(tmp_path, server) as victim:
            server.reply_gate.clear()
            go(victim)
            await until(lambda: bool(server.authority.requests))
            victim.kill()
            await victim.wait()
        server.reply_gate.set()
        go(next_one)
        (told,) = await heard(next_one)
        assert told.error is not None
        assert "gatewayctl was killed after it had asked for new tokens" in told.error
        assert "log in again with `gatewayctl auth login claude`" in told.error
        stored = vault.get("claude")
        assert stored is not None
        assert (stored.state, stored.message) == (State.TERMINAL, told.error)


async def test_kill_9_before_the_request_arrives_costs_nothing(tmp_path: Path) -> None:
    """The mark that it left harms nobody: the refresh token still works, and the mark goes."""
    async with serving(Authority()) as server, refresher(tmp_path, server) as next_one:
        vault = logged_in(tmp_path, server.authority)
        server.faults.append(Fault.DROPPED)
        async with refresher(tmp_path, server) as victim:
            with held(server):
                go(victim)
                await until(lambda: bool(server.heads))
                victim.kill()
                await victim.wait()
        await until(lambda: not server.faults)
        go(next_one)
        (told,) = await heard(next_one)
        stored = vault.get("claude")
        assert stored is not None
        assert told.token == stored.access_token
        assert stored.pending is None


@pytest.mark.soak
async def test_kill_9_at_any_moment_loses_a_credential_only_between_rotation_and_store(
    tmp_path: Path,
) -> None:
    """Again and again, at random moments of real refreshes, with two processes at each.

    What a refresher had stored by the time of its death is never lost.
    """
    chance = random.Random(1035)  # noqa: S311 - the same moments each time
    authority = Authority(lifetime=1.0)
    early = 0
    async with serving(authority) as server:

        async def answered(seconds: float) -> None:
            await asyncio.sleep(seconds)
            server.reply_gate.set()

        for _ in range(KILLS):
            folder = tmp_path / str(_)
            vault = logged_in(folder, authority)
            async with refresher(folder, server) as victim, refresher(folder, server) as other:
                made = len(authority.requests)
                server.reply_gate.clear()
                go(victim)
                go(other)
                await until(lambda made=made: len(authority.requests) > made)  # type: ignore[misc]
                reply = asyncio.ensure_future(answered(chance.uniform(0, 0.04)))
                await asyncio.sleep(chance.uniform(0, 0.04))
                early += not server.reply_gate.is_set()
                victim.kill()
                await victim.wait()
                held = vault.get("claude")
                rotated = held is not None and authority.is_living(held.refresh_token)
                await reply
                (told,) = await heard(other)
            stored = vault.get("claude")
            assert stored is not None
            if told.token is None:
                assert not rotated
                assert "gatewayctl was killed" in (told.error or "")
                assert stored.state is State.TERMINAL
            else:
                assert authority.is_living(stored.refresh_token)
    assert early
