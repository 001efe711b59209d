"""Sets a context variable and puts it back."""

from contextvars import ContextVar

_CURRENT: ContextVar[tuple[str, ...]] = ContextVar("current", default=())


def test_nested() -> None:
    """The level is the same afterwards."""
    token = _CURRENT.set((*_CURRENT.get(), "load"))
    assert _CURRENT.get() == ("load",)
    _CURRENT.reset(token)
    assert _CURRENT.get() == ()
