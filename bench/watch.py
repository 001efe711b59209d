"""What watching another program costs, and how well it decides: ``python bench/watch.py``.

A day is simulated: a real process is sampled as often as in 24 hours, with a clock that jumps
from one sample to the next. The interval is kept against the real clock. The verdicts are those
on a server that leaks 10 KB a request and on one with a bounded cache, in Python and in Node.js
(if there is one). Two heap snapshots are compared.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
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

from tests.support.node_programs import NODE, SERVER
from tests.support.watched_programs import server, sleeper

MIB = 1 << 20
DAY = 86_400
SAMPLES = 20_000
"""Samples of the simulated day that are taken for real; the others cost the same."""
SERVER_SECONDS = 3.0
NODE_SECONDS = 4
HEAP_OBJECTS = 72_000
"""Sessions in a heap whose snapshots have 50 MB."""
ROUNDS = 5


def main() -> int:
    """Measure, and print a table as soon as it is known."""
    print(machine())
    print(f"\n{a_day().text()}", flush=True)
    print(f"\n{intervals().text()}", flush=True)
    print(f"\n{verdicts().text()}", flush=True)
    if NODE:
        print(f"\n{node_verdicts().text()}", flush=True)
        print(f"\n{heap_comparison().text()}", flush=True)
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


def node_verdicts() -> Table:
    """The same with Node.js, from the command line; it collects before each reading."""
    figures = []
    for name, bound, right in (
        ("leaks 10 KB a request", 0, {"growing"}),
        ("keeps the last 30", 30, {"flat", "plateau"}),
    ):
        found = [_node_verdict(bound) for _ in range(ROUNDS)]
        share = 100 * sum(state in right for state in found) / len(found)
        figures.append(Figure(name=f"{name}, % right", values=[share], target=at_least(100)))
    return Table(f"Servers in Node.js under load for {NODE_SECONDS} s", figures)


def _node_verdict(bound: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "server.js").write_text(SERVER, encoding="utf-8")
        watching = [sys.executable, "-m", "pytest_memguard", "watch", "--node", "--json"]
        program = [NODE, "--expose-gc", "server.js", str(bound), str(NODE_SECONDS)]
        done = subprocess.run(
            [*watching, "--interval", "0.05", "--", *program],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        state: str = json.loads(done.stdout)["verdict"]["state"]
        return state


def heap_comparison() -> Table:
    """Processor time and memory of a comparison of two heap snapshots of 50 MB."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "heap.js").write_text(_HEAP, encoding="utf-8")
        subprocess.run([NODE, "heap.js", str(HEAP_OBJECTS)], cwd=folder, check=True)
        files = [str(Path(folder, name)) for name in ("a.heapsnapshot", "b.heapsnapshot")]
        size = Path(files[0]).stat().st_size / 1e6
        comparing = [sys.executable, "-m", "pytest_memguard", "heapdiff", *files]
        with subprocess.Popen(comparing, stdout=subprocess.DEVNULL) as process:
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
    used = usage.ru_utime + usage.ru_stime
    return Table(
        "memguard heapdiff",
        [
            Figure(name="size of the first snapshot, MB", values=[size]),
            Figure(name="processor time, s", values=[used], target=at_most(30)),
            Figure(name="highest resident MiB", values=[usage.ru_maxrss / 1024]),
        ],
    )


_HEAP = """
const v8 = require("v8");
const kept = new Map();
class Session {
  constructor(n) {
    this.id = n;
    this.user = { name: "user" + n, tags: ["a" + n, "b" + n] };
    this.when = new Date(n);
  }
}
const count = Number(process.argv[2]);
for (let n = 0; n < count; n++) kept.set("key" + n, new Session(n));
v8.writeHeapSnapshot("a.heapsnapshot");
for (let n = count; n < count * 1.2; n++) kept.set("key" + n, new Session(n));
v8.writeHeapSnapshot("b.heapsnapshot");
console.error(kept.size);
"""


if __name__ == "__main__":
    sys.exit(main())
