"""One decision however it is asked for: in process, through the command line, from the daemon."""

from typing import Any

import msgspec
import pytest
from support.gateway import Gateway, gateway, settings_of
from support.generated import PATHS, Asked, config, requests

from gatewayctl.cli import asking
from gatewayctl.config.kinds import DEFAULT_FLAGS
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.routing.staged import Count, Measure, Recall, decide
from gatewayctl.core.routing.world import Request, World
from gatewayctl.protocols.dialect import Dialect
from gatewayctl.protocols.readers import READERS
from gatewayctl.registry import snapshot
from gatewayctl.registry.directory import Directory
from gatewayctl.registry.live import Live
from gatewayctl.tokenizers.count import count

CONFIGS = 20
REQUESTS = 50


class Verdict(msgspec.Struct, frozen=True):
    """What must be the same: the order of the attempts, who is skipped why, and the refusal."""

    attempts: tuple[tuple[str, str, int], ...]
    skipped: tuple[tuple[str, str, int | None], ...]
    error: str | None
    limit: int | None


def told(doc: dict[str, Any]) -> Verdict:
    """Return the verdict in a rendered decision."""
    error = doc["error"] or {}
    return Verdict(
        attempts=tuple((it["model"], it["fit"], it["output_budget"]) for it in doc["attempts"]),
        skipped=tuple((it["model"], it["reason"], it["shortfall"]) for it in doc["skipped"]),
        error=error.get("kind"),
        limit=error.get("limit"),
    )


def planned(asked: Asked, world: World) -> Verdict:
    """Plan with nothing but the core and a tokenizer."""
    reader = READERS[WireProtocol(asked.protocol)]
    shape = reader.shape(asked.body, counting=True)
    request = Request(shape=shape, seed=asked.seed)
    steps = decide(asked.name, request, world, coarse=False)
    try:
        step = next(steps)
        while True:
            match step:
                case Measure():
                    step = steps.send(reader.measure(asked.body))
                case Recall():
                    step = steps.send({})
                case Count(vocabularies=names):
                    counts = {name: count(reader.protocol, asked.body, name) for name in names}
                    step = steps.send(counts)
    except StopIteration as done:
        decision = done.value.decision
    return Verdict(
        attempts=tuple((it.model, it.fit.value, it.output_budget) for it in decision.attempts),
        skipped=tuple((it.model, it.reason.value, it.shortfall) for it in decision.skipped),
        error=None if decision.error is None else decision.error.kind.value,
        limit=None if decision.error is None else decision.error.limit,
    )


def by_command(asked: Asked, world: World) -> Verdict:
    """Ask as ``route-explain`` does."""
    given, shape = asking.read(asked.body, Dialect(asked.protocol))
    doc = asking.explain(
        asked.name, given, shape, world, seed=asked.seed, flags=lambda _: DEFAULT_FLAGS
    )
    return told(doc)


async def over_http(asked: Asked, it: Gateway) -> Verdict:
    """Ask the daemon's API."""
    query = {"protocol": asked.protocol, "model": asked.name, "seed": str(asked.seed)}
    url = f"{it.url}/api/route-explain"
    async with it.client.post(url, data=asked.body, params=query) as answer:
        assert answer.status == 200, await answer.text()
        return told(await answer.json())


async def dry(asked: Asked, it: Gateway) -> dict[str, Any]:
    """Ask the surface itself, with the header of a dry run."""
    headers = {"x-gatewayctl-dry-run": "1"}
    url = it.url + PATHS[asked.protocol]
    async with it.client.post(url, data=asked.body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


@pytest.mark.parametrize("number", range(CONFIGS))
async def test_every_way_of_asking_gives_the_same_decision(number: int) -> None:
    """1,000 pairs of config and request: the same attempts, skips and refusals."""
    text, names = config(number)
    settings = settings_of(text)
    world = Directory(settings, Live(settings, snapshot.load()), lambda _: True)
    async with gateway(text) as it:
        for asked in requests(number, names, REQUESTS):
            verdict = planned(asked, world)
            assert by_command(asked, world) == verdict
            assert await over_http(asked, it) == verdict
            doc = await dry(asked, it)
            drawn = {model for model, _, _ in verdict.attempts}
            assert {each["model"] for each in doc["attempts"]} == drawn  # by another draw
            assert (doc["error"] or {}).get("kind") == verdict.error
