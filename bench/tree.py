"""What sampling a process tree costs, and what it sees: ``python bench/tree.py``.

The sampler's time is what the kernel counts for it. How much of a short peak is seen depends on
how busy the machine is: the load is printed before and after.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from figures import Figure, Table, at_least, at_most
from run import load, machine

from pytest_memguard.probes.tree_client import TreeClient

MIB = 1 << 20
SIZE = 300
"""MiB of a child."""
SECONDS = 0.1
"""How long it has them."""
ROUNDS = 20
WATCHED_SECONDS = 3.0


def main() -> int:
    """Measure, and print a table as soon as it is known."""
    print(machine())
    client = TreeClient()
    print(f"\n{costs(client).text()}", flush=True)
    print(f"\n{peaks(client).text()}", flush=True)
    client.close()
    print(f"\n{load()} at the end")
    return 0


def costs(client: TreeClient) -> Table:
    """Share of a core that the sampler takes, and its memory."""
    figures = []
    for count in (0, 1, 10):
        children = [subprocess.Popen(["/bin/sleep", "99"]) for _ in range(count)]
        client.mark("bench")
        shares = [_share(client.sampler) for _ in range(3)]
        figures.append(
            Figure(
                name=f"sampler with {count} idle children, % of a core",
                values=shares,
                target=at_most(2) if not count else None,
            )
        )
        for child in children:
            child.kill()
            child.wait()
    client.drop("bench")
    figures.append(
        Figure(name="sampler without a mark, % of a core", values=[_share(client.sampler)])
    )
    pages = int(Path(f"/proc/{client.sampler}/statm").read_text().split()[1])
    figures.append(Figure(name="its resident memory, MiB", values=[pages * 4096 / MIB]))
    marks = list(_asked(client, always=True))
    figures.append(Figure(name="begin and end of a phase with a tree budget, ms", values=marks))
    marks = list(_asked(client, always=False))
    figures.append(Figure(name="end of a test with --mem and a new process, ms", values=marks))
    return Table("What sampling costs", figures)


def _share(pid: int) -> float:
    before = _cpu_seconds(pid)
    time.sleep(WATCHED_SECONDS)
    return 100 * (_cpu_seconds(pid) - before) / WATCHED_SECONDS


def _cpu_seconds(pid: int) -> float:
    """What a process has used, to the nanosecond where the kernel reports it."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def _asked(client: TreeClient, *, always: bool) -> Iterator[float]:
    for _ in range(50):
        start = time.perf_counter()
        client.mark("bench", always=always)
        if always:
            client.read("bench")
        yield 1e3 * (time.perf_counter() - start)
    client.drop("bench")


def peaks(client: TreeClient) -> Table:
    """How much of a short peak of children is seen."""
    program = f"import time; block = bytearray({SIZE * MIB}); time.sleep({SECONDS})"
    pool = (
        "import multiprocessing as m, time\n"
        f"def use(size):\n    block = bytearray(size); time.sleep({SECONDS})\n"
        "if __name__ == '__main__':\n"
        "    with m.get_context('fork').Pool(2) as pool:\n"
        f"        pool.map(use, [{SIZE * MIB // 2}] * 2)\n"
    )
    figures = []
    for name, code in (("program", program), ("pool of two", pool)):
        seen, gaps = [], []
        for _ in range(ROUNDS):
            client.mark("bench")
            subprocess.run([sys.executable, "-S", "-c", code], check=True)
            since = client.read("bench")
            seen.append(since.below / MIB)
            gaps.append(1e3 * since.gap)
        what = f"{name} with {SIZE} MiB for {SECONDS * 1e3:.0f} ms"
        figures += [
            Figure(name=f"{what}: seen, MiB", values=seen, target=at_least(SIZE * 0.9)),
            Figure(name="  longest time between samples, ms", values=gaps),
        ]
    client.drop("bench")
    return Table("What samples see", figures)


if __name__ == "__main__":
    sys.exit(main())
