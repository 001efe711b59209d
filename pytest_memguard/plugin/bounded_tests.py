"""Tests that a high-water mark alone has bounded so far, and that are measured from now on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pytest_memguard.plugin.last_failure import forget_last_failure
from pytest_memguard.plugin.names import is_marker_of_ours

if TYPE_CHECKING:
    import pytest

    from pytest_memguard.measure.instruments import Instruments
    from pytest_memguard.plugin.children import ChildrenWatch
    from pytest_memguard.plugin.measured_tests import MeasuredTests
    from pytest_memguard.probes.ended_children import EndedChildren


class BoundedTests:
    """Goes on with a test of which no more is known than how far a mark has risen.

    Args:
        tests: begins to measure them.
        children: follows the descendants of tests.
        instruments: the instruments of the process.
        activate: called when there is going to be something to report about a test.
    """

    def __init__(
        self,
        tests: MeasuredTests,
        children: ChildrenWatch,
        instruments: Instruments,
        activate: Callable[[], None],
    ) -> None:
        self._tests = tests
        self._state = tests.state
        self._children = children
        self._instruments = instruments
        self._activate = activate

    def begin_before_call(self, item: pytest.Item, setup: int) -> None:
        """Go on with a test that has been set up.

        Args:
            item: the test.
            setup: bytes by which the mark has risen since the call of the test before.
        """
        forget_last_failure()
        measurement = self._tests.begin(item)
        if self._state.detail is None:
            measurement.begin_after_setup(0, 0)
            measurement.rose_in_setup(setup)
            if self._state.setup_exceeds_limit:
                self._activate()
            measurement.collect_late()
        else:
            measurement.begin_late("setup")

    def begin_in_fixture(self, ended: pytest.Item | None) -> None:
        """Go on with a test in the middle of its setup.

        Args:
            ended: the test whose call has ended last: if it is that one, it is torn down.
        """
        measurement = self._tests.measured_now()
        if measurement is not None and self._state.item is ended:
            self._state.forget()

    def take_over_call(
        self,
        item: pytest.Item,
        before: int,
        after: int,
        started: float,
        *,
        was_reset: bool = False,
    ) -> None:
        """Go on with a test in the middle of its call, or at the end.

        Args:
            item: the test.
            before: bytes of the mark when the call began; as many may have been free.
            after: bytes of the mark now.
            started: when the call began.
            was_reset: whether a test has reset the mark, which means nothing then.
        """
        self._tests.plans.pop(item.nodeid, None)  # it had no budget of its own when it began
        self._state.markers = tuple(m for m in item.own_markers if not is_marker_of_ours(m))
        self._tests.begin(item).begin_bounded_call(before, after, started)
        if was_reset and self._instruments.mark is not None:
            self._instruments.mark.note_reset()

    def take_over_children(self, before: EndedChildren) -> None:
        """Go on with a test whose children may have used a budget up.

        Args:
            before: what was known of children when it began.
        """
        self._children.begin(before)
        self._activate()
