"""Ceilings, budgets and verdicts, on the worked examples and in general."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.world import model, shape

from gatewayctl.core.fit import Budget, budget, ceilings, judge
from gatewayctl.core.model import Sourced
from gatewayctl.core.routing.decision import Estimate, Fit, Method
from gatewayctl.core.routing.graph import Policy
from gatewayctl.core.routing.place import Ceilings

POLICY = Policy()


def estimate(low: int, likely: int, high: int) -> Estimate:
    """Return a ratio estimate."""
    return Estimate(low=low, likely=likely, high=high, method=Method.RATIO)


def test_a_request_under_its_ceiling_with_margin_is_safe() -> None:
    """180,000 raw with a tenth of margin and 4,096 of output stays under 262,144 × 0.85."""
    limits = ceilings(model("a/m", 262_144), None, Decimal("0.85"))
    output = budget(shape(), None, limits.window, POLICY, clamp=False)
    verdict = judge(estimate(163_636, 180_000, 198_000), output, limits)
    assert limits.total == 222_822
    assert output.wanted == 4096
    assert verdict.fit is Fit.SAFE


def test_a_larger_output_budget_makes_the_same_request_grey() -> None:
    """With max_tokens 32,768 it is 230,768, no longer safe; with the least output it may fit."""
    limits = ceilings(model("a/m", 262_144), None, Decimal("0.85"))
    output = budget(shape(output=32_768), None, limits.window, POLICY, clamp=False)
    verdict = judge(estimate(163_636, 180_000, 198_000), output, limits)
    assert verdict.fit is Fit.GREY
    assert verdict.shortfall == 230_768 - 222_822


def test_a_small_window_without_a_budget_keeps_three_quarters_for_input() -> None:
    """A window of 4,096 and no max_tokens: 1,024 of output, so it stays usable."""
    output = budget(shape(), None, 4096, POLICY, clamp=False)
    assert output == Budget(wanted=1024, least=1024)


def test_an_agent_near_its_window_can_still_compact() -> None:
    """167k true tokens, a ratio estimate 10 % high and max_tokens 32,000 in 200,000: grey."""
    output = budget(shape(output=32_000), None, 200_000, POLICY, clamp=False)
    likely = 183_700
    verdict = judge(
        estimate(likely * 10 // 11, likely, likely * 11 // 10),
        output,
        Ceilings(window=200_000, total=200_000),
    )
    assert verdict.fit is Fit.GREY


def test_equality_fits_and_one_more_does_not() -> None:
    """The ceiling itself may be reached."""
    output = Budget(wanted=100, least=100)
    limits = Ceilings(total=1000)
    assert judge(estimate(900, 900, 900), output, limits).fit is Fit.SAFE
    verdict = judge(estimate(901, 901, 901), output, limits)
    assert verdict.fit is Fit.UNFIT
    assert verdict.shortfall == 1


def test_the_input_limit_binds_even_where_the_window_does_not() -> None:
    """gpt-5: 400,000 in all, of which at most 272,000 may be input."""
    limits = ceilings(model("openai/gpt-5", 400_000, most_input=272_000), None, Decimal(1))
    output = Budget(wanted=4096, least=4096)
    assert judge(estimate(272_000, 272_000, 272_000), output, limits).fit is Fit.SAFE
    verdict = judge(estimate(272_001, 272_001, 272_001), output, limits)
    assert verdict.fit is Fit.UNFIT
    assert verdict.shortfall == 1


def test_where_only_an_input_limit_is_known_output_is_not_added() -> None:
    """Gemini names an input limit alone: the output does not eat into it."""
    limits = ceilings(model("gemini/m", most_input=1000), None, Decimal(1))
    verdict = judge(estimate(1000, 1000, 1000), Budget(wanted=500, least=500), limits)
    assert verdict.fit is Fit.SAFE


@pytest.mark.parametrize(("most_input", "held"), [(None, 1000), (1000, 1000), (1200, 1200)])
def test_where_the_output_stands_apart_the_window_bounds_the_input_alone(
    most_input: int | None, held: int
) -> None:
    """What a table calls Gemini's window is its API's input limit (litellm 30928)."""
    facts = msgspec.structs.replace(
        model("gemini/m", 1000, most_input=most_input), output_apart=True
    )
    limits = ceilings(facts, None, Decimal(1))
    assert (limits.window, limits.total, limits.input) == (1000, None, held)
    verdict = judge(estimate(held, held, held), Budget(wanted=500, least=500), limits)
    assert verdict.fit is Fit.SAFE


def test_a_window_of_both_counts_even_where_the_output_stands_apart() -> None:
    """One larger than the input may be, one that a place or a route declares, one of replies."""
    apart = msgspec.structs.replace(model("gemini/m", 1000, most_input=900), output_apart=True)
    larger = ceilings(apart, None, Decimal(1))
    assert (larger.total, larger.input) == (1000, 900)
    facts = msgspec.structs.replace(model("gemini/m", 1000), output_apart=True)
    assert ceilings(facts, 800, Decimal(1)).total == 800
    assert ceilings(facts, None, Decimal(1), most=700).total == 700
    capped = msgspec.structs.replace(facts, learned=Sourced(value=600, source="learned"))
    assert ceilings(capped, None, Decimal(1)).total == 600


def test_an_unknown_window_is_not_checked() -> None:
    """Nothing known, nothing claimed."""
    limits = ceilings(None, None, Decimal(1))
    assert judge(estimate(1, 2, 3), Budget(wanted=1, least=1), limits).fit is Fit.UNCHECKED


def test_a_places_own_window_comes_before_the_models() -> None:
    """A window that is written at a place is the one that counts there."""
    assert ceilings(model("a/m", 200_000), 1000, Decimal("0.5")).total == 500


def test_under_a_route_a_budget_is_cut_to_the_models_maximum() -> None:
    """A caller's 100,000 becomes the model's 8,192 in a route, and stays for a model by name."""
    asked = shape(output=100_000)
    assert budget(asked, 8192, 200_000, POLICY, clamp=True).wanted == 8192
    assert budget(asked, 8192, 200_000, POLICY, clamp=False).wanted == 100_000


def test_the_least_budget_leaves_room_for_thinking() -> None:
    """A reply that thinks 10,000 tokens needs at least one more."""
    output = budget(shape(output=32_000, thinking=10_000), None, None, POLICY, clamp=False)
    assert output.least == 10_001


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**5), st.integers(1, 10**6))
def test_a_larger_request_never_fits_better(size: int, more: int, wanted: int, total: int) -> None:
    """Growing the input can only move the verdict from safe to grey to unfit."""
    rank = [Fit.SAFE, Fit.GREY, Fit.UNFIT]
    output = Budget(wanted=wanted, least=min(wanted, 4096))
    limits = Ceilings(total=total)

    def fit(tokens: int) -> int:
        spread = estimate(tokens * 9 // 10, tokens, tokens * 11 // 10)
        return rank.index(judge(spread, output, limits).fit)

    assert fit(size + more) >= fit(size)


def test_a_ceiling_is_the_window_times_its_fraction_rounded_down() -> None:
    """The worked examples: three quarters of 32,768, and 0.95 of 1,048,576."""
    assert ceilings(model("a/m", 32_768), None, Decimal("0.75")).total == 24_576
    assert ceilings(model("a/m", 1_048_576), None, Decimal("0.95")).total == 996_147


def test_a_fraction_cuts_the_input_side_as_well() -> None:
    """Both limits are ceilings, each of its own figure."""
    limits = ceilings(model("a/m", 400_000, most_input=272_000), None, Decimal("0.5"))
    assert (limits.window, limits.total, limits.input) == (400_000, 200_000, 136_000)


def test_the_default_budget_is_taken_of_the_window_and_not_of_its_ceiling() -> None:
    """A fraction is about quality near the end of the window, not about how long answers are."""
    limits = ceilings(model("a/m", 8_192), None, Decimal("0.5"))
    assert budget(shape(), None, limits.window, POLICY, clamp=True).wanted == 2_048


def test_without_a_callers_budget_the_smallest_known_figure_is_wanted() -> None:
    """Of the default, the model's maximum and a quarter of the window; clamped or not."""
    for clamp in (True, False):
        assert budget(shape(), None, None, POLICY, clamp=clamp).wanted == 4096
        assert budget(shape(), 2000, 100_000, POLICY, clamp=clamp).wanted == 2000
        assert budget(shape(), 2000, 4000, POLICY, clamp=clamp).wanted == 1000


def test_the_least_budget_is_at_least_one_token_and_never_more_than_is_wanted() -> None:
    """With min_output = 0 a single token still has to fit; a caller's 10 stay 10."""
    careless = Policy(min_output=0)
    assert budget(shape(output=500), None, None, careless, clamp=True).least == 1
    assert budget(shape(output=10), None, None, POLICY, clamp=True).least == 10


def test_where_both_sides_are_exceeded_the_shortfall_is_the_larger() -> None:
    """Compacting by less would not be enough."""
    output = Budget(wanted=100, least=100)
    limits = Ceilings(window=1000, total=1000, input=500)
    assert judge(estimate(1200, 1200, 1200), output, limits).shortfall == 700
    limits = Ceilings(window=1000, total=1000, input=950)
    assert judge(estimate(1200, 1200, 1200), output, limits).shortfall == 300


def test_input_and_total_limits_are_kept_apart_litellm_30928() -> None:
    """Of 400,000 at most 272,000 are input: 272,000 in and 128,000 out fit, to the token."""
    limits = ceilings(model("x/gpt-5", 400_000, most_input=272_000), None, Decimal(1))
    output = Budget(wanted=128_000, least=4096)
    assert judge(estimate(272_000, 272_000, 272_000), output, limits).fit is Fit.SAFE
    assert judge(estimate(272_001, 272_001, 272_001), output, limits).shortfall == 1


def test_an_output_maximum_takes_nothing_from_the_window_litellm_29777() -> None:
    """A model of 200,000 that can write 64,000 holds 195,904 of input for a short answer."""
    facts = model("x/m", 200_000, most_output=64_000)
    limits = ceilings(facts, None, Decimal(1))
    output = budget(shape(), 64_000, limits.window, POLICY, clamp=True)
    assert judge(estimate(195_904, 195_904, 195_904), output, limits).fit is Fit.SAFE
    assert judge(estimate(195_905, 195_905, 195_905), output, limits).shortfall == 1


def test_a_threshold_of_the_price_is_no_limit_litellm_31954() -> None:
    """Tokens above 272,000 cost more and fit all the same."""
    facts = msgspec.structs.replace(
        model("x/m", 1_050_000),
        prices={
            "input": Sourced(value=Decimal("2.5"), source="test"),
            "input_above_272k_tokens": Sourced(value=Decimal(5), source="test"),
        },
    )
    limits = ceilings(facts, None, Decimal(1))
    assert (limits.total, limits.input) == (1_050_000, None)
    output = budget(shape(), None, limits.window, POLICY, clamp=True)
    assert judge(estimate(900_000, 900_000, 900_000), output, limits).fit is Fit.SAFE
