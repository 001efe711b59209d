"""A connection with a child process, over which both send messages of plain values."""

from __future__ import annotations

import contextlib
import marshal
import socket
import struct
from typing import Any, Final

Message = tuple[Any, ...]
"""Plain values, the first of which names the kind of message."""

_LENGTH: Final = struct.Struct("!Q")
_CHUNK: Final = 1 << 16
_ABOVE_OTHERS: Final = 512


class Channel:
    """One end of a connection for messages.

    Args:
        connection: a stream socket; its number becomes a high one, so that code that closes all
            descriptors and opens its own does not get it.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = raised(connection)
        self._data = bytearray()

    def fileno(self) -> int:
        """Return the number of the descriptor."""
        return self._socket.fileno()

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            ValueError: if something in it is no plain value.
            OSError: if the other end is closed.
        """
        data = marshal.dumps(message)
        self._socket.sendall(_LENGTH.pack(len(data)) + data)

    def receive(self) -> Message | None:
        """Wait for the next message, and return it; ``None`` at the end of the connection."""
        while True:
            message = self.take()
            if message is not None or not self.read():
                return message

    def take(self) -> Message | None:
        """Return the next message that has been read; ``None`` if it is not complete."""
        data = self._data
        if len(data) < _LENGTH.size:
            return None
        end = _LENGTH.size + int(_LENGTH.unpack_from(data)[0])
        if len(data) < end:
            return None
        message: Message = marshal.loads(data[_LENGTH.size : end])  # noqa: S302  of our own child
        del data[:end]
        return message

    def read(self, flags: int = 0) -> bool:
        """Read what has come; return whether there was anything."""
        try:
            chunk = self._socket.recv(_CHUNK, flags)
        except (BlockingIOError, ConnectionResetError):
            return False
        self._data += chunk
        return bool(chunk)

    def finish(self) -> None:
        """Let the other end know that there are no more messages."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def raised(connection: socket.socket) -> socket.socket:
    """Move a socket to a high number."""
    import fcntl  # not on Windows

    try:
        number = fcntl.fcntl(connection.fileno(), fcntl.F_DUPFD_CLOEXEC, _ABOVE_OTHERS)
    except OSError:  # the limit on descriptors is lower than that
        return connection
    connection.close()
    return socket.socket(fileno=number)
