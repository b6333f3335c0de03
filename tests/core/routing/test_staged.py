"""Planning in stages: what is asked for, when, and what the answers change."""

from collections.abc import Mapping

import msgspec
import pytest
from support.world import FakeWorld, attempted, model, places

from gatewayctl.core.anchors import Added, Anchor, Anchored
from gatewayctl.core.estimate import Counted
from gatewayctl.core.model import EstimatorKind, EstimatorSettings, ModelSettings, WireProtocol
from gatewayctl.core.routing.decision import Fit, Method
from gatewayctl.core.routing.graph import Cascade, Policy
from gatewayctl.core.routing.staged import Count, Measure, Recall, Sized, Step, decide
from gatewayctl.core.routing.world import Request
from gatewayctl.core.shape import Measured, Segment
from gatewayctl.protocols.catalog import CODECS

CHAT = CODECS[WireProtocol.CHAT_COMPLETIONS]
O200K = ModelSettings(estimator=EstimatorSettings(vocabulary="o200k_base"))
TIKTOKEN = ModelSettings(
    estimator=EstimatorSettings(kind=EstimatorKind.TIKTOKEN, vocabulary="o200k_base")
)
CHAR_RATIO = ModelSettings(
    estimator=EstimatorSettings(kind=EstimatorKind.CHAR_RATIO, vocabulary="o200k_base")
)
WORDS = 9_000


class Driven:
    """Drives the stages as daemon and CLI do, and keeps what was asked for."""

    def __init__(
        self,
        window: int,
        settings: ModelSettings = O200K,
        *,
        coarse: bool = True,
        exact: bool = False,
        tokens: int | None = WORDS,
        anchored: Mapping[str, Anchored] = {},
    ) -> None:
        body = msgspec.json.encode(
            {"model": "any", "messages": [{"role": "user", "content": "word " * WORDS}]}
        )
        route = Cascade(id="route", places=places("a/one", "b/two"), policy=Policy())
        world = FakeWorld(
            [model("a/one", window), model("b/two", 10_000_000)],
            [route],
            settings={"a/one": settings},
        )
        request = Request(shape=CHAT.shape(body))
        steps = decide("route", request, world, coarse=coarse, exact=exact)
        self.asked: list[Step] = []
        self.recalled: list[frozenset[str]] = []
        self._anchored = anchored
        self.sized = self._drive(steps, CHAT.measure(body), tokens)

    def _drive(self, steps: object, measured: Measured, tokens: int | None) -> Sized:
        assert hasattr(steps, "send")
        answer: object = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as done:
                sized = done.value
                assert isinstance(sized, Sized)
                return sized
            if isinstance(step, Recall):
                self.recalled.append(step.models)
                answer = self._anchored
                continue
            self.asked.append(step)
            if isinstance(step, Measure):
                answer = measured
            elif tokens is None:
                answer = {}
            else:
                counted = Counted(tokens={Segment.MESSAGES: tokens}, overhead=0)
                answer = dict.fromkeys(step.vocabularies, counted)


COUNT = Count(vocabularies=frozenset({"o200k_base"}))


def test_what_is_safe_by_its_length_is_not_even_measured() -> None:
    """Nothing is asked for, and the decision says that the bound made it."""
    driven = Driven(1_000_000)
    assert driven.asked == []
    assert driven.sized.decision.attempts[0].estimate.method is Method.BOUND


def test_what_must_not_stop_at_the_bound_does_not() -> None:
    """Explanations give the finer figure even where the length alone would do."""
    driven = Driven(1_000_000, coarse=False)
    assert driven.asked == [Measure()]
    assert driven.sized.decision.attempts[0].estimate.method is Method.RATIO


def test_a_ratio_that_is_safe_is_not_counted() -> None:
    """Counting exactly is dear, and here it changes nothing."""
    driven = Driven(40_000)
    assert driven.asked == [Measure()]
    assert attempted(driven.sized.decision) == ["a/one", "b/two"]


def test_what_a_ratio_leaves_open_is_counted() -> None:
    """A grey model with a vocabulary is made safe by an exact count, and low = likely = high."""
    driven = Driven(WORDS + 4_096)
    assert driven.asked == [Measure(), COUNT]
    first = driven.sized.decision.attempts[0]
    assert (first.model, first.fit) == ("a/one", Fit.SAFE)
    estimate = first.estimate
    assert estimate.method is Method.EXACT
    assert estimate.low == estimate.likely == estimate.high == WORDS


def test_a_refused_model_is_counted_too() -> None:
    """A client compacts by the figures of a refusal, so they are exact where they can be."""
    driven = Driven(8_000)
    assert driven.asked == [Measure(), COUNT]
    skipped = driven.sized.decision.skipped[0]
    assert skipped.shortfall == WORDS + 2_000 - 8_000


def test_asked_to_be_exact_it_counts_what_changes_nothing() -> None:
    """That is ``--exact``: every model that has a vocabulary."""
    driven = Driven(40_000, coarse=False, exact=True)
    assert driven.asked == [Measure(), COUNT]
    assert driven.sized.decision.attempts[0].estimate.method is Method.EXACT
    assert driven.sized.decision.attempts[1].estimate.method is Method.RATIO


def test_an_explicit_tiktoken_is_always_counted_once_the_length_does_not_do() -> None:
    """Whoever writes ``tiktoken:…`` wants no ratio."""
    assert Driven(40_000, TIKTOKEN).asked == [Measure(), COUNT]
    assert Driven(1_000_000, TIKTOKEN).asked == []


def test_an_explicit_char_ratio_is_never_counted() -> None:
    """The user's own ratio stands, also where the vocabulary is known."""
    driven = Driven(WORDS + 4_096, CHAR_RATIO, exact=True)
    assert driven.asked == [Measure()]
    assert driven.sized.decision.attempts[-1].estimate.method is Method.RATIO


def test_a_count_that_cannot_be_had_costs_nothing_but_exactness() -> None:
    """The ratio decides, and what was missing is said."""
    driven = Driven(WORDS + 4_096, tokens=None)
    assert driven.asked == [Measure(), COUNT]
    assert driven.sized.missing == {"o200k_base"}
    assert attempted(driven.sized.decision) == ["b/two", "a/one"]


@pytest.mark.parametrize("answer", [{}, 3])
def test_a_wrong_answer_is_a_mistake_of_the_driver(answer: object) -> None:
    """A driver that mixes up its answers is told at once, not by a wrong decision."""
    body = b'{"model":"a/one","messages":[{"role":"user","content":"' + b"x" * 9_000 + b'"}]}'
    world = FakeWorld([model("a/one", 10_000)])
    steps = decide("a/one", Request(shape=CHAT.shape(body)), world)
    next(steps)
    with pytest.raises(TypeError):
        steps.send(answer)  # type: ignore[arg-type]


def anchored(tokens: int) -> Anchored:
    """Return an anchor of so many tokens to which a few words were added."""
    measured = CHAT.measure(b'{"model":"m","messages":[{"role":"user","content":"and more"}]}')
    nothing = Measured(segments={})
    return Anchored(
        anchor=Anchor(tokens=tokens, raw=0), added=Added(replied=nothing, rest=measured)
    )


def test_what_the_conversation_was_metered_as_goes_before_a_ratio() -> None:
    """Both models are recalled; the one that is anchored is sized by that, the other by ratio."""
    driven = Driven(40_000, anchored={"a/one": anchored(12_345)})
    assert driven.recalled == [frozenset({"a/one", "b/two"})]
    one, two = (each.estimate for each in driven.sized.decision.attempts)
    assert (one.method, two.method) == (Method.ANCHOR, Method.RATIO)
    assert 12_345 < one.likely < 12_365
    assert one.low <= one.likely <= one.high


def test_what_is_anchored_is_not_counted() -> None:
    """The provider's own meter beats our vocabulary, even where the window is near."""
    driven = Driven(WORDS * 4 // 3, anchored={"a/one": anchored(WORDS)})
    assert driven.asked == [Measure()]
    grey = driven.sized.decision.attempts[-1]
    assert (grey.model, grey.fit) == ("a/one", Fit.GREY)
    assert "(anchor)" in grey.reason


def test_asked_to_be_exact_it_counts_what_is_anchored() -> None:
    """``--exact`` means the vocabulary."""
    driven = Driven(40_000, exact=True, anchored={"a/one": anchored(12_345)})
    assert driven.asked == [Measure(), COUNT]
    assert driven.sized.decision.attempts[0].estimate.likely == WORDS


@pytest.mark.parametrize("settings", [TIKTOKEN, CHAR_RATIO])
def test_a_tokenizer_of_the_users_own_choice_stands(settings: ModelSettings) -> None:
    """Neither is replaced by an anchor; a ratio's model is not even recalled."""
    driven = Driven(40_000, settings, anchored={"a/one": anchored(20_000)})
    first = driven.sized.decision.attempts[0]
    assert first.model == "a/one"
    assert first.estimate.method in {Method.EXACT, Method.RATIO}
    assert ("a/one" in driven.recalled[0]) is (settings is TIKTOKEN)


def test_what_is_safe_by_its_length_is_not_recalled() -> None:
    """Small requests need no more than their length."""
    assert Driven(1_000_000, anchored={"a/one": anchored(1)}).recalled == []
