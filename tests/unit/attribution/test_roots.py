"""Tests of where chains of references start."""

from __future__ import annotations

import threading

from pytest_memguard.attribution.roots import Variable, local_variables

DONE = threading.Event()


def _wait() -> None:
    rows = [object()]
    DONE.wait()
    del rows


def _variables_of(thread: threading.Thread) -> list[Variable]:
    """Variables on the stack of a thread, once it waits."""
    found: list[Variable] = []
    while not any(one.frame.f_code is threading.Event.wait.__code__ for one in found):
        found = [one for one in local_variables().values() if thread.name in one.root.words]
    return found


def test_variables_of_threads_that_wait() -> None:
    """All threads wait in the same functions; the name says which one of the project waits."""
    thread = threading.Thread(target=_wait, name="waits here", daemon=True)
    thread.start()
    try:
        names = {(one.frame.f_code.co_name, one.root.name) for one in _variables_of(thread)}
    finally:
        DONE.set()
        thread.join()
    assert ("wait", f"thread {__name__}._wait, ") in names
    assert ("_wait", "thread, ") in names
    assert ("run", f"thread {__name__}._wait, ") in names
