"""Adds to a list, beside a plugin that keeps something of every test."""

import pytest


class Visit:
    """One of many."""


_VISITS: list[Visit] = []


class Keeper:
    """Writes down every test that ends."""

    def __init__(self) -> None:
        self.ended: list[list[str]] = []

    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Write it down."""
        self.ended.append([f"{item.name} {len(self.ended)}"])


@pytest.fixture(scope="session", autouse=True)
def keeper(pytestconfig: pytest.Config) -> None:
    """Let pytest know of it."""
    if not pytestconfig.pluginmanager.has_plugin(__name__):
        pytestconfig.pluginmanager.register(Keeper(), __name__)


def test_visit() -> None:
    """There is a visit."""
    _VISITS.append(Visit())  # LEAK
    assert _VISITS
