"""What the ledger says of records that it may lose, or has lost.

Pure: sentences for ``degraded`` and for the log. Counting them is ``intake``'s and ``keeper``'s
business.
"""

from pathlib import Path


def shown(trouble: str, waiting: int, lost: int) -> str:
    """Return what is wrong, and what that costs: what waits in memory alone, and what is lost.

    Counts are rounded down to one digit, so that the sentence does not change at every record.
    """
    parts = [trouble]
    if waiting:
        parts.append(f"{_about(waiting)} in memory only, lost if the daemon ends now")
    if lost:
        parts.append(f"{_about(lost)} lost already")
    return "; ".join(parts)


def at_the_end(folder: Path, trouble: str | None, now: int, before: int, kept: int) -> str:
    """Return what the end of the ledger has cost.

    ``now``: records that were in memory only. ``before``: records lost while the daemon ran.
    ``kept``: records in the journal, which the next start brings into the database.
    """
    lost = f"{_counted(now + before)} lost" if now + before else "no record lost"
    parts = [f"the ledger in {folder} ends with {lost}"]
    if before and now:
        parts.append(f"{before:,} of them while the daemon ran")
    if trouble is not None:
        parts.append(trouble)
    if kept:
        parts.append(f"{_counted(kept)} stay in the journal there, for the next start to bring in")
    return "; ".join(parts)


def _counted(records: int) -> str:
    return f"{records:,} record{'' if records == 1 else 's'}"


def _about(records: int) -> str:
    unit = 10 ** (len(str(records)) - 1)
    rounded = records // unit * unit
    return _counted(records) if unit == 1 else f"{rounded:,} records or more"
