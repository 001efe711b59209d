"""Finds the stage and the lines of a test that grew since the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pytest_memguard.model.baselines import LineEntry, StageEntry
from pytest_memguard.sizes import KIB

_LEAST: Final = 64 * KIB
_LINES: Final = 5


def grown_stage(
    before: Sequence[StageEntry], now: Sequence[StageEntry]
) -> tuple[StageEntry | None, StageEntry] | None:
    """Return the stage whose peak grew most, before (``None`` if it is new) and now.

    A stage grows with the stages inside it. Of those that grew by nearly the same amount, the
    innermost is returned.
    """
    known = {stage.path: stage for stage in before}
    grown = [
        (stage.peak - (known[stage.path].peak if stage.path in known else 0), stage)
        for stage in now
    ]
    most = max((growth for growth, _ in grown), default=0)
    if most < _LEAST:
        return None
    near = [stage for growth, stage in grown if growth >= 0.9 * most]
    stage = max(near, key=lambda stage: stage.path.count("/"))
    return known.get(stage.path), stage


def grown_lines(
    before: Sequence[LineEntry], now: Sequence[LineEntry]
) -> tuple[tuple[LineEntry | None, LineEntry], ...]:
    """Return the lines that grew, before and now, the largest growth first.

    Line numbers change with every edit, so lines are identified by file and function. Several
    lines of one function are added up under the number of the largest.

    Returns:
        No lines if those of either side are not known.
    """
    if not before or not now:
        return ()
    known = _by_function(before)
    pairs = [(known.get(key), line) for key, line in _by_function(now).items()]
    grown = [(was, line) for was, line in pairs if _growth(was, line) >= _LEAST]
    grown.sort(key=lambda pair: _growth(*pair), reverse=True)
    return tuple(grown[:_LINES])


def _growth(was: LineEntry | None, now: LineEntry) -> int:
    return now.size - (was.size if was is not None else 0)


def _by_function(lines: Sequence[LineEntry]) -> dict[tuple[str, str], LineEntry]:
    found: dict[tuple[str, str], LineEntry] = {}
    for line in sorted(lines, key=lambda line: line.size, reverse=True):
        key = (line.file, line.function)
        largest = found.get(key)
        size = line.size + (largest.size if largest is not None else 0)
        found[key] = replace(largest or line, size=size)
    return found
