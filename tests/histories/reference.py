"""What a test uses alone in a fresh process, measured without the plugin."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.histories import operations
from tests.histories.failures import IntendedError
from tests.histories.model import Case, Truth
from tests.histories.payloads import MIB, PAYLOADS, held, placed

_ROOT = Path(__file__).parents[2]
_MADV_POPULATE_READ = 22
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_HEADER = 8192  # bytes by which a block may be larger than asked for
_CODE = re.compile(r" r-.* \S*/(python3[\d.]*|lib(python|c|m)[\d.-]*\.so[\d.]*)$")


def high_water() -> int:
    """The highest resident memory of this process, in bytes, since it was last reset."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.partition("VmHWM:")[2].split(maxsplit=1)[0]) * 1024


_THRESHOLDS = (0, 2, 4, 32)
"""MiB: sizes of blocks in histories, and the highest that glibc's threshold rises to."""
_FULL = ["collect", [2]]

NONE: Mapping[str, str] = {}
PINNED: Mapping[str, str] = {
    "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=131072:glibc.malloc.trim_threshold=131072"
    ":glibc.malloc.arena_max=1"
}
"""Variables with which glibc's thresholds stay as at the start of a process, in one arena.

Otherwise they rise when large blocks are freed, and threads' arenas keep what is freed: what a
test uses then depends on what tests before it have freed.
"""


def measure(
    fixture: list[Any] | None,
    steps: list[Any],
    *,
    tidy: bool = False,
    late: bool = False,
    threshold: int = 0,
) -> int:
    """How far a test's call raises resident memory, in bytes.

    Args:
        fixture: what memory is there before, if any.
        steps: the operations.
        tidy: whether garbage is collected and free memory returned after each of them, and no
            list is moved while it grows: the least that the test can take.
        late: whether garbage is old, so that only full collections free it.
        threshold: MiB from which the C library maps blocks, and twice as much of what is
            free it keeps; 0 for what it has at the start. It rises to the size of the
            largest block that has been freed.
    """
    libc = ctypes.CDLL(None)
    if threshold:
        libc.mallopt(_M_MMAP_THRESHOLD, threshold * MIB + _HEADER)
        libc.mallopt(_M_TRIM_THRESHOLD, 2 * threshold * MIB)
    if late:
        steps = [step for step in steps if step[0] != "collect" or step == _FULL]
    if tidy:
        PAYLOADS["grown"] = placed  # this is a process for one measurement
    alive = held(*fixture) if fixture is not None else None
    gc.disable()
    gc.collect()
    libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    start = high_water()
    with contextlib.suppress(IntendedError):
        for _ in operations.run(steps):
            if tidy:
                gc.collect()
                libc.malloc_trim(0)
    del alive
    return high_water() - start


def map_code() -> None:
    """Have the pages of interpreter and C library mapped, which a forked child does not have.

    Otherwise the first test to use a part of them would seem to use that memory.
    """
    advise = ctypes.CDLL(None).madvise
    for line in Path("/proc/self/maps").read_text(encoding="ascii").splitlines():
        if _CODE.search(line):
            start, end = (int(text, 16) for text in line.split(maxsplit=1)[0].split("-"))
            size = ctypes.c_size_t(end - start)
            advise(ctypes.c_void_p(start), size, _MADV_POPULATE_READ)


def _answer(order: str) -> str:
    """What a forked child writes."""
    try:
        map_code()
        return str(measure(**json.loads(order)))
    except BaseException:  # noqa: BLE001  a child must not go on as the server
        return json.dumps(traceback.format_exc())


def main() -> None:
    """Fork for each order that is read, and write what the child has measured."""
    sys.path.append(sys.argv[1])
    gc.collect()
    gc.freeze()
    for order in iter(sys.stdin.readline, ""):
        child = os.fork()
        if child == 0:
            sys.stdout.write(f"{_answer(order)}\n")
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)


class Reference:
    """Has tests measured, each alone in a fork of a small process that ran none.

    Args:
        tables: the folder with the modules that tests import.
        environment: variables beside those of this process.
    """

    def __init__(self, tables: str, environment: Mapping[str, str] = NONE) -> None:
        """Start the process that forks."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, tables],
            cwd=_ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._known: dict[Any, Truth] = {}
        self._pinned = bool(environment)

    def truth(self, case: Case) -> Truth:
        """What a test uses alone; measured once."""
        known = self._known.get(case.essence)
        if known is None:
            used = self._measure(case)
            known = self._known[case.essence] = Truth(used, used)
        return known

    def bounds(self, case: Case) -> Truth:
        """The same, with how far that depends on what else happens in the process."""
        used = self.truth(case).high
        least = min(self._measured(case, tidy=True))
        most = max(used, self._measure(case, late=True))
        singles = [replace(case, operations=(step,)) for step in case.operations]
        kept = sum(max(self._measured(single)) for single in singles) + _moved(case)
        return Truth(min(used, least), most, max(most, kept))

    def _measured(self, case: Case, **how: bool) -> list[int]:
        """What a test uses by all the thresholds that there may be."""
        thresholds = _THRESHOLDS[:1] if self._pinned else _THRESHOLDS
        return [self._measure(case, threshold=mib, **how) for mib in thresholds]

    def _measure(self, case: Case, **how: Any) -> int:
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        fixture = case.fixture
        order = {
            "fixture": [fixture.kind, fixture.size, fixture.holder] if fixture else None,
            "steps": [[step.name, step.arguments] for step in case.operations],
            **how,
        }
        into.write(f"{json.dumps(order)}\n")
        into.flush()
        answer = out.readline()
        if not answer:
            msg = f"the process that forks has ended: {self._process.wait()}"
            raise RuntimeError(msg)
        used = json.loads(answer)
        assert isinstance(used, int), used
        return used

    def stop(self) -> None:
        """End the process that forks."""
        self._process.communicate()


def _moved(case: Case) -> int:
    """Bytes that are there twice when the largest list that grows is moved.

    It is moved where the C heap has a gap that is not large enough for all of it.
    """
    grown = [step.arguments[1] for step in case.operations if "grown" in step.arguments]
    return max(grown, default=0) * MIB


if __name__ == "__main__":
    main()
