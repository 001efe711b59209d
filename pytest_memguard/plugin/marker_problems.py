"""What is wrong with a marker, as lines that name the test and the place of the marker."""

from __future__ import annotations

from collections.abc import Iterable

import pytest


def problem_lines(
    item: pytest.Item, node: object, mark: pytest.Mark, problems: Iterable[str]
) -> list[str]:
    """A line for each problem of a marker.

    Args:
        item: a test the marker holds for.
        node: has the marker: the test itself, its class, its module.
        mark: the marker.
        problems: a sentence each.
    """
    file, line, _ = item.location
    place = f"{file}:{line + 1}" if line is not None else file
    owner = "" if node is item else f", marker on {getattr(node, 'name', node)}"
    return [f"{place}: {item.nodeid}{owner}: {mark.name}: {problem}" for problem in problems]
