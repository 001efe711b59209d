"""Lets go of an executor without waiting: its thread ends a moment later."""

from concurrent.futures import ThreadPoolExecutor


def test_submit() -> None:
    """The work is done."""
    pool = ThreadPoolExecutor(max_workers=1)
    assert pool.submit(len, "four").result() == 4
    pool.shutdown(wait=False)
