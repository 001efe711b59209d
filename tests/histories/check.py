"""Checks one history: measures each test alone, runs them all, and judges."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tests.histories.model import Answer, Case, History, Truth
from tests.histories.operations import write_tables
from tests.histories.past import Lessened, influences
from tests.histories.reference import NONE, PINNED, Reference
from tests.histories.run import Runner
from tests.histories.source import files
from tests.histories.verdict import FAULTS, Verdict, judge

MIB = 1 << 20
LEAST_LIMIT = 2 * MIB
UNKNOWN = Truth(0, 0)
"""What a test without a limit uses: it does not matter."""
_STEP = MIB // 4  # limits are multiples: a page more or less in the truth changes none


@dataclass(frozen=True, slots=True)
class Judged:
    """One test of a history, with all that is known of it."""

    case: Case
    """The test."""
    truth: Truth
    """What it uses alone."""
    limit: int | None
    """Bytes."""
    lessened: Lessened
    """What it has of earlier tests."""
    answer: Answer
    """What pytest and the plugin report."""
    verdict: Verdict
    """The verdict of the harness."""

    def __str__(self) -> str:
        limit = f"{self.limit / MIB:.2f}" if self.limit is not None else "no limit"
        peak = f"{self.answer.peak / MIB:.2f}" if self.answer.peak is not None else "nothing"
        steps = "".join(f"\n        {step}" for step in self.case.operations)
        head = [f"    {self.verdict.value}:"] if self.verdict in FAULTS else []
        what = f"alone {self.truth.low / MIB:.2f}"
        if self.truth.low != self.truth.high:
            what += f" to {self.truth.high / MIB:.2f}"
        if self.truth.retaining is not None:
            what += f" (or {self.truth.retaining / MIB:.2f})"
        head.append(
            f"    {what} MiB, limit {limit}, the plugin: {peak}, {self.answer.result}"
            f"{' with BudgetExceeded' if self.answer.exceeded else ''}"
        )
        head += [f"        {line}" for line in self.answer.lines]
        if self.case.place != "same":
            head.append(f"        (first of a new {self.case.place})")
        if self.case.fixture is not None:
            head.append(f"        {self.case.fixture}")
        return "\n".join(head) + steps


@dataclass(frozen=True, slots=True)
class Report:
    """A history and what became of it."""

    history: History
    """The tests."""
    tests: tuple[Judged, ...]
    """The same with all that is known of them."""

    @property
    def faults(self) -> list[Judged]:
        """Tests of which the plugin says what is not so."""
        return [test for test in self.tests if test.verdict in FAULTS]

    def __str__(self) -> str:
        parts = []
        if self.history.seconds:
            parts.append(f"Each test seems to take {self.history.seconds} s.")
        parts += [f"test_{number}\n{test}" for number, test in enumerate(self.tests)]
        for name, text in files(self.history, [test.limit for test in self.tests]).items():
            parts.append(f"--- {name}\n{text}")
        return "\n".join(parts)


def limit_of(case: Case, truth: Truth) -> int | None:
    """The limit of a test, in bytes: a multiple of what it uses alone, or a least one."""
    if case.factor is None:
        return None
    return max(LEAST_LIMIT, round(truth.high * case.factor / _STEP) * _STEP)


class Checker:
    """Checks histories.

    Args:
        reference: measures tests alone.
        runner: runs them all.
    """

    def __init__(self, reference: Reference, runner: Runner) -> None:
        """Keep them."""
        self._reference = reference
        self._runner = runner

    def check(self, history: History) -> Report:
        """Run a history and judge each of its tests; once more, if one is judged wrongly.

        What depends on chance, such as a page more or less, is not a fault that could be
        reproduced: only one that shows in both runs counts.
        """
        report = self._once(history)
        if not report.faults:
            return report
        again = self._once(history)
        tests = [
            first if first.verdict not in FAULTS else _both(first, second)
            for first, second in zip(report.tests, again.tests, strict=True)
        ]
        return Report(history, tuple(tests))

    def _once(self, history: History) -> Report:
        cases = history.cases
        truths = [
            self._reference.truth(case) if case.factor is not None else UNKNOWN
            for case in cases
        ]
        limits = [limit_of(case, truth) for case, truth in zip(cases, truths, strict=True)]
        answers = self._runner.run(history, limits)
        past = influences(cases)
        tests = map(self._judged, cases, truths, limits, past, answers)
        return Report(history, tuple(tests))

    def _judged(
        self,
        case: Case,
        truth: Truth,
        limit: int | None,
        lessened: Lessened,
        answer: Answer,
    ) -> Judged:
        verdict = judge(limit, truth, sum(lessened.values()), answer)
        if verdict in FAULTS:
            truth = self._reference.bounds(case)
            verdict = judge(limit, truth, sum(lessened.values()), answer)
        return Judged(case, truth, limit, lessened, answer, verdict)


def _both(first: Judged, second: Judged) -> Judged:
    """One test judged twice, the first time wrongly."""
    if first.verdict is second.verdict:
        return first
    return replace(first, verdict=Verdict.UNSTEADY)


@contextmanager
def checker(
    flags: Sequence[str] = (), *, pinned: bool = True, free_chunks: int = 0
) -> Iterator[Checker]:
    """What checks histories, with the processes it needs.

    Args:
        flags: the flags of pytest.
        pinned: whether the thresholds of the C library are the same in all processes.
        free_chunks: MiB of a C heap with free chunks before the first test.
    """
    with tempfile.TemporaryDirectory(prefix="memguard-histories-") as folder:
        write_tables(folder)
        environment = PINNED if pinned else NONE
        reference = Reference(folder, environment)
        runner = Runner(folder, flags, free_chunks, environment)
        try:
            yield Checker(reference, runner)
        finally:
            reference.stop()
            runner.stop()
