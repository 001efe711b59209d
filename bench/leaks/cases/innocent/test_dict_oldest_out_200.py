"""A plain dict as a cache that drops its oldest entry from 200 on."""

from itertools import count


class Parsed:
    """What is cached."""

    def __init__(self, text: str) -> None:
        self.words = text.split()


_CACHE: dict[str, Parsed] = {}
_NUMBERS = count(1_000)


def parse(text: str) -> Parsed:
    """Parse a text, or find it parsed."""
    if text not in _CACHE:
        if len(_CACHE) >= 200:
            del _CACHE[next(iter(_CACHE))]
        _CACHE[text] = Parsed(text)
    return _CACHE[text]


def test_parse() -> None:
    """The text has two words."""
    assert len(parse(f"page {next(_NUMBERS)}").words) == 2
