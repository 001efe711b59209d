"""Keeps rows in a list of a session that every row refers back to, until they are saved."""


class Session:
    """Knows the rows that are not saved yet."""

    def __init__(self) -> None:
        self.unsaved: list[Row] = []

    def save(self) -> None:
        """Forget the rows."""
        self.unsaved.clear()


class Row:
    """Joins its session, and knows it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.session.unsaved.append(self)


_SESSION = Session()


def test_row() -> None:
    """A row belongs to the session until it is saved."""
    assert Row(_SESSION).session is _SESSION
    if len(_SESSION.unsaved) == 20:
        _SESSION.save()
