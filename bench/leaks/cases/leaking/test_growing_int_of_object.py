"""A set of bits in an attribute that gets 300 bytes longer with every number."""

from itertools import count

_NUMBERS = count(1)


class Seen:
    """Remembers numbers as bits."""

    def __init__(self) -> None:
        self.bits = 0

    def add(self, number: int) -> bool:
        """Remember one."""
        self.bits |= 1 << (number * 2_400)  # LEAK
        return self.bits > 0


_SEEN = Seen()


def test_add() -> None:
    """Some bit is set."""
    assert _SEEN.add(next(_NUMBERS))
