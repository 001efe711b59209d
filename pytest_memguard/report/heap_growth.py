"""The comparison of two heap snapshots as text."""

from __future__ import annotations

from typing import Final

from pytest_memguard.escapes import one_line
from pytest_memguard.model.heap_graphs import ClassGrowth, HeapGrowth, HolderGrowth
from pytest_memguard.report.table import aligned_table
from pytest_memguard.sizes import MIB, format_mib, format_size

_MOST_NAME: Final = 30
_MOST_PATHS: Final = 5
"""Constructors whose chains are shown; those below repeat what these say."""
_COMMON_SHARE: Final = 0.2
"""A chain that fewer of the new objects have says little of the others."""


def heap_growth_lines(growth: HeapGrowth) -> list[str]:
    """Return the report."""
    sizes = f"{format_size(growth.size_before)} -> {format_size(growth.size_after)}"
    lines = [f"heap: {sizes}, {growth.count_before:,} -> {growth.count_after:,} objects"]
    if not growth.same_process:
        lines.append(
            "the snapshots are of two processes: what is new is not known, and chains are "
            "those of any objects"
        )
    if not growth.classes:
        return [*lines, "no constructor grew in number and in retained size"]
    lines += ["", _class_table(growth.classes), "", "Shortest path from a root:"]
    lines += [_held(one) for one in growth.classes[:_MOST_PATHS]]
    if growth.holders:
        lines += ["", "Where the new objects gather (nothing else keeps them):"]
        lines += [_holder(one) for one in growth.holders]
    return lines


def _class_table(classes: tuple[ClassGrowth, ...]) -> str:
    headers = ["Count", "Added", "Retained MiB", "Added", "Constructor"]
    rows = [
        [
            f"{one.count_after:,}",
            f"{one.count_growth:+,}",
            format_mib(one.retained_after),
            f"{one.retained_growth / MIB:+,.2f}",
            _short(one.name),
        ]
        for one in classes
    ]
    return aligned_table(headers, rows, ["right"] * 4 + ["left"])


def _held(one: ClassGrowth) -> str:
    if one.held_by is None:
        return one_line(f"  {_short(one.name)}: none; they are garbage, or weakly held")
    name, path, share = _short(one.name), one.held_by.path, one.held_by.share
    if share < _COMMON_SHARE:
        return one_line(f"  {name}: many; {share:.0%} of the new: {path}")
    of_all = f" ({share:.0%} of the new)" if share < 0.995 else ""
    return one_line(f"  {name}: {path}{of_all}")


def _holder(one: HolderGrowth) -> str:
    return one_line(
        f"  {format_size(one.added)} in {one.objects:,} objects: {one.path} "
        f"({_short(one.name)} @{one.id})"
    )


def _short(name: str) -> str:
    return name if len(name) <= _MOST_NAME else f"{name[: _MOST_NAME - 3]}..."
