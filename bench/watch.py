"""What watching another program costs, and how well it decides: ``python bench/watch.py``.

A day is simulated: a real process is sampled as often as in 24 hours, with a clock that jumps
from one sample to the next. The interval is kept against the real clock. The verdicts are those
on a server that leaks 10 KB a request and on one with a bounded cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from figures import Figure, Table, at_least, at_most
from run import load, machine

from pytest_memguard import watch
from pytest_memguard.recording.pace import Pace
from pytest_memguard.recording.watcher import Watcher

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.watched_programs import server, sleeper

MIB = 1 << 20
DAY = 86_400
SAMPLES = 20_000
"""Samples of the simulated day that are taken for real; the others cost the same."""
SERVER_SECONDS = 3.0
ROUNDS = 5


def main() -> int:
    """Measure, and print a table as soon as it is known."""
    print(machine())
    print(f"\n{a_day().text()}", flush=True)
    print(f"\n{intervals().text()}", flush=True)
    print(f"\n{verdicts().text()}", flush=True)
    print(f"\n{load()} at the end")
    return 0


class Jumps:
    """A clock that jumps."""

    def __init__(self) -> None:
        """Begin at some time."""
        self.time = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.time


def a_day() -> Table:
    """Share of a core and memory of a watch over 24 hours, with a sample a second."""
    figures = []
    for children in (0, 10):
        code = (
            "import subprocess, sys, time\n"
            "for _ in range(int(sys.argv[1])): subprocess.Popen(['/bin/sleep', '999'])\n"
            "print(flush=True); time.sleep(999)"
        )
        command = [sys.executable, "-S", "-c", code, str(children)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            _ready(process)
            share, memory, grown = _simulated(process.pid)
            subprocess.run(["/usr/bin/pkill", "-P", str(process.pid)], check=False)
            process.kill()
        name = f"{children} children"
        target = at_most(1) if not children else None
        figures += [
            Figure(name=f"{name}, % of a core", values=[share], target=target),
            Figure(name=f"{name}, resident MiB", values=[memory], target=at_most(60)),
            Figure(name=f"{name}, MiB grown after an hour", values=[grown], target=at_most(1)),
        ]
    return Table("24 hours at a sample a second", figures)


def _ready(process: subprocess.Popen[bytes]) -> None:
    if process.stdout is not None:
        process.stdout.readline()


def _simulated(pid: int) -> tuple[float, float, float]:
    clock = Jumps()
    watcher = Watcher(pid, now=clock)
    step = DAY / SAMPLES
    after_an_hour = 0.0
    start = time.process_time()
    for number in range(SAMPLES):
        clock.time += step
        watcher.sample()
        if number == SAMPLES // 24:
            after_an_hour = _resident()
    used = (time.process_time() - start) / SAMPLES  # of one a second
    memory = _resident()
    watcher.close()
    return 100 * used, memory, memory - after_an_hour


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def intervals() -> Table:
    """How well an interval of 100 ms is kept."""
    with sleeper() as process:
        watcher = Watcher(process.pid, interval=0.1)
        pace = Pace(0.1, time.monotonic)
        moments = []
        for _ in range(100):
            time.sleep(pace.wait_seconds())
            pace.step()
            watcher.sample()
            moments.append(time.monotonic())
        watcher.close()
    gaps = [1e3 * (b - a) for a, b in pairwise(moments)]
    within = 100 * sum(90 <= gap <= 110 for gap in gaps) / len(gaps)
    return Table(
        "An interval of 100 ms",
        [
            Figure(name="between two samples, ms", values=gaps, target=at_most(110)),
            Figure(name="% of them within 10 %", values=[within], target=at_least(90)),
        ],
    )


def verdicts() -> Table:
    """How often the verdict on a real server is right."""
    figures = []
    for name, bound, right in (
        ("leaks 10 KB a request", 0, {"growing"}),
        ("keeps the last 60", 60, {"flat", "plateau"}),
    ):
        found = list(_verdicts(bound))
        share = 100 * sum(state in right for state in found) / len(found)
        figures.append(Figure(name=f"{name}, % right", values=[share], target=at_least(100)))
    return Table(f"Servers under load for {SERVER_SECONDS:g} s", figures)


def _verdicts(bound: int) -> Iterator[str]:
    for _ in range(ROUNDS):
        with server(bound) as running, watch(running) as recording:
            running.load(SERVER_SECONDS)
        yield recording.growth.state


if __name__ == "__main__":
    sys.exit(main())
