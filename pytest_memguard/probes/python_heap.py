"""Measures the peak of the memory that Python's allocators hand out, with tracemalloc."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pytest_memguard.model.measurements import Method
from pytest_memguard.model.metrics import PYTHON


class PythonHeap:
    """tracemalloc as a meter; if it was running before, it keeps running.

    tracemalloc has one peak for all code. It is remembered before other code resets it, so a
    test that measures itself does not hide from its budget.

    A test that starts tracemalloc itself gets it as if it had not run: what it counts begins
    anew, with the test's own number of frames, and this meter is lost.
    """

    metric = PYTHON
    method: Method = "tracemalloc"
    hooks_allocators = True

    def __init__(self) -> None:
        self.lost = ""
        self._started = False
        self._canary: object = None
        self._carried = 0
        self._reset_peak: Callable[[], None] = _nothing
        self._noting: Callable[[], None] | None = None
        self._hidden: dict[str, tuple[Any, Any]] = {}

    @property
    def _tracemalloc(self) -> Any:
        """The module, loaded before the first test in runs that need it."""
        import tracemalloc

        return tracemalloc

    @property
    def running(self) -> bool:
        """Whether it has been started."""
        return self._canary is not None

    def start(self) -> None:
        """Start to trace, with one frame for each block."""
        module = self._tracemalloc
        if not _original(module.is_tracing)():
            _original(module.start)(1)
            self._started = True
            self._hide()
        if self._canary is None:
            self._canary = bytearray(1)
            self._note_resets()

    def restart(self) -> int:
        """Reset the peak to the level, and return the level in bytes."""
        if self._canary is not None:
            self._reset_peak()
            self._carried = 0
        return self.level()

    def read(self) -> tuple[int, int]:
        """Return the level and the highest level since `restart`, in bytes.

        If the traces were dropped meanwhile, `lost` says so and the numbers are not valid.
        """
        if self._canary is None:
            return 0, 0
        if self._tracemalloc.get_object_traceback(self._canary) is None and not self.lost:
            self.lost = "the test stopped or cleared tracemalloc while it was measuring"
        level, high = self._tracemalloc.get_traced_memory()
        return level, max(high, self._carried)

    def missed(self, start: int, high: int) -> int:
        """Return 0: every block is traced."""
        return 0

    def level(self) -> int:
        """Return the level in bytes."""
        level: int = self._tracemalloc.get_traced_memory()[0]
        return level

    def stop(self) -> None:
        """Stop tracing, if this object started it."""
        self._canary = None
        if self._noting is not None and self._tracemalloc.reset_peak is self._noting:
            self._tracemalloc.reset_peak = self._reset_peak
        self._noting = None
        self._unhide()
        if self._started:
            self._started = False
            self._tracemalloc.stop()

    def _hide(self) -> None:
        """Have the test find tracemalloc as it would be without this meter: not started."""
        module = self._tracemalloc

        @functools.wraps(module.is_tracing)
        def is_tracing() -> bool:
            return False

        @functools.wraps(module.start)
        def start(nframe: int = 1) -> None:
            self._carried = max(self._carried, module.get_traced_memory()[1])
            self.lost = "the test started tracemalloc itself"
            self._unhide()
            self._started = False
            module.stop()
            module.start(nframe)

        for name, stand_in in (("is_tracing", is_tracing), ("start", start)):
            self._hidden[name] = getattr(module, name), stand_in
            setattr(module, name, stand_in)

    def _unhide(self) -> None:
        """Put the functions back, unless other code has replaced them."""
        for name, (original, stand_in) in self._hidden.items():
            if getattr(self._tracemalloc, name) is stand_in:
                setattr(self._tracemalloc, name, original)
        self._hidden = {}

    def _note_resets(self) -> None:
        """Have the peak remembered before other code resets it."""
        before = self._reset_peak = self._tracemalloc.reset_peak

        @functools.wraps(before)
        def reset_peak() -> None:
            self._carried = max(self._carried, self._tracemalloc.get_traced_memory()[1])
            before()

        self._noting = self._tracemalloc.reset_peak = reset_peak


def _original(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that a stand-in takes the place of."""
    return getattr(function, "__wrapped__", function)


def _nothing() -> None:
    """Take the place of the function that resets the peak while nothing is traced."""
