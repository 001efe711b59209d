"""Tests of the memory that is left, by files as the kernel writes them."""

from __future__ import annotations

import sys

import pytest

from pytest_memguard.probes.available import available_memory
from pytest_memguard.sizes import KIB

MEMINFO = "MemTotal:  9000 kB\nMemFree:  100 kB\nMemAvailable:    5000 kB\nBuffers: 1 kB\n"
V2 = ("memory.max", "memory.current")
V1 = ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")


@pytest.mark.parametrize(
    ("meminfo", "names", "limit", "used", "available"),
    [
        pytest.param(MEMINFO, V2, None, None, 5000 * KIB, id="no-group"),
        pytest.param(MEMINFO, V2, "3000\n", "1000\n", 2000, id="group"),
        pytest.param(MEMINFO, V1, "3000\n", "1000\n", 2000, id="group-of-the-old-kind"),
        pytest.param(MEMINFO, V2, "max\n", "1000\n", 5000 * KIB, id="group-without-limit"),
        pytest.param(MEMINFO, V1, f"{2**63 - 4096}", "1", 5000 * KIB, id="very-high-limit"),
        pytest.param(MEMINFO, V2, "3000\n", None, 5000 * KIB, id="use-not-known"),
        pytest.param(MEMINFO, V2, "3000", "3001", 0, id="group-over-its-limit"),
        pytest.param("MemFree: 100 kB\n", V2, "3000", "1000", 2000, id="group-alone"),
    ],
)
def test_available(tmp_path, meminfo, names, limit, used, available) -> None:
    """Available memory is what the machine has left, or the container if that is less."""
    (tmp_path / "meminfo").write_text(meminfo, encoding="ascii")
    for name, text in zip(names, (limit, used), strict=True):
        if text is not None:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text, encoding="ascii")
    assert available == available_memory(tmp_path, tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere another way is asked")
def test_no_source_reports_it(tmp_path) -> None:
    """If the system does not report it, no memory counts as available."""
    assert available_memory(tmp_path, tmp_path) == 0
