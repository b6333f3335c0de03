"""A tool loop that fills a window, as the simulator leads an agent through it."""

from gatewayctl.simulator.request import Ask


class Steps:
    """Chooses the commands of a tool loop: ``count`` of them, each of which prints ``lines``.

    ``summaries`` counts the requests for a summary, which get a text.
    """

    def __init__(self, count: int, lines: int) -> None:
        self.count = count
        self.lines = lines
        self.taken = 0
        self.summaries = 0

    def __call__(self, ask: Ask) -> str | None:
        """Return the next command, None when a text is wanted and when all steps are taken."""
        if not ask.tools or "text only" in ask.prompt.lower():
            self.summaries += 1
            return None
        if self.taken == self.count:
            return None
        self.taken += 1
        return f"seq -f 'line %g of step {self.taken} has words' 1 {self.lines}"
