"""Keeps every session in a dict of the module."""

from dataclasses import dataclass


@dataclass
class Session:
    """One visit."""

    user: str


_SESSIONS: dict[int, Session] = {}


def log_in(user: str) -> Session:
    """Start a session that is never ended."""
    session = Session(user)  # LEAK
    _SESSIONS[id(session)] = session  # LEAK
    return session


def test_log_in() -> None:
    """A session knows its user."""
    assert log_in("ada").user == "ada"
