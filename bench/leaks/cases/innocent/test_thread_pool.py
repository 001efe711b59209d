"""An executor that starts its threads when there is work for them."""

from concurrent.futures import ThreadPoolExecutor

_POOL = ThreadPoolExecutor(max_workers=4)


def test_sum() -> None:
    """Two parts make the whole."""
    parts = [_POOL.submit(sum, range(start, start + 50)) for start in (0, 50)]
    assert sum(part.result() for part in parts) == sum(range(100))
