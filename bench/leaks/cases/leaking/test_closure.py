"""Keeps every event in a list that only a closure knows."""

from collections.abc import Callable


class Event:
    """Something that happened."""

    def __init__(self, name: str) -> None:
        self.name = name


def recorder() -> Callable[[str], int]:
    """Make a function that counts and keeps what it is given."""
    events: list[Event] = []

    def record(name: str) -> int:
        events.append(Event(name))  # LEAK
        return len(events)

    return record


_RECORD = recorder()


def test_record() -> None:
    """The count starts at one."""
    assert _RECORD("click") > 0
