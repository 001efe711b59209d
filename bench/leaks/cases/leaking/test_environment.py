"""Sets one more variable of the environment on every call."""

import os
from itertools import count

_NUMBERS = count(1)


def announce(text: str) -> str:
    """Set a variable for all child processes to come."""
    name = f"LEAKS_NUMBER_{next(_NUMBERS)}"
    os.environ[name] = text  # LEAK
    return os.environ[name]


def test_announce() -> None:
    """The text is there."""
    assert announce("here") == "here"
