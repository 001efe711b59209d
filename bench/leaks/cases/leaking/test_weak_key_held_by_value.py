"""Keys weakly by an object that the value itself refers to."""

from weakref import WeakKeyDictionary


class Stream:
    """Is wrapped once."""


class Wrapper:
    """Refers to the stream it wraps."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream


_WRAPPERS: "WeakKeyDictionary[Stream, Wrapper]" = WeakKeyDictionary()


def wrapped(stream: Stream) -> Wrapper:
    """Find the wrapper of a stream, or make it."""
    wrapper = _WRAPPERS.get(stream)
    if wrapper is None:
        wrapper = _WRAPPERS[stream] = Wrapper(stream)  # LEAK
    return wrapper


def test_wrapped() -> None:
    """A stream is wrapped once."""
    stream = Stream()  # LEAK
    assert wrapped(stream) is wrapped(stream)
