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
from enum import Enum
from pathlib import Path
from typing import Any

from tests.histories import operations
from tests.histories.model import Case, Truth

_ROOT = Path(__file__).parents[2]
_MADV_POPULATE_READ = 22
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_CODE = re.compile(r" r-.* \S*/(python3[\d.]*|lib(python|c|m)[\d.-]*\.so[\d.]*)$")


def high_water() -> int:
    """The highest resident memory of this process, in bytes, since it was last reset."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.partition("VmHWM:")[2].split(maxsplit=1)[0]) * 1024


class Mode(Enum):
    """What happens in a process besides the test."""

    PLAIN = "plain"
    """Nothing: no automatic collection, and the C library as it is at the start."""
    TIDY = "tidy"
    """After every operation garbage is collected, and free memory returned to the system."""
    RETAINING = "retaining"
    """The C library keeps as much as it ever does of what is freed.

    Its thresholds rise when large blocks are freed, up to these values.
    """


def measure(fixture: list[Any] | None, steps: list[Any], mode: str) -> int:
    """How far a test's call raises resident memory, in bytes.

    Args:
        fixture: what memory is there before, if any.
        steps: the operations.
        mode: the value of a `Mode`.
    """
    libc = ctypes.CDLL(None)
    if mode == Mode.RETAINING.value:
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * operations.MIB)
        libc.mallopt(_M_TRIM_THRESHOLD, 64 * operations.MIB)
    alive = operations.held(*fixture) if fixture is not None else None
    gc.disable()
    gc.collect()
    libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    start = high_water()
    with contextlib.suppress(operations.IntendedError):
        for _ in operations.run(steps):
            if mode == Mode.TIDY.value:
                gc.collect()
                libc.malloc_trim(0)
    del alive
    return high_water() - start


def map_code() -> None:
    """Have the pages of interpreter and C library mapped, which a forked child does not have.

    Otherwise whoever is the first to use a part of them would seem to use that memory.
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
    """

    def __init__(self, tables: str) -> None:
        """Start the process that forks."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, tables],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._known: dict[Any, Truth] = {}

    def truth(self, case: Case) -> Truth:
        """What a test uses alone; measured once."""
        known = self._known.get(case.essence)
        if known is None:
            high = self._measure(case, Mode.PLAIN)
            low = self._measure(case, Mode.TIDY) if len(case.operations) > 1 else high
            known = self._known[case.essence] = Truth(min(low, high), high)
        return known

    def retaining(self, case: Case) -> int:
        """Bytes a test uses alone where the C library keeps what it frees."""
        return self._measure(case, Mode.RETAINING)

    def _measure(self, case: Case, mode: Mode) -> int:
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        fixture = case.fixture
        order = {
            "fixture": [fixture.kind, fixture.size, fixture.holder] if fixture else None,
            "steps": [[step.name, step.arguments] for step in case.operations],
            "mode": mode.value,
        }
        into.write(f"{json.dumps(order)}\n")
        into.flush()
        answer = json.loads(out.readline())
        assert isinstance(answer, int), answer
        return answer

    def stop(self) -> None:
        """End the process that forks."""
        self._process.communicate()


if __name__ == "__main__":
    main()
