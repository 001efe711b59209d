"""Searches for a history of tests that is judged wrongly: ``python bench/histories.py``."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.histories.check import Report, checker
from tests.histories.search import Tally, search
from tests.histories.verdict import Verdict

BATCH = 100
_EVERY = 8.0  # seconds between two lines of progress


class Progress:
    """Prints a line now and then.

    Args:
        tally: the numbers to print.
        goal: histories to run.
    """

    def __init__(self, tally: Tally, goal: int) -> None:
        self._tally = tally
        self._goal = goal
        self._start = self._last = time.monotonic()
        self.wrong = 0

    def __call__(self) -> None:
        """Print one if it is due."""
        now = time.monotonic()
        if now - self._last >= _EVERY:
            self._last = now
            tally = self._tally
            print(
                f"{now - self._start:6.0f} s  {tally.histories} of {self._goal} histories, "
                f"{tally.tests} tests, {tally.runs} runs, {self.wrong} judged wrongly",
                flush=True,
            )


def kind(report: Report) -> str:
    """What a wrong verdict depends on, as far as its simplest history shows."""
    names: Counter[str] = Counter()
    for test in report.tests:
        fixture = test.case.fixture
        if fixture is not None:
            names[f"{fixture.scope} fixture ({fixture.holder})"] += 1
        names.update(step.name for step in test.case.operations)
    verdicts = sorted({fault.verdict.name for fault in report.faults})
    return f"{', '.join(verdicts)}: {', '.join(sorted(names)) or 'nothing'}"


def arguments() -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=10_000, help="how many to run")
    parser.add_argument("--seed", type=int, help="a number to repeat a run with")
    parser.add_argument(
        "--simplify",
        type=int,
        default=10,
        metavar="N",
        help="wrong histories to find the simplest form of; further ones are only counted",
    )
    parser.add_argument(
        "--moving",
        action="store_true",
        help="let the thresholds of the C library move, as they do by themselves",
    )
    parser.add_argument(
        "--free-chunks",
        type=int,
        default=0,
        metavar="MIB",
        help="begin with a C heap that has free chunks, so that measuring takes long",
    )
    return parser.parse_args()


def main() -> int:
    """Run histories in batches, and print what is wrong and a summary."""
    options = arguments()
    first = options.seed if options.seed is not None else random.randrange(10**9)  # noqa: S311  no secret
    print(f"seed {first}, Python {sys.version.split()[0]}", flush=True)
    tally, number = Tally(), first
    progress = Progress(tally, options.histories)
    kinds: dict[str, tuple[int, Report]] = {}
    with checker(pinned=not options.moving, free_chunks=options.free_chunks) as checking:
        while tally.histories < options.histories:
            wrong = search(
                checking,
                number,
                min(BATCH, options.histories - tally.histories),
                tally=tally,
                simple=progress.wrong < options.simplify,
                progress=progress,
            )
            number += 1
            if wrong is None:
                continue
            progress.wrong += 1
            name = kind(wrong) if progress.wrong <= options.simplify else "not simplified"
            times = kinds[name][0] if name in kinds else 0
            if not times and progress.wrong <= options.simplify:
                print(f"\n{'=' * 70}\n{name} (seed {number - 1})\n{wrong}", flush=True)
            kinds[name] = (times + 1, wrong)
    print(summary(tally, kinds))
    times = os.times()  # the checker has waited for its processes
    print(f"{sum(times[:4]):.0f} CPU seconds for {tally.runs} runs, measuring included")
    return 1 if kinds else 0


def summary(tally: Tally, kinds: dict[str, tuple[int, Report]]) -> str:
    """What was found, as a text of several lines."""
    verdicts = tally.verdicts
    limited = max(1, tally.tests - verdicts[Verdict.UNLIMITED])
    lines = [f"\n{tally.histories} histories, {tally.tests} tests, {limited} with a limit"]
    lines += [f"{verdicts[verdict]:8} {verdict.value}" for verdict in Verdict]
    lines += [f"{count:8} of these: {cause.value}" for cause, count in tally.lessened.items()]
    share = (verdicts[Verdict.UNDECIDED] + verdicts[Verdict.REPORTED]) / limited
    lines.append(f"{share:.1%} of tests with a limit pass or fail by themselves with a line")
    lines += [f"{times:8} wrong histories: {name}" for name, (times, _) in kinds.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
