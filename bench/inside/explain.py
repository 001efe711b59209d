"""Explains a leak in a process with many objects, and notes what each part of that took."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_memguard.attribution import growth, retention
from pytest_memguard.model.leaks import Rate, Verdict
from pytest_memguard.recording import diagnosis

MILLION = 1_100_000
"""Objects up to which an explanation has to be complete, those of a bare process included."""
CALLS = 30
"""What a verdict rests on, about."""
LINES, TYPES, PATH, REST = "lines", "types", "path", "rest"
_PARTS: tuple[tuple[Any, str, str], ...] = (
    (diagnosis, "is_warm", LINES),
    (diagnosis.SurvivorTracker, "start", LINES),
    (diagnosis.SurvivorTracker, "stop", LINES),
    (diagnosis.SurvivorTracker, "read", LINES),
    (diagnosis, "leak_lines", LINES),
    (diagnosis.HeapGrowth, "__init__", TYPES),
    (diagnosis.HeapGrowth, "finish", TYPES),
    (retention.Search, "__init__", PATH),
    (retention.Search, "chains", PATH),
    (growth, "retention_path", PATH),
)
"""What belongs to which part; what is called by another part counts for its own alone."""
_CLEAR_PEAK = "5"
_LEAK = """
KEPT = []
class Request:
    def __init__(self):
        self.headers = ["x"]
def leak():
    KEPT.append(Request())
"""


class User:
    """An instance with a dict."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.tags = [str(number)]


class Point:
    """An instance with slots."""

    __slots__ = ("x", "y")

    def __init__(self, number: int) -> None:
        self.x = number
        self.y = [number]


class Split:
    """CPU time by part."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys((LINES, TYPES, PATH, REST), 0.0)
        self._part = REST
        self._since = time.process_time()

    @contextmanager
    def within(self, part: str) -> Iterator[None]:
        """Attribute time to a part from now on."""
        before = self._part
        self.turn_to(part)
        try:
            yield
        finally:
            self.turn_to(before)

    def turn_to(self, part: str) -> None:
        """Attribute the time so far to the present part, and go on with another."""
        now = time.process_time()
        self.seconds[self._part] += now - self._since
        self._part, self._since = part, now


def timed(split: Split, function: Callable[..., Any], part: str) -> Callable[..., Any]:
    """The function, its time attributed to a part."""

    def call(*args: object, **kwargs: object) -> object:
        with split.within(part):
            return function(*args, **kwargs)

    return call


def mixed(objects: int) -> list[Any]:
    """So many objects that the collector follows, in dicts and lists of a thousand."""
    kept: list[Any] = []
    while len(kept) * 1_000 < objects:
        rows: dict[str, Any] = {}
        for number in range(100):  # ten objects that are followed, and some that are not
            user, point = User(number), Point(number)
            rows[f"row {number}"] = {
                "user": user,
                "where": (point, [number]),
                "set": {number},
                "more": [{"text": str(number), "number": number}, {"user": user}],
            }
        kept.append(rows)
    return kept


def peak() -> int:
    """The highest resident memory since the mark was reset, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def explain(leak: Callable[[], None], objects: int) -> dict[str, float]:
    """Explain a leak once, on a heap of so many objects; return what it took."""
    split = Split()
    rate = Rate(signal="blocks", per_call=4.0, low=4.0, high=4.0)
    verdict = Verdict(state="leaking", calls=CALLS, rates=(rate,))
    kept = [(place, name, getattr(place, name), part) for place, name, part in _PARTS]
    for place, name, function, part in kept:
        setattr(place, name, timed(split, function, part))
    Path("/proc/self/clear_refs").write_text(_CLEAR_PEAK)
    before = peak()
    start = time.perf_counter()
    try:
        found, _ = diagnosis.diagnose(leak, verdict, gc.collect, fork=False)
    finally:
        for place, name, function, _ in kept:
            setattr(place, name, function)
    split.turn_to(REST)
    clock = time.perf_counter() - start
    if found.path is None or found.path.holder != "leaking_app.KEPT" or not found.lines:
        sys.exit(f"not found: {found}")
    if found.notes and objects <= MILLION:
        sys.exit(f"not complete: {found.notes}")
    more = {"clock": clock, "memory": float(peak() - before), "complete": not found.notes}
    return {**split.seconds, **more}


def main() -> None:
    """Build a heap, explain a leak twice, and print what it took as JSON."""
    gc.disable()
    heap = mixed(int(sys.argv[1]))
    gc.enable()
    gc.collect()
    module = sys.modules["leaking_app"] = ModuleType("leaking_app")
    exec(compile(_LEAK, "/somewhere/leaking_app.py", "exec"), module.__dict__)  # noqa: S102
    objects = len(gc.get_objects())
    for _ in range(CALLS):  # the check has made these, and frozen the heap
        module.leak()
    gc.freeze()
    found = [explain(module.leak, objects) for _ in range(2)]
    print(json.dumps({"objects": objects, "explanations": found, "kept": len(heap)}))


if __name__ == "__main__":
    main()
