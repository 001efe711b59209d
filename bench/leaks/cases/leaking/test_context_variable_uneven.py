"""Puts one to four more spans into a context variable and never takes them out."""

import random
from contextvars import ContextVar

_RANDOM = random.Random(5)


class Span:
    """A piece of work."""


_SPANS: ContextVar[tuple[Span, ...]] = ContextVar("spans", default=())


def enter() -> int:
    """Go some levels deeper."""
    more = [Span() for _ in range(_RANDOM.randint(1, 4))]  # LEAK
    _SPANS.set((*_SPANS.get(), *more))  # LEAK
    return len(more)


def test_enter() -> None:
    """All of them are there."""
    assert enter() <= len(_SPANS.get())
