"""A cache that names a bound and does not keep it."""

from itertools import count


class Page:
    """What is cached."""

    def __init__(self, number: int) -> None:
        self.number = number


class Cache:
    """Claims to drop the oldest page when it is full, but does not."""

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self.pages: dict[int, Page] = {}

    def page(self, number: int) -> Page:
        """Find a page or make it."""
        if len(self.pages) > self.maxsize:
            self.pages.pop(-1, None)  # never the key of any page
        page = self.pages[number] = Page(number)  # LEAK
        return page


_CACHE = Cache(maxsize=64)
_NUMBERS = count(1_000)


def test_page() -> None:
    """A page has its number."""
    number = next(_NUMBERS)  # LEAK
    assert _CACHE.page(number).number == number
