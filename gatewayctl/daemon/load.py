"""How much the daemon has to do: the requests under way, counted in one place.

Whoever can wait looks here first; who is refused for being too many is not decided here.
"""


class Load:
    """``in_flight`` counts the requests that are being answered."""

    def __init__(self) -> None:
        self.in_flight = 0
