"""Sets a timer for the next day on every call, and never takes it back."""

import asyncio

_LOOP = asyncio.new_event_loop()


class Session:
    """Is to be ended one day."""

    def __init__(self) -> None:
        self.ended = False
        _LOOP.call_later(86_400, self.end)  # LEAK

    def end(self) -> None:
        """End it."""
        self.ended = True


def visit() -> bool:
    """Begin a session and end it at once; its timer stays."""
    session = Session()  # LEAK
    session.end()
    return session.ended


def test_visit() -> None:
    """A visit ends."""
    assert visit()
