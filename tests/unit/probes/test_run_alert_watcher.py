"""Tests of the process that watches when a run reaches levels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_memguard.model.aborts import Breach, ProcessLevel
from pytest_memguard.probes.run_alert_watcher import watch_levels
from pytest_memguard.probes.tree_linux import TreeSample
from pytest_memguard.sizes import MIB


class Tree:
    """A tree that uses the sizes in turn, and has then ended."""

    living = ()

    def __init__(self, *sizes: int) -> None:
        """Take the sizes in MiB."""
        self._sizes = list(sizes)
        self._now = 0

    def check_root(self) -> None:
        """It has not ended."""

    def sample(self, *, exact: bool) -> TreeSample:
        """Return the next size; a second reading for a report shows the same."""
        del exact
        if not self._sizes:
            raise ProcessLookupError
        self._now = self._sizes.pop(0) * MIB
        return TreeSample(self._now, self._now)

    def levels(self) -> tuple[ProcessLevel, ...]:
        """Return the one process."""
        return (ProcessLevel(pid=1, parent=0, size=self._now),)


def no_pause(seconds: float) -> Iterator[bytes]:
    """Do not wait."""
    assert seconds > 0
    yield from ()


@pytest.mark.parametrize(
    ("levels", "sizes", "reported"),
    [
        pytest.param([100], [50, 99, 100], [100], id="reached"),
        pytest.param([100, 200], [50, 300], [300], id="both-at-once"),
        pytest.param([100, 200], [150, 120, 200], [150, 200], id="one-after-the-other"),
    ],
)
def test_levels(levels, sizes, reported) -> None:
    """Each level is reported once, and the watch ends with the last."""
    found: list[Breach] = []
    watch_levels(Tree(*sizes), [size * MIB for size in levels], found.append, no_pause)
    assert [size * MIB for size in reported] == [breach.used for breach in found]
    assert found[-1].processes[0].size == found[-1].used


def test_end_of_the_run() -> None:
    """A run that ends below a level ends the watch."""
    with pytest.raises(ProcessLookupError):
        watch_levels(Tree(1, 2), [MIB * 100], print, no_pause)
