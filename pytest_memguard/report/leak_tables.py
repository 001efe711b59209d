"""Tables of a leak: how far signals moved, and the lines and types that grow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pytest_memguard.escapes import one_line
from pytest_memguard.model.leaks import BYTE_SIGNALS, LeakLine, Round, Signal, TypeGrowth
from pytest_memguard.report.columns import WIDTH, shortened_name
from pytest_memguard.report.table import plain_table
from pytest_memguard.sizes import KIB, format_number, format_size

_DIGITS: Final = 3
_CLONE: Final = re.compile(r"( const)?( \[clone [^\]]*\])*$")
"""What follows the parameters of a C++ function."""
_PADDING: Final = "  "
"""What a column has beside its header."""
_CALLS_TO_ROUND: Final = 8
"""From so many calls on, one block more or less is no reason for a fraction."""
_MISSING: Final = 0.01
"""Nor is this share of the blocks, which may be in memory that was in use before."""


def rounds_table(rounds: Sequence[Round], first: int, signals: Sequence[Signal]) -> str:
    """Return how far signals moved in each round.

    Args:
        rounds: rounds of one leak check.
        first: number of the first of them.
        signals: the signals to show; bytes are shown in KiB.
    """
    headers = [f"{s} KiB" if s in BYTE_SIGNALS else s.capitalize() for s in signals]
    rows = []
    for number, a_round in enumerate(rounds, first):
        moved = [a_round.of(signal) for signal in signals]
        rows.append(
            [str(number), str(a_round.calls)]
            + [_moved(signal, value) for signal, value in zip(signals, moved, strict=True)]
        )
    return plain_table(["Round", "Calls", *headers], rows, left=0)


def _moved(signal: Signal, value: int | None) -> str:
    if value is None:
        return "-"
    return f"{value / KIB:+.1f}" if signal in BYTE_SIGNALS else f"{value:+d}"


def _per_call(count: int, calls: int) -> str:
    """Return a number of blocks or objects per call.

    A list that moves while these calls are made is one block more for its line. So is a whole
    number shown where one block more or less over all calls would make the difference.
    """
    whole = round(count / calls)
    off = abs(count - whole * calls)
    if whole and calls >= _CALLS_TO_ROUND and off <= max(1, _MISSING * count):
        return f"{whole:,}"
    return format_number(count / calls, _DIGITS)


def leak_line_table(lines: Sequence[LeakLine], calls: int) -> str:
    """Return the lines that leave something behind, with C functions and what is not memory."""
    headers = ["Function", "Line", "Blocks per call", "Bytes per call"]
    rows = []
    below: list[list[str]] = []
    for line in lines:
        place = f"{line.file}:{line.line}" if line.line else line.file
        rows.append(
            [line.function, place, _per_call(line.count, calls), f"{line.size / calls:,.0f}"]
        )
        # the compiler may have put a function into itself or into one of the same name
        below.append([f"{_c_name(name)} (C)" for name in dict.fromkeys(line.native)])
        below[-1] += [f"through {line.through}"] if line.through else []
        below[-1] += [f"called from {line.caller}"] if line.caller else []
        below[-1] += [f"+{_left(name, n / calls)}" for name, n in line.left]
    head, ruler, *shown = plain_table(headers, _narrowed(headers, rows), left=2).splitlines()
    found = [head, ruler]
    for text, more in zip(shown, below, strict=True):
        found.append(text)
        found += [f"  {shortened_name(one_line(one), WIDTH - 2)}" for one in more]
    return "\n".join(found)


def _c_name(name: str) -> str:
    """Return the name of a C function; that of C++ without its parameters if it is long."""
    room = WIDTH - len("   (C)")
    if len(name) <= room:
        return name
    whole = _CLONE.sub("", name)
    end, depth = len(whole), 0
    while end and (depth or end == len(whole)):
        end -= 1
        depth += {")": 1, "(": -1}.get(whole[end], 0)
    return shortened_name(whole[:end] if whole.endswith(")") and end else whole, room)


def _narrowed(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the rows with their two names shortened, if the table would be too wide."""
    columns = zip((f"{header}{_PADDING}" for header in headers), *rows, strict=True)
    function, place, *numbers = (max(map(len, column)) for column in columns)
    room = WIDTH - sum(numbers) - 2 * (len(headers) - 1)
    function = max(min(function, room // 2), room - place)
    return [
        [shortened_name(row[0], function), shortened_name(row[1], room - function), *row[2:]]
        for row in rows
    ]


def _left(name: str, per_call: float) -> str:
    """Return what a line has left behind in words: "2 open files", "13.1 KiB USS"."""
    in_bytes = name in BYTE_SIGNALS
    amount = format_size(per_call) if in_bytes else format_number(per_call, _DIGITS)
    return f"{amount} {name}"


def type_table(types: Sequence[TypeGrowth], calls: int) -> str:
    """Return the types of which there are more objects."""
    headers = ["Type", "Objects per call", "Bytes per call"]
    room = WIDTH - sum(len(f"{header}{_PADDING}") + 2 for header in headers[1:])
    rows = [
        [
            shortened_name(growth.type, room),
            _per_call(growth.count, calls),
            f"{growth.size / calls:,.0f}",
        ]
        for growth in types
    ]
    return plain_table(headers, rows)
