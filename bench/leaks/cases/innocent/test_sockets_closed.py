"""Opens two sockets that talk to each other, and closes them."""

import socket


def test_talk() -> None:
    """What is sent arrives."""
    here, there = socket.socketpair()
    with here, there:
        here.send(b"!")
        assert there.recv(1) == b"!"
