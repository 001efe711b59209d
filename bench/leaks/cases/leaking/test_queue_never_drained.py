"""Puts events into a queue that nobody reads."""

from queue import Queue


class Event:
    """Something that happened."""

    def __init__(self, name: str) -> None:
        self.name = name


_EVENTS: "Queue[Event]" = Queue()


def publish(name: str) -> bool:
    """Tell whoever listens."""
    _EVENTS.put(Event(name))  # LEAK
    return _EVENTS.empty()


def test_publish() -> None:
    """There is something to read."""
    assert not publish("saved")
