"""Chooses budgets from what tests have used, as few as separate large tests from small ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Final

from pytest_memguard.model.suggested import Suggestion, Use
from pytest_memguard.sizes import MIB

LEAST: Final = 4 * MIB
"""The smallest budget that is suggested: less would leave tests in doubt for little slack."""
LEAST_LEFT: Final = 2 * MIB
"""Bytes that a suggested budget leaves over, so that slack as large leaves no test in doubt."""
FAR_ABOVE: Final = 4
"""A budget of so many times the suggested one is far above what its tests use."""
_COVERED: Final = 0.9
"""Share of the tests that the budget for all of them fits."""
_MANY: Final = 0.5
"""Share of the tests of a file from which on the file has a budget, not each of them."""
_STEPS: Final = ((20, 1), (100, 5), (500, 10))
_LARGEST_STEP: Final = 50


def budget_for(high: int, margin: float) -> int:
    """Return the budget, in bytes, for tests that use this much at most.

    Args:
        high: upper bound of their peaks, in bytes.
        margin: share of it that is added.
    """
    mebibytes = max(LEAST, high * (1 + margin), high + LEAST_LEFT) / MIB
    step = next((step for below, step in _STEPS if mebibytes <= below), _LARGEST_STEP)
    return ceil(mebibytes / step) * step * MIB


def suggestions(uses: Iterable[Use], margin: float) -> list[Suggestion]:
    """Return budgets for all tests, then for files, then for tests; the last that fits wins.

    Args:
        uses: of each test.
        margin: share of a peak that its budget is above it.
    """
    by_function: dict[str, list[int]] = {}
    for use in uses:
        by_function.setdefault(_function(use.nodeid), []).append(use.high)
    highest = {name: max(several) for name, several in by_function.items()}
    if not highest:
        return []
    ordered = sorted(high for name, high in highest.items() for _ in by_function[name])
    common = budget_for(ordered[ceil(_COVERED * len(ordered)) - 1], margin)
    small = [high for high in ordered if budget_for(high, margin) <= common]
    found = [Suggestion(pattern="**", budget=common, tests=len(ordered), high=small[-1])]
    by_file: dict[str, list[str]] = {}
    for name in highest:
        by_file.setdefault(name.partition("::")[0], []).append(name)
    of_tests: list[Suggestion] = []
    for file, names in sorted(by_file.items()):
        large = [name for name in names if budget_for(highest[name], margin) > common]
        share = _count(large, by_function) / _count(names, by_function)
        if len(large) > 1 and share >= _MANY:
            found.append(_for(file, names, by_function, margin))
        else:
            of_tests += [_for(name, [name], by_function, margin) for name in sorted(large)]
    return found + of_tests


def of_functions(uses: Iterable[Use], margin: float) -> dict[str, int]:
    """Return the budget of each test, in bytes, by its node id without parameters.

    Args:
        uses: of each test.
        margin: as for `suggestions`.
    """
    highest: dict[str, int] = {}
    for use in uses:
        name = _function(use.nodeid)
        highest[name] = max(highest.get(name, 0), use.high)
    return {name: budget_for(high, margin) for name, high in highest.items()}


def far_above(uses: Iterable[Use], margin: float) -> list[tuple[Use, int]]:
    """Return tests whose budgets are far above what they use, with the one that would do.

    Args:
        uses: of each test, with its budget.
        margin: as for `suggestions`.
    """
    found = [(use, budget_for(use.high, margin)) for use in uses if use.budget]
    far = [(use, enough) for use, enough in found if (use.budget or 0) >= FAR_ABOVE * enough]
    return sorted(far, key=lambda one: (-(one[0].budget or 0), one[0].nodeid))


def _function(nodeid: str) -> str:
    """Return the node id without parameters: their values change more often than tests."""
    name, bracket, _ = nodeid.partition("[")
    return name if bracket and "::" in name else nodeid


def _count(names: Iterable[str], peaks: Mapping[str, Sequence[int]]) -> int:
    """Return how many tests these functions are."""
    return sum(len(peaks[name]) for name in names)


def _for(
    pattern: str, names: Sequence[str], peaks: Mapping[str, Sequence[int]], margin: float
) -> Suggestion:
    high = max(peak for name in names for peak in peaks[name])
    tests = _count(names, peaks)
    return Suggestion(pattern=pattern, budget=budget_for(high, margin), tests=tests, high=high)
