"""Keeps rows in a list of a session that every row refers back to."""


class Session:
    """Knows the rows that are not saved yet."""

    def __init__(self) -> None:
        self.unsaved: list[Row] = []


class Manager:
    """Has the one session there is."""

    def __init__(self) -> None:
        self.session = Session()


class Row:
    """Joins its session, and knows it."""

    def __init__(self, manager: Manager) -> None:
        self.session = manager.session
        self.session.unsaved.append(self)


_MANAGER = Manager()


def test_row() -> None:
    """A row belongs to the session."""
    row = Row(_MANAGER)  # LEAK
    assert row.session is _MANAGER.session
