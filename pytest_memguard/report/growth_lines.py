"""Who raised the level of resident memory for good, as lines of the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pytest_memguard.model.levels import LevelGrowth
from pytest_memguard.report.columns import WIDTH, narrow_table
from pytest_memguard.sizes import MIB, format_mib

_LEAST: Final = MIB // 20
"""Bytes of which a table shows more than 0.0 MiB."""
_BETWEEN: Final = "between tests (pytest, plugins, teardown of wider fixtures)"


def growth_lines(growth: LevelGrowth, top: int, width: int = WIDTH) -> list[str]:
    """Return from where to where resident memory rose, and what raised it for good.

    Args:
        growth: of the run.
        top: how many tests and files are shown.
        width: the number of characters in a line.
    """
    first = (
        f"RSS was {format_mib(growth.start)} MiB before the first test and "
        f"{format_mib(growth.end)} MiB after the last one"
    )
    sources = [*growth.tests, *((f"setup of {name}", size) for name, size in growth.setups)]
    sources.append((_BETWEEN, growth.between))
    tests = _table("Raised it for good", sources, top, width)
    files = _table("Files", growth.files, top, width) if len(growth.files) > 1 else []
    return [first, *tests, *(["", *files] if files else [])]


def _table(header: str, sources: Sequence[tuple[str, int]], top: int, width: int) -> list[str]:
    ranked = sorted(sources, key=lambda one: (-one[1], one[0]))
    large = [one for one in ranked if one[1] >= _LEAST]
    if not large:
        return []
    rows = [[f"+{format_mib(size)}", name] for name, size in large[:top]]
    lines = narrow_table(["MiB", header], rows, width)
    rest = large[top:]
    if rest:
        size = format_mib(sum(one[1] for one in rest))
        lines.append(f"(+{size} MiB by {len(rest):,} more; --mem-growth N shows more)")
    return lines
