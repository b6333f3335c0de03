"""What a debugger, a crash report or a careless log line would show of the gateway's objects."""

import asyncio
import gc
from pathlib import Path

from support.dialects import DIALECTS, address, encoded
from support.gateway import gateway
from support.planted import PROMPT, PROVIDERS, echo, plant, traces
from support.upstream import FakeUpstream, Hold, RawRequest, Step
from support.waiting import until

from gatewayctl.registry.fetching import Access, Query
from gatewayctl.upstream.refresher import Job

OWN = "gatewayctl."
CANARY = "sk-canary-listing-0badc0de"


def shown() -> set[str]:
    """Return by class where a repr of any living object of the package shows something planted."""
    found = set()
    for each in gc.get_objects():
        kind = type(each)
        if not str(kind.__module__).startswith(OWN):
            continue
        if leaks := traces(repr(each).encode()):
            found.add(f"{kind.__module__}.{kind.__qualname__}: {leaks[0]}")
    return found


async def test_no_repr_of_an_object_shows_a_secret_or_a_prompt(tmp_path: Path) -> None:
    """Of all that lives while requests are under way, in every protocol, for every provider."""

    def held(request: RawRequest) -> list[Step]:
        return [Hold()] if b"echo-400" in request.head + request.body else list(echo(request))

    async with FakeUpstream(choose=held) as upstream:
        planted = plant(tmp_path, upstream.base_url)
        async with gateway(planted.config.read_text(), state=planted.state) as it:
            asking = [
                asyncio.ensure_future(
                    it.client.post(
                        it.url + address(protocol, f"{name}/echo-400"),
                        data=encoded(protocol, f"{name}/echo-400", PROMPT),
                        headers={"authorization": "Bearer sk-canary-forwarded-0badc0de"},
                    )
                )
                for name in PROVIDERS
                if name not in {"dead", "env"}
                for protocol in DIALECTS
            ]
            await until(lambda: len(upstream.requests) == len(asking))
            found = shown()
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
    assert not found, "\n".join(sorted(found))


def test_what_asks_a_source_shows_no_credential() -> None:
    """It lives in threads and in the refreshing process, for a moment at a time."""
    access = Access(headers={"authorization": f"Bearer {CANARY}"}, proxy=f"http://me:{CANARY}@up")
    query = Query(url="https://up/models", access=access, timeout=1, limit=1)
    job = Job(folder="cache", now=0.0, sources={}, access={"up": access})
    assert CANARY not in repr((access, query, job))
