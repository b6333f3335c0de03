"""What a client's key and the upstreams' credentials keep a request from, and how that is told."""

import msgspec
import pytest
from support.world import FakeWorld, Sized, model, places, provider, shape

from gatewayctl.core.errors import ErrorKind
from gatewayctl.core.model import Auth, Capability
from gatewayctl.core.routing.decision import Barred, Decision, SkipReason
from gatewayctl.core.routing.graph import Cascade, Policy
from gatewayctl.core.routing.plan import plan
from gatewayctl.core.routing.world import Request

SMALL = model("one/small", 8_000, lacks=[Capability.TOOLS])
LARGE = model("two/large", 200_000)
ROUTE = Cascade(id="c", places=places("one/small", "two/large"), policy=Policy())


class Standing(msgspec.Struct):
    """Bars by full id; whatever is barred is not seen either."""

    bars: dict[str, Barred]
    asked: set[str] = msgspec.field(default_factory=set)

    def barred(self, asked: str, provider: str, model: str) -> Barred | None:
        """Look the model up."""
        assert model.startswith(f"{provider}/")
        self.asked.add(asked)
        return self.bars.get(model)

    def sees(self, name: str) -> bool:
        """Tell whether it is not barred."""
        return name not in self.bars


def bar(reason: SkipReason, until: float | None = None) -> Barred:
    """Return a bar that names its reason."""
    return Barred(reason=reason, detail=f"said {reason}", until=until)


def decided(
    bars: dict[str, Barred], name: str = "c", tokens: int = 100, **options: object
) -> Decision:
    """Plan a request of so many tokens in a world of two models and a cascade of them."""
    world = FakeWorld([SMALL, LARGE], [ROUTE], keyless=options.pop("keyless", ()))  # type: ignore[arg-type]
    request = Request(shape=shape(**options), standing=Standing(bars))  # type: ignore[arg-type]
    return plan(name, request, world, Sized(tokens))


@pytest.mark.parametrize(
    "reason",
    [
        SkipReason.NOT_ALLOWED,
        SkipReason.NO_KEY,
        SkipReason.CREDENTIAL_TERMINAL,
        SkipReason.QUOTA_EXHAUSTED,
    ],
)
def test_what_is_barred_is_skipped_with_its_reason_and_the_route_goes_on(
    reason: SkipReason,
) -> None:
    """Nothing is sent to it, and who asks is told why."""
    decision = decided({"one/small": bar(reason)})
    assert [each.model for each in decision.attempts] == ["two/large"]
    assert [(each.model, each.reason, each.detail) for each in decision.skipped] == [
        ("one/small", reason, f"said {reason}")
    ]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (SkipReason.NOT_ALLOWED, ErrorKind.FORBIDDEN),
        (SkipReason.NO_KEY, ErrorKind.FORBIDDEN),
        (SkipReason.CREDENTIAL_TERMINAL, ErrorKind.UPSTREAM_AUTH),
        (SkipReason.QUOTA_EXHAUSTED, ErrorKind.RATE_LIMITED),
    ],
)
def test_a_request_that_everything_is_barred_for_is_refused_by_what_bars_it(
    reason: SkipReason, kind: ErrorKind
) -> None:
    """The refusal says the reason; only what passes by itself is worth another try."""
    error = decided({"one/small": bar(reason)}, "one/small").error
    assert error is not None
    assert error.kind is kind
    assert f"said {reason}" in error.message
    assert error.should_retry is (kind is ErrorKind.RATE_LIMITED)


def test_a_refusal_names_no_model_that_the_client_may_not_use() -> None:
    """That its key may not use what is there is all that it is told."""
    barred = bar(SkipReason.NOT_ALLOWED)
    error = decided({"one/small": barred, "two/large": barred}).error
    assert error is not None
    assert error.message == "c cannot take this request: said not_allowed"


def test_a_spent_quota_says_when_the_first_credential_is_good_again() -> None:
    """The soonest of all candidates counts."""
    quota = SkipReason.QUOTA_EXHAUSTED
    error = decided({"one/small": bar(quota, 90.0), "two/large": bar(quota, 30.0)}).error
    assert error is not None
    assert error.retry_after == 30.0


def test_of_several_bars_the_one_that_passes_by_itself_is_told() -> None:
    """A quota comes back; a key that is missing does not."""
    bars = {
        "one/small": bar(SkipReason.NO_KEY),
        "two/large": bar(SkipReason.QUOTA_EXHAUSTED, 30.0),
    }
    error = decided(bars).error
    assert error is not None
    assert error.kind is ErrorKind.RATE_LIMITED


def test_a_route_pruned_to_what_a_key_may_use_refuses_as_if_the_rest_were_not_there() -> None:
    """What is left is too small: so it is told to compact, and of no model that it may not use."""
    error = decided({"two/large": bar(SkipReason.NOT_ALLOWED)}, tokens=9_000).error
    assert error is not None
    assert error.kind is ErrorKind.TOO_LARGE
    assert error.limit == 8_000
    told = error.details["candidates"]
    assert isinstance(told, list)
    assert [each["model"] for each in told] == ["one/small"]
    assert error.details["would_fit"] == []


def test_reasons_are_looked_for_in_their_order() -> None:
    """The key comes before what the request needs, which comes before a quota."""
    needs = frozenset({Capability.TOOLS})
    for reason, found in (
        (SkipReason.NOT_ALLOWED, SkipReason.NOT_ALLOWED),
        (SkipReason.CREDENTIAL_TERMINAL, SkipReason.CREDENTIAL_TERMINAL),
        (SkipReason.QUOTA_EXHAUSTED, SkipReason.CAPABILITY),
    ):
        decision = decided({"one/small": bar(reason)}, needs=needs)
        assert decision.skipped[0].reason is found
    world = FakeWorld([SMALL], providers=[provider("one", auth=Auth.OAUTH)], keyless=["one"])
    nobody = plan("one/small", Request(shape=shape()), world, Sized(100))
    assert nobody.skipped[0].reason is SkipReason.CREDENTIAL_TERMINAL
    unnamed = decided({"one/small": bar(SkipReason.NO_KEY)}, keyless=["one"])
    assert unnamed.skipped[0].detail == "no credential for one: set ONE_API_KEY"


def test_names_that_a_client_may_not_know_are_not_suggested() -> None:
    """A misspelt name is answered with those of its own."""
    for bars, known in (({}, True), ({"two/large": bar(SkipReason.NOT_ALLOWED)}, False)):
        error = decided(bars, "two-large").error
        assert error is not None
        assert ("two/large" in error.message) is known


def test_bars_are_looked_up_under_the_name_that_was_asked_for() -> None:
    """A key may use a route with models that it may not ask for by themselves."""
    standing = Standing({})
    world = FakeWorld([SMALL, LARGE], [ROUTE], providers=[provider("one")])
    plan("c", Request(shape=shape(), standing=standing), world, Sized(100))
    assert standing.asked == {"c"}
