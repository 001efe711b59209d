"""Holds each test back until there is memory for it, in the process that runs the tests."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Final

import pytest

from pytest_memguard.codecs.admission_codecs import ADMISSION_CODEC
from pytest_memguard.judge.declared_need import is_too_small
from pytest_memguard.model.admission import SMALL, Admission, Need, Wait
from pytest_memguard.model.results import Gap
from pytest_memguard.plugin.keys import ITEMS
from pytest_memguard.plugin.marked_items import MarkedItem
from pytest_memguard.plugin.parallel.expected_needs import ExpectedNeeds
from pytest_memguard.plugin.parallel.parallel_report import ADMISSION, USED
from pytest_memguard.plugin.parallel.recorded_needs import RECORDED
from pytest_memguard.plugin.properties import NEED, WAITED
from pytest_memguard.recording.tokens import ALONE, MEDIAN, Tokens

if TYPE_CHECKING:
    from pytest_memguard.measure.current_test import CurrentTest

LOST: Final = "whether there is memory for tests"
_HEAVY_FIRST: Final = "heavy"


class ParallelTests:
    """Asks for memory before each test that is not known to need next to nothing.

    Args:
        config: the configuration of pytest.
        tokens: this process's part in the memory.
        expected: what tests are expected to need.
        order: "heavy", or the order of collection.
        waits: called with a test that has waited for a while, and what it waits for.
        patience: seconds until then.
    """

    def __init__(
        self,
        config: pytest.Config,
        tokens: Tokens,
        expected: ExpectedNeeds,
        order: str,
        waits: Callable[[str, Wait], None],
        patience: float,
    ) -> None:
        self._config = config
        self._tokens = tokens
        self._expected = expected
        self._order = order
        self._waits, self._patience = waits, patience
        self._needs: dict[str, Need | None] = {}
        self._indices: dict[str, int] = {}
        self._small: dict[str, int] = {}
        self._all_known = True
        self._admission: Admission | None = None
        self._used: int | None = None
        self._lost = False

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put the tests that need most first, if that is asked for."""
        if self._order == _HEAVY_FIRST:
            sizes = {item.nodeid: self._size_of(item) for item in items}
            items.sort(key=lambda item: -sizes[item.nodeid])

    def _size_of(self, item: pytest.Item) -> int:
        """Return what a test is expected to need; small ones stay in their order."""
        need = self._expected.of(MarkedItem(item))
        return 0 if need is None or need.size < SMALL else need.size

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Find out what each test is expected to need."""
        for index, item in enumerate(session.items):
            nodeid = item.nodeid
            if item.get_closest_marker("skip") is not None:
                continue
            need = self._expected.of(MarkedItem(item))
            if need is not None and need.size < SMALL:
                self._small[nodeid] = need.size
            else:
                self._needs[nodeid] = need
                self._indices[nodeid] = index
                self._all_known = self._all_known and need is not None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Wait, run the test, and return what it was given."""
        nodeid = item.nodeid
        is_small = nodeid not in self._needs
        self._admission = self._used = None
        if not (is_small or self._lost):
            self._ask(item)
        try:
            return (yield)
        finally:
            if not self._lost:
                try:
                    self._end(nodeid)
                except OSError as error:
                    self._lose(error)

    def _ask(self, item: pytest.Item) -> None:
        nodeid = item.nodeid
        need = self._needs[nodeid]
        if need is None and self._tokens.is_small_now:
            return

        def waits(wait: Wait) -> None:
            self._waits(nodeid, wait)

        try:
            index = self._indices[nodeid]
            admission = self._tokens.ask(need, index, waits, self._patience)
        except OSError as error:
            self._lose(error)
        else:
            self._admission = admission
            item.user_properties += (
                (NEED, admission.need.size),
                (WAITED, round(admission.waited, 3)),
            )

    def _end(self, nodeid: str) -> None:
        """Return what a test was given, and note what it used."""
        tokens = self._tokens
        if self._admission is None:
            tokens.note_level()
        else:
            tokens.give_back()
        if not self._all_known:
            used = self._small.get(nodeid, self._used)
            if used is not None:
                tokens.note(used)

    def _lose(self, error: OSError) -> None:
        """Go on without: a test must not fail for it."""
        self._lost = True
        reason = f"{error.filename or 'the file'}: {error.strerror or error}"
        self._config.stash[ITEMS].instruments.gaps.append(
            Gap(subject=LOST, reason=f"{reason}; tests of this process start at once")
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hand on how the test came to start, and what it used if that is far more."""
        if report.when == "setup" and self._admission is not None:
            setattr(report, ADMISSION, ADMISSION_CODEC.write(self._admission))
        elif report.when == "teardown" and self._used is not None:
            need = self._counted(report.nodeid)
            if need is not None and is_too_small(need.size, self._used):
                setattr(report, USED, [need.size, need.source, self._used])

    def _counted(self, nodeid: str) -> Need | None:
        """Return what a test was counted with; ``None`` if nothing was known."""
        if self._admission is not None:
            need = self._admission.need
            return need if need.source != ALONE else None
        median = self._tokens.median
        if nodeid in self._small or median is None:
            return None
        return Need(size=median, source=MEDIAN)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self) -> None:
        """Note what setup has taken, where only the call is recorded."""
        is_recorded = self._admission is None or self._admission.need.source in RECORDED
        if is_recorded and not self._lost:
            try:
                self._tokens.note_level()
            except OSError as error:
                self._lose(error)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self) -> None:
        """Note what the test has used, before that is forgotten."""
        self._used = used_so_far(self._config.stash[ITEMS].tests.state)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Give everything back."""
        self._tokens.close()


def used_so_far(state: CurrentTest) -> int | None:
    """Return the bytes that a test has used in setup and call; ``None`` without a call.

    Args:
        state: what is known of the test.
    """
    if state.requirements is None or not state.call.ended:
        return None
    begun = [phase for phase in (state.setup, state.call) if phase.begun]
    highest = max(phase.base + phase.region.rise() for phase in begun)
    return highest - begun[0].base
