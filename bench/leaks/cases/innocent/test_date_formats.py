"""Parses a date with another format on every call: ``strptime`` keeps a few."""

from datetime import datetime
from itertools import cycle

_MARKS = cycle("-/.: _+=,;")


def test_parse() -> None:
    """The year comes first."""
    mark = next(_MARKS)
    text, form = f"2026{mark}11", f"%Y{mark}%m"
    assert datetime.strptime(text, form).year == 2026
