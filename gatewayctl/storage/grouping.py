"""By what usage is grouped. Apart from the sums, so that the command's help loads nothing else."""

from enum import StrEnum


class By(StrEnum):
    """What requests are grouped by. Days are of UTC, as budgets and providers' bills have them."""

    MODEL = "model"
    ROUTE = "route"
    KEY = "key"
    DAY = "day"
    SESSION = "session"
    TIER = "tier"
