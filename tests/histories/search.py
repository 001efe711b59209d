"""Has hypothesis search for a history that the plugin judges wrongly."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Flaky

from tests.histories.check import Checker, Report
from tests.histories.generator import histories
from tests.histories.model import History
from tests.histories.past import Influence
from tests.histories.verdict import Verdict

_APART = 1_000_000  # seeds of two searches that cannot meet


class WrongVerdictError(AssertionError):
    """The plugin says of a test what is not so."""


@dataclass
class Tally:
    """What was found so far."""

    histories: int = 0
    """That were run, without those that were made to simplify one."""
    tests: int = 0
    """In them."""
    limits: int = 0
    """Tests with one."""
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    """How often each was given."""
    lessened: Counter[Influence] = field(default_factory=Counter)
    """What of earlier tests let one pass that is above its limit alone."""
    runs: int = 0
    """Of all histories."""

    def add(self, report: Report) -> None:
        """Count one more history."""
        self.histories += 1
        for test in report.tests:
            self.tests += 1
            self.verdicts[test.verdict] += 1
            if test.verdict is Verdict.LESSENED:
                self.lessened.update(cause for cause, size in test.lessened.items() if size)


def search(
    checker: Checker,
    number: int,
    most: int,
    *,
    tally: Tally | None = None,
    simplify: bool = True,
    progress: Callable[[], None] = lambda: None,
) -> Report | None:
    """Run random histories until one is judged wrongly.

    Args:
        checker: checks them.
        number: the seed.
        most: histories to run.
        tally: what is found is added to it.
        simplify: whether to look for the simplest history like the one found.
        progress: called after each run.

    Returns:
        The last history that was judged wrongly, which is the simplest; ``None`` if the
        plugin is right about all.
    """
    tally = tally if tally is not None else Tally()
    for turn in range(most):
        wrong = _search_one(checker, number * _APART + turn, tally, progress, simplify=simplify)
        if wrong is not None:
            return wrong
    return None


def _search_one(
    checker: Checker,
    number: int,
    tally: Tally,
    progress: Callable[[], None],
    *,
    simplify: bool,
) -> Report | None:
    """Run one random history; the simplest like it if it is judged wrongly.

    hypothesis makes five variations of each history before the next new one, which mostly
    show the same again. So it is asked for one at a time: the second of two, as the first
    always is the simplest there is.
    """
    wrong: Report | None = None

    @seed(number)
    @settings(
        max_examples=2,
        database=None,
        deadline=None,
        phases=[Phase.generate, *([Phase.shrink] if simplify else [])],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),  # it takes as long as pytest takes
    )
    @given(histories)
    def check(history: History) -> None:
        nonlocal wrong
        if all(case == history.cases[0] for case in history.cases):
            return
        report = checker.check(history)
        tally.runs += 1
        if wrong is None:
            tally.add(report)
        progress()
        if report.faults:
            wrong = report
            raise WrongVerdictError

    # twice in a row is enough, though it may not be so every time
    with contextlib.suppress(WrongVerdictError, Flaky):
        check()
    return wrong
