"""A cache without a bound, and callbacks that are never taken out."""

from collections.abc import Callable
from functools import cache
from itertools import count

_NUMBERS = count(1_000)
_BUS: list[Callable[[], int]] = []


@cache
def parts(number: int) -> list[int]:
    """A list that is worth keeping."""
    return [number, number // 2]  # LEAK


class View:
    """Wants to be called."""

    def __init__(self) -> None:
        _BUS.append(self.refresh)  # LEAK

    def refresh(self) -> int:
        """Do nothing."""
        return 0


def test_view() -> None:
    """A view has nothing to say."""
    assert parts(next(_NUMBERS))  # LEAK
    assert View().refresh() == 0  # LEAK
