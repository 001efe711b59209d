"""Free memory, of the machine and of control groups of both versions."""

from __future__ import annotations

import pytest

from pytest_memguard.probes.free_memory import free_memory
from pytest_memguard.sizes import MIB


@pytest.fixture
def system(tmp_path):
    """Writes files of a system, and returns what is free on it."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="ascii")
        return free_memory(tmp_path / "proc", tmp_path / "groups")

    return write


def test_the_machine(system) -> None:
    """Without control groups it is what the machine has."""
    found = system()
    assert found.source == "the machine"
    assert found.size > MIB


@pytest.mark.parametrize(
    ("most", "source"),
    [
        pytest.param(str(100 * MIB), "the control group", id="limited"),
        pytest.param("max", "the machine", id="unlimited"),
    ],
)
def test_version_2(system, most, source) -> None:
    """The limit of a group holds, and cached files in it are free."""
    found = system(
        proc__self__cgroup="0::/job\n",
        groups__job__memory_dot_max=most,
        groups__job__memory_dot_current=str(80 * MIB),
        groups__job__memory_dot_stat=f"anon 5\ninactive_file {30 * MIB}\n",
    )
    assert source == found.source
    assert source == "the machine" or found.size == 50 * MIB


def test_a_group_around(system) -> None:
    """The limit of a group that this one is a part of holds as well."""
    found = system(
        proc__self__cgroup="0::/a/b\n",
        groups__a__memory_dot_max=str(10 * MIB),
        groups__a__memory_dot_current=str(12 * MIB),
        groups__a__b__memory_dot_max="max",
        groups__a__b__memory_dot_current="5",
    )
    assert (found.size, found.source) == (0, "the control group")


def test_version_1(system) -> None:
    """The first version has other names, and a huge number where there is no limit."""
    found = system(
        proc__self__cgroup="5:cpu:/x\n4:memory:/x\n",
        groups__memory__memory_dot_limit_in_bytes=str(2**63 - 4096),
        groups__memory__memory_dot_usage_in_bytes=str(8 * MIB),
        groups__memory__x__memory_dot_limit_in_bytes=str(20 * MIB),
        groups__memory__x__memory_dot_usage_in_bytes=str(8 * MIB),
    )
    assert (found.size, found.source) == (12 * MIB, "the control group")
