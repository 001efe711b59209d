"""Fifty workloads of many kinds; each is built of units, so that it can be made to grow."""

from __future__ import annotations

import json
import os
import random
import threading
from array import array
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

KIB = 1024
UNIT = 256 * KIB
"""About what one unit takes."""
PLANTED: dict[str, int] = json.loads(os.environ.get("MEMGUARD_BENCH_PLANTED", "{}"))
"""How many more units a workload uses than it did."""


@dataclass
class Row:
    """A record, as programs keep them."""

    number: int
    name: str
    tags: list[str] = field(default_factory=list)


class Node:
    """A tree's node with slots."""

    __slots__ = ("key", "left", "right")

    def __init__(self, key: int, left: Node | None, right: Node | None) -> None:
        self.key, self.left, self.right = key, left, right


def _tree(depth: int, key: int = 1) -> Node | None:
    if depth == 0:
        return None
    return Node(key, _tree(depth - 1, 2 * key), _tree(depth - 1, 2 * key + 1))


def _text(i: int, length: int) -> str:
    return "".join(random.Random(i).choices("abcdefgh \n", k=length))  # noqa: S311  no secret


def _json(i: int) -> Any:
    rows = [{"id": n, "name": f"row {n}", "values": [n, n / 3, None]} for n in range(450)]
    return json.loads(json.dumps([i, *rows]))


def _csv(i: int) -> Any:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([n, f"name {i} {n}", n * 1.5] for n in range(900))
    text.seek(0)
    return list(csv.reader(text))


def _sqlite(i: int) -> Any:
    import sqlite3

    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (id integer primary key, name text)")
    connection.executemany(
        "insert into t (name) values (?)", ((f"{i} {n} {'x' * 60}",) for n in range(3000))
    )
    return connection


def _zlib(i: int) -> Any:
    import zlib

    return zlib.decompress(zlib.compress(_text(i, 2000).encode() * 128, 1))


def _lzma(i: int) -> Any:
    import lzma

    return lzma.decompress(lzma.compress(bytes([i % 256]) * UNIT, preset=0))


def _numpy(dtype: str) -> Callable[[int], Any]:
    def unit(i: int) -> Any:
        import numpy as np

        made = np.arange(UNIT // np.dtype(dtype).itemsize)
        return (made + i).astype(dtype)

    return unit


def _numpy_sorted(i: int) -> Any:
    import numpy as np

    return np.sort(np.random.default_rng(i).random(UNIT // 8))


def _xml(i: int) -> Any:
    import xml.etree.ElementTree as ET

    rows = "".join(f'<row id="{n}" name="n{i}">{n * 7}</row>' for n in range(600))
    return ET.fromstring(f"<rows>{rows}</rows>")  # noqa: S314  our own text


def _email(i: int) -> Any:
    from email.message import EmailMessage

    found = []
    for n in range(20):
        message = EmailMessage()
        message["Subject"] = f"{i} {n}"
        message.set_content(_text(n, 3000))
        found.append(message)
    return found


def _decimals(i: int) -> Any:
    from decimal import Decimal

    return [Decimal(n) / (i + 3) for n in range(2300)]


def _fractions(i: int) -> Any:
    from fractions import Fraction

    return [Fraction(n, i + 3) for n in range(2200)]


def _dates(i: int) -> Any:
    from datetime import datetime, timedelta

    start = datetime(2020, 1, 1, tzinfo=UTC)
    return [start + timedelta(minutes=n + i) for n in range(4600)]


def _paths(i: int) -> Any:
    return [Path(f"/srv/data/{i}/{n}/file.txt") for n in range(1500)]


def _regex(i: int) -> Any:
    import re

    return [match.span() for match in re.finditer(r"\w+", _text(i, 16_000))]


def _threads(i: int) -> Any:
    found: list[Any] = [None] * 4

    def fill(index: int) -> None:
        found[index] = [bytes(1000) for _ in range(62)]

    threads = [threading.Thread(target=fill, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return i, found


def _futures(i: int) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda n: bytearray(b"z" * n), [UNIT // 8 + i] * 8))


def _asyncio(i: int) -> Any:
    import asyncio

    async def one(n: int) -> bytes:
        await asyncio.sleep(0)
        return bytes(4096 + n)

    async def every() -> list[bytes]:
        return await asyncio.gather(*(one(n + i) for n in range(62)))

    return asyncio.run(every())


def _generators(i: int) -> Any:
    def squares() -> Iterator[int]:
        for n in range(8000):
            yield n * n + i

    return list(squares())


def _default_dict(i: int) -> Any:
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for n in range(5200):
        groups[n % 97].append(n * n + i)
    return groups


def _ast(i: int) -> Any:
    import ast

    return ast.parse("\n".join(f"x{n} = {n} + {i} * y{n}" for n in range(220)))


def _mock(i: int) -> Any:
    from unittest.mock import Mock

    return [Mock(name=f"m{i}") for _ in range(11)]


def _difflib(i: int) -> Any:
    import difflib

    old = [f"line {n} {i}" for n in range(700)]
    new = [f"line {n + n % 7 // 6} {i}" for n in range(700)]
    return list(difflib.unified_diff(old, new)), [line * 20 for line in old]


def _pickle(i: int) -> Any:
    import pickle

    return pickle.loads(pickle.dumps([Row(n, f"{i} {n}") for n in range(1100)]))  # noqa: S301  our own


def _collatz(i: int) -> Any:
    seen: dict[int, int] = {}
    for n in range(1, 1700):
        value = n
        while value != 1 and value not in seen:
            seen[value] = value // 2 if value % 2 == 0 else 3 * value + 1
            value = seen[value]
    return i, seen


KINDS: dict[str, Callable[[int], Any]] = {
    "bytes": lambda i: b"x" * (UNIT + i),
    "bytearray": lambda i: bytearray(b"y" * (UNIT + i)),
    "small_bytes": lambda i: [bytes(100 + i % 7) for _ in range(1700)],
    "ints": lambda i: list(range(i << 20, (i << 20) + 6500)),
    "floats": lambda i: [n / 7 + i for n in range(8000)],
    "tuples": lambda i: [(n, n + i) for n in range(2600)],
    "lists": lambda i: [[n, i, None] for n in range(2000)],
    "dicts": lambda i: [{"n": n, "i": i} for n in range(950)],
    "ordered": lambda i: [OrderedDict(n=n, i=i) for n in range(500)],
    "sets": lambda i: [{n, i, "x"} for n in range(1000)],
    "strings": lambda i: [f"text {i} {n} {'-' * 40}" for n in range(2300)],
    "long_text": lambda i: _text(i, 2000) * 128,
    "array": lambda i: array("d", range(i, i + UNIT // 8)),
    "deque": lambda i: deque(range(i << 20, (i << 20) + 6500)),
    "dataclasses": lambda i: [Row(n, f"{i} {n}", [str(n)]) for n in range(700)],
    "tree": lambda _: _tree(12),
    "json": _json,
    "csv": _csv,
    "sqlite": _sqlite,
    "zlib": _zlib,
    "lzma": _lzma,
    "numpy_f8": _numpy("f8"),
    "numpy_i2": _numpy("i2"),
    "numpy_sorted": _numpy_sorted,
    "xml": _xml,
    "email": _email,
    "decimals": _decimals,
    "fractions": _fractions,
    "dates": _dates,
    "paths": _paths,
    "regex": _regex,
    "threads": _threads,
    "futures": _futures,
    "asyncio": _asyncio,
    "generators": _generators,
    "default_dict": _default_dict,
    "ast": _ast,
    "mock": _mock,
    "difflib": _difflib,
    "pickle": _pickle,
    "collatz": _collatz,
}
TWICE = ("bytes", "ints", "dicts", "strings", "json", "numpy_f8", "threads", "sqlite", "tuples")
"""Kinds that come again, much larger."""
CASES = [(kind, 10 + 7 * n % 40) for n, kind in enumerate(KINDS)]
CASES += [(kind, 60 + 15 * n) for n, kind in enumerate(TWICE)]


@pytest.mark.parametrize(("kind", "units"), CASES, ids=[f"{k}-{n}" for k, n in CASES])
def test_workload(kind: str, units: int) -> None:
    """Build the units, keep all of them for a moment, and let go."""
    units += PLANTED.get(f"{kind}-{units}", 0)
    kept = [KINDS[kind](i) for i in range(units)]
    assert len(kept) == units  # noqa: S101  it is a test
