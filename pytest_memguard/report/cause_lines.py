"""The causes of a run's regressions as text: what has grown, and in how many tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pytest_memguard.escapes import one_line
from pytest_memguard.model.causes import CauseGroup
from pytest_memguard.sizes import format_size

_SHOWN: Final = 10


def cause_name(group: CauseGroup) -> str:
    """Return what has grown: a line, a holder, a stage, or nothing that is known."""
    if group.line:
        return group.line
    return group.holder or (f"stage {group.stage!r}" if group.stage else "")


def cause_sentence(group: CauseGroup) -> str:
    """Return a cause in a sentence: what has grown, in how many tests, and by how much."""
    name = cause_name(group)
    tests = "1 test" if len(group.tests) == 1 else f"{len(group.tests):,} tests"
    least, most = format_size(group.least), format_size(group.most)
    more = f"by {least}" if least == most else f"by {least} to {most}"
    start = f"{name} grew: {tests}, {more}" if name else f"{tests} grew {more}"
    if group.undecided:
        start += f"; {len(group.undecided):,} undecided"
    return one_line(start)


def cause_lines(groups: Sequence[CauseGroup]) -> list[str]:
    """Return a line for each cause of several regressions, the largest first.

    Args:
        groups: the causes of a run.
    """
    shared = [group for group in groups if len(group.tests) + len(group.undecided) > 1]
    lines = [
        one_line(f"cause: {cause_sentence(group)}; explained in {group.first}")
        for group in shared[:_SHOWN]
    ]
    if len(shared) > _SHOWN:
        lines.append(f"cause: ... and {len(shared) - _SHOWN:,} more")
    return lines
