"""Registers one more thing to do at the interpreter's exit on every call."""

import atexit


class Session:
    """Must be closed in the end."""

    def __init__(self) -> None:
        self.closed = False
        atexit.register(self.close)  # LEAK

    def close(self) -> None:
        """Close it; the registration stays."""
        self.closed = True


def visit() -> bool:
    """Open a session and close it."""
    session = Session()  # LEAK
    session.close()
    return session.closed


def test_visit() -> None:
    """A visit ends with a closed session."""
    assert visit()
