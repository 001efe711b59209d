"""Forks children on request, in a process that was forked for that."""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import socket
import struct
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Final, NoReturn

from pytest_memguard.forking.child_channel import Channel

FORK: Final = b"F"
"""Asks for a child, or says that there is one."""
KILL: Final = b"K"
"""Asks for a signal to the child."""
NOTE: Final = struct.Struct("!cqq")
"""What it reports: a kind and two numbers."""
_CHUNK: Final = 1 << 16


def fork() -> int:
    """Fork, whatever threads there are."""
    with warnings.catch_warnings():
        # Python 3.12 warns about forks in a process with threads; this one is intended
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def flush_outputs() -> None:
    """Empty the buffers of the outputs, which a forked child would write once more."""
    for stream in {sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__} - {None}:
        with contextlib.suppress(ValueError, OSError, AttributeError):
            stream.flush()  # type: ignore[union-attr]


def serve(
    control: socket.socket, run: Callable[[Channel], object], prepare: Callable[[], object]
) -> NoReturn:
    """Be the process that forks children, to its end.

    Args:
        control: the connection with the process that has forked it.
        run: called in each child with its end of its connection; the child ends after that.
        prepare: called once, before the first child.
    """
    try:
        os.setsid()
        prepare()
        _Forker(control, run).serve()
    except BaseException:  # noqa: BLE001  it ends in any case
        traceback.print_exc()
    finally:
        os._exit(0)  # no cleanup handlers: they belong to the parent


class _Forker:
    """Forks children, one at a time, and reports their ends.

    Args:
        control: the connection with the process that has forked it.
        run: what children do.
    """

    def __init__(self, control: socket.socket, run: Callable[[Channel], object]) -> None:
        self._control = control
        self._run = run
        self._child = 0
        self._wake, self._woken = os.pipe()
        os.set_blocking(self._woken, False)
        self._before = signal.signal(signal.SIGCHLD, _do_nothing)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Fork and wait for children until the other process closes the connection."""
        waiting = select.poll()
        waiting.register(self._control.fileno(), select.POLLIN)
        waiting.register(self._wake, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in waiting.poll()}
            if self._wake in ready:
                os.read(self._wake, _CHUNK)
            self._reap(os.WNOHANG)
            if self._control.fileno() in ready and not self._answer():
                self._signal(signal.SIGKILL)
                self._reap(0)
                return

    def _answer(self) -> bool:
        """Do what is asked for next; return whether anything was."""
        request, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
        if request == FORK:
            self._fork(socket.socket(fileno=descriptors[0]))
        elif request == KILL:
            self._signal(self._control.recv(1)[0])
        return bool(request)

    def _fork(self, connection: socket.socket) -> None:
        try:
            pid = fork()
        except OSError as error:
            connection.close()
            self._control.sendall(NOTE.pack(b"!", error.errno or 0, 0))
            return
        if pid == 0:
            self._be_child(connection)
        connection.close()
        self._child = pid
        self._control.sendall(NOTE.pack(FORK, pid, 0))

    def _be_child(self, connection: socket.socket) -> NoReturn:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, self._before)
            os.close(self._wake)
            os.close(self._woken)
            self._control.close()
            os.setsid()
            atexit._clear()  # noqa: SLF001  these handlers belong to the first process
            self._run(Channel(connection))
            atexit._run_exitfuncs()  # noqa: SLF001  and these to this one
            status = 0
        except BaseException:  # noqa: BLE001  the child ends in any case
            traceback.print_exc()
        finally:
            flush_outputs()
            os._exit(status)

    def _signal(self, number: int) -> None:
        if self._child:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if number == signal.SIGKILL:
                    os.killpg(self._child, number)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, number)

    def _reap(self, options: int) -> None:
        """Report the end of the child, if it has ended, and end what it has left behind."""
        if not self._child:
            return
        pid, status, usage = os.wait4(self._child, options)
        if pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            self._child = 0
            with contextlib.suppress(OSError):
                self._control.sendall(NOTE.pack(b"E", status, usage.ru_maxrss))


def _do_nothing(*_: object) -> None:
    """Be a handler: without one, a signal does not end a wait."""
