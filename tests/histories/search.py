"""Has hypothesis search for a history that the plugin judges wrongly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.histories.check import Checker, Report
from tests.histories.generator import histories
from tests.histories.model import History
from tests.histories.past import Influence
from tests.histories.simplify import simplify
from tests.histories.verdict import Verdict

_APART = 1_000_000  # seeds of two searches that cannot meet


_ONE = settings(
    max_examples=2,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),  # it takes as long as pytest takes
)


@dataclass
class Tally:
    """What was found so far."""

    histories: int = 0
    """That were run, without those that were made to simplify one."""
    tests: int = 0
    """In them."""
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
    simple: bool = True,
    progress: Callable[[], None] = lambda: None,
) -> Report | None:
    """Run random histories until one is judged wrongly.

    hypothesis makes five variations of each history before the next new one, which mostly
    show the same again. So it is asked for one at a time: the second of two, as the first
    always is the simplest there is.

    Args:
        checker: checks them.
        number: the seed.
        most: histories to run.
        tally: what is found is added to it.
        simple: whether to look for the simplest history like the one found.
        progress: called after each run.

    Returns:
        The history that was judged wrongly, or the simplest like it; ``None`` if the plugin
        is right about all.
    """
    tally = tally if tally is not None else Tally()
    wrong: list[Report] = []

    def run(history: History) -> Report:
        report = checker.check(history)
        tally.runs += 1
        progress()
        return report

    def check(history: History) -> None:
        if any(case != history.cases[0] for case in history.cases):
            report = run(history)
            tally.add(report)
            if report.faults:
                wrong.append(report)

    for turn in range(most):
        seed(number * _APART + turn)(_ONE(given(histories)(check)))()
        if wrong:
            return _simplest(wrong[0], run) if simple else wrong[0]
    return None


def _simplest(report: Report, run: Callable[[History], Report]) -> Report:
    """The simplest history that is judged wrongly in the same way."""
    kinds = {fault.verdict for fault in report.faults}
    last = report

    def is_wrong(history: History) -> bool:
        nonlocal last
        found = run(history)
        same = bool(found.faults) and {fault.verdict for fault in found.faults} <= kinds
        last = found if same else last
        return same

    simplify(report.history, is_wrong=is_wrong)
    return last
