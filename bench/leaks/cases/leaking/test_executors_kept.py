"""Starts an executor for every piece of work, and its thread stays."""

from concurrent.futures import ThreadPoolExecutor

_EXECUTORS: list[ThreadPoolExecutor] = []


def shout(text: str) -> str:
    """Have a text made loud."""
    executor = ThreadPoolExecutor(1)  # LEAK
    _EXECUTORS.append(executor)
    return executor.submit(text.upper).result()  # LEAK


def test_shout() -> None:
    """It is loud."""
    assert shout("here") == "HERE"
