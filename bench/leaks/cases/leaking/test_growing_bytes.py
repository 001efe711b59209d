"""Puts bytes together in an attribute of an object that stays."""


class Peer:
    """Has sent something."""

    def __init__(self) -> None:
        self.received = b""

    def receive(self, data: bytes) -> int:
        """Keep it all."""
        self.received += data  # LEAK
        return len(self.received)


_PEER = Peer()


def test_receive() -> None:
    """There is something."""
    assert _PEER.receive(b"x" * 250) >= 250
