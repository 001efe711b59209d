"""Tables that fit a terminal: numbers first, the test last, and no column without content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pytest_memguard.escapes import one_line

WIDTH: Final = 80
_GAP: Final = "  "
_LEAST_NAME: Final = 24
_CUT: Final = "..."
_EMPTY: Final = frozenset({"-", "", "0.0", "+0.0", "-0.0"})


def shortened_name(text: str, room: int) -> str:
    """Return a name with its middle left out if it is too long.

    The end is kept longest: the names of tests begin alike.

    Args:
        text: the name.
        room: the number of characters that there is room for.
    """
    if len(text) <= room:
        return text
    begin = max(0, room - len(_CUT)) // 3
    end = max(0, room - len(_CUT) - begin)
    return f"{text[:begin]}{_CUT}{text[len(text) - end :]}"


def filled_columns(
    headers: Sequence[str], rows: Sequence[Sequence[str]], always: Sequence[str]
) -> list[int]:
    """Return the numbers of the columns that say something in any row.

    Args:
        headers: the headers of all columns.
        rows: the cells.
        always: headers of columns that are kept in any case.
    """
    return [
        number
        for number, header in enumerate(headers)
        if header in always or any(row[number] not in _EMPTY for row in rows)
    ]


def narrow_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], width: int = WIDTH
) -> list[str]:
    """Return the lines of a table whose last column is shortened to fit.

    Args:
        headers: the headers; the columns of numbers are aligned on the right.
        rows: the cells; the last one of each is a name.
        width: the number of characters in a line.
    """
    shown = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *shown, strict=True)][:-1]
    room = max(_LEAST_NAME, width - sum(widths) - len(_GAP) * len(widths))
    names = [shortened_name(row[-1], room) for row in shown]
    longest = max(len(headers[-1]), *map(len, names)) if names else len(headers[-1])
    lines = [
        _line(headers, widths, headers[-1]),
        _line(["-" * one for one in widths], widths, "-" * longest),
    ]
    return lines + [_line(row, widths, name) for row, name in zip(shown, names, strict=True)]


def _line(cells: Sequence[str], widths: Sequence[int], name: str) -> str:
    numbers = [cell.rjust(width) for cell, width in zip(cells, widths, strict=False)]
    return _GAP.join([*numbers, name])
