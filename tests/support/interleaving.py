"""Processes that refresh one credential, run step by step in an order that a seed decides.

Each process is an ``OAuth`` of its own on a shared folder, with real files and real leases.
Wherever it waits, for a file, for the network, for time, it waits for this scheduler, which lets
one of all go on, lets time pass, or kills a process where it stands. What must always hold is
checked as it happens, and what did not is kept in ``World.wrong``.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import msgspec
from multidict import CIMultiDict
from support.token_server import Authority, Fault, Said, faulty, provider

from gatewayctl.core.errors import Failure, FailureKind, StorageFailed, UpstreamFailed
from gatewayctl.storage.credentials import Credential, Lease, Vault
from gatewayctl.upstream.client import Call
from gatewayctl.upstream.oauth import OAuth
from gatewayctl.upstream.renewal import Waiting

P = ParamSpec("P")
T = TypeVar("T")

NAME: Final = "claude"
_HARMLESS: Final = tuple(fault for fault in Fault if not fault.loses)
_LOSING: Final = tuple(fault for fault in Fault if fault.loses)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What may happen: how many processes there are, and what befalls them.

    ``kills``: they are killed; ``loses``: replies with new tokens get lost; ``full``: the disk is,
    now and then; ``rude``: one of them respects no lease. A ``strict`` server ends a whole login
    when a refresh token comes twice.
    """

    processes: int = 3
    steps: int = 250
    kills: bool = False
    loses: bool = False
    full: bool = False
    rude: bool = False
    strict: bool = True

    @property
    def spares(self) -> bool:
        """Whether no client may ever be told that the credential is over."""
        return not (self.kills or self.loses or self.rude)


class Rotation(msgspec.Struct, kw_only=True):
    """A refresh token that was answered with new ones: for whom, and what became of them."""

    by: "Process"
    lost: bool
    stored: bool = False


class World:
    """Everything that the processes have in common, and what must hold for all of them."""

    def __init__(self, folder: Path, seed: int, plan: Plan) -> None:
        self.folder = folder
        self.plan = plan
        self.chance = random.Random(seed)  # noqa: S311 - an order that can be had again
        self.authority = Authority(strict=plan.strict, lifetime=1000.0)
        self.settings = provider("http://tokens.invalid/token")
        self.now = 1_800_000_000.0
        self.faulty = True
        self.waiting: list[tuple[Process, asyncio.Future[None]]] = []
        self.rotations: dict[str, Rotation] = {}
        self.under_way: dict[str, Process] = {}
        self.replaced: set[str] = set()
        self.newest = 0
        self.wrong: list[str] = []
        self.served = 0
        self.processes = [Process(self) for _ in range(plan.processes)]
        self.login()

    def login(self) -> None:
        """Log in anew, as ``auth login`` would in another process."""
        credential = Credential(refresh_token=self.authority.login(), expires_at=self.now)
        Watched(self, None).put(NAME, credential)

    async def run(self) -> Credential:
        """Let the processes do what the seed says, then come to rest; return what is stored."""
        for _ in range(self.plan.steps):
            await self._settled()
            self._event()
        self.faulty = False
        await self._rest()
        for process in self.processes:
            process.kill()
        await self._settled()
        stored = Vault(self.folder).get(NAME)
        assert stored is not None
        return stored

    async def last(self) -> str:
        """Ask once more in a new process, without faults: a token, or why there is none."""
        process = Process(self)
        task = asyncio.ensure_future(process.oauth.token(self.settings))
        self.now += 700.0  # no trouble is remembered, and no token is fresh
        await self._rest()
        try:
            return await task
        except UpstreamFailed as error:
            if error.failure.kind is not FailureKind.AUTH:
                raise
            return str(error)

    async def point(self, process: "Process | None") -> None:
        """Wait until the scheduler lets this process go on."""
        if process is None:
            return
        if process.dead:
            raise asyncio.CancelledError
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((process, future))
        await future

    def _event(self) -> None:
        what = self.chance.random()
        process = self.chance.choice(self.processes)
        if what < 0.2 or not self.waiting:
            process.start(process.call())
        elif what < 0.23:
            self.now += self.chance.choice((1.0, 10.0, 400.0, 1100.0))
        elif what < 0.24 and self.plan.kills:
            process.kill()
            self.processes[self.processes.index(process)] = Process(self)
        elif what < 0.245:
            self.login()
        else:
            self._go_on()

    def _go_on(self) -> None:
        _, future = self.waiting.pop(self.chance.randrange(len(self.waiting)))
        if not future.done():
            future.set_result(None)

    async def _rest(self) -> None:
        await self._settled()
        while self.waiting:
            self._go_on()
            await self._settled()

    async def _settled(self) -> None:
        """Let everything run that waits for nothing."""
        ready: Any = asyncio.get_running_loop()
        await asyncio.sleep(0)
        while ready._ready:  # noqa: ASYNC110 - nothing tells that the loop has nothing to do
            await asyncio.sleep(0)


class Process:
    """One process of ours: killed, it does nothing any more, and the system takes its leases."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dead = False
        self.leases: list[Lease] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.oauth = OAuth(
            Watched(world, self),
            _Http(world, self),
            lambda: world.now,
            Waiting(
                monotonic=lambda: world.now,
                sleep=self._sleep,
                blocking=self._blocking,
                grace=3600.0,  # by a clock that is not this world's
            ),
        )

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Let the process do something besides what it does."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def kill(self) -> None:
        """End it where it stands."""
        self.dead = True
        for lease in self.leases:
            lease.release()
        renewals = (*self.oauth._flights.values(), *self.oauth._renewal._saving.values())
        for task in (*self._tasks, *renewals):
            task.cancel()
        self.world.waiting = [each for each in self.world.waiting if each[0] is not self]
        under_way = self.world.under_way
        for token in [token for token, by in under_way.items() if by is self]:
            del under_way[token]

    async def call(self) -> None:
        """Serve one client: an upstream may refuse the token, and then gets the next one."""
        world = self.world
        try:
            token = await self.oauth.token(world.settings)
            world.served += 1
            if world.chance.random() < 0.3:
                world.authority.forget(token)
                await world.point(self)
            if not world.authority.accepts(token) and await self.oauth.rejected(
                world.settings, token
            ):
                await self.oauth.token(world.settings)
        except UpstreamFailed as error:
            if error.failure.kind is FailureKind.AUTH and world.plan.spares:
                world.wrong.append(f"a client was told: {error}")

    async def _sleep(self, seconds: float) -> None:
        await self.world.point(self)
        self.world.now += seconds / self.world.plan.processes

    async def _blocking(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        await self.world.point(self)
        result = function(*args, **kwargs)
        await self.world.point(self)
        return result


class Watched(Vault):
    """A vault that tells what is stored, and that no dead process can write to."""

    def __init__(self, world: World, process: Process | None) -> None:
        super().__init__(world.folder)
        self._world = world
        self._process = process

    def lease(self, name: str) -> Lease | None:
        """Return a lease that ends with the process."""
        self._alive()
        rude = self._world.plan.rude and self._process is self._world.processes[0]
        lease = super().lease("rude" if rude else name)
        if lease is not None and self._process is not None:
            self._process.leases.append(lease)
        return lease

    def put(self, name: str, credential: Credential) -> Credential:
        """Store a credential, which is newer than what was there."""
        self._is_newer(credential)
        return super().put(name, credential)

    def swap(self, name: str, old: Credential, new: Credential) -> Credential | None:
        """Store new tokens, which must be newer than what was there."""
        self._alive()
        self._has_room()
        stored = super().swap(name, old, new)
        if stored is not None and old.refresh_token is not None:
            self._is_newer(new)
            self._world.replaced.add(old.refresh_token)
            self._world.rotations[old.refresh_token].stored = True
        return stored

    def amend(self, name: str, old: Credential, **changes: Any) -> Credential | None:
        """Amend what is stored."""
        self._alive()
        self._has_room()
        return super().amend(name, old, **changes)

    def _is_newer(self, credential: Credential) -> None:
        order = self._world.authority.order(credential.refresh_token or "")
        if order <= self._world.newest:
            self._world.wrong.append(f"{credential.refresh_token} was stored over a newer one")
        self._world.newest = order

    def _has_room(self) -> None:
        world = self._world
        if world.plan.full and world.faulty and world.chance.random() < 0.1:
            raise StorageFailed("no space left")

    def _alive(self) -> None:
        if self._process is not None and self._process.dead:
            raise asyncio.CancelledError


class _Http:
    """The network between a process and the token server."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process

    async def send(self, call: Call) -> "_Reply":
        """Carry a token request to the server and its reply back, unless a fault befalls it."""
        world, process = self._world, self._process
        await world.point(process)
        fault = self._fault()
        if fault == "unreachable":
            raise _broken(connecting=True)
        fields = msgspec.json.decode(call.body, type=dict[str, str])
        token = fields["refresh_token"]
        if token in world.replaced and not world.plan.rude:
            world.wrong.append(f"{token} was sent after its successor had been stored")
        if token in world.under_way and not world.plan.rude:
            world.wrong.append(f"{token} was sent twice at once")
        world.under_way[token] = process
        try:
            said = self._said(fields, fault)
            await world.point(process)
        finally:
            world.under_way.pop(token, None)
        if said is None:
            raise _broken(connecting=False)
        return _Reply(world, process, said)

    async def close(self) -> None:
        """Nothing is open."""

    def _fault(self) -> Fault | str | None:
        chance, world = self._world.chance, self._world
        if not world.faulty or chance.random() < 0.6:
            return None
        losing = _LOSING if world.plan.loses else ()
        return chance.choice((*_HARMLESS, *losing, "unreachable"))

    def _said(self, fields: dict[str, str], fault: Fault | str | None) -> Said | None:
        authority, token = self._world.authority, fields["refresh_token"]
        if authority.is_living(token) and (not isinstance(fault, Fault) or fault.loses):
            lost = isinstance(fault, Fault)
            self._world.rotations[token] = Rotation(by=self._process, lost=lost)
        if isinstance(fault, Fault):
            return faulty(authority, fields, fault)
        return authority.answer(fields)


class _Reply:
    """A reply as ``upstream.client`` gives it."""

    def __init__(self, world: World, process: Process, said: Said) -> None:
        self._world = world
        self._process = process
        self._said = said
        self.status = said.status
        self.headers = CIMultiDict(said.headers)
        self.content_type = "application/json"
        self.over = False

    async def read(self, limit: int) -> bytes:
        """Return the body."""
        await self._world.point(self._process)
        return self._said.body[:limit]

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body in one piece."""
        yield await self.read(len(self._said.body))

    def abort(self) -> None:
        """Nothing is open."""

    async def close(self) -> None:
        """Nothing is open."""


def _broken(*, connecting: bool) -> UpstreamFailed:
    message = "the connection broke off"
    return UpstreamFailed(Failure(kind=FailureKind.NETWORK, message=message, connecting=connecting))
