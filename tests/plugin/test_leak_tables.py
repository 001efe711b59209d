"""Calls that add to hundreds of old containers: tables that move are no further blocks."""

from __future__ import annotations

import pytest

HANDLERS = """
    class Handler:
        def __init__(self):
            self.records = []

    HANDLERS = [Handler() for _ in range(300)]

    def add(record):
        for handler in HANDLERS:
            handler.records.append(record)

    def make():
        return {"a": object()}

    def test_it():
        HANDLERS.append(Handler())
        add(make())
"""
LISTS = """
    LISTS = [[] for _ in range(300)]

    def add(record):
        for one in LISTS:
            one.append(record)

    def test_it():
        add(object())
"""
TWICE = """
    LISTS = [[None] * 20 for _ in range(200)]

    def add(record):
        for one in LISTS:
            for _ in range(7):
                one.append(record)

    def test_it():
        add(object())
"""
NESTED = """
    from collections import defaultdict
    from itertools import count

    N = count(1000)
    TABLE = defaultdict(list, {k: [] for k in range(400)})

    def add(record):
        for k in range(400):
            TABLE[k].append(record)

    def test_it():
        TABLE[next(N)] = None
        add(object())
"""
SETS = """
    from itertools import count

    N = count(1000)
    SETS = [set(range(k)) for k in range(1, 600, 2)]

    def add(number):
        for one in SETS:
            one.add(number)

    def test_it():
        add(object())
"""
DICTS = """
    DICTS = [dict.fromkeys(range(k)) for k in range(1, 600, 2)]

    def add(key):
        for one in DICTS:
            one[key] = None

    def test_it():
        add(object())
"""
BUFFERS = """
    BUFFERS = [bytearray(100) for _ in range(300)]
    KEPT = []

    def add(text):
        for one in BUFFERS:
            one.extend(text)

    def test_it():
        add(b"0123456789")
        KEPT.append(object())
"""
QUEUES = """
    from collections import deque

    QUEUES = [deque(range(k)) for k in range(300)]

    def add(record):
        for one in QUEUES:
            one.append(record)

    def test_it():
        add(object())
"""


@pytest.mark.parametrize(
    ("source", "others", "blocks", "low", "high"),
    [
        # a new handler's list gets its table here, and old ones grow by an eighth
        pytest.param(
            HANDLERS, {"make": 3, "test_it": 2, "__init__": 1}, 1, 2000, 4500, id="handlers"
        ),
        pytest.param(LISTS, {"test_it": 1}, 0, 1800, 3200, id="lists"),
        pytest.param(TWICE, {"test_it": 1}, 0, 8_000, 14_000, id="lists-that-move-often"),
        pytest.param(NESTED, {"test_it": 2}, 0, 2400, 4300, id="lists-in-a-dict"),
        pytest.param(SETS, {"test_it": 1}, 0, 5_000, 60_000, id="sets"),
        pytest.param(DICTS, {"test_it": 1}, 0, 5_000, 60_000, id="dicts"),
        pytest.param(BUFFERS, {"test_it": 1}, 0, 2_000, 4_000, id="bytearrays"),
        pytest.param(
            QUEUES, {"test_it": 1}, 300 / 64, 2_000, 3_500, id="queues-have-further-blocks"
        ),
    ],
)
def test_tables_of_old_containers(leaks, source, others, blocks, low, high):
    """The line that adds to them has the bytes that were added, and its own blocks alone."""
    leak = leaks(source, calls=120)["test_it"]["leak"]
    found: dict[str, list[float]] = {}
    for part in (leak, *leak["more"]):
        diagnosis = part["blame"]
        for line in diagnosis["lines"]:
            sums = found.setdefault(line["function"], [0.0, 0.0])
            sums[0] += line["count"] / diagnosis["calls"]
            sums[1] += line["size"] / diagnosis["calls"]
    count, size = found.pop("add")
    assert count == pytest.approx(blocks, abs=0.1 + blocks / 4)
    assert low <= size <= high
    assert {name: count for name, (count, _) in found.items()} == pytest.approx(others, abs=0.1)
