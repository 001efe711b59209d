"""Keeps every future of an executor that does one thing at a time."""

from concurrent.futures import Future, ThreadPoolExecutor

_EXECUTOR = ThreadPoolExecutor(1)
_FUTURES: "list[Future[str]]" = []


def shout(text: str) -> str:
    """Have a text made loud."""
    future = _EXECUTOR.submit(text.upper)  # LEAK
    _FUTURES.append(future)
    return future.result()


def test_shout() -> None:
    """It is loud."""
    assert shout("here") == "HERE"
