"""Two pools that give back what they have taken, one of objects and one of descriptors."""

import os


class Parser:
    """Is used again."""


_PARSERS: list[Parser] = []
_PIPES: list[tuple[int, int]] = []


def work(count: int) -> int:
    """Take some of both and put them back."""
    parsers = [_PARSERS.pop() if _PARSERS else Parser() for _ in range(count)]
    pipe = _PIPES.pop() if _PIPES else os.pipe()
    os.write(pipe[1], b"x")
    size = len(os.read(pipe[0], 1))
    _PIPES.append(pipe)
    _PARSERS.extend(parsers)
    return size


def test_work() -> None:
    """What was written was read."""
    assert work(5) == 1
