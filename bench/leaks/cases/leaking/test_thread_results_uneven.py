"""Threads that end leave up to eight results in a list that is never read."""

import random
import threading

_RANDOM = random.Random(17)


class Result:
    """What a thread has found."""


_RESULTS: list[Result] = []


def find() -> None:
    """Find some."""
    _RESULTS.extend([Result() for _ in range(_RANDOM.randint(2, 8))])  # LEAK


def test_find() -> None:
    """Something is found."""
    thread = threading.Thread(target=find)
    thread.start()
    thread.join()
    assert _RESULTS
