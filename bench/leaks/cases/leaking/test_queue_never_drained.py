"""Puts events into a queue that is never read."""

from queue import Queue


class Event:
    """Something that happened."""

    def __init__(self, name: str) -> None:
        self.name = name


_EVENTS: "Queue[Event]" = Queue()


def publish(name: str) -> bool:
    """Send an event to all listeners."""
    _EVENTS.put(Event(name))  # LEAK
    return _EVENTS.empty()


def test_publish() -> None:
    """There is something to read."""
    assert not publish("saved")
