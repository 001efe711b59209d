"""Takes 1,000 bytes per call from blocks of 8,000 that are never given back."""


class Arena:
    """Gives room."""

    def __init__(self) -> None:
        self.blocks: list[bytearray] = []
        self.left = 0

    def take(self, size: int) -> int:
        """Take room, from another block if there is not enough."""
        if size > self.left:
            self.blocks.append(bytearray(8_000))  # LEAK
            self.left = 8_000
        self.left -= size
        return self.left


_ARENA = Arena()


def test_take() -> None:
    """There is never less than no room."""
    assert _ARENA.take(1_000) >= 0
