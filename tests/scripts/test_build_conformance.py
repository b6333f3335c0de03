"""What the table of conformance makes of scores: which tests are lost, and whose they are."""

from build_conformance import FORMATS, UPSTREAMS, Run, Scores, Verdict, losses, page


def _scores(**failing: str) -> Scores:
    """Return scores of two tests in each place; ``failing`` names the format that fails at one."""

    def run(*, lost: bool) -> Run:
        status, errors = ("failed", ("resp_0123456789abcdef01 is odd",)) if lost else ("passed", ())
        verdicts = (
            Verdict(id="plain", status="passed"),
            Verdict(id="tools", status=status, errors=errors),
        )
        return Run(results=verdicts)

    names = [one.name for one in FORMATS]
    return Scores(
        direct={name: run(lost=failing.get("direct") == name) for name in names},
        through={
            (name, upstream): run(lost=failing.get(upstream) == name)
            for name in names
            for upstream in UPSTREAMS
        },
    )


def test_whole_scores_lose_nothing() -> None:
    """Where all pass, every cell says so and no test is named."""
    scores = _scores()
    assert losses(scores) == []
    assert page(scores, "0.5").count("2 of 2") == 20


def test_a_test_that_only_the_gateway_fails_is_lost() -> None:
    """It is named with its place and its error, without ids, which differ from run to run."""
    lost = losses(_scores(messages="openai-chat"))
    assert lost == ["openai-chat at messages: tools: resp_… is odd"]
    assert f"- {lost[0]}" in page(_scores(messages="openai-chat"), "0.5")


def test_a_test_that_the_simulator_fails_is_its_own() -> None:
    """The gateway is not blamed for what the upstream cannot do."""
    scores = _scores(direct="anthropic", gemini="anthropic")
    (lost,) = losses(scores)
    assert lost.startswith("anthropic, the simulator itself: tools")
