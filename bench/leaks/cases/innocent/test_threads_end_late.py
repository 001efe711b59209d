"""Starts one to three threads that end a little later, and does not wait for them."""

import random
import threading
import time

_RANDOM = random.Random(13)


def poll() -> int:
    """Start them."""
    count = _RANDOM.randint(1, 3)
    for _ in range(count):
        threading.Thread(target=time.sleep, args=(0.002,), daemon=True).start()
    return count


def test_poll() -> None:
    """There is one at least."""
    assert poll() >= 1
