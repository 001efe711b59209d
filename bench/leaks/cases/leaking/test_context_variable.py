"""Sets a context variable to something that refers to its value before."""

from contextvars import ContextVar


class Span:
    """A piece of work inside another one."""

    def __init__(self, name: str, outer: "Span | None") -> None:
        self.name = name
        self.outer = outer


_CURRENT: ContextVar[Span | None] = ContextVar("current", default=None)


def enter(name: str) -> Span:
    """Go one level deeper and never come back."""
    span = Span(name, _CURRENT.get())  # LEAK
    _CURRENT.set(span)  # LEAK
    return span


def test_enter() -> None:
    """The innermost piece of work is the current one."""
    assert enter("load") is _CURRENT.get()
