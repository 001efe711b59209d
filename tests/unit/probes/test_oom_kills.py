"""Tests of the counter of out-of-memory kills, by files as the kernel writes them."""

from __future__ import annotations

import sys

import pytest

from pytest_memguard.probes.oom_kills import read_oom_counter

EVENTS = "low 0\nhigh 0\nmax 12\noom 3\noom_kill {}\noom_group_kill 9\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"
V1 = "9:name=systemd:/\n4:memory:/a/b\n3:cpu,cpuacct:/x\n0::/\n"
V1_SHARED = "4:cpu,memory:/a/b\n"
V2 = "0::/a/b\n"


@pytest.mark.parametrize(
    ("membership", "files", "kills", "source"),
    [
        pytest.param(V2, {"a/b/memory.events": EVENTS}, 5, "cgroup v2", id="v2"),
        pytest.param(V2, {"memory.events": EVENTS}, 5, "cgroup v2", id="v2-in-container"),
        pytest.param(V2, {"unified/a/b/memory.events": EVENTS}, 5, "cgroup v2", id="hybrid"),
        pytest.param(V1, {"memory/a/b/memory.oom_control": CONTROL}, 5, "cgroup v1", id="v1"),
        pytest.param(V1, {"memory/memory.oom_control": CONTROL}, 5, "cgroup v1", id="v1-root"),
        pytest.param(
            V1_SHARED,
            {"memory/a/b/memory.oom_control": CONTROL},
            5,
            "cgroup v1",
            id="v1-shared",
        ),
        pytest.param(V2, {"a/b/memory.events": "low 0\n"}, 2, "the machine", id="old-kernel"),
        pytest.param(V2, {}, 2, "the machine", id="no-group"),
        pytest.param("", {"memory.events": EVENTS}, 2, "the machine", id="no-membership"),
    ],
)
def test_counter(tmp_path, membership, files, kills, source) -> None:
    """The control group's counter is read in both versions, else that of the machine."""
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text(membership, encoding="ascii")
    (tmp_path / "vmstat").write_text("nr_free_pages 1\noom_kill 2\n", encoding="ascii")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text.format(5), encoding="ascii")
    counter = read_oom_counter(tmp_path, tmp_path)
    assert kills == counter.kills
    assert counter.source.endswith(source)
    assert counter.place.startswith(str(tmp_path))


def test_nothing_counts(tmp_path) -> None:
    """Where nothing counts them, that is the source."""
    counter = read_oom_counter(tmp_path, tmp_path)
    assert (counter.kills, counter.source) == (
        None,
        "this system counts no out-of-memory kills",
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts them")
def test_this_machine() -> None:
    """The real files are understood."""
    assert read_oom_counter().kills is not None
