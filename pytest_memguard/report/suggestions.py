"""Suggested budgets as lines of ``mem_budgets``, and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pytest_memguard.escapes import one_line
from pytest_memguard.model.suggested import Suggestion, Use
from pytest_memguard.report.table import aligned_table
from pytest_memguard.sizes import MIB, format_size

_NAMED: Final = 20
_HIDDEN_SHARE: Final = 0.25


def budget_line(suggestion: Suggestion) -> str:
    """Return the line for a config file: ``tests/test_a.py = 20 MiB``."""
    return f"{suggestion.pattern} = {suggestion.budget // MIB} MiB"


def suggestion_table(found: Sequence[Suggestion]) -> str:
    """Return what each budget is for: how many tests, and what they use at most."""
    rows = [
        [f"{s.budget // MIB} MiB", f"{s.high / MIB:.1f}", f"{s.tests:,}", one_line(s.pattern)]
        for s in found
    ]
    headers = ["Budget", "Peak MiB", "Tests", "Pattern"]
    return aligned_table(headers, rows, ["right", "right", "right", "left"])


def hidden_lines(uses: Sequence[Use]) -> list[str]:
    """Return the lines about tests whose peaks are hardly known: slack could hide much of them.

    Args:
        uses: of each test.
    """
    hidden = [use for use in uses if use.hidden > MIB and use.hidden > _HIDDEN_SHARE * use.high]
    if not hidden:
        return []
    tests = "1 test" if len(hidden) == 1 else f"{len(hidden):,} tests"
    return [
        f"Only upper bounds are known for {tests}: earlier tests had left memory free.",
        "pytest --mem-save measures them in a fresh process: suggest from the baseline.",
    ]


def far_above_lines(found: Sequence[tuple[Use, int]]) -> list[str]:
    """Return the lines about budgets that are far above what their tests use.

    Args:
        found: the tests, with the bytes of a budget that would do.
    """
    if not found:
        return []
    lines = [
        one_line(
            f"  {format_size(use.budget or 0)} for {format_size(use.high)}, "
            f"{enough // MIB} MiB would do: {use.nodeid}"
        )
        for use, enough in found
    ]
    if len(lines) > _NAMED:
        lines[_NAMED:] = [f"  ... and {len(lines) - _NAMED:,} more"]
    return ["Budgets far above what their tests use:", *lines]
