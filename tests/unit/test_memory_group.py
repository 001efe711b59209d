"""Where a control group of our own can be made, from folders as systems have them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_memguard.cli.memory_group import MemoryGroup
from pytest_memguard.errors import Unmeasurable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has them")


@pytest.mark.parametrize(
    ("membership", "folders", "words"),
    [
        pytest.param(None, (), "there are no control groups for memory", id="no-file"),
        pytest.param("3:cpu:/\n", (), "there are no control groups for memory", id="other"),
        pytest.param("0::/a\n", ("a",), "No such file or directory", id="not-delegated"),
        pytest.param("4:memory:/a\n", ("memory/a",), "No such file", id="version-1"),
    ],
)
def test_no_group(tmp_path, membership, folders, words) -> None:
    """The reason is named, and nothing is left behind."""
    for name in folders:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "cgroup.procs").touch()
    before = sorted(tmp_path.rglob("*"))
    file = tmp_path.parent / f"{tmp_path.name}-membership"
    if membership is not None:
        file.write_text(membership)
    with pytest.raises(Unmeasurable, match=words):
        MemoryGroup(1 << 20, tmp_path, file)
    assert before == sorted(tmp_path.rglob("*"))


def test_a_group() -> None:
    """A process in it, and what that starts, are ended by the kernel above the limit."""
    try:
        group = MemoryGroup(64 << 20)
    except (Unmeasurable, OSError) as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        code = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
        command = [sys.executable, "-S", "-c", code, "b'x' * (200 << 20)"]
        subprocess.run(command, preexec_fn=group.join, check=True)
        assert group.kills() == 1
    finally:
        group.close()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/memguard-{os.getpid()}"))
