"""Kills workers of pytest-xdist, and checks what is said: ``python bench/lost_workers.py``.

In each run one test drives the memory of a worker, for good or while it runs, and a watcher
kills the worker at a limit: at once, or when another test needs some memory of its own. Sizes,
places and the order of tests are drawn by chance. The report must name the test that drove it.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

_CONFTEST = """
import os, signal, time

def resident(pid):
    with open(f"/proc/{{pid}}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

def pytest_collection_finish(session):
    if not hasattr(session.config, "workerinput"):
        return
    worker = os.getpid()
    limit = resident(worker) + ({limit} << 20)
    if os.fork() == 0:
        os.closerange(0, 2000)
        try:
            while resident(worker) < limit:
                time.sleep(0.0005)
            os.kill(worker, signal.SIGKILL)
        finally:
            os._exit(0)
"""
_HEAD = """
KEPT = []

def block(mib):
    return bytearray(b"x") * (mib << 20)
"""
_DISTRIBUTIONS = ("load", "loadscope", "loadfile", "worksteal")


def main() -> int:
    """Run what was asked for, and return 1 if a report has named another test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    wrong = 0
    for number in range(options.runs):
        chance = random.Random(f"{options.seed}-{number}")  # noqa: S311  no secret
        with tempfile.TemporaryDirectory(prefix="memguard-bench-") as folder:
            what, right = _run(Path(folder), chance)
        wrong += not right
        print(f"{number + 1:3}  {'right' if right else 'WRONG'}  {what}", flush=True)
    print(f"{options.runs - wrong} of {options.runs} reports name the test that drove it")
    return 1 if wrong else 0


def _run(folder: Path, chance: random.Random) -> tuple[str, bool]:
    """Run a suite in which a worker is killed.

    Returns:
        What was run, and whether the report names the right test.
    """
    stays = chance.random() < 0.7
    limit, distribution = chance.randrange(100, 200), chance.choice(_DISTRIBUTIONS)
    bodies = {f"test_small_{n}": f"block({chance.randrange(1, 8)})" for n in range(20)}
    bodies |= {f"test_keeps_{n}": f"KEPT.append(block({n}))" for n in range(1, 4)}
    names = list(bodies)
    chance.shuffle(names)
    if stays:
        kept = int(limit * chance.uniform(0.7, 0.9))
        bodies["test_driver"] = f"KEPT.append(block({kept}))"
        bodies["test_victim"] = f"block({limit - kept + 5}); import time; time.sleep(5)"
        names.insert(chance.randrange(len(names)), "test_driver")
        names.append("test_victim")
    else:
        bodies["test_driver"] = f"rows = [block(2) for n in range({limit})]"
        names.insert(chance.randrange(len(names)), "test_driver")
    lines = [f"def {name}():\n    {bodies[name]}\n" for name in names]
    (folder / "test_it.py").write_text("\n".join([_HEAD, *lines]))
    (folder / "conftest.py").write_text(_CONFTEST.format(limit=limit))
    flags = ["-n1", f"--dist={distribution}", "--max-worker-restart=0", "-p", "no:randomly"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "pytest", *flags],
        cwd=folder,
        env=environment | {"PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    driven = re.search(r"^  memory +driven by test_it.py::(\w+)", done.stdout, re.MULTILINE)
    running = re.search(r"^  running +test_it.py::(\w+)", done.stdout, re.MULTILINE)
    words = f"{limit} MiB, --dist={distribution}, running {running and running[1]}"
    return words, driven is not None and driven[1] == "test_driver"


if __name__ == "__main__":
    sys.exit(main())
