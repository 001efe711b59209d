"""Counts false alarms and missed regressions: ``python bench/regressions.py``.

Fifty workloads are saved once. Then they are compared without a change: in the same order, in
two processes, and in other orders. Then a growth of 15 %, and of 3 MiB at least, is planted
in ten of them at a time: as many units more as take that much, by a measurement in a process
of their own.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SUITE = HERE / "inside" / "workloads.py"
UNITS = HERE / "inside" / "units.py"
SHARE = 0.15
LEAST = 3 * 1024 * 1024
ROUNDS = 5
"""A growth is planted in every fifth workload at a time."""
ORDERS: dict[str, tuple[str, ...]] = {
    "the order they were saved in": (),
    "two processes": ("-p", "xdist.plugin", "-n", "2"),
    "another order each time": ("-p", "pytest_randomly", "-p", "no:asyncio"),
}


class Bench:
    """Runs the suite in a folder of its own.

    Args:
        folder: the suite and its baseline go here.
        flags: for every run that compares.
    """

    def __init__(self, folder: Path, flags: Sequence[str]) -> None:
        self.folder = folder
        self.flags = flags
        self.runs = 0
        shutil.copy(SUITE, folder / "test_workloads.py")
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

    def run(self, *flags: str, planted: dict[str, int] | None = None) -> dict[str, Any]:
        """Run the suite; every test by the end of its name."""
        self.runs += 1
        environment = {
            **os.environ,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "MEMGUARD_BENCH_PLANTED": json.dumps(planted or {}),
        }
        command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_memguard.plugin.hooks"]
        command += ["--mem-json=out.json", *flags]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in {0, 1}:
            raise SystemExit(done.stdout + done.stderr)
        tests = json.loads((self.folder / "out.json").read_text(encoding="utf-8"))["tests"]
        return {test["nodeid"].partition("[")[2].rstrip("]"): test for test in tests}

    def compare(self, *flags: str, planted: dict[str, int] | None = None) -> dict[str, str]:
        """The rule and the sentence for each test that is not as it was."""
        said = {}
        for name, test in self.run(
            "--mem-compare", *self.flags, *flags, planted=planted
        ).items():
            if test["result"] != "passed" and not test["findings"]:
                print(f"{name}: {test['result']}")
                sys.exit(2)
            for finding in test["findings"]:
                if "former" in finding["budget"]:
                    said[name] = f"{finding['rule']}: {finding['text']}"
        return said

    def stored(self) -> dict[str, int]:
        """Peaks in the baseline, in bytes."""
        text = (self.folder / ".memguard" / "baseline.json").read_text(encoding="utf-8")
        tests = next(
            environment["tests"]
            for environment in json.loads(text)["environments"]
            if environment["metric"] == "rss"
        )
        names = {nodeid.partition("[")[2].rstrip("]"): test for nodeid, test in tests.items()}
        return {name: test["peak_kib"] * 1024 for name, test in names.items()}


def unchanged(bench: Bench, times: int) -> int:
    """Compare without a change, and count what is called a regression."""
    false = undecided = 0
    kinds = list(ORDERS.items())
    for number in range(times):
        order, flags = kinds[0] if number < times // 2 else kinds[1 + number % 2]
        said = bench.compare(*flags)
        false += sum(text.startswith("regression") for text in said.values())
        undecided += sum(not text.startswith("regression") for text in said.values())
        print(f"  {number + 1:2} of {times}, {order}: {len(said)} not as they were", flush=True)
        for name, text in said.items():
            print(f"     {name}: {text}")
    print(f"without a change: {false} regressions and {undecided} undecided in {times} runs")
    return false


def grown(bench: Bench) -> tuple[int, int]:
    """Plant a growth in every workload once, and count where it was found."""
    peaks = bench.stored()
    names = list(peaks)
    bytes_per_unit = json.loads(
        subprocess.run([sys.executable, str(UNITS)], capture_output=True, check=True).stdout
    )
    found = false = 0
    for turn in range(ROUNDS):
        planted = {
            name: math.ceil(
                max(SHARE * peaks[name], LEAST) / bytes_per_unit[name.partition("-")[0]]
            )
            for name in names[turn::ROUNDS]
        }
        said = bench.compare(planted=planted)
        red = {name for name, text in said.items() if text.startswith("regression")}
        found += len(red & set(planted))
        false += len(red - set(planted))
        for name, units in planted.items():
            if name not in red:
                size = f"{peaks[name] / 2**20:.1f} MiB and {units} units more"
                print(f"  not found: {name} ({size}): {said.get(name, 'nothing')}")
        for name in red - set(planted):
            print(f"  not planted: {name}: {said[name]}")
    print(f"planted in {len(names)}: found in {found}, {false} regressions elsewhere")
    return len(names) - found, false


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; 0 if no false alarm was given and all but one growth was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="comparisons without a change")
    parser.add_argument("--confirm", type=int, default=0, help="passed on as --mem-confirm")
    options = parser.parse_args(arguments)
    flags = [f"--mem-confirm={options.confirm}"] if options.confirm else []
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="regressions-") as folder:
        bench = Bench(Path(folder), flags)
        bench.run("--mem-save", *flags)
        peaks = sorted(bench.stored().values())
        print(
            f"{len(peaks)} workloads saved, peaks of {peaks[0] / 2**20:.1f} to "
            f"{peaks[-1] / 2**20:.1f} MiB, median {peaks[len(peaks) // 2] / 2**20:.1f} MiB"
        )
        false = unchanged(bench, options.times)
        missed, elsewhere = grown(bench)
        print(f"{bench.runs} runs in {time.monotonic() - start:.0f} s")
    return 0 if not false and not elsewhere and missed <= 1 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
