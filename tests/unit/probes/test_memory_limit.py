"""Tests of the limits that hold for this process, by files as the kernel writes them."""

from __future__ import annotations

import sys

import pytest

from pytest_memguard.probes.memory_limit import memory_limit, memory_limits, tightest_limit
from pytest_memguard.sizes import GIB, KIB, MIB

MEMINFO = "MemTotal:  9000 kB\nMemFree:  100 kB\nMemAvailable:    5000 kB\nBuffers: 1 kB\n"
MACHINE = (9000 * KIB, 5000 * KIB, "the machine")
V1 = "9:name=systemd:/\n4:memory:/a/b\n3:cpu,cpuacct:/x\n0::/\n"
V2 = "0::/a/b\n"


@pytest.mark.parametrize(
    ("membership", "files", "limits"),
    [
        pytest.param("", {}, [MACHINE], id="no-group"),
        pytest.param(
            V2,
            {"a/b/memory.max": "3000\n", "a/b/memory.current": "1000\n"},
            [(3000, 2000, "cgroup v2"), MACHINE],
            id="v2",
        ),
        pytest.param(
            "0::/../../a/b\n",
            {"memory.max": "3000\n", "memory.current": "1000\n"},
            [(3000, 2000, "cgroup v2"), MACHINE],
            id="v2-in-container",
        ),
        pytest.param(
            V2,
            {"a/b/memory.max": "max\n", "a/memory.max": "3000\n", "a/memory.current": "1\n"},
            [(3000, 2999, "cgroup v2"), MACHINE],
            id="v2-group-around",
        ),
        pytest.param(
            V2,
            {"a/b/memory.high": "3000", "a/b/memory.max": "4000", "a/b/memory.current": "500"},
            [(4000, 3500, "cgroup v2"), (3000, 2500, "cgroup v2"), MACHINE],
            id="v2-high",
        ),
        pytest.param(
            V2,
            {
                "a/b/memory.max": "3000",
                "a/b/memory.current": "2900",
                "a/b/memory.stat": "anon 400\ninactive_file 2000\n",
            },
            [(3000, 2100, "cgroup v2"), MACHINE],
            id="v2-files-in-cache",
        ),
        pytest.param(
            V1,
            {
                "memory/a/b/memory.limit_in_bytes": "3000\n",
                "memory/a/b/memory.usage_in_bytes": "2900\n",
                "memory/a/b/memory.stat": "inactive_file 1\ntotal_inactive_file 2000\n",
            },
            [(3000, 2100, "cgroup v1"), MACHINE],
            id="v1",
        ),
        pytest.param(
            "4:cpu,memory:/host/path\n",
            {"memory/memory.limit_in_bytes": "3000", "memory/memory.usage_in_bytes": "3001"},
            [(3000, 0, "cgroup v1"), MACHINE],
            id="v1-in-container-over-its-limit",
        ),
        pytest.param(
            V1,
            {"memory/a/b/memory.limit_in_bytes": f"{2**63 - 4096}"},
            [MACHINE],
            id="v1-without-limit",
        ),
        pytest.param(
            V2, {"unified/a/memory.max": "7"}, [(7, 7, "cgroup v2"), MACHINE], id="hybrid"
        ),
    ],
)
def test_limits(tmp_path, membership, files, limits) -> None:
    """Every group from the process's own to the root counts, and so does the machine."""
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text(membership, encoding="ascii")
    (tmp_path / "meminfo").write_text(MEMINFO, encoding="ascii")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="ascii")
    found = memory_limits(tmp_path, tmp_path)
    assert limits == [(one.size, one.available, one.source) for one in found]
    assert min(limits)[0] == memory_limit(tmp_path, tmp_path).size
    assert all(one.place.startswith(str(tmp_path)) for one in found)


def test_tightest_limit(tmp_path) -> None:
    """The group with the least left need not be the one with the smallest limit."""
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text(V2, encoding="ascii")
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 2 kB\n", "ascii")
    (tmp_path / "memory.max").write_text(f"{5 * MIB}", encoding="ascii")
    assert memory_limit(tmp_path, tmp_path).source == "cgroup v2"
    assert tightest_limit(tmp_path, tmp_path).source == "the machine"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere another way is asked")
def test_nothing_known(tmp_path) -> None:
    """If the system reports nothing, there is no limit."""
    assert memory_limit(tmp_path, tmp_path) is None
    assert tightest_limit(tmp_path, tmp_path) is None


def test_in_words(tmp_path) -> None:
    """A limit prints as its size and its owner."""
    (tmp_path / "meminfo").write_text(f"MemTotal: {GIB // KIB * 2} kB\n", encoding="ascii")
    assert str(memory_limit(tmp_path, tmp_path)) == "2.00 GiB (the machine)"


def test_this_machine() -> None:
    """The real files are understood."""
    limit = memory_limit()
    assert limit is not None
    assert limit.size > 64 * MIB
    assert 0 < limit.available <= limit.size
