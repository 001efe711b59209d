"""Keeps a socket per call."""

import socket

_SOCKETS: list[socket.socket] = []


def connect() -> int:
    """Make a socket that is never closed."""
    connection = socket.socket(socket.AF_UNIX)  # LEAK
    _SOCKETS.append(connection)
    return connection.fileno()


def test_connect() -> None:
    """An open socket has a number."""
    assert connect() > 0
