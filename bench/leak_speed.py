"""Measures what the leak check costs: ``python bench/leak_speed.py``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TypedDict

TESTS = 500
INSIDE = Path(__file__).parent / "inside"


class Costs(TypedDict):
    """What `inside/protocol.py` writes down."""

    protocol: float
    """Microseconds of a test's own protocol."""
    repetition: float
    """Of one repetition."""
    check: float
    """Of a whole clean check, divided by its calls."""


def run(folder: Path, *flags: str) -> tuple[float, float]:
    """Run pytest once.

    Returns:
        CPU seconds of the child, and seconds by the clock.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-pno:cacheprovider", *flags]
    environment = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join([str(INSIDE), str(INSIDE.parents[1])]),
    }
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, check=False
    )
    took, after = time.perf_counter() - start, os.times()
    if done.returncode:
        raise SystemExit(done.stdout.decode() + done.stderr.decode())
    user = after.children_user - before.children_user
    return user + after.children_system - before.children_system, took


def suite(rounds: int) -> None:
    """Print what a suite of trivial tests takes, plain and checked."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        body = "".join(f"def test_{number}():\n    pass\n\n" for number in range(TESTS))
        (folder / "test_trivial.py").write_text(body)
        plain, checked = [], []
        guard = ("-p", "pytest_memguard.plugin.hooks", "--mem-leak-check")
        run(folder)
        for _ in range(rounds):  # in turns, so that a slow moment is one for both
            plain.append(run(folder))
            checked.append(run(folder, *guard))
    print(f"{TESTS} trivial tests, {rounds} rounds (CPU seconds; by the clock)")
    for what, times in (("plain", plain), ("checked", checked)):
        cpu, clock = (sorted(column) for column in zip(*times, strict=True))
        print(
            f"  {what:8} {median(cpu):.2f} ({cpu[0]:.2f} to {cpu[-1]:.2f}); "
            f"{median(clock):.2f} ({clock[0]:.2f} to {clock[-1]:.2f})"
        )
    ratios = sorted(c[0] / p[0] for p, c in zip(plain, checked, strict=True))
    print(f"  checked over plain, CPU: {ratios[0]:.1f} to {ratios[-1]:.1f} times (most: 12)")


def call(rounds: int) -> None:
    """Print what one call of a check takes beyond the test's own protocol."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_trivial.py").write_text("def test_it():\n    pass\n")
        found: list[Costs] = []
        for _ in range(rounds):
            run(folder, "-p", "protocol", "--protocol-costs", str(folder / "costs.json"))
            found.append(json.loads((folder / "costs.json").read_text()))
    print(f"One call, medians of {rounds} runs in microseconds of CPU time")
    print(f"  the test's own protocol           {median(c['protocol'] for c in found):.0f}")
    for name, words in (("repetition", "a repetition"), ("check", "a call of a clean check")):
        more = sorted(c[name] - c["protocol"] for c in found)  # type: ignore[literal-required]
        print(
            f"  {words:23} more      {median(more):.0f} ({more[0]:.0f} to {more[-1]:.0f}; "
            "at most 150)"
        )


PARTS = {"suite": suite, "call": call}


def main() -> None:
    """Print the figures asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, help="one of them (default: both)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    options = parser.parse_args()
    for name, part in PARTS.items():
        if options.only in {None, name}:
            part(options.rounds)


if __name__ == "__main__":
    main()
