"""A baseline as tables, one for each environment, for the terminal or as Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pytest_memguard.escapes import one_line
from pytest_memguard.model.baselines import Baseline, BaselineEntry, EnvironmentKey
from pytest_memguard.report.markdown_blocks import code, fit, plain, table
from pytest_memguard.report.table import plain_table
from pytest_memguard.sizes import format_mib

_HEADERS: Final = ("Test", "Peak MiB", "Spread", "After", "Readings", "Stages")


def baseline_section(baseline: Baseline, top: int) -> str:
    """Return the tests with the largest peaks of each environment.

    Args:
        baseline: the baseline.
        top: the number of tests of each environment.
    """
    parts = []
    for environment, entries in baseline.environments.items():
        rows = _rows(entries.items(), top)
        title = one_line(_title(environment, len(entries)))
        parts.append(f"{title}\n{plain_table(_HEADERS, rows)}")
        if len(entries) > len(rows):
            parts[-1] += f"\n({len(entries) - len(rows):,} more; --top N shows more)"
    return "\n\n".join(parts) or "no numbers on record"


def baseline_markdown(baseline: Baseline, top: int, limit: int) -> str:
    """Return the same as Markdown, short enough for a comment."""
    tests = len({nodeid for entries in baseline.environments.values() for nodeid in entries})
    many = "1 test" if tests == 1 else f"{tests:,} tests"
    blocks = [[f"## Memory on record: {many}"]]
    for environment, entries in baseline.environments.items():
        rows = _rows(entries.items(), top)
        cells = [[code(row[0]), *map(plain, row[1:])] for row in rows]
        blocks += [[f"### {plain(_title(environment, len(entries)))}"]]
        blocks += [table(_HEADERS, cells, right=5)]
        if len(entries) > len(rows):
            blocks.append([f"*... and {len(entries) - len(rows):,} more*"])
    return fit(blocks, limit)


def _title(key: EnvironmentKey, tests: int) -> str:
    many = "1 test" if tests == 1 else f"{tests:,} tests"
    where = f"{key.system} {key.machine}, {key.implementation} {key.python}"
    return f"{where}, {key.metric}: {many}"


def _rows(entries: Iterable[tuple[str, BaselineEntry]], top: int) -> list[list[str]]:
    ordered = sorted(entries, key=lambda item: (-item[1].peak, item[0]))
    return [
        [
            nodeid,
            format_mib(entry.peak),
            format_mib(entry.spread),
            f"{entry.growth / 2**20:+.1f}",
            str(entry.readings),
            ", ".join(f"{s.path} {format_mib(s.peak)}" for s in entry.stages) or "-",
        ]
        for nodeid, entry in ordered[:top]
    ]
