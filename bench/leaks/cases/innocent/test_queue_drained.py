"""Puts things into a queue of the module and takes them out again."""

from queue import Queue

_QUEUE: "Queue[object]" = Queue()


def test_pass_on() -> None:
    """What goes in comes out."""
    things = [object() for _ in range(20)]
    for thing in things:
        _QUEUE.put(thing)
    assert [_QUEUE.get() for _ in things] == things
