"""One worker at a time: each call stops the one before it and starts another."""

import threading


class Worker(threading.Thread):
    """Waits until it is stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.stop = threading.Event()

    def run(self) -> None:
        """Work."""
        self.stop.wait()


class Service:
    """Has one worker."""

    def __init__(self) -> None:
        self.worker: Worker | None = None

    def restart(self) -> bool:
        """Take another worker."""
        if self.worker is not None:
            self.worker.stop.set()
            self.worker.join()
        self.worker = Worker()
        self.worker.start()
        return self.worker.is_alive()


_SERVICE = Service()


def test_restart() -> None:
    """The worker is there."""
    assert _SERVICE.restart()
