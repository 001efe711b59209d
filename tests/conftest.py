"""What tests of several folders share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support import fresh_process
from tests.support.postgres_server import Cluster, cluster

LONG = ("test_lint.py", "test_workflows.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest tests be the first, so that no worker waits for another in the end."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(scope="session", autouse=True)
def forks() -> Iterator[None]:
    """End the process that forks with the tests."""
    yield
    fresh_process.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL server of the tests' own."""
    if os.name != "posix":
        pytest.skip("the tests start a PostgreSQL server on Unix only")
    with cluster() as running:
        yield running
