"""Starts three threads; most of them end, and now and then one does not."""

import random
import threading

_RANDOM = random.Random(13)
_STOP = threading.Event()


class Poller(threading.Thread):
    """Ends at once, or waits for something that never comes."""

    def __init__(self, *, stays: bool) -> None:
        super().__init__(daemon=True)
        self.stays = stays

    def run(self) -> None:
        """Poll."""
        if self.stays:
            _STOP.wait()


def poll() -> int:
    """Start them, and wait for those that end."""
    pollers = [Poller(stays=_RANDOM.random() < 0.3) for _ in range(3)]  # LEAK
    for poller in pollers:
        poller.start()  # LEAK
    for poller in pollers:
        if not poller.stays:
            poller.join()
    return len(pollers)


def test_poll() -> None:
    """There are three."""
    assert poll() == 3
