"""Processes that the kernel really kills: the run has a control group with a limit."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_memguard.sizes import MIB

GROUPS = Path("/sys/fs/cgroup")
LIMIT = 250 * MIB
XDIST = ["xdist.plugin"]
SUITE = """
    import time

    def test_before():
        pass

    def test_eats():
        rows = []
        for _ in range(30):
            rows.append(bytearray(b"x") * (20 << 20))
            time.sleep(0.01)

    def test_after():
        pass
"""
CONFTEST = """
    import os

    def pytest_configure():
        with open({!r}, "w") as file:
            file.write(str(os.getpid()))
"""


@pytest.fixture
def group(pytester) -> Iterator[Path]:
    """A control group, of either version, that the run enters."""
    place = _make(f"memguard-test-{os.getpid()}")
    if place is None:
        pytest.skip("no control group with a limit on memory can be made here")
    pytester.makeconftest(CONFTEST.format(str(place / "cgroup.procs")))
    yield place
    for _ in range(100):  # the last process may have just ended
        with contextlib.suppress(OSError):
            place.rmdir()
            return
        time.sleep(0.05)


def _make(name: str) -> Path | None:
    for place, file in (
        (GROUPS / name, "memory.max"),
        (GROUPS / "memory" / name, "memory.limit_in_bytes"),
    ):
        if not (place.parent / "cgroup.procs").exists():
            continue
        with contextlib.suppress(OSError):
            place.mkdir()
            try:
                (place / file).write_text(str(LIMIT), encoding="ascii")
            except OSError:
                place.rmdir()
                continue
            return place
    return None


@pytest.mark.usefixtures("group")
def test_an_isolated_test(run) -> None:
    """Its process alone dies, and the cause is the kernel; the run goes on."""
    result = run(SUITE, "--mem-isolate")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["was killed by the kernel, out of memory (SIGKILL; 1 out-of-memory kill, cgroup v*"]
    )


@pytest.mark.usefixtures("group")
def test_a_worker(run) -> None:
    """A worker that dies is explained, and the test named that drove its memory."""
    result = run(SUITE, "-n1", plugins=XDIST)
    assert result.parseoutcomes() == {"passed": 2, "failed": 1}
    result.stdout.fnmatch_lines(
        [
            "gw0 was killed by the kernel, out of memory (SIGKILL; 1 out-of-memory kill, cgr*",
            "  memory * driven by test_it.py::test_eats, which was running",
        ]
    )
