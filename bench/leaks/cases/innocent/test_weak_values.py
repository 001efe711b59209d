"""A cache that keeps only what other objects keep as well."""

from itertools import count
from weakref import WeakValueDictionary


class Image:
    """What is cached."""

    def __init__(self, number: int) -> None:
        self.number = number


_IMAGES: "WeakValueDictionary[int, Image]" = WeakValueDictionary()
_NUMBERS = count(1_000)


def image(number: int) -> Image:
    """Find an image or make it."""
    found = _IMAGES.get(number)
    if found is None:
        found = _IMAGES[number] = Image(number)
    return found


def test_image() -> None:
    """An image is made once while it is used."""
    number = next(_NUMBERS)
    used = image(number)
    assert image(number) is used
