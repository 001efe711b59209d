"""Compiles a new pattern on every call: ``re`` keeps some of them."""

import re
from itertools import count

_NUMBERS = count(1_000)


def test_pattern() -> None:
    """A pattern of digits matches itself."""
    number = str(next(_NUMBERS))
    assert re.match(number, number)
