"""Tests of what goes wrong while a baseline is saved: nothing is lost, and it is reported."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from pytest_memguard.judge.regression import compare
from pytest_memguard.options.rules import closest
from pytest_memguard.storage.baseline import (
    read_baseline,
    update_baseline,
    without_garbage_collection,
    write_baseline,
)
from tests.support.large_baselines import ROOT, baseline_of

posix_only = pytest.mark.skipif(os.name != "posix", reason="it needs signals")


def number_in(path) -> int:
    """The number that every test of a file has."""
    (tests,) = read_baseline(path).environments.values()
    (number,) = {entry.imports for entry in tests.values()}
    assert len(tests) == 500
    return number


SAVE_ON = """
import sys
from pathlib import Path
from pytest_memguard.storage.baseline import update_baseline
from tests.support.large_baselines import baseline_of

path = Path(sys.argv[1])
for number in range(int(sys.argv[2]), 10**6):
    update_baseline(path, lambda before: baseline_of(number))
    print(number, flush=True)
"""


@posix_only
def test_killed_at_any_time(tmp_path) -> None:
    """A process that is killed while it saves leaves a whole file, and no save is lost."""
    path = tmp_path / "baseline.json"
    update_baseline(path, lambda _: baseline_of(1))
    chance = random.Random(4)  # noqa: S311  it has to be the same every time
    saved = 1
    for _ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", SAVE_ON, str(path), str(saved + 1)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        ) as saver:
            reported = int(saver.stdout.readline())
            time.sleep(chance.random() * 0.05)
            saver.kill()
            reported = max([reported, *map(int, saver.stdout.read().split())])
        assert number_in(path) in {reported, reported + 1}
        saved = number_in(path)
    assert update_baseline(path, lambda _: baseline_of(0)) == baseline_of(0)
    assert [path] == list(tmp_path.iterdir())


KILLED_IN = """
import os, signal, sys
from pathlib import Path
from pytest_memguard.storage import files
from pytest_memguard.storage.baseline import update_baseline
from tests.support.large_baselines import baseline_of

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

where = sys.argv[2]
if where == "change":
    change = die
else:
    change = lambda before: baseline_of(2)
if where == "make":
    os.urandom = die
if where == "write":
    fdopen = os.fdopen
    class HalfWritten:
        def __init__(self, file): self.file = file
        def __enter__(self): return self
        def __exit__(self, *error): pass
        def read(self): return self.file.read()
        def write(self, text):
            self.file.write(text[: len(text) // 2])
            self.file.flush()
            die()
    os.fdopen = lambda *args, **kwargs: HalfWritten(fdopen(*args, **kwargs))
if where == "sync":
    os.fsync = die
if where == "rename":
    Path.replace = die
if where == "renamed":
    rename = Path.replace
    Path.replace = lambda *args: (rename(*args), die())
update_baseline(Path(sys.argv[1]), change)
"""


@posix_only
@pytest.mark.parametrize(
    ("where", "number"),
    [
        pytest.param("change", 1, id="before-writing"),
        pytest.param("make", 1, id="before-the-new-file"),
        pytest.param("write", 1, id="half-written"),
        pytest.param("sync", 1, id="written-but-not-on-disk"),
        pytest.param("rename", 1, id="before-it-takes-its-place"),
        pytest.param("renamed", 2, id="after-it-took-its-place"),
    ],
)
def test_killed_in(tmp_path, where, number) -> None:
    """A process killed at this point leaves the old file or the new, and the next run saves."""
    path = tmp_path / "baseline.json"
    update_baseline(path, lambda _: baseline_of(1))
    done = subprocess.run(
        [sys.executable, "-c", KILLED_IN, str(path), where],
        check=False,
        capture_output=True,
        cwd=ROOT,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert number == number_in(path)
    update_baseline(path, lambda _: baseline_of(3))
    assert number_in(path) == 3
    assert [path] == list(tmp_path.iterdir())


ADD = """
import sys
from dataclasses import replace
from pathlib import Path
from pytest_memguard.model.baselines import Baseline, BaselineEntry
from pytest_memguard.judge.merging import merge_baselines
from pytest_memguard.storage.baseline import update_baseline
from tests.support.large_baselines import PLACE

sys.stdin.read()
for number in range(20):
    entries = {f"{sys.argv[2]}-{number}": BaselineEntry(peak=0, growth=0)}
    new = Baseline(environments={PLACE: entries})
    update_baseline(
        Path(sys.argv[1]), lambda before: merge_baselines(before or Baseline(), new)
    )
"""


def test_several_at_once(tmp_path) -> None:
    """Runs that save at the same time lose nothing of each other."""
    path = tmp_path / "baseline.json"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", ADD, str(path), str(number)],
            stdin=subprocess.PIPE,
            cwd=ROOT,
        )
        for number in range(3)
    ]
    for writer in writers:
        writer.stdin.close()
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    (tests,) = read_baseline(path).environments.values()
    assert set(tests) == {f"{writer}-{number}" for writer in range(3) for number in range(20)}
    assert [path] == list(tmp_path.iterdir())


def test_full_disk(small_disk) -> None:
    """A full disk is reported, the old file is there as it was, and nothing else is."""
    path = small_disk / "baseline.json"
    write_baseline(path, baseline_of(1, 3))
    before = path.read_bytes()
    with pytest.raises(OSError, match="No space left on device") as caught:
        update_baseline(path, lambda _: baseline_of(2, 3000))
    assert str(caught.value) == (
        f"{path} cannot be written (No space left on device); it is as it was before"
    )
    assert before == path.read_bytes()
    assert [path] == list(small_disk.iterdir())
    assert update_baseline(path, lambda _: baseline_of(2, 3)) == baseline_of(2, 3)


def test_read_only_folder(make_read_only, small_disk) -> None:
    """A folder that cannot be written to is reported; what is in it can be read."""
    path = small_disk / "baseline.json"
    write_baseline(path, baseline_of(1, 3))
    make_read_only()
    with pytest.raises(OSError, match="Read-only file system") as caught:
        update_baseline(path, lambda _: baseline_of(2, 3))
    assert str(caught.value).startswith(f"{path} cannot be written (")
    assert read_baseline(path) == baseline_of(1, 3)


def test_read_only_folder_without_a_file(make_read_only, small_disk) -> None:
    """Where not even the folder can be made, that is reported."""
    make_read_only()
    path = small_disk / ".memguard" / "baseline.json"
    with pytest.raises(OSError, match="cannot be written") as caught:
        update_baseline(path, lambda _: baseline_of(1, 3))
    assert str(path) in str(caught.value)


@pytest.mark.slow
def test_fifty_thousand_tests(tmp_path) -> None:
    """Reading and comparing 50,000 tests takes seconds, not minutes."""
    path = tmp_path / "baseline.json"
    baseline = baseline_of(0, 50_000)
    write_baseline(path, baseline)
    start = time.process_time()
    with without_garbage_collection():
        stored = read_baseline(path)
        changes = compare(stored, baseline, closest())
    taken = time.process_time() - start
    assert stored == baseline
    assert {change.kind for change in changes} == {"same"}
    assert len(changes) == 50_000
    assert taken < 6  # 0.8 s on a busy machine
