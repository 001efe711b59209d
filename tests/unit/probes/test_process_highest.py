"""Tests of the highest resident memory of this process."""

from __future__ import annotations

import sys

import pytest

from pytest_memguard.probes.process_highest import ProcessHighest
from pytest_memguard.sizes import KIB, MIB

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux")


@LINUX
@pytest.mark.parametrize(
    ("bound", "mark", "expected"),
    [
        pytest.param(90, 80, 0, id="below"),
        pytest.param(300, 80, 0, id="inherited"),
        pytest.param(300, 120, 120, id="reached"),
        pytest.param(100, 100, 100, id="equal"),
    ],
)
def test_the_mark_decides(tmp_path, bound, mark, expected) -> None:
    """The peak of a larger process that started this one is not its own."""
    status = tmp_path / "status"
    status.write_text(f"Name:\tx\nVmHWM:\t {mark * 1024} kB\nVmRSS:\t 1 kB\n", encoding="ascii")
    highest = ProcessHighest(lambda: bound * MIB, status)
    assert expected * MIB == highest.reached(100 * MIB)


@LINUX
def test_without_a_mark(tmp_path) -> None:
    """Where the kernel keeps none, resident memory counts."""
    highest = ProcessHighest(lambda: 1 << 50, tmp_path / "none")
    assert highest.reached(MIB) > MIB
    assert highest.reached(1 << 49) == 0


def test_this_process() -> None:
    """Memory that was touched is in the peak, though it is gone."""
    highest = ProcessHighest()
    level = highest.reached(KIB) + 20 * MIB
    assert highest.reached(level) == 0
    assert len(bytearray(b"x") * (level - 20 * MIB + 64 * MIB)) > level
    assert highest.reached(level) >= level
