"""Notices when other code resets the high-water mark of this process (Linux)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from pytest_memguard.probes.descriptors import OwnDescriptor

RESET_BY_TEST: Final = (
    "something other than pytest-memguard opened /proc/<pid>/clear_refs meanwhile, which "
    "resets the kernel's high-water mark"
)
_IN_OPEN: Final = 0x20
_SIZE: Final = 4096
_PATHS: Final = (b"/proc/self/clear_refs", b"/proc/thread-self/clear_refs")


class ResetWatch:
    """Sees each opening of the file that resets the mark, by any process, through inotify(7).

    A mark that was reset looks like one that has not risen; only the opening of the file shows
    it. The opening of another thread's ``/proc/<pid>/task/<tid>/clear_refs`` is not seen.

    Attributes:
        poll: called with 0, returns something that is not empty if there are events; takes 0.3
            microseconds.
        noticed: whether other code has opened the file since `start`, as far as `seen` knows.

    Raises:
        OSError: if the kernel or the C library has no inotify, or its limits are reached.
        AttributeError: if the C library has no inotify.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._init, self._add = libc.inotify_init1, libc.inotify_add_watch
        self.noticed = False
        self._poller = select.poll()
        self.poll: Callable[[float], Sequence[object]] = self._poller.poll
        self._open()
        _WATCHES.add(self)

    def seen(self) -> bool:
        """Return whether other code has opened the file since `start`."""
        if self.poll(0) and self.drain():
            self.noticed = True
        return self.noticed

    def note(self) -> None:
        """Count the file as opened: another watch has seen it."""
        self.noticed = True

    def start(self) -> None:
        """Forget earlier openings."""
        if self.poll(0):
            self.drain()
        self.noticed = False

    def close(self) -> None:
        """Stop watching."""
        _WATCHES.discard(self)
        self.poll = _nothing
        self._leave()

    def renew(self) -> None:
        """Watch the file of the current process, with a new descriptor."""
        self._leave()
        try:
            self._open()
        except OSError:
            self.close()

    def _leave(self) -> None:
        with contextlib.suppress(KeyError):
            self._poller.unregister(self._descriptor.number)
        self._descriptor.close()

    def check(self) -> None:
        """Watch again if other code has closed the descriptor."""
        if not self._descriptor.is_ours():
            self.renew()

    def _open(self) -> None:
        number = self._init(os.O_NONBLOCK | os.O_CLOEXEC)
        if number < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._descriptor = OwnDescriptor(number)
        for path in _PATHS:
            if self._add(self._descriptor.number, path, _IN_OPEN) < 0:
                error = ctypes.get_errno()
                self._descriptor.close()
                raise OSError(error, "inotify_add_watch")
        self._poller.register(self._descriptor.number, select.POLLIN)

    def drain(self) -> bool:
        """Take the events from the kernel, and return whether there were any."""
        if not self._descriptor.is_ours():
            self.renew()
            return False
        try:
            return bool(os.read(self._descriptor.number, _SIZE))
        except BlockingIOError:
            return False


_WATCHES: weakref.WeakSet[ResetWatch] = weakref.WeakSet()


@contextlib.contextmanager
def opened_by_us() -> Iterator[None]:
    """Open the file in this context without being noticed."""
    watches = list(_WATCHES)
    for watch in watches:
        watch.check()
        watch.seen()
    yield
    for watch in watches:
        watch.drain()


def _nothing(_: float) -> Sequence[object]:
    return ()


def _renew_in_child() -> None:
    for watch in list(_WATCHES):
        watch.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_in_child)
