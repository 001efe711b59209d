"""The marker with the memory that a test needs: its argument, checked and read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pytest_memguard.checks.protocol import MarkedTest
from pytest_memguard.errors import ConfigError, quoted
from pytest_memguard.units import parse_size

MARKER: Final = "mem_needs"
SIGNATURE: Final = "mem_needs(size)"


class DeclaredNeeds:
    """Reads what tests declare; a marker that many tests have is read once."""

    def __init__(self) -> None:
        self._marks: dict[int, tuple[Any, int]] = {}

    def of(self, test: MarkedTest, problems: list[str]) -> int:
        """Return the bytes that a test declares; 0 if it declares nothing.

        Args:
            test: the test; its closest marker counts.
            problems: takes a line for everything that is wrong with that.
        """
        markers = test.marked(MARKER)
        if not markers:
            return 0
        marker = markers[0]
        known = self._marks.get(id(marker.mark))
        if known is not None and known[0] is marker.mark:
            return known[1]
        size = 0
        try:
            size = size_from_mark(marker.mark.args, marker.mark.kwargs)
        except ConfigError as error:
            problems += test.problem_lines(marker, error.problems)
        self._marks[id(marker.mark)] = (marker.mark, size)
        return size


def size_from_mark(args: tuple[object, ...], kwargs: Mapping[str, object]) -> int:
    """Return the bytes in a marker's arguments.

    Raises:
        ConfigError: if they make no sense.
    """
    values = [*args, *(value for name, value in kwargs.items() if name == "size")]
    if len(values) != 1 or len(args) + len(kwargs) != 1:
        msg = f"it takes one size: {SIGNATURE}"
        raise ConfigError(msg)
    size = parse_size(values[0])
    if not size:
        msg = f"{quoted(values[0])} is no need: write a size above 0, or leave the marker out"
        raise ConfigError(msg)
    return size
