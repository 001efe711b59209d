"""Holds budgets close to known peaks against what tests use: ``python bench/truth.py``.

Ten kinds of memory, in three sizes each, are used by tests with a budget 10 % above their peak
and one 10 % below. They run after neighbours that leave memory free in every allocator, and
after 500 other tests, in an order of their own. What each kind uses is measured before, in a
process that does nothing else. A test that passes with more than its budget is a false pass,
one that fails with less a false failure; the rest is right or undecided.

With ``--drawn SEED`` the ten kinds are drawn by chance, from lists, dicts, threads, large and
small blocks. What two processes do not measure alike is drawn anew: its peak is not known.

Exits with 1 if there is a false pass, a false failure, or more than 5 % undecided.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from drawn_workloads import HEAD, workloads

MIB: Final = 1 << 20
SIZES: Final = (5, 50, 300)
KINDS: Final = (
    "block",
    "blocks",
    "chunks",
    "lists",
    "strings",
    "floats",
    "mapped",
    "numbers",
    "joined",
    "threaded",
)
ABOVE, BELOW = 1.1, 0.9
MOST_APART: Final = 0.03
"""Share of its size by which a peak may differ between two processes, to be called known."""
MOST_UNDECIDED: Final = 0.05
WORKLOADS: Final = """
import mmap
import threading
from array import array

MIB = 1 << 20


def block(size):
    return bytearray(size * MIB)


def filled(count, make):
    rows = [None] * count  # a list that grows is moved, or not
    for number in range(count):
        rows[number] = make(number)
    return rows


def blocks(size):
    return filled(size * MIB // 712, lambda _: bytes(667))


def chunks(size):
    return filled(size * MIB // 100_000, lambda _: bytearray(100_000))


def lists(size):
    return filled(size * MIB // 128, lambda number: [number])


def strings(size):
    return filled(size * MIB // 120, lambda number: f"{number:060}")


def floats(size):
    return filled(size * MIB // 32, float)


def mapped(size):
    memory = mmap.mmap(-1, size * MIB)
    for at in range(0, size * MIB, mmap.PAGESIZE):
        memory[at] = 1
    return memory


def numbers(size):
    return array("d", bytes(size * MIB))


def joined(size):
    return b"".join([b"x" * MIB] * size)


def threaded(size):
    thread = threading.Thread(target=block, args=(size,))
    thread.start()
    thread.join()


"""
_RESULT: Final = re.compile(
    r"^(PASSED|FAILED) \S+::test_(\w+_(?:fits|exceeds))\b", re.MULTILINE
)
_UNDECIDED: Final = re.compile(r"^\S+::test_(\w+): .*\(undecided\)$", re.MULTILINE)
_REPORTED: Final = ("measured again", "memray ran")
_NEIGHBOURS: Final = """
import random

import pytest
from neighbours import blocks, chunks, lists, strings, threaded
from workloads import *

PINNED = []


def test_neighbour_lists():
    PINNED.append(lists(40)[::50])


def test_neighbour_blocks():
    PINNED.append(blocks(40)[::50])


def test_neighbour_strings():
    PINNED.append(strings(20)[::40])


def test_neighbour_chunks():
    PINNED.append(chunks(60)[::7])


def test_neighbour_thread():
    threaded(31)


@pytest.mark.parametrize("number", range(500))
def test_other(number):
    rows = lists(1 + number % 2)
    PINNED.append(rows[:: 1000 + number])
"""
_CHECKED: Final = """

@pytest.mark.mem_budget({limit})
def test_{kind}_{size}_{side}():
    assert {kind}({size}) is not ...
"""


def _level(field: str) -> int:
    """Read a field of the process's status, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    msg = f"the kernel reports no {field}"
    raise LookupError(msg)


def _used(use: Callable[[float], object], size: float, *, fill: bool) -> int:
    """Return the peak of what a function uses here, in bytes."""
    use(1)  # what a first call loads stays
    lengths = range(1, 480, 16) if fill else ()
    filler = [bytes(length) for length in lengths for _ in range(3000)]
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _level("VmRSS")
    kept = use(size)
    peak = _level("VmHWM") - before
    del kept, filler
    return peak


def _alone(use: Callable[[float], object], size: float, *, fill: bool = True) -> int:
    """Return the peak of what a function uses in a child that does nothing else, in bytes."""
    reader, writer = os.pipe()
    if not os.fork():
        try:
            os.write(writer, str(_used(use, size, fill=fill)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        peak = int(answer.read())
    os.wait()
    return peak


Peaks = dict[tuple[str, int], int]


def known_peaks() -> Peaks:
    """Return what each workload uses where nothing else has run, in bytes."""
    names: dict[str, Callable[[float], object]] = {}
    exec(WORKLOADS, names)  # noqa: S102  the text above
    return {(kind, size): _alone(names[kind], size) for kind in KINDS for size in SIZES}


def drawn_peaks(seed: int) -> tuple[str, Peaks]:
    """Return workloads that were drawn by chance, scaled to their sizes, and what they use."""
    text, peaks = HEAD, Peaks()
    for kind, source in workloads(seed):
        names: dict[str, Callable[[float], object]] = {}
        exec(HEAD + source, names)  # noqa: S102  the text of bench/drawn_workloads.py
        sizes, found = {}, Peaks()
        for size in SIZES:
            sizes[size] = size * size * MIB / max(1, _alone(names[kind], size))
            peak = _known(names[kind], sizes[size])
            if abs(peak - size * MIB) > MOST_APART * size * MIB:
                break
            found[kind, size] = peak
        else:
            text += f"{source}\n\n{kind} = scaled({kind}, {sizes})\n"
            peaks |= found
        if len(peaks) == len(KINDS) * len(SIZES):
            return text, peaks
    raise AssertionError


def _known(use: Callable[[float], object], size: float) -> int:
    """Return the peak of a workload if it is known: the same in processes of two kinds."""
    one, other = _alone(use, size), _alone(use, size, fill=False)
    return max(one, other) if abs(one - other) < MOST_APART * size * MIB else 0


def write_suite(folder: Path, text: str, peaks: Peaks, seed: int) -> None:
    """Write the neighbours and the tests with budgets, in an order of their own."""
    checked = [
        _CHECKED.format(limit=f"'{int(peak * share)} B'", kind=kind, size=size, side=side)
        for (kind, size), peak in peaks.items()
        for side, share in (("fits", ABOVE), ("exceeds", BELOW))
    ]
    random.Random(seed).shuffle(checked)  # noqa: S311  no secret
    (folder / "workloads.py").write_text(text, encoding="utf-8")
    (folder / "neighbours.py").write_text(WORKLOADS, encoding="utf-8")
    (folder / "test_truth.py").write_text(_NEIGHBOURS + "".join(checked), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")


def verdicts(folder: Path, flags: list[str]) -> dict[str, str]:
    """Run the suite; return the verdict on each test with a budget."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-rA"]
    command += ["-p", "no:cacheprovider", "-p", "no:randomly", *flags]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    undecided = set(
        re.findall(r"^\S+::test_(\w+): .*\(undecided\)$", done.stdout, re.MULTILINE)
    )
    found = {}
    for result, name in _RESULT.findall(done.stdout):
        found[name] = "undecided" if name in undecided else result.lower()
    if len(found) != 2 * len(KINDS) * len(SIZES):
        raise SystemExit(done.stdout + done.stderr)
    print(*(line for line in done.stdout.splitlines() if line.startswith(_REPORTED)), sep="\n")
    return found


def count(found: dict[str, str]) -> Counter[str]:
    """Count what is right, undecided, falsely passed and falsely failed; print what is not."""
    counts: Counter[str] = Counter()
    for name, verdict in sorted(found.items()):
        right = "passed" if name.endswith("_fits") else "failed"
        kind = "right" if verdict == right else verdict
        kind = kind if kind in {"right", "undecided"} else f"false {kind}"
        counts[kind] += 1
        if kind != "right":
            print(f"  {kind}: {name}")
    return counts


def main() -> int:
    """Run the suite as often as asked for, each time in another order."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="orders to try")
    parser.add_argument("flags", nargs="*", help="more flags for pytest, behind --")
    parser.add_argument("--drawn", type=int, metavar="SEED", help="workloads drawn by chance")
    options = parser.parse_args()
    text, peaks = WORKLOADS, Peaks()
    if options.drawn is None:
        peaks = known_peaks()
    else:
        text, peaks = drawn_peaks(options.drawn)
        print(text.removeprefix(HEAD))
    total: Counter[str] = Counter()
    for seed in range(options.runs):
        with tempfile.TemporaryDirectory() as folder:
            write_suite(Path(folder), text, peaks, seed)
            total += count(verdicts(Path(folder), options.flags))
    tests = sum(total.values())
    words = ", ".join(f"{number} {kind}" for kind, number in total.most_common())
    print(f"{tests} budgets 10 % above and below known peaks: {words}")
    is_wrong = total["false passed"] + total["false failed"] > 0
    return int(is_wrong or total["undecided"] > MOST_UNDECIDED * tests)


if __name__ == "__main__":
    raise SystemExit(main())
