"""Makes a context variable per request instead of one for all."""

from contextvars import ContextVar


class Request:
    """What is handled."""

    def __init__(self) -> None:
        self.current: ContextVar[list[int]] = ContextVar("current")  # LEAK
        self.current.set([1, 2, 3])  # LEAK


def test_request() -> None:
    """A request has its numbers."""
    assert Request().current.get() == [1, 2, 3]
