"""Which process is watched, and which one takes its place after a restart."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.watched_process import (
    check_watchable,
    identity_of,
    moment,
    program_of,
    successor_of,
)
from tests.support.watched_programs import sleeper, wait_until


def free_pid() -> int:
    """The number of a process that has ended."""
    with sleeper() as process:
        pass
    return process.pid


def test_identity() -> None:
    """A process is known by its command line, user and parent."""
    with sleeper("61") as process:
        identity = identity_of(process.pid)
    assert identity.command == ("/bin/sleep", "61")
    assert identity.text == "/bin/sleep 61"
    assert os.getpid() == identity.parent
    assert identity_of(process.pid) is None


@pytest.mark.parametrize("pid", [2**31 - 1, 2**40])
def test_no_such_process(pid) -> None:
    """A number that no process has is refused."""
    with pytest.raises(Unmeasurable, match=f"there is no process {pid}"):
        check_watchable(pid)


def test_a_zombie() -> None:
    """A process whose parent has not waited for it is refused, and the reason is named."""
    with sleeper() as process:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(Unmeasurable, match="has ended, and its parent has not waited"):
            check_watchable(process.pid)
        assert identity_of(process.pid) is None


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root can become another user"
)
def test_a_process_of_another_user() -> None:
    """Only root may watch the processes of others."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.setuid(65534)
        try:
            check_watchable(os.getppid())
        except Unmeasurable as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read, encoding="utf-8") as answer:
        assert answer.read() == (
            f"process {os.getpid()} belongs to root; only root may watch it"
        )


def test_a_successor() -> None:
    """The process with the same command line, user and parent takes the place of a former."""
    with sleeper("62") as former:
        identity = identity_of(former.pid)
    seen = moment()
    assert successor_of(identity, seen) is None
    with sleeper("63"), sleeper("62") as new:
        assert new.pid == successor_of(identity, seen).pid


@pytest.mark.parametrize("field", ["command", "user", "parent"])
def test_no_successor(field) -> None:
    """A process that differs in any of them is another program."""
    with sleeper("64") as former:
        identity = replace(identity_of(former.pid), **{field: "other"})
        assert successor_of(identity, 0.0) is None


def test_two_successors_are_none() -> None:
    """Of two alike neither is chosen: which one it is cannot be known."""
    with sleeper("65") as former:
        identity = identity_of(former.pid)
    with sleeper("65"), sleeper("65"):
        assert successor_of(identity, 0.0) is None


def test_an_older_process_is_no_successor() -> None:
    """A sibling that ran all along has not taken the place of anything."""
    with sleeper("66") as sibling:
        identity = identity_of(sibling.pid)
        assert successor_of(identity, moment() + 1) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only /proc shows it")
def test_a_new_program_in_the_same_process() -> None:
    """After exec the process is the same, and its program is not."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", "read line; exec /bin/sleep 60"], stdin=subprocess.PIPE
    )
    try:
        before = program_of(process.pid)
        assert before == program_of(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert wait_until(lambda: program_of(process.pid) != before)
    finally:
        process.kill()
        process.stdin.close()
        process.wait()
    assert program_of(free_pid()) == b""
