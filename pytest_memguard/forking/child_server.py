"""A process that is forked now, and the children that it forks for us, which send messages."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from typing import Final

from pytest_memguard.clock import Clock
from pytest_memguard.forking.child_channel import Channel, Message, raised
from pytest_memguard.forking.child_forker import FORK, KILL, NOTE, flush_outputs, fork, serve
from pytest_memguard.sizes import KIB
from pytest_memguard.values import dataclass

_PATIENCE_SECONDS: Final = 10.0
_LOST: Final = "the process that was forked before the first test has gone"
_UNIT_OF_MAXRSS: Final = 1 if sys.platform == "darwin" else KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The end of a child, as the kernel knows it."""

    status: int
    """What `os.waitpid` has returned."""
    highest: int
    """The highest resident bytes of the child, or of one that it has waited for."""


class ServerLost(RuntimeError):  # noqa: N818  reads as the sentence it reports
    """The process that forks children has gone."""


class Child:
    """A child of the server.

    Args:
        server: has forked it.
        channel: our end of the connection with it.

    Attributes:
        pid: its number.
        ended: how it has ended; ``None`` as long as that is not known.
    """

    def __init__(self, server: ChildServer, pid: int, channel: Channel) -> None:
        self._server = server
        self.pid = pid
        self.channel = channel
        self.ended: Ended | None = None

    def send(self, message: Message) -> None:
        """Send it a message; one that has ended misses it."""
        with contextlib.suppress(OSError):
            self.channel.send(message)

    def receive(self, seconds: float | None = None) -> Message | Ended | None:
        """Return the next message of the child or, after the last one, how it has ended.

        Args:
            seconds: how long to wait; ``None`` for as long as it takes.

        Returns:
            ``None`` if nothing has come in that time.

        Raises:
            ServerLost: if the server has gone.
        """
        deadline = None if seconds is None else Clock.seconds() + seconds
        while True:
            message = self.channel.take()
            if message is not None:
                return message
            if self.ended is not None:
                if self.channel.read(socket.MSG_DONTWAIT):
                    continue
                return self.ended
            left = None if deadline is None else max(0.0, deadline - Clock.seconds())
            if not self._wait(left):
                return None

    def kill(self, number: int) -> None:
        """Send it a signal; SIGKILL goes to its descendants as well."""
        if self.ended is None:
            self._server.kill(number)

    def close(self) -> None:
        """End it, if it has not ended by itself."""
        self.kill(signal.SIGKILL)
        deadline = Clock.seconds() + _PATIENCE_SECONDS
        with contextlib.suppress(ServerLost):
            while self.ended is None and Clock.seconds() < deadline:
                self._wait(deadline - Clock.seconds())
        self.channel.close()

    def _wait(self, seconds: float | None) -> bool:
        """Wait for anything from the child, or about it; return whether there was."""
        waiting = select.poll()
        waiting.register(self.channel.fileno(), select.POLLIN)
        waiting.register(self._server.fileno(), select.POLLIN)
        events = dict(waiting.poll(None if seconds is None else 1000 * seconds))
        if self._server.fileno() in events:
            self.ended = self._server.read_end()
        # the end of the connection alone says nothing: the child may have closed it
        if events.get(self.channel.fileno(), 0) and not self.channel.read(socket.MSG_DONTWAIT):
            self._wait_for_end(seconds)
        return bool(events)

    def _wait_for_end(self, seconds: float | None) -> None:
        if self.ended is None:
            waiting = select.poll()
            waiting.register(self._server.fileno(), select.POLLIN)
            if waiting.poll(None if seconds is None else 1000 * seconds):
                self.ended = self._server.read_end()


class ChildServer:
    """A process that is forked now, and has one child at a time.

    Those children are not affected by anything that this process does from now on. They share
    its output. When this process ends, the server and its child do.

    Args:
        run: called in each child with its end of the connection; the child ends after that.
        prepare: called once in the server, before the first child.

    Attributes:
        pid: number of the server.
    """

    def __init__(
        self, run: Callable[[Channel], object], prepare: Callable[[], object] = bool
    ) -> None:
        ours, theirs = socket.socketpair()
        flush_outputs()
        self.pid = fork()
        if self.pid == 0:
            ours.close()
            serve(raised(theirs), run, prepare)
        theirs.close()
        self._control = raised(ours)

    def fileno(self) -> int:
        """Return the number of the descriptor on which it reports."""
        return self._control.fileno()

    def start(self) -> Child:
        """Fork a child.

        Raises:
            ServerLost: if the server has gone.
        """
        flush_outputs()
        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(self._control, [FORK], [theirs.fileno()])
            kind, pid, _ = self._note()
        except OSError as error:
            ours.close()
            raise ServerLost(_LOST) from error
        finally:
            theirs.close()
        if kind != FORK:
            ours.close()
            msg = f"no process could be forked: {os.strerror(pid)}"
            raise ServerLost(msg)
        return Child(self, pid, Channel(ours))

    def kill(self, number: int) -> None:
        """Send the child a signal."""
        with contextlib.suppress(OSError):
            self._control.sendall(KILL + bytes([number]))

    def read_end(self) -> Ended:
        """Read how the child has ended.

        Raises:
            ServerLost: if the server has gone.
        """
        _, status, highest = self._note()
        return Ended(status=status, highest=highest * _UNIT_OF_MAXRSS)

    def close(self) -> None:
        """End the server, and its child."""
        self._control.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _note(self) -> tuple[bytes, int, int]:
        data = b""
        while len(data) < NOTE.size:
            chunk = self._control.recv(NOTE.size - len(data))
            if not chunk:
                raise ServerLost(_LOST)
            data += chunk
        kind, first, second = NOTE.unpack(data)
        return kind, first, second
