"""``memguard watch --node`` and ``memguard heapdiff`` with programs that Node.js runs."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import tempfile
import threading

import psutil
import pytest

from pytest_memguard.cli import main
from pytest_memguard.codecs.watch_codecs import watch_from_json
from pytest_memguard.sizes import MIB
from pytest_memguard.watch_levels import above
from tests.support.heap_files import snapshot_text
from tests.support.node_programs import NODE, SERVER, STAGES, needs_node
from tests.support.watched_programs import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with the programs, without colours."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "server.js").write_text(SERVER)
    (tmp_path / "stages.js").write_text(STAGES)
    return tmp_path


@pytest.fixture
def watch(capfd):
    """Runs the command; returns its status, and what it printed."""

    def run(*arguments):
        status = main(["watch", "--node", "--interval", "0.05", *arguments])
        printed = capfd.readouterr()
        return status, printed.out, printed.err

    return run


def states(record) -> dict[str, str]:
    """The verdict on each signal."""
    return {one.signal: one.state for one in record.growth.signals}


@needs_node
def test_a_server_that_leaks_and_what_it_keeps(watch, folder, capfd) -> None:
    """10 KB a request are growth; two heap snapshots say which variable keeps them."""
    command = (NODE, "--expose-gc", "server.js", "0", "4")
    status, out, _ = watch("-q", "--heap-snapshots", "--output", "out", "--", *command)
    record = watch_from_json(json.loads((folder / "out/recording.json").read_text()), "x")
    assert status == 1, record.growth.signals
    assert record.growth.state == states(record)["heap_used"] == "growing"
    assert states(record)["external"] in {"flat", "plateau"}
    assert "What grew: " in out
    assert "heapUsed +" in out
    first, last = record.snapshots
    assert f"memguard heapdiff {first} {last}" in out
    for name in (first, last):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / first).parent.stat().st_mode) == 0o700

    assert main(["heapdiff", first, last]) == 0
    lines = capfd.readouterr().out.splitlines()
    chain = next(line for line in lines if line.startswith("  Object: "))
    assert "variable kept[" in chain
    assert any("variable kept (Array @" in line for line in lines)


@needs_node
def test_a_server_with_a_bounded_cache(watch) -> None:
    """A cache that is full is no growth, whatever V8 does with pages."""
    command = (NODE, "--expose-gc", "server.js", "30", "3")
    status, out, _ = watch("--heap-snapshots", "--json", "--", *command)
    record = watch_from_json(json.loads(out), "x")
    assert (status, "") == (0, record.growth.doubt), record.growth
    assert record.growth.state in {"flat", "plateau"}
    assert not record.snapshots


@needs_node
def test_stages_and_iterations(watch) -> None:
    """Tables say what each stage and each tenth of the iterations has added."""
    status, out, _ = watch("--json", "--", NODE, "--expose-gc", "stages.js")
    record = watch_from_json(json.loads(out), "x")
    assert status == 1  # as it failed
    assert [stage.name for stage in record.stages] == ["buffers", "objects"]
    buffers, objects = record.stages
    first, second = above(buffers.after, buffers.before), above(objects.after, objects.before)
    assert 20 * MIB <= first.array_buffers < 21 * MIB
    assert first.heap_used < MIB
    assert second.array_buffers < MIB
    assert second.heap_used > 4 * MIB
    counts = [1, *range(5, 51, 5)]
    assert counts == [one.count for one in record.iterations]
    first, last = record.iterations[1].levels, record.iterations[-1].levels
    assert 45 * 10_000 < last.heap_used - first.heap_used < 45 * 13_000

    _, out, _ = watch("-q", "--", NODE, "stages.js")
    assert "Added by stage, MiB" in out
    assert "for each iteration after the first 5: rss +" in out
    assert out.startswith("52\n")
    assert "start Node.js with --expose-gc" in out


@needs_node
def test_a_program_is_what_it_was(watch, folder) -> None:
    """Status, output, arguments, threads and child processes of a program stay."""
    (folder / "plain.mjs").write_text(
        "import { Worker } from 'node:worker_threads';\n"
        "import { execFileSync } from 'node:child_process';\n"
        "const worker = new Worker('console.log(1 + 1)', { eval: true });\n"
        "await new Promise((done) => worker.on('exit', done));\n"
        "console.log(execFileSync(process.execPath, ['-p', '6 * 7']).toString().trim());\n"
        "console.log(process.argv.slice(2).join(), process.execArgv.length);\n"
        "process.exitCode = 5;\n"
    )
    plain = subprocess.run(
        [NODE, "plain.mjs", "a b"], capture_output=True, text=True, check=False
    )
    status, out, err = watch("-q", "--", NODE, "plain.mjs", "a b")
    assert status == 1
    assert "the command ended with status 5" in out
    assert out.startswith(plain.stdout)
    assert err == plain.stderr


def test_a_program_that_is_not_node(watch) -> None:
    """A program that reports nothing has no verdict, and the report says why."""
    code = "import time; time.sleep(1.6)"
    status, out, _ = watch("-q", "--", sys.executable, "-S", "-c", code)
    assert status == 0
    assert "heapUsed: no Node.js process has reported its memory" in out
    assert "Verdict: undecided" in out
    assert watch("-q", "--strict", "--", sys.executable, "-S", "-c", code)[0] == 1


@needs_node
def test_a_signal_leaves_both_snapshots(watch, folder) -> None:
    """Ctrl-C, which the program gets too, waits for its last heap snapshot."""
    (folder / "big.js").write_text(
        "globalThis.kept = []; setInterval(() => kept.push(new Array(9000).fill(1.5)), 20);"
    )

    def interrupt():
        def is_written():
            found = folder.glob(".memguard/watch/heap-*/first.heapsnapshot")
            return any(path.stat().st_size > MIB for path in found)

        if wait_until(is_written, 30):
            (child,) = (one for one in psutil.Process().children() if "big.js" in one.cmdline())
            child.send_signal(signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    command = ("--duration", "60", "--", NODE, "--expose-gc", "big.js")
    status, out, _ = watch("-q", "--heap-snapshots", *command)
    thread.join()
    assert status == 1
    assert "the command was ended by SIGINT" in out
    assert "last.heapsnapshot" in out


def test_nothing_is_left_of_a_command_that_does_not_start(watch, tmp_path, monkeypatch) -> None:
    """The named pipe is removed, and the message is one line."""
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    status, out, err = watch("--limit", "1GB", "--", "no-such-program")
    assert (status, out) == (2, "")
    assert "no-such-program cannot be started" in err
    assert not list((tmp_path / "temp").iterdir())


@needs_node
def test_thresholds_on_the_heap(watch, folder) -> None:
    """A limit on what only Node.js knows is reached like any other."""
    (folder / "big.js").write_text(
        "const kept = []; setInterval(() => kept.push(new Array(40000).fill(1.5)), 5);"
    )
    limits = ("--critical", "heapUsed=30MB", "--kill", "--duration", "20")
    status, out, _ = watch("-q", *limits, "--", NODE, "big.js")
    assert status == 1
    assert "critical: heapUsed=30MB was reached" in out
    assert "was ended, because heapUsed=30MB was reached" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(("--node", "1"), "--node is for a command", id="process"),
        pytest.param(
            ("--heap-snapshots", "--", "x"), "--heap-snapshots are of Node.js", id="snapshots"
        ),
        pytest.param(
            ("--warn", "heapUsed=1GB", "--", "x"), "heapUsed=1GB: only Node.js", id="threshold"
        ),
    ],
)
def test_bad_input(capfd, arguments, words) -> None:
    """Contradicting options are refused before anything is started."""
    assert main(["watch", *arguments]) == 2
    assert words in capfd.readouterr().err


def test_heapdiff_as_json(capfd, folder) -> None:
    """Other programs get every number."""
    nodes = [("synthetic", "", 1, 0), ("object", "Array", 3, 16), ("object", "Item", 5, 9)]
    edges = [(0, "element", 0, 1), (1, "element", 0, 2), (1, "element", 1, 3)]
    (folder / "a").write_text(snapshot_text(nodes, edges[:2]))
    (folder / "b").write_text(snapshot_text([*nodes, ("object", "Item", 7, 9)], edges))
    assert main(["heapdiff", "--json", "--top", "1", "a", "b"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert [*found.values()][:5] == [25, 34, 3, 4, True]
    (item,) = found["classes"]
    assert tuple([*item.values()][:7]) == ("Item", 1, 2, 9, 18, 1, 9)
    assert item["held_by"] == {"path": "Array[1]", "share": 1.0}


def test_no_snapshots(capfd) -> None:
    """A file that is no heap snapshot ends with status 2 and one line."""
    assert main(["heapdiff", "none", "none"]) == 2
    assert "none cannot be read" in capfd.readouterr().err
    assert main(["heapdiff", "server.js", "server.js"]) == 2
    printed = capfd.readouterr()
    assert "server.js is not a complete heap snapshot" in printed.err
    assert len(printed.err.splitlines()) == 1
