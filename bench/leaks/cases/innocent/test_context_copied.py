"""Sets a context variable in a copy of the context, to more and more."""

import contextvars
import random

_RANDOM = random.Random(5)
_SPANS: contextvars.ContextVar[tuple[list[int], ...]] = contextvars.ContextVar(
    "spans", default=()
)


def enter() -> int:
    """Go some levels deeper."""
    more = [[number] for number in range(_RANDOM.randint(1, 4))]
    _SPANS.set((*_SPANS.get(), *more))
    return len(_SPANS.get())


def test_enter() -> None:
    """Nothing of it is left outside."""
    assert contextvars.copy_context().run(enter) <= 4
    assert _SPANS.get() == ()
