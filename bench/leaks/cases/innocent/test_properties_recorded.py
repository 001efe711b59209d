"""Has two properties written to its report, as every test may."""

from collections.abc import Callable
from itertools import count

_NUMBERS = count(1_000)


def test_record(record_property: Callable[[str, object], None]) -> None:
    """A number is recorded with its parts."""
    number = next(_NUMBERS)
    record_property("number", number)
    record_property("parts", [number, number // 2])
    assert number
