"""A ring that is doubled when it is full, up to what there is room for at most."""


class Ring:
    """Overwrites the oldest when it may not become larger."""

    def __init__(self) -> None:
        self.room = bytearray(256)
        self.end = 0

    def write(self, frame: bytes) -> int:
        """Write a frame."""
        while self.end + len(frame) > len(self.room):
            if len(self.room) < 4_096:
                self.room.extend(bytes(len(self.room)))
            else:
                self.end = 0
        self.room[self.end : self.end + len(frame)] = frame
        self.end += len(frame)
        return len(self.room)


_RING = Ring()


def test_write() -> None:
    """It never has more than 4,096 bytes."""
    assert _RING.write(b"x" * 400) <= 4_096
