"""Keeps an object, and forgets a descriptor."""

import os


class Visit:
    """One of many."""


_VISITS: dict[int, Visit] = {}


def visit(path: str) -> int:
    """Read a file."""
    _VISITS[len(_VISITS)] = Visit()  # LEAK
    descriptor = os.open(path, os.O_RDONLY)  # LEAK
    return os.fstat(descriptor).st_size


def test_visit() -> None:
    """This file is not empty."""
    assert visit(__file__)
