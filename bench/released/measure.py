"""Calls a test function again and again without any check, and prints what each call keeps.

The number that a check should say: blocks by the interpreter's own count, bytes by the larger
of what tracemalloc has and what resident memory gained.
"""

from __future__ import annotations

import gc
import json
import runpy
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

WARMUP = 500
CALLS = 5000
_PAGE = 4096


def main() -> None:
    """Print blocks and bytes per call of the only test of a file."""
    names = runpy.run_path(sys.argv[1])
    (test,) = (value for name, value in names.items() if name.startswith("test_"))
    blocks, pages = per_call(test, sys.getallocatedblocks), per_call(test, resident)
    tracemalloc.start()
    traced = per_call(test, lambda: tracemalloc.get_traced_memory()[0])
    leaks = max(traced, pages) > _PAGE / 32
    print(json.dumps({"blocks": blocks, "traced": traced, "pages": pages, "leaks": leaks}))


def per_call(test: Callable[[], None], read: Callable[[], int]) -> float:
    """By how much a number grows with each call."""
    for _ in range(WARMUP):
        test()
    gc.collect()
    before = read()
    for _ in range(CALLS):
        test()
    gc.collect()
    return (read() - before) / CALLS


def resident() -> int:
    """Bytes of resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


if __name__ == "__main__":
    main()
