"""Each of four slots gets 10 MB when it is first used, and they are used in turn."""

from itertools import cycle

_SLOTS = [bytearray() for _ in range(4)]
_TURN = cycle(range(4))


def slot() -> int:
    """Use the next slot."""
    room = _SLOTS[next(_TURN)]
    if not room:
        room.extend(b"x" * 10_000_000)
    return len(room)


def test_slot() -> None:
    """There is room."""
    assert slot() == 10_000_000
