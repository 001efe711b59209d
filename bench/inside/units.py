"""Prints how many bytes one unit of each workload takes, each kind measured in a child."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workloads import KINDS

UNITS = 30


def high_water_mark() -> int:
    """Bytes of resident memory at its highest."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    return int(found[1]) * 1024 if found else 0


def per_unit(make: Callable[[int], Any]) -> float:
    """Bytes by which the peak rises with each unit, once what it imports is loaded."""
    make(0)
    peaks = []
    for units in (UNITS, 2 * UNITS):
        kept = [make(i) for i in range(units)]
        peaks.append(high_water_mark())
        del kept
    return (peaks[1] - peaks[0]) / UNITS


def main() -> None:
    """Measure every kind in a process of its own."""
    found = {}
    for kind, make in KINDS.items():
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.write(writer, str(per_unit(make)).encode())
            os._exit(0)
        os.close(writer)
        found[kind] = float(os.read(reader, 100))
        os.close(reader)
        os.wait()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
