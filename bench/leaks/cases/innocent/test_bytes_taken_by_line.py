"""Puts bytes together until there is a whole line, and takes that out."""

from itertools import cycle


class Peer:
    """Sends parts of lines."""

    def __init__(self) -> None:
        self.rest = b""

    def receive(self, data: bytes) -> int:
        """Take whole lines out."""
        self.rest += data
        *lines, self.rest = self.rest.split(b"\n")
        return len(lines)


_PEER = Peer()
_PARTS = cycle([b"x" * 400, b"y" * 300, b"z" * 200 + b"\n", b"a" * 500])


def test_receive() -> None:
    """There is one line at most."""
    assert _PEER.receive(next(_PARTS)) <= 1
