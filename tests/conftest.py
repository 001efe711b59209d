"""What tests of several folders share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support import fresh_process
from tests.support.postgres_server import Cluster, cluster

settings.register_profile("suite", deadline=None, derandomize=True)


def pytest_configure(config: pytest.Config) -> None:
    """Keep fast tests and slow ones apart, and have every run try the same examples."""
    config.pluginmanager.import_plugin("tests.support.fast_subset")
    settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def forks() -> Iterator[None]:
    """End the process that forks with the tests."""
    yield
    fresh_process.stop()


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> None:
    """Leave what is there before the tests of a module out of every collection of garbage.

    Nothing thaws it again: a collection of the heap of a process with all these tests takes as
    long as ten of them.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL server of the tests' own."""
    if os.name != "posix":
        pytest.skip("the tests start a PostgreSQL server on Unix only")
    with cluster() as running:
        yield running
