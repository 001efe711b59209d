"""Keeps every reading in a list of the module."""

_HISTORY: list[list[float]] = []


def record(value: float) -> list[float]:
    """Add one reading to a history that is never cut."""
    reading = [value, value * 2]  # LEAK
    _HISTORY.append(reading)
    return reading


def test_record() -> None:
    """A reading is kept as it came."""
    assert record(1.5)[0] == 1.5
