"""An ``lru_cache`` of 3,000 on a method of an object that stays."""

from functools import lru_cache
from itertools import count

_NUMBERS = count(1_000)


class Shop:
    """There is one."""

    @lru_cache(maxsize=3_000)
    def price(self, number: int) -> list[int]:
        """A price with its parts."""
        return [number, number // 5]


_SHOP = Shop()


def test_price() -> None:
    """The first part is the number itself."""
    number = next(_NUMBERS)
    assert _SHOP.price(number)[0] == number
