"""What the checks of a config ask about models: declared here, answered by the registry.

Ids are ``KIND/MODEL``, where KIND is a built-in provider, whatever it is called in the file; the
-compatible kinds tell nothing, so that their providers stand under their own names
(``kinds.table_name``).
"""

from collections.abc import Sequence
from typing import Protocol

from gatewayctl.core.model import ModelFacts, Sourced


class Catalog(Protocol):
    """A table of models. Look-ups are in memory and cannot fail."""

    def covers(self, kind: str) -> bool:
        """Tell whether the table has models of this kind at all."""
        ...

    def listed_by(self, model: str) -> Sequence[str]:
        """Return the kinds of which any source lists exactly this bare id."""
        ...

    def facts(self, full_id: str) -> ModelFacts | None:
        """Return what the sources say of a model, None when none lists it."""
        ...

    def own(self, full_id: str, url: str) -> ModelFacts | None:
        """Return what a provider itself lists of a model, None when it does not.

        The id is ``PROVIDER/MODEL``, by the provider's name in the file, ``url`` its base URL.
        """
        ...

    def learned(self, full_id: str, believed: int | None) -> Sourced[int] | None:
        """Return the window that replies gave away of a model, by its id in the file.

        None once another window is believed in than the one of then.
        """
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

    def listed_by(self, model: str) -> Sequence[str]:
        """Return nothing."""
        del model
        return ()

    def facts(self, full_id: str) -> ModelFacts | None:
        """Return None."""
        del full_id
        return None

    def own(self, full_id: str, url: str) -> ModelFacts | None:
        """Return None."""
        del full_id, url
        return None

    def learned(self, full_id: str, believed: int | None) -> Sourced[int] | None:
        """Return None."""
        del full_id, believed
        return None

    def nearest(self, name: str) -> Sequence[str]:
        """Return nothing."""
        del name
        return ()
