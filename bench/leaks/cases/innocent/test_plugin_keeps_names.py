"""A plugin keeps something of every test until the end of the session."""

import pytest


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


def test_sum() -> None:
    """One and two are three."""
    assert sum([1, 2]) == 3
