"""A check: at most so many descriptors more are open after a test than before it."""

from memguard_extras.descriptors import DESCRIPTORS
from pytest_memguard import Check, ConfigError, Violation


class DescriptorCheck(Check):
    """Judges tests that have the marker ``fd_budget``."""

    name = "fd_budget"
    markers = ("fd_budget(limit): fail the test that leaves more descriptors open",)

    def plan(self, test):
        """The limit of a test."""
        marker = test.marker("fd_budget")
        if marker is None:
            return None
        if len(marker.args) != 1 or not isinstance(marker.args[0], int) or marker.args[0] < 0:
            msg = "fd_budget takes one whole number: fd_budget(5)"
            raise ConfigError(msg)
        return marker.args[0]

    def metrics(self, limit):
        """What is to be measured."""
        return (DESCRIPTORS.name,)

    def judge(self, limit, readings, phase):
        """Compare what is open after teardown with what was open before setup."""
        reading = readings.whole(DESCRIPTORS.name)
        if phase != "teardown" or reading is None or reading.lost:
            return
        left = reading.after - reading.before
        if left > limit:
            yield Violation(
                text=f"{DESCRIPTORS.amount(left)} are left open, and fd_budget allows {limit}"
            )

    def section(self, failures):
        """Tests that leave descriptors open."""
        return [f"{nodeid}: {text}" for nodeid, text in failures]
