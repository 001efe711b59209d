"""A buffer that is written out after fifty entries."""


class Entry:
    """One line of a journal."""

    def __init__(self, text: str) -> None:
        self.text = text


_BUFFER: list[Entry] = []


def note(text: str) -> int:
    """Keep an entry; fifty are enough."""
    _BUFFER.append(Entry(text))
    size = len(_BUFFER)
    if size == 50:
        _BUFFER.clear()
    return size


def test_note() -> None:
    """There are never more than fifty."""
    assert note("saved") <= 50
