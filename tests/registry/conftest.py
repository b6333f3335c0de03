"""Fixtures of the registry's tests."""

from collections.abc import Iterator

import pytest
from support.tables import TableServer


@pytest.fixture
def server() -> Iterator[TableServer]:
    """Run a table server for one test."""
    running = TableServer()
    yield running
    running.close()
