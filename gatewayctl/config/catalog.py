"""What the checks of a config ask about models: declared here, answered by the registry.

Ids are ``KIND/MODEL``, where KIND is a built-in provider, whatever it is called in the file; the
-compatible kinds tell nothing, so that their providers stand under their own names
(``kinds.table_name``).
"""

from collections.abc import Sequence
from typing import Protocol

from gatewayctl.core.model import Sourced


class Catalog(Protocol):
    """A table of models. Look-ups are in memory and cannot fail."""

    def covers(self, kind: str) -> bool:
        """Tell whether the table has models of this kind at all."""
        ...

    def lists(self, full_id: str) -> bool:
        """Tell whether any source lists this id."""
        ...

    def window(self, full_id: str) -> Sourced[int] | None:
        """Return a model's context window in tokens, None when no source knows it."""
        ...

    def retires_at(self, full_id: str) -> Sourced[str] | None:
        """Return the ISO date on which a model retires or retired, None when unknown."""
        ...

    def nearest(self, name: str) -> Sequence[str]:
        """Return a few listed ids that look like this one, best first."""
        ...


class EmptyCatalog:
    """A table without models: checks that need one find nothing."""

    def covers(self, kind: str) -> bool:
        """Return False."""
        del kind
        return False

    def lists(self, full_id: str) -> bool:
        """Return False."""
        del full_id
        return False

    def window(self, full_id: str) -> Sourced[int] | None:
        """Return None."""
        del full_id
        return None

    def retires_at(self, full_id: str) -> Sourced[str] | None:
        """Return None."""
        del full_id
        return None

    def nearest(self, name: str) -> Sequence[str]:
        """Return nothing."""
        del name
        return ()
