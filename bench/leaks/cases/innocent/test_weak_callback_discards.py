"""The callback of a weak reference is a C function that takes it out of a set."""

import weakref


class Page:
    """Goes away at once."""


_PAGES: set[weakref.ref[Page]] = set()


def test_page_gone() -> None:
    """Nothing is left of the page."""
    page = Page()
    _PAGES.add(weakref.ref(page, _PAGES.discard))
    del page
    assert not _PAGES
