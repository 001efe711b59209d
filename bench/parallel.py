"""Runs tests that do not fit into the memory all at once: ``python bench/parallel.py``.

The whole run has a limit: that of a control group, if one can be made, otherwise that of a
watcher, which kills the largest worker. The same tests run without ``--mem-parallel`` and with
it, and the time is compared with a schedule that always runs as many of them as fit. What each
test took counts there, so that other work on the machine slows both.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean

from pytest_memguard.probes.tree_linux import LinuxTree

AT_MOST = 1.3
"""Times the time of a perfect schedule."""
_SUITE = """
import time

import pytest


@pytest.mark.parametrize("number", range({tests}))
def test_large(number):
    start = time.monotonic()
    block = bytearray(b"x") * ({mib} << 20)
    time.sleep(max(0, {seconds} - (time.monotonic() - start)))
    with open(f"{{number}}.seconds", "w") as file:
        file.write(str(time.monotonic() - start))


def test_last():
    pass
"""
_GROUPS = Path("/sys/fs/cgroup")


def main() -> int:
    """Run the tests both ways, and return 1 if they do not pass, or take too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int, default=40)
    parser.add_argument("--mib", type=int, default=300)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--limit", type=int, default=1536, help="MiB for the whole run")
    parser.add_argument("--seconds", type=float, default=2.0, help="what a test takes")
    parser.add_argument("--watcher", action="store_true", help="make no control group")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memguard-bench-") as name:
        folder = Path(name)
        values = {"tests": options.tests, "mib": options.mib, "seconds": options.seconds}
        (folder / "test_it.py").write_text(_SUITE.format(**values), encoding="utf-8")
        workers = ["-n", str(options.workers), "--max-worker-restart=0"]
        limit = options.limit << 20
        with group(limit, wanted=not options.watcher) as place:
            print(f"limit: {options.limit} MiB, {place or 'kept by a watcher'}")
            empty = run(folder, [*workers, "-k", "last"], limit, place)
            print(f"no large test: {empty.said}, {empty.seconds:.1f} s")
            plain = run(folder, workers, limit, place)
            print(f"without --mem-parallel: {plain.said}, {plain.seconds:.1f} s")
            size = "" if place else f"={options.limit}"
            ours = run(folder, [*workers, f"--mem-parallel{size}"], limit, place)
            print(f"with --mem-parallel: {ours.said}, {ours.seconds:.1f} s")
            taken = mean(float(file.read_text("ascii")) for file in folder.glob("*.seconds"))
    print("\n".join(f"  {line}" for line in ours.lines))
    at_once = int((limit - ours.level) / (options.mib << 20))
    rounds = -(-options.tests // at_once)
    perfect = empty.seconds + rounds * taken
    ratio = ours.seconds / perfect
    print(
        f"perfect: {at_once} at once for {taken:.2f} s each, {perfect:.1f} s; "
        f"ratio {ratio:.2f}, target {AT_MOST}"
    )
    return 0 if plain.failed and not ours.failed and ratio <= AT_MOST else 1


class Ran:
    """One run of pytest.

    Args:
        output: what it printed.
        status: its exit code.
        seconds: how long it took.
    """

    def __init__(self, output: str, status: int, seconds: float) -> None:
        self.failed = status != 0
        self.seconds = seconds
        self.said = output.strip().splitlines()[-1].strip("= ") if output.strip() else "nothing"
        self.lines = [line for line in output.splitlines() if "parallel:" in line]
        held = re.search(r"beside ([\d.]+) MiB that", output)
        self.level = int(float(held[1]) * 2**20) if held else 0


def run(folder: Path, flags: Sequence[str], limit: int, group: Path | None) -> Ran:
    """Run pytest below the limit.

    Args:
        folder: with the tests.
        flags: the flags of pytest.
        limit: bytes.
        group: the control group that keeps it; ``None`` for a watcher.
    """
    plugins = ["-p", "xdist.plugin", "-p", "pytest_memguard.plugin.hooks"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugins, *flags]
    start = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TMPDIR": str(folder)},
        preexec_fn=None if group is None else lambda: enter(group),  # noqa: PLW1509
    ) as process:
        done = threading.Event()
        watcher = threading.Thread(target=watch, args=(process.pid, limit, done))
        if group is None:
            watcher.start()
        output, _ = process.communicate()
        done.set()
        if group is None:
            watcher.join()
    return Ran(output, process.returncode, time.monotonic() - start)


def enter(group: Path) -> None:
    """Make this process one of a control group."""
    (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")


@contextlib.contextmanager
def group(limit: int, *, wanted: bool) -> Iterator[Path | None]:
    """Make a control group with a limit, if that is possible.

    Args:
        limit: bytes.
        wanted: whether to try.
    """
    name = f"memguard-bench-{os.getpid()}"
    for folder, file in (
        (_GROUPS / name, "memory.max"),
        (_GROUPS / "memory" / name, "memory.limit_in_bytes"),
    ):
        if not wanted or not (folder.parent / "cgroup.procs").exists():
            continue
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / file).write_text(str(limit), encoding="ascii")
        except OSError:
            folder.rmdir()
            continue
        try:
            yield folder
        finally:
            folder.rmdir()
        return
    yield None


def watch(pid: int, limit: int, done: threading.Event) -> None:
    """Kill the largest worker whenever all processes of a run use more than the limit.

    Args:
        pid: number of the first process.
        limit: bytes.
        done: set when there is nothing more to watch.
    """
    tree = LinuxTree(pid)
    try:
        while not done.wait(0.02):
            if tree.sample(exact=False).least > limit and tree.sample(exact=True).least > limit:
                largest = max(tree.living, key=lambda process: process.resident)
                os.kill(largest.pid, signal.SIGKILL)
    except OSError:
        pass
    finally:
        tree.close()


if __name__ == "__main__":
    sys.exit(main())
