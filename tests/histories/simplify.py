"""Makes a history that is judged wrongly as simple as it can be.

hypothesis could do that, but knows nothing of histories: it took three times as many runs and
left tests in that do nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.histories.model import Case, History


def simplify(history: History, *, is_wrong: Callable[[History], bool]) -> History:
    """Take away whatever it is judged wrongly without.

    Args:
        history: it is judged wrongly.
        is_wrong: whether another one is, in the same way.
    """
    simpler: History | None = history
    while simpler is not None:
        history = simpler
        simpler = next(filter(is_wrong, _simpler(history)), None)
    return history


def _simpler(history: History) -> Iterator[History]:
    """All that are simpler by one step, those first that are simpler by much."""
    cases = history.cases
    for index in range(len(cases)):
        if len(cases) > 1:
            yield replace(history, cases=cases[:index] + cases[index + 1 :])
    for index, case in enumerate(cases):
        for simpler in _simpler_cases(case):
            yield replace(history, cases=(*cases[:index], simpler, *cases[index + 1 :]))
    if history.seconds:
        yield replace(history, seconds=0)


def _simpler_cases(case: Case) -> Iterator[Case]:
    steps = case.operations
    for index in range(len(steps)):
        yield replace(case, operations=steps[:index] + steps[index + 1 :])
    if case.fixture is not None:
        yield replace(case, fixture=None)
    if case.place != "same":
        yield replace(case, place="same")
    if case.factor is not None:
        yield replace(case, factor=None)
