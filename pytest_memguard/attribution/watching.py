"""Watches calls line by line for growth without allocations: files, threads, items."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import CO_VARARGS
from types import FrameType
from typing import Any, Final, Protocol

from pytest_memguard.attribution.forwarders import forwarding_lines
from pytest_memguard.attribution.leak_lines import (
    Line,
    calls_test,
    is_example,
    is_named,
    is_our_file,
    is_pytest,
)
from pytest_memguard.model.leaks import LeakLine, Signal

_MOST_READINGS: Final = 50_000
_SMALL_PART: Final = 0.25
_GIVEN_BACK: Final = 0.5
"""The least part of what one line gives back that another one has to have taken."""
_FOLDERS: Final = ("/proc/self/fd", "/dev/fd")


class Gauge(Protocol):
    """Something that grows and is read again and again."""

    name: str
    """What it measures: a signal, or what holds the leak."""

    def read(self, line: Line | None) -> None:
        """Attribute what is new since the last reading to a line, if there is one."""

    def left(self) -> Counter[Line]:
        """Return how much each line has left behind."""

    def forget(self, line: Line) -> None:
        """Attribute to no line what was attributed to this one."""


class Marks:
    """A gauge of things with numbers: descriptors, threads, processes.

    Args:
        name: the signal.
        read: returns the present numbers.
    """

    def __init__(self, name: str, read: Callable[[], set[str]]) -> None:
        self.name = name
        self._read = read
        self._known = read()
        self._makers: dict[str, Line | None] = {}

    def read(self, line: Line | None) -> None:
        """Note which line made what is new."""
        now = self._read()
        if now != self._known:
            self._makers.update(dict.fromkeys(now - self._known, line))
            self._known = now

    def left(self) -> Counter[Line]:
        """Return how many of the things that still exist each line has made."""
        makers = (self._makers.get(mark) for mark in self._known)
        return Counter(line for line in makers if line is not None)

    def forget(self, line: Line) -> None:
        """Attribute to no line what this one made."""
        self._makers = {mark: maker for mark, maker in self._makers.items() if maker != line}


class Fill:
    """A gauge of something that has a length.

    Args:
        name: what it measures.
        length: returns the present length.
    """

    def __init__(self, name: str, length: Callable[[], int]) -> None:
        self.name = name
        self._length = length
        self._known = length()
        self._left: Counter[Line] = Counter()

    def read(self, line: Line | None) -> None:
        """Note by how much it has grown or shrunk."""
        now = self._length()
        if now != self._known:
            if line is not None:
                self._left[line] += now - self._known
            self._known = now

    def left(self) -> Counter[Line]:
        """Return by how much each line made it grow."""
        return +self._left

    def forget(self, line: Line) -> None:
        """Attribute to no line what this one has added."""
        del self._left[line]


class Level(Fill):
    """A gauge of memory: what one line takes, another one may give back, as of a text.

    Args:
        name: what it measures.
        length: returns the present number of bytes.
    """

    def left(self) -> Counter[Line]:
        """Return by how much each line made it grow, without what another has given back."""
        grown = +self._left
        for back in sorted((-self._left).values(), reverse=True):
            fits = [line for line, size in grown.items() if size >= _GIVEN_BACK * back]
            if fits:
                nearest = min(fits, key=lambda line: abs(grown[line] - back))
                grown[nearest] -= back
        return +grown


def gauge_of(signal: Signal) -> Gauge | None:
    """Return a gauge of a resource, if the platform lists its things one by one."""
    read = {
        "open files": _descriptors,
        "Python threads": lambda: _python_threads,
        "native threads": _native_threads,
        "child processes": _children,
    }.get(signal, lambda: None)()
    return None if read is None else Marks(signal, read)


def _descriptors() -> Callable[[], set[str]] | None:
    listdir, dup, close = os.listdir, os.dup, os.close
    folder = next((place for place in _FOLDERS if os.path.isdir(place)), None)  # noqa: PTH112
    if folder is None:
        return None

    def descriptors() -> set[str]:
        listed = set(listdir(folder))
        # the listing took the lowest free number for itself, and that is the next one again
        for number in listed:
            with contextlib.suppress(OSError):  # unless it is that one, which is closed by now
                free = dup(int(number))
                close(free)
                return listed - {str(free)}
        return set()

    return descriptors


def _native_threads() -> Callable[[], set[str]] | None:
    listdir, folder = os.listdir, "/proc/self/task"
    return (lambda: set(listdir(folder))) if os.path.isdir(folder) else None  # noqa: PTH112


def _python_threads() -> set[str]:
    return set(map(str, sys._current_frames()))  # noqa: SLF001  # no other way without a lock


def _children() -> Callable[[], set[str]] | None:
    place = f"/proc/self/task/{threading.get_native_id()}/children"
    if not os.path.exists(place):  # noqa: PTH110
        return None
    opened = open  # held here: tests replace what they find in modules

    def children() -> set[str]:
        with opened(place) as file:
            return set(file.read().split())

    return children


class Watch:
    """Reads gauges before and after every line of the code under test.

    What happens in the standard library belongs to the line that called it. What happens in
    pytest belongs to no line, nor does what happens in `doctest` if pytest has called it: a
    plugin may wrap that in a function of its own. Only lines of this thread are traced.

    Args:
        gauges: the gauges to read.
    """

    def __init__(self, gauges: Sequence[Gauge]) -> None:
        self._gauges = gauges
        self._line: Line | None = None
        self._followed: dict[str, bool] = {}
        self._passing: dict[str, frozenset[int]] = {}
        self._of_runner: set[Line] = set()
        self._readings = 0

    @property
    def is_over(self) -> bool:
        """Whether so many lines were run that no more are watched."""
        return self._readings >= _MOST_READINGS

    def during(self, call: Callable[[], None]) -> None:
        """Make one call under watch.

        A tracer that is set, by a debugger or for coverage, is suspended meanwhile.
        """
        before = sys.gettrace()
        self._go_on(None)
        sys.settrace(self._on_call)
        try:
            call()
        finally:
            sys.settrace(before)
            self._go_on(None)

    def _go_on(self, line: Line | None) -> None:
        """Attribute what is new to the line so far, and what comes to another one."""
        self._readings += 1
        for gauge in self._gauges:
            gauge.read(self._line)
        self._line = line

    def _on_call(self, frame: FrameType, _event: str, _arg: object) -> Any:
        if self.is_over:
            return None
        file = frame.f_code.co_filename
        followed = self._followed.get(file)
        if followed is None:
            followed = self._followed[file] = is_named(file) and not is_pytest(file)
        if not followed:
            return None
        if is_example(file):
            self._leave_out_runner(frame.f_back)
        if frame.f_code.co_flags & CO_VARARGS and file not in self._passing:
            self._go_on(self._line)
            self._passing[file] = forwarding_lines(file)
            self._go_on(None)  # nothing of that is the call's
        self._go_on(self._line_in(frame))
        return self._on_line

    def _on_line(self, frame: FrameType, event: str, _arg: object) -> Any:
        if self.is_over:
            return None
        if event == "line":
            self._go_on(self._line_in(frame))
        elif event == "return":
            self._go_on(self._caller(frame.f_back))
        return self._on_line

    def _line_in(self, frame: FrameType) -> Line | None:
        """Return the line that runs, or the one that called it if it only passes a call on."""
        passes = self._passes_on(frame)
        line = (self._caller(frame.f_back) if passes else None) or _line(frame)
        return None if line in self._of_runner else line

    def _caller(self, frame: FrameType | None) -> Line | None:
        """Return the line that continues after one has returned; ``None`` if it is pytest's."""
        while frame is not None:
            file = frame.f_code.co_filename
            if is_our_file(file) or is_pytest(file):
                return None
            if is_named(file) and not self._passes_on(frame):
                line = _line(frame)
                return None if line in self._of_runner else line
            frame = frame.f_back
        return None

    def _leave_out_runner(self, frame: FrameType | None) -> None:
        """Leave out the lines that led from pytest to an example, unless a test's function has.

        Args:
            frame: what has called the example.
        """
        lines: list[Line] = []
        while frame is not None and not is_pytest(frame.f_code.co_filename):
            lines.append(_line(frame))
            frame = frame.f_back
        if frame is None or calls_test(frame.f_code.co_name):
            return
        new = set(lines) - self._of_runner
        if new:
            self._go_on(None)
        for line in new:
            self._of_runner.add(line)
            for gauge in self._gauges:
                gauge.forget(line)

    def _passes_on(self, frame: FrameType) -> bool:
        return frame.f_lineno in self._passing.get(frame.f_code.co_filename, ())


def _line(frame: FrameType) -> Line:
    return (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def with_watched(
    lines: tuple[LeakLine, ...], gauges: Sequence[Gauge], share: float
) -> tuple[LeakLine, ...]:
    """Return lines with what was seen of them, those that were seen first.

    Args:
        lines: the lines whose blocks stay.
        gauges: the gauges that were read.
        share: ratio of the number of calls that the blocks are from to those watched.
    """
    left: dict[Line, list[tuple[str, int]]] = {}
    for gauge in gauges:
        found = gauge.left()
        most = max(found.values(), default=0)
        for line, count in found.most_common():
            if count >= max(2, _SMALL_PART * most):
                left.setdefault(line, []).append((gauge.name, round(share * count)))
    others = {(line.file, line.line, line.function): line for line in lines}
    seen = [_with_left(others.pop(line, None), line, kinds) for line, kinds in left.items()]
    return (*seen, *others.values())


def with_left(
    lines: tuple[LeakLine, ...], watched: tuple[LeakLine, ...], share: float
) -> tuple[LeakLine, ...]:
    """Return lines with what others at the same place were seen to leave behind.

    Args:
        lines: the lines whose blocks stay.
        watched: the lines that were watched.
        share: ratio of the number of calls that the blocks are from to those watched.
    """
    seen = {(line.file, line.line): line for line in watched}
    known = {(line.file, line.line) for line in lines}
    known_lines = tuple(
        _with_more(line, seen[line.file, line.line], share)
        if (line.file, line.line) in seen
        else line
        for line in lines
    )
    return (*known_lines, *(line for place, line in seen.items() if place not in known))


def _with_more(line: LeakLine, watched: LeakLine, share: float) -> LeakLine:
    more = tuple((kind, round(share * count)) for kind, count in watched.left)
    return replace(line, left=(*line.left, *more))


def _with_left(known: LeakLine | None, line: Line, left: list[tuple[str, int]]) -> LeakLine:
    file, number, function = line
    new = LeakLine(file=file, line=number, function=function, count=0, size=0)
    return replace(known or new, left=tuple(left))
