"""Counts the tests that fail after a repetition of another one has gone wrong in this process.

A repetition that fails halfway may leave a global switched, and later tests then fail because
of the check. Only the user can tell, so the section ``leaks`` names the test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

import pytest

from pytest_memguard.plugin.failures import TextAlone

KEY: Final = "memguard_failed_after"
"""What an xdist worker sends its counts under."""
FAILED_AFTER: pytest.StashKey[Counter[str]] = pytest.StashKey()
"""How many tests failed after a repetition had gone wrong, by the node id of that test."""


class AfterRepetitions:
    """Notes in a process that runs tests what fails there.

    Args:
        config: the configuration of pytest.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._failed = config.stash.setdefault(FAILED_AFTER, Counter())
        self._output: dict[str, object] | None = getattr(config, "workeroutput", None)
        self._wrong = ""

    def went_wrong(self, nodeid: str) -> None:
        """Note a test of which a repetition has gone wrong."""
        self._wrong = nodeid

    def note(self, nodeid: str, error: BaseException) -> None:
        """Note what a phase of a test has failed with.

        Args:
            nodeid: the node id of the test.
            error: an error of ours is none that a repetition may have caused.
        """
        if self._wrong and nodeid != self._wrong and not isinstance(error, TextAlone):
            self._failed[self._wrong] += 1

    def close(self) -> None:
        """Send the counts to the process that reports, if that is another one."""
        if self._output is not None and self._failed:
            self._output[KEY] = dict(self._failed)


def lines_of(failed: Mapping[str, int]) -> list[str]:
    """A line for each test after whose repetition others failed.

    Args:
        failed: how many, by the node id of the test that was repeated.
    """
    remedy = "leave it out with @pytest.mark.mem_no_leak_check to see"
    return [
        f"{count} {'test' if count == 1 else 'tests'} failed after a repetition of {nodeid} "
        f"had gone wrong, which may be why: {remedy}"
        for nodeid, count in failed.items()
    ]
