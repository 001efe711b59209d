"""A hand-written cache that is emptied when 512 entries are in it."""

from itertools import count

_CACHE: dict[int, str] = {}
_NUMBERS = count(1_000)


def spelled(number: int) -> str:
    """A number in a form that is worth keeping."""
    if len(_CACHE) >= 512:
        _CACHE.clear()
    return _CACHE.setdefault(number, f"{number:,}".rjust(80))


def test_spelled() -> None:
    """The text is filled up with blanks."""
    assert len(spelled(next(_NUMBERS))) == 80
