"""The callback of a weak reference is a C function that keeps the reference."""

import weakref

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


class Page:
    """Goes away at once."""


def test_page_gone() -> None:
    """Nothing but a dead reference is left of the page."""
    page = Page()
    reference = weakref.ref(page, leaky.keep)  # LEAK
    del page
    assert reference() is None
