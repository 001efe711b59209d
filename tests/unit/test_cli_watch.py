"""``memguard watch`` and ``memguard check``, with real programs that leak, die and resist."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time

import psutil
import pytest

from pytest_memguard.cli import main, memory_group, watched_command
from pytest_memguard.codecs.watch_codecs import watch_from_json
from pytest_memguard.errors import Unmeasurable
from tests.support.watched_programs import sleeper, wait_until

pytestmark = pytest.mark.slow

GROWS = """
import time
kept, start = bytearray(), time.monotonic()
while True:  # as the time goes, however busy the machine is
    kept.extend(bytes(int((time.monotonic() - start) * 30e6) - len(kept)))
    time.sleep(0.003)
"""
GROWS_FOR_A_WHILE = GROWS.replace("while True", "while time.monotonic() < start + 2")
IS_FLAT = "import time; kept = bytearray(5_000_000); time.sleep(1.1)"
RESISTS = "import signal, time; signal.signal(15, signal.SIG_IGN); kept = bytearray(40 << 20)\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of its own, without colours."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def watch(capfd):
    """Runs the command; returns its status, and what it printed."""

    def run(*arguments):
        status = main(["watch", "--interval", "0.03", *arguments])
        printed = capfd.readouterr()
        return status, printed.out, printed.err

    return run


def python(code):
    """A command that runs some code."""
    return ("--", sys.executable, "-S", "-c", code)


def test_a_program_that_grows_and_its_fix(watch, folder) -> None:
    """Growth ends with status 1 and four parts; the fix is compared with that recording."""
    status, out, err = watch("--output", "before", *python(GROWS_FOR_A_WHILE))
    assert status == 1
    lines = out.splitlines()
    heads = [line.partition(":")[0] for line in lines if line and line[0].isupper()]
    assert [
        *("Verdict", "Evidence", "What grew"),
        *("Where to look next (while it runs again)", "After a fix"),
    ] == [head for head in heads if not head.startswith("Signal")]
    assert "Verdict: growing" in lines
    assert any(line.startswith("What grew: rss +") for line in lines)
    assert lines[-1] == "recording: before/recording.json"
    assert " rss " in err
    names = ["recording.json", "report.txt", "samples.tsv"]
    assert names == sorted(path.name for path in (folder / "before").iterdir())
    record = json.loads((folder / "before" / "recording.json").read_text())
    assert record["verdict"]["state"] == "growing"
    rows = (folder / "before" / "samples.tsv").read_text().splitlines()
    assert len(record["trace"]["seconds"]) == len(rows) - 1

    status, out, _ = watch("--against", "before/recording.json", *python(IS_FLAT))
    assert status == 0
    assert "Against before/recording.json: flattened: rss grew by +" in out

    status, out, _ = watch("--against", "before/recording.json", *python(""))
    assert status == 1
    assert "Against before/recording.json: not known: rss grew by +" in out


def test_json_is_alone_on_standard_output(watch) -> None:
    """Output of the command goes to standard error, so that the JSON can be parsed."""
    status, out, err = watch("--json", *python("print('mine', flush=True)"))
    record = watch_from_json(json.loads(out), "x")
    assert (status, record.growth.state) == (0, "undecided")
    assert err == "mine\n"


def test_tsv(watch) -> None:
    """The samples are lines with tabs between the columns."""
    with sleeper() as process:
        status, out, err = watch("--tsv", "--duration", "0.2", str(process.pid))
    head, *rows = [line.split("\t") for line in out.splitlines()]
    assert status == 0
    assert not err
    assert head[:5] == ["seconds", "pid", "cpu_seconds", "rss", "fds"]
    assert {str(process.pid)} == {row[1] for row in rows}


def test_a_process_lives_on(watch) -> None:
    """A watch that ends by its duration leaves the process alone."""
    with sleeper() as process:
        status, out, _ = watch("--duration", "1.5", "--no-children", str(process.pid))
        assert process.poll() is None
    assert status == 0
    assert "Verdict: flat" in out
    assert "the program was idle" in out
    assert "children" not in out


def test_a_command_is_ended_by_the_duration(watch) -> None:
    """A command that was started for the watch does not outlive it."""
    before = set(psutil.Process().children())  # servers of other tests
    status, out, _ = watch("-q", "--duration", "0.1", "--", "/bin/sleep", "4321")
    assert status == 0
    assert "Verdict: undecided" in out
    new = set(psutil.Process().children()) - before
    assert not [p for p in new if p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        pytest.param("", 0, "the command ended with status 0", id="fine"),
        pytest.param("raise SystemExit(7)", 1, "the command ended with status 7", id="failed"),
        pytest.param(
            "import os; os.kill(os.getpid(), 9)",
            1,
            "the command was ended by SIGKILL",
            id="killed",
        ),
    ],
)
def test_a_command_that_ends_at_once(watch, folder, code, status, words) -> None:
    """A command that fails ends with status 1 and a diagnosis; it has no verdict."""
    found, out, _ = watch(*python(code))
    assert status == found
    assert words in out
    assert "Verdict: undecided" in out
    assert status == len(list(folder.glob(".memguard/watch/diagnosis-*")))


def test_strict(watch) -> None:
    """With --strict a watch without a verdict ends with status 1."""
    assert watch("--strict", *python(""))[0] == 1


def test_critical_kills_and_restarts(watch, folder) -> None:
    """A command is ended at a critical threshold, diagnosed, and started again."""
    arguments = ("--critical", "rss=25MB", "--kill", "--restart", "1", "--output", "out")
    status, out, err = watch(*arguments, *python(GROWS))
    assert status == 1
    assert out.count("critical: rss=25MB was reached") == 2
    assert out.count("restarted: process") == 1
    assert "restart 1 of 1" in err
    folders = list((folder / "out").glob("diagnosis-*"))
    assert len(folders) == 2
    for one in folders:
        assert stat.S_IMODE(one.stat().st_mode) == 0o700
        assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in one.iterdir()}
    written = {path.name: path.read_text(encoding="utf-8") for path in folders[0].iterdir()}
    assert written["reason.txt"] == "critical: rss=25MB was reached\n"
    assert "import time" in written["tree.txt"]
    assert "growing" in written["recording.json"] or "undecided" in written["recording.json"]
    if sys.platform == "linux":
        assert "Pss:" in written["smaps_rollup.txt"]
        assert "0: " in written["open-files.txt"]
    assert "py-spy" in written["stacks.txt"] or "process" in written["stacks.txt"]


def test_a_command_that_ignores_term(watch, monkeypatch) -> None:
    """A program that does not listen is killed after some time, its children too."""
    monkeypatch.setattr(watched_command, "GRACE_SECONDS", 0.2)
    code = f"{RESISTS}import os; os.fork(); time.sleep(60)"
    status, out, _ = watch("--critical", "rss=30MB", "--kill", *python(code))
    assert status == 1
    assert "was ended, because rss=30MB was reached" in out
    assert not [p for p in psutil.process_iter() if RESISTS[:40] in " ".join(_words(p))]


def _words(process) -> list[str]:
    try:
        return process.cmdline() if process.status() != psutil.STATUS_ZOMBIE else []
    except psutil.Error:
        return []


def test_levels_are_reported_once(watch, folder) -> None:
    """Thresholds of a file: each is a line when it is reached, and nothing else happens."""
    (folder / "watch.toml").write_text(
        '[watch]\ninfo = "rss=8MB"\nwarn = {rss = "15MB", fds = 500}\nduration = "1.5s"\n'
    )
    _, out, err = watch("--config", "watch.toml", *python(GROWS))
    assert 1 == out.count("info: rss=8MB was reached") == err.count("info: rss=8MB was reached")
    assert out.count("warn: rss=15MB was reached") == 1
    assert "fds=500" not in out
    assert not list(folder.glob(".memguard/*"))


def test_a_rate_is_critical(watch) -> None:
    """Growth within a time is a threshold as well."""
    status, out, _ = watch("--critical", "rss=15MB/10s", "--kill", *python(GROWS))
    assert status == 1
    assert "critical: rss=15MB/10s was reached" in out


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is the kernel's (RLIMIT_DATA)")
def test_a_hard_limit(watch, capfd) -> None:
    """A command under a limit cannot have more, and the report has its output."""
    status, out, err = watch("--limit", "100MB", *python("bytearray(200 << 20)"))
    assert status == 1
    assert "MemoryError" in err
    assert "the command ended with status 1" in out
    assert main(["watch", "--limit=300MB", *python("bytearray(200 << 20)")]) == 0
    capfd.readouterr()


FOUR = """
import subprocess, sys
code = "import time; kept = b'x' * (60 << 20); time.sleep(9)"
children = [subprocess.Popen([sys.executable, "-S", "-c", code]) for _ in range(4)]
print([child.wait() for child in children])
"""


def test_a_limit_for_all_processes_together(watch, folder, monkeypatch) -> None:
    """Where no control group can be made, samples hold all processes to the limit."""
    monkeypatch.setattr("pytest_memguard.cli.command_limit.MemoryGroup", _no_group)
    status, out, _ = watch("-q", "--limit", "150MB", "--interval", "5", *python(FOUR))
    assert status == 1
    assert "all processes together are sampled every 100 ms" in out
    assert "(no groups here)" in out
    assert "the command was ended: its processes used " in out
    assert "and the limit is 150.0 MiB" in out
    assert len(list(folder.glob(".memguard/watch/diagnosis-*"))) == 1
    assert not [p for p in psutil.process_iter() if "kept = b'x'" in " ".join(_words(p))]


def _no_group(_):
    msg = "no groups here"
    raise Unmeasurable(msg)


def test_a_limit_that_the_kernel_holds(watch) -> None:
    """Where a control group can be made, the kernel ends a command above the limit."""
    try:
        memory_group.MemoryGroup(100 << 20).close()
    except (Unmeasurable, OSError) as error:
        pytest.skip(f"no control group can be made here: {error}")
    program = FOUR.replace("sleep(9)", "sleep(2)")
    status, out, _ = watch("-q", "--limit", "150MB", *python(program))
    assert status == 1
    assert "-9" in out.partition("\n")[0]
    assert "held by the kernel for all processes together (cgroup v" in out
    assert "of the command at the limit of 150.0 MiB" in out
    status, out, _ = watch(
        "-q", "--limit", "500MB", *python(FOUR.replace("sleep(9)", "sleep(0)"))
    )
    assert (status, "[0, 0, 0, 0]") == (0, out.partition("\n")[0])


def test_a_signal_ends_the_watch(watch) -> None:
    """TERM ends the watch and its command, and the report is printed at once."""
    before = signal.getsignal(signal.SIGTERM)

    def end() -> None:
        # earlier it would end this process, which may be slow
        if wait_until(lambda: signal.getsignal(signal.SIGTERM) != before):
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end).start()
    status, out, _ = watch("--interval", "20", "--duration", "60", "--", "/bin/sleep", "4322")
    assert status == 0
    assert "ended by SIGTERM" in out
    assert before == signal.getsignal(signal.SIGTERM)


def test_a_process_that_is_restarted(watch) -> None:
    """A watched process that another one restarts goes on under its new number."""
    keeper = "for n in 1 2; do /bin/sleep 0.9; done"
    with subprocess.Popen(["/bin/sh", "-c", keeper]) as shell:
        assert wait_until(psutil.Process(shell.pid).children)
        first = psutil.Process(shell.pid).children()[0].pid
        status, out, _ = watch(str(first))
    assert status == 0
    assert f"has taken the place of {first}" in out


def test_the_history(watch, capfd) -> None:
    """A watch is a run of the history, with its peak and verdict."""
    assert watch("--history", "h.sqlite3", *python("bytearray(9 << 20)"))[0] == 0
    assert main(["history", "--file", "h.sqlite3", "watch"]) == 0
    out = capfd.readouterr().out
    assert f"watch: {sys.executable} -S -c" in out
    assert "undecided" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param((), "nothing to watch: name a process", id="nothing"),
        pytest.param(("4194305",), "there is no process 4194305", id="no-such-process"),
        pytest.param(
            ("--", "no-such-program"), "no-such-program cannot be started", id="no-program"
        ),
        pytest.param(
            ("--interval", "0", "1"), "--interval: '0' is not a duration", id="interval"
        ),
        pytest.param(("--duration", "x", "1"), "--duration: 'x' is not a dur", id="duration"),
        pytest.param(
            ("--warn", "rss", "1"), "--warn: 'rss' is not a threshold", id="threshold"
        ),
        pytest.param(("--limit", "1", "--", "x"), "", id="limit-of-one-mib"),
        pytest.param(("--limit", "5KB", "--", "x"), "is too little for any", id="tiny-limit"),
        pytest.param(("--restart", "2", "1"), "--restart is for a command", id="restart"),
        pytest.param(("--restart", "x", "--", "x"), "--restart: 'x' is not a n", id="count"),
        pytest.param(("--config", "none.toml", "1"), "none.toml cannot be read", id="no-file"),
        pytest.param(
            ("--config", "a.toml", "1"), "a.toml: [watch] has unknown s", id="unknown"
        ),
        pytest.param(("--config", "b.ini", "1"), "there is no section [watch]", id="section"),
        pytest.param(("--config", "c.toml", "1"), "c.toml cannot be parsed", id="broken"),
        pytest.param(("--config", "d.ini", "1"), "d.ini: duration: 'often' is not", id="value"),
        pytest.param(("--config", "e.toml", "1"), "e.toml: kill: 3 is neither", id="switch"),
        pytest.param(("--against", "a.toml", "1"), "a.toml is not a JSON file", id="no-json"),
        pytest.param(
            ("--against", "f.json", "1"), "f.json is not a recording", id="no-recording"
        ),
    ],
)
def test_bad_input(watch, folder, arguments, words) -> None:
    """Arguments that make no sense end with status 2 and one line, before watching begins."""
    for name, text in {
        "a.toml": '[watch]\nintervall = "1s"\n',
        "b.ini": "[other]\nx = 1\n",
        "c.toml": "[watch\n",
        "d.ini": "[watch]\nduration = often\n",
        "e.toml": "[watch]\nkill = 3\n",
        "f.json": '{"format": 2}',
    }.items():
        (folder / name).write_text(text)
    status, out, err = watch(*arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1


def test_the_command_line_beats_the_file(watch, folder) -> None:
    """The command line takes precedence over the file; an ini file has the same settings."""
    (folder / "w.ini").write_text("[watch]\nduration = 500\nstrict = yes\nwarm-up = 0.1\n")
    with sleeper() as process:
        status, out, _ = watch("--config", "w.ini", "--duration", "0.1", str(process.pid))
    assert status == 1  # strict
    assert "Verdict: undecided" in out


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        pytest.param(("--free", "1MB"), 0, "enough: ", id="free"),
        pytest.param(("--free", "900TB"), 1, "too little: ", id="not-free"),
        pytest.param(("--max-rss", "900TB", "SELF"), 0, "fine: process ", id="fine"),
        pytest.param(("--max-rss", "1MB", "SELF"), 1, "too much: process ", id="too-much"),
        pytest.param(("--free=1MB", "--max-rss=1MB", "SELF"), 1, "; too much", id="both"),
        pytest.param((), 2, "nothing to check", id="nothing"),
        pytest.param(("--max-rss", "1MB"), 2, "--max-rss needs the number", id="no-process"),
        pytest.param(("--free", "1MB", "4"), 2, "--max-rss needs the number", id="no-limit"),
        pytest.param(("--max-rss", "1MB", "4194305"), 2, "there is no process", id="gone"),
    ],
)
def test_check(capsys, arguments, status, words) -> None:
    """One line, and a status that a hook can use."""
    own = [str(os.getpid()) if word == "SELF" else word for word in arguments]
    assert status == main(["check", *own])
    printed = "".join(capsys.readouterr())
    assert words in printed
    assert len(printed.splitlines()) == 1


@pytest.mark.parametrize("pid", ["x", "-1", "0", "99999999999999"])
def test_check_of_what_is_no_process(capsys, pid) -> None:
    """A word that is not the number of a process is refused with the usage."""
    with pytest.raises(SystemExit, match="2"):
        main(["check", "--max-rss", "1MB", "--", pid])
    assert "is not the number of a process" in capsys.readouterr().err
