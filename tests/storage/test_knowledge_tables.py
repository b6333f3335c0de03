"""The tables of what replies taught hold what was told, however it was put together."""

import contextlib
import itertools
import sqlite3

from hypothesis import given
from hypothesis import strategies as st
from support.teaching import anchor, cap, cut, digest, sample

from gatewayctl.core.anchors import Anchor
from gatewayctl.core.learning import Cap
from gatewayctl.storage import knowledge_tables as tables

MODELS = ("a", "b")
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(MODELS),
        st.sampled_from(("cap", "cut", "anchor", "forget", "sample")),
        st.integers(1, 5),
        st.booleans(),
    ),
    max_size=30,
)


@given(operations=OPERATIONS)
def test_batches_come_to_what_one_by_one_they_would(
    operations: list[tuple[str, str, int, bool]],
) -> None:
    """However they are cut: the tables hold the last of each kind since the last forgetting."""
    caps: dict[str, Cap] = {}
    cuts: dict[str, int] = {}
    anchors: dict[tuple[str, bytes], Anchor] = {}
    samples: dict[str, int] = {}
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for statement in itertools.chain.from_iterable(tables.MIGRATIONS):
            connection.execute(statement)
        tables.begin(connection)
        batch, revision = tables.Batch(), tables.revision(connection)
        for model, kind, value, writes in operations:
            match kind:
                case "cap":
                    batch.add(model, cap(value))
                    caps[model] = cap(value)
                case "cut":
                    batch.add(model, cut(value))
                    cuts[model] = cuts.get(model, 0) + 1
                case "anchor":
                    batch.add(model, (digest(value), anchor(value)))
                    anchors[model, digest(value)] = anchor(value)
                case "sample":
                    batch.add(model, sample(value))
                    samples[model] = samples.get(model, 0) + 1
                case _:
                    batch.forget(model)
                    for known in (caps, cuts, samples):
                        known.pop(model, None)
                    anchors = {key: it for key, it in anchors.items() if key[0] != model}
            if writes:
                assert tables.write(connection, batch) == revision + 1
                batch, revision = tables.Batch(), revision + 1
        tables.write(connection, batch)
        news = tables.news(connection, 0)
        found = {each.model: each for each in news.models}
        assert {name: it.cap for name, it in found.items() if it.cap} == caps
        counts = {name: it.truncations for name, it in found.items()}
        assert {name: it.count for name, it in counts.items() if it} == cuts
        assert dict(news.anchors) == anchors
        assert all(len(tables.samples(connection, it)) == samples.get(it, 0) for it in MODELS)
