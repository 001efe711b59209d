"""Combines flags in all ways, each of which is made once."""

from enum import Flag
from itertools import count


class Right(Flag):
    """What is allowed."""

    READ = 1
    WRITE = 2
    RUN = 4
    SHARE = 8
    OWN = 16
    SEE = 32


_NUMBERS = count(1)


def test_rights() -> None:
    """Rights have their number."""
    number = next(_NUMBERS) % 64
    assert Right(number).value == number
