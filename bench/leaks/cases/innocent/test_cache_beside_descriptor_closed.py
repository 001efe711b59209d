"""An ``lru_cache`` that fills, beside a descriptor that is closed."""

import os
from functools import lru_cache
from itertools import count

_NUMBERS = count(1_000)


@lru_cache(maxsize=5_000)
def square(number: int) -> int:
    """Something worth keeping."""
    return number * number


def test_size() -> None:
    """This file is not empty."""
    assert square(next(_NUMBERS)) > 0
    descriptor = os.open(__file__, os.O_RDONLY)
    try:
        assert os.fstat(descriptor).st_size > 0
    finally:
        os.close(descriptor)
