"""An arena of blocks that is emptied after thirty messages."""


class Arena:
    """Gives room."""

    def __init__(self) -> None:
        self.blocks: list[bytearray] = []
        self.left = 0

    def take(self, size: int) -> int:
        """Take room, from another block if there is not enough."""
        if size > self.left:
            self.blocks.append(bytearray(8_000))
            self.left = 8_000
        self.left -= size
        return self.left


class Parser:
    """Has an arena for each thirty messages."""

    def __init__(self) -> None:
        self.arena = Arena()
        self.messages = 0

    def parse(self, text: str) -> int:
        """Parse a message."""
        self.messages += 1
        if self.messages % 30 == 0:
            self.arena = Arena()
        return self.arena.take(len(text))


_PARSER = Parser()


def test_parse() -> None:
    """There is never less than no room."""
    assert _PARSER.parse("x" * 1_000) >= 0
