"""Measures what explaining a leak costs on large heaps: ``python bench/leak_heap.py``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import TypedDict

INSIDE = Path(__file__).parent / "inside"
HEAPS = (0, 100_000, 1_000_000, 3_000_000)
PARTS = ("lines", "types", "path", "rest")
MILLION = 1_000_000
MOST = 1.0
"""CPU seconds that all parts together may take on a heap of a million objects."""


class Explanations(TypedDict):
    """What `inside/explain.py` prints."""

    objects: int
    """How many the collector follows."""
    explanations: list[dict[str, float]]
    """The first one of the process, and another: seconds by part and clock, bytes more."""


def child(objects: int) -> Explanations:
    """Explain a leak in a process of its own, with so many objects that stay."""
    done = subprocess.run(
        [sys.executable, str(INSIDE / "explain.py"), str(objects)],
        env=os.environ | {"PYTHONPATH": str(INSIDE.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    found: Explanations = json.loads(done.stdout)
    return found


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def show(found: list[Explanations], which: int) -> bool:
    """Print the figures of the first or second explanation of each process.

    Returns:
        Whether all together takes no longer than it may.
    """
    rounds = [one["explanations"][which] for one in found]
    wholes = [sum(took[part] for part in PARTS) for took in rounds]
    print(f"  {('first', 'next')[which]:5} {'CPU seconds':12} {spread(wholes)}")
    for part in PARTS:
        print(f"        {part:12} {spread([took[part] for took in rounds])}")
    if incomplete := sum(not took["complete"] for took in rounds):
        print(
            f"        not complete in {incomplete}: the time was over before all was measured"
        )
    print(f"        {'by the clock':12} {spread([took['clock'] for took in rounds])}")
    print(f"        {'MiB more':12} {spread([took['memory'] / 2**20 for took in rounds])}")
    return median(wholes) <= MOST


def main() -> int:
    """Print the figures of every heap.

    Returns:
        1 if a heap of a million objects or less takes longer than it may.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=5, help="processes for each heap (default: 5)"
    )
    parser.add_argument("--heaps", type=int, nargs="+", default=HEAPS, metavar="OBJECTS")
    options = parser.parse_args()
    quick = True
    for objects in options.heaps:
        found = [child(objects) for _ in range(options.rounds)]
        print(
            f"{found[0]['objects']:,} objects that the collector follows, {len(found)} rounds"
        )
        met = [show(found, which) for which in range(2)]
        quick = quick and (all(met) or objects > MILLION)
    return int(not quick)


if __name__ == "__main__":
    sys.exit(main())
