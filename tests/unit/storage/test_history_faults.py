"""Faults while a run is appended: runs that are killed, and disks that are full."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from textwrap import dedent

import pytest

from pytest_memguard.storage.appended_runs import append_run
from pytest_memguard.storage.database import StoreError
from pytest_memguard.storage.history_location import check_location, open_to_write
from tests.support.history_values import ENVIRONMENT, fill, location, reading, run_at

TESTS = 300
KILLED = """
    import os, random, signal, sys, time
    from pathlib import Path
    from pytest_memguard.storage.appended_runs import append_run
    from pytest_memguard.storage.history_location import open_to_write
    from pytest_memguard.storage.sqlite import SqliteFile
    from tests.support.history_values import ENVIRONMENT, location, reading, run_at

    path, tests = sys.argv[1], int(sys.argv[2])
    readings = [reading(0, 1, f"t.py::test[{n}]") for n in range(tests)]
    carry_out, chance = SqliteFile.run, random.Random(5)

    def append(at_statement):
        done = 0

        def run(database, statement, values=None):
            nonlocal done
            if done == at_statement:
                os.kill(os.getpid(), signal.SIGKILL)
            done += 1
            carry_out(database, statement, values)

        SqliteFile.run = run
        database = open_to_write(location(path))
        append_run(database, run_at(1, tests=tests), ENVIRONMENT, readings)
        database.close()

    for case in range(int(sys.argv[3])):
        child = os.fork()
        if not child:
            append(case % 20 if case < 30 else -1)  # while there are no tables, and then
            os._exit(0)
        if case > 30:  # the one before is whole, however slow the machine is
            time.sleep(chance.uniform(0, 0.03))
            os.kill(child, signal.SIGKILL)
        print("killed" if os.waitpid(child, 0)[1] else "appended")
"""


def readings_by_run(path) -> list[int]:
    """How many readings every run has, of a file that is sound."""
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = connection.execute(
            "SELECT (SELECT COUNT(*) FROM memguard_readings WHERE run_id = r.id)"
            " FROM memguard_runs r ORDER BY r.id"
        ).fetchall()
    connection.close()
    return [count for (count,) in found]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks")
def test_runs_that_are_killed(tmp_path) -> None:
    """A kill -9 at any moment leaves whole runs only, and the next one is stored."""
    path = tmp_path / "history.sqlite3"
    done = subprocess.run(
        [sys.executable, "-c", dedent(KILLED), str(path), str(TESTS), "60"],
        capture_output=True,
        text=True,
        check=True,
    )
    ends = done.stdout.split()
    killed, appended = ends.count("killed"), ends.count("appended")
    assert (len(ends), killed >= 15) == (60, True)
    check_location(location(path))
    stored = readings_by_run(path)
    assert set(stored) == {TESTS}
    # one that is killed when all is written, just before it ends, is there all the same
    assert appended <= len(stored) <= appended + ends[30:].count("killed")
    fill(path, {"t.py::test[0]": [1.0]})
    assert [*stored, 1] == readings_by_run(path)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB; only root may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no small disk can be mounted: {error}")
    if done.returncode:
        pytest.skip(f"no small disk can be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)  # noqa: S607  the machine's umount


def test_a_full_disk(small_disk) -> None:
    """A run that does not fit is reported in one line; the others are all there."""
    path = small_disk / "history.sqlite3"
    fill(path, {"t.py::test": [1.0, 2.0]})
    database = open_to_write(location(path))
    readings = [reading(3, 1, f"t.py::test[{number}]") for number in range(20_000)]
    with pytest.raises(StoreError, match=f"^{path}: database or disk is full$"):
        append_run(database, run_at(3), ENVIRONMENT, readings)
    database.close()
    assert readings_by_run(path) == [1, 1]
    fill(path, {"t.py::test": [4.0]})
    assert readings_by_run(path) == [1, 1, 1]


def test_a_disk_that_was_full_from_the_start(small_disk) -> None:
    """On a full disk nothing is made, and an error is raised; with room the history begins."""
    (small_disk / "filler").write_bytes(bytes(1 << 20))
    path = small_disk / "history.sqlite3"
    with pytest.raises(StoreError, match=r"full|disk I/O error"):
        open_to_write(location(path))
    (small_disk / "filler").unlink()
    check_location(location(path))
    fill(path, {"t.py::test": [1.0]})
    assert readings_by_run(path) == [1]
