"""What a client may use, as the world is now."""

from support.world import FakeWorld, model, places

from gatewayctl.core.routing.graph import Cascade, Policy
from gatewayctl.daemon.permitted import EVERYTHING, Permitted


class _Changing(FakeWorld):
    """A world whose route has another member after each change."""

    def __init__(self, changes: int = 0) -> None:
        self._changes = changes
        names = [f"up/m{number}" for number in range(changes + 1)]
        route = Cascade(id="all", places=places(*names), policy=Policy())
        super().__init__([model(each) for each in names], [route])

    @property
    def version(self) -> object:
        """Return how often it changed."""
        return self._changes

    def change(self) -> None:
        """Have one member more."""
        _Changing.__init__(self, self._changes + 1)


def test_what_is_remembered_of_a_world_is_forgotten_when_it_changes() -> None:
    """What stands behind a route after a reload can be used at once."""
    world = _Changing()
    permitted = Permitted(world)
    assert permitted.models(EVERYTHING, "all") == {"up/m0"}
    world.change()
    assert permitted.models(EVERYTHING, "all") == {"up/m0", "up/m1"}
