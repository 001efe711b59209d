"""The lines about tests that took more than the high-water mark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pytest_memguard.report.table import format_seconds
from pytest_memguard.sizes import format_size

_NAMED: Final = 3
_LONG_SECONDS: Final = 1.0
_WHY: Final = "earlier tests had left memory free that could hide the peak"


def tracked_in_words(tests: Sequence[Sequence[Any]], seconds: float) -> list[str]:
    """Return the lines about tests in which memray ran though they did not ask for it.

    Args:
        tests: the name, the seconds, and the bytes of the budget that avoids it, of each.
        seconds: how long the processes ran in which these tests were.
    """
    if not tests:
        return []
    took = sum(test[1] for test in tests)
    share = f", {took / seconds:.1%} of the run's time" if seconds else ""
    line = f"memray ran in {_number(tests)} for {format_seconds(took)}{share}: "
    return [f"{line}{_WHY} (--mem-tracker-share)", *_avoided(tests)]


def again_in_words(tests: Sequence[Sequence[Any]]) -> list[str]:
    """Return the lines about tests that were measured again in a fresh process.

    Args:
        tests: as for `tracked_in_words`.
    """
    if not tests:
        return []
    took = sum(test[1] for test in tests)
    line = f"measured again in a fresh process: {_number(tests)}, {format_seconds(took)}: "
    return [f"{line}{_WHY} (--mem-confirm)", *_avoided(tests)]


def breaches_in_words(
    tests: Sequence[Sequence[Any]], refused: Sequence[Sequence[Any]]
) -> list[str]:
    """Return the lines about tests above their budgets, where measuring them again took long.

    Args:
        tests: those that were measured again, as for `tracked_in_words`.
        refused: those for which there was no time.
    """
    lines = []
    took = sum(test[1] for test in tests)
    if took >= _LONG_SECONDS:
        lines.append(
            f"measured again in a fresh process: {_number(tests)}, {format_seconds(took)}: "
            "above the budget (--mem-confirm)"
        )
    if refused:
        lines.append(
            f"not measured again: {_number(refused)} above the budget, for which there was no "
            "time left (--mem-confirm-share)"
        )
    return lines


def _number(tests: Sequence[Sequence[Any]]) -> str:
    count = len({test[0] for test in tests})
    return "1 test" if count == 1 else f"{count:,} tests"


def _avoided(tests: Sequence[Sequence[Any]]) -> list[str]:
    """Return the lines about the budgets that avoid it, the largest first."""
    highest: dict[str, int] = {}
    for name, _, budget in tests:
        highest[name] = max(budget, highest.get(name, 0))
    ordered = sorted(highest.items(), key=lambda one: (-one[1], one[0]))
    lines = [f"  a budget of {format_size(b)} avoids it for {name}" for name, b in ordered]
    if len(lines) > _NAMED:
        lines[_NAMED:] = [f"  ... and smaller ones for {len(lines) - _NAMED:,} more tests"]
    return lines
