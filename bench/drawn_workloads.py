"""Draws workloads by chance for ``truth.py``, so that no person has picked them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

HEAD: Final = """
import collections
import io
import json
import mmap
import threading
import zlib
from array import array

MIB = 1 << 20


def in_list(count, make):
    rows = [None] * count
    for number in range(count):
        rows[number] = make(number)
    return rows


def in_appended_list(count, make):
    rows = []
    for number in range(count):
        rows.append(make(number))
    return rows


def in_dict(count, make):
    return {number: make(number) for number in range(count)}


def in_deque(count, make):
    return collections.deque(make(number) for number in range(count))


def in_tuples(count, make):
    return in_list(max(1, count // 8), lambda at: tuple(make(8 * at + n) for n in range(8)))


def in_objects(count, make):
    def wrapped(number):
        row = Row()
        row.value = make(number)
        return row

    return in_list(count, wrapped)


class Row:
    __slots__ = ("value",)


def in_thread(use):
    kept = []
    thread = threading.Thread(target=lambda: kept.append(use()))
    thread.start()
    thread.join()
    return kept


def scaled(use, sizes):
    return lambda size: use(sizes[size])
"""
_HOLDERS: Final = (
    "in_list",
    "in_appended_list",
    "in_dict",
    "in_deque",
    "in_tuples",
    "in_objects",
)


def _small(draw: random.Random) -> tuple[str, int]:
    """Return what makes a small element, and about how many bytes it takes in a holder."""
    length = int(2 ** draw.uniform(4, 12))
    few = draw.randint(1, 12)
    return draw.choice(
        [
            (f"lambda number: bytes({length})", length + 60),
            (f"lambda number: bytearray({length})", length + 90),
            (f"lambda number: f'{{number:0{length}}}'", length + 70),
            (f"lambda number: 1 << {8 * length} + number % 9", length + 60),
            ("float", 40),
            ("lambda number: number + 10**9", 40),
            ("lambda number: complex(number)", 48),
            (f"lambda number: [number] * {few}", 8 * few + 100),
            (f"lambda number: tuple(range({few}))", 8 * few + 70),
            (f"lambda number: dict.fromkeys(range({few}))", 64 * few + 250),
            (f"lambda number: set(range({few}))", 240),
        ]
    )


def _many(draw: random.Random, mib: str) -> str:
    """Return an expression that takes so many MiB in many small elements."""
    make, size = _small(draw)
    return f"{draw.choice(_HOLDERS)}(int({mib} * MIB) // {size}, {make})"


def _large(draw: random.Random, mib: str) -> str:
    """Return an expression that takes so many MiB in one block or a few."""
    size, count = f"int({mib} * MIB)", draw.randint(2, 9)
    return draw.choice(
        [
            f"bytearray({size})",
            f"b'x' * {size}",
            f"array('d', bytes({size} // 16 * 8))",
            f"[bytearray({size} // {count}) for _ in range({count})]",
            f"mmap.mmap(-1, {size}).write(bytes({size} // 2))",
            f"'\\u20ac' * ({size} // 2)",
            f"io.BytesIO(bytes({size}))",
            f"zlib.compress(bytes({size}))",
            f"json.dumps([0] * ({size} // 12))",
            f"b''.join([bytes({size} // {2 * count})] * {count})",
        ]
    )


def _body(draw: random.Random) -> str:
    """Return the body of a workload: what it uses, at once or one after the other."""
    part = draw.choice([0.2, 0.35, 0.5])
    first = draw.choice([_many, _many, _large])
    second = draw.choice([_many, _large])
    part, rest = f"{part} * size", f"{1 - part:.2f} * size"
    return draw.choice(
        [
            f"return {first(draw, 'size')}",
            f"return {first(draw, part)}, {second(draw, rest)}",
            f"{first(draw, part)}\n    return {second(draw, 'size')}",
            f"return in_thread(lambda: {first(draw, 'size')})",
            f"kept = {_many(draw, part)}\n    {second(draw, rest)}\n    return kept",
        ]
    )


def workloads(seed: int) -> Iterator[tuple[str, str]]:
    """Yield names and sources of functions that take about as many MiB as their argument says.

    Args:
        seed: other ones for each.
    """
    draw = random.Random(seed)  # noqa: S311  no secret
    number = 0
    while True:
        name = f"drawn{number}"
        yield name, f"\n\ndef {name}(size):\n    {_body(draw)}\n"
        number += 1
