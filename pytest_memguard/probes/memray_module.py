"""Loads memray, and starts its trackers without disturbing profilers and output."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import sys
from typing import Any, Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.own_allocators import ChosenAllocators, OwnAllocators
from pytest_memguard.probes.tracker_files import TrackerFile

_OWN_ALLOCATORS: Final = OwnAllocators()
_READ_BY_MEMRAY: Final = ("/proc/self/status", "/proc/self/fd")


def import_memray() -> Any:
    """Return the module memray.

    Raises:
        Unmeasurable: if memray is not available, or cannot be loaded or used.
    """
    try:
        import memray
    except ImportError as error:
        why = "it does not exist for Windows" if sys.platform == "win32" else str(error)
        msg = f"memray is not available: {why}"
        raise Unmeasurable(msg) from error
    missing = missing_files()
    if missing:
        msg = f"memray is not available: it reads {missing[0]}, which is not there"
        raise Unmeasurable(msg)
    return memray


@functools.cache
def missing_files() -> tuple[str, ...]:
    """Return which files that memray reads when it tracks are missing (Linux).

    A tracker that fails to start for this reason makes every later one fail. The files are
    looked for once, before a test can mount another file system in their place.
    """
    if sys.platform != "linux":
        return ()
    return tuple(name for name in _READ_BY_MEMRAY if not os.access(name, os.R_OK))


class RunningProfiler:
    """The profiler that is running, if one is; memray removes it.

    memray restores it as if it were a function. `cProfile` uses no function, so it is switched
    off meanwhile.
    """

    def __init__(self) -> None:
        self._profile: Any = sys.getprofile()
        self._is_off = not callable(self._profile) and hasattr(self._profile, "enable")
        if self._is_off:
            sys.setprofile(None)

    def switch_on(self) -> None:
        """Continue profiling if memray did not start."""
        if self._is_off:
            self._profile.enable()

    def put_back(self) -> None:
        """Continue profiling after memray has stopped."""
        if self._profile is not None and not self._is_off:
            sys.setprofile(self._profile)
        self.switch_on()


def chosen_allocators() -> ChosenAllocators:
    """Return the allocation functions that libraries have chosen, to start a tracker with."""
    return ChosenAllocators(_OWN_ALLOCATORS)


def enter(tracker: Any, chosen: ChosenAllocators) -> None:
    """Start a tracker of memray, without the notice that it prints if greenlet is loaded.

    Args:
        tracker: the tracker; `leave` stops it.
        chosen: the allocation functions of libraries, which stay as they are.
    """
    quiet = "greenlet" in sys.modules
    with contextlib.redirect_stderr(io.StringIO()) if quiet else contextlib.nullcontext():
        tracker.__enter__()
    chosen.has_started()


def leave(tracker: Any, chosen: ChosenAllocators) -> None:
    """Stop a tracker of memray.

    Args:
        tracker: the tracker.
        chosen: as it was started with.
    """
    chosen.will_stop()
    tracker.__exit__(None, None, None)
    chosen.has_stopped()


def destination(file: TrackerFile) -> Any:
    """Return the destination that memray writes to."""
    # a nameless file is there already
    return import_memray().FileDestination(file.path, overwrite=True, compress_on_exit=False)
