"""Tables of a leak: how far signals moved, and the lines and types that grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pytest_memguard.model.leaks import BYTE_SIGNALS, LeakLine, Round, Signal, TypeGrowth
from pytest_memguard.report.table import plain_table
from pytest_memguard.sizes import KIB, format_number, format_size

_DIGITS: Final = 4
_CALLS_TO_ROUND: Final = 8
"""From so many calls on, one block more or less is no reason for a fraction."""


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
    if whole and calls >= _CALLS_TO_ROUND and abs(count - whole * calls) <= 1:
        return str(whole)
    return format_number(count / calls, _DIGITS)


def leak_line_table(lines: Sequence[LeakLine], calls: int) -> str:
    """Return the lines that leave something behind, with C functions and what is not memory."""
    rows = []
    for line in lines:
        place = f"{line.file}:{line.line}" if line.line else line.file
        rows.append(
            [line.function, place, _per_call(line.count, calls), f"{line.size / calls:,.0f}"]
        )
        # the compiler may have put a function into itself or into one of the same name
        rows += [[f"  {name} (C)", "", "", ""] for name in dict.fromkeys(line.native)]
        rows += [["  called from", line.caller, "", ""]] if line.caller else []
        rows += [[f"  +{_left(name, n / calls)}", "", "", ""] for name, n in line.left]
    return plain_table(["Function", "Line", "Blocks per call", "Bytes per call"], rows, left=2)


def _left(name: str, per_call: float) -> str:
    """Return what a line has left behind in words: "2 open files", "13.1 KiB USS"."""
    in_bytes = name in BYTE_SIGNALS
    amount = format_size(per_call) if in_bytes else format_number(per_call, _DIGITS)
    return f"{amount} {name}"


def type_table(types: Sequence[TypeGrowth], calls: int) -> str:
    """Return the types of which there are more objects."""
    rows = [
        [growth.type, _per_call(growth.count, calls), f"{growth.size / calls:,.0f}"]
        for growth in types
    ]
    return plain_table(["Type", "Objects per call", "Bytes per call"], rows)
