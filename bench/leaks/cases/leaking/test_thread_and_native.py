"""Leaves a thread behind, and loses native memory."""

import ctypes
import threading

_STOP = threading.Event()
_TAKE = ctypes.pythonapi.PyMem_RawMalloc
_TAKE.argtypes = [ctypes.c_size_t]
_TAKE.restype = ctypes.c_void_p


class Watcher(threading.Thread):
    """Waits for something that never comes."""

    def run(self) -> None:
        """Watch."""
        _STOP.wait()


def watch() -> bool:
    """Start a watcher."""
    watcher = Watcher(daemon=True)  # LEAK
    watcher.start()  # LEAK
    return watcher.is_alive()


def encode(size: int) -> bool:
    """Take room and lose it."""
    return bool(_TAKE(size))  # LEAK


def test_watch() -> None:
    """The thread is running, and there was room."""
    assert watch()
    assert encode(500)
