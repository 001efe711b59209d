"""Two buffers of objects that are cut back, each at its own time."""


class Entry:
    """One line."""


_JOURNAL: list[Entry] = []
_AUDIT: list[tuple[Entry, int]] = []


def note() -> int:
    """Write to both."""
    entry = Entry()
    _JOURNAL.append(entry)
    _AUDIT.append((Entry(), len(_AUDIT)))
    if len(_JOURNAL) > 20:
        del _JOURNAL[:15]
    if len(_AUDIT) > 33:
        _AUDIT.clear()
    return len(_JOURNAL)


def test_note() -> None:
    """The journal is short."""
    assert note() <= 20
