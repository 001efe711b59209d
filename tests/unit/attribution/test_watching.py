"""Tests of watching calls line by line: to which line a descriptor or item is attributed."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from doctest import DocTestParser, DocTestRunner
from functools import partial
from inspect import currentframe
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from pytest_memguard.attribution import watching
from pytest_memguard.attribution.watching import (
    Fill,
    Level,
    Marks,
    Watch,
    gauge_of,
    with_watched,
)
from pytest_memguard.model.leaks import LeakLine
from tests.support.fresh_process import alone

CALLS = 3


def watched(gauge: Fill | Marks, call: Callable[[], object]) -> dict[int, int]:
    """How much each line of this file has left after some calls, from its function's first."""
    watch = Watch([gauge])
    for _ in range(CALLS):
        watch.during(lambda: call() and None)
    left = gauge.left()
    assert {Path(file).name for file, _, _ in left} <= {Path(__file__).name}
    assert len({function for _, _, function in left}) <= 1
    first = getattr(call, "__code__", currentframe().f_code).co_firstlineno
    return {line - first: count for (_, line, _), count in left.items()}


def test_who_adds() -> None:
    """Growth of a container is attributed to the line that adds, less what it removes."""
    kept: list[int] = []

    def call() -> None:
        kept.append(1)
        kept.extend([2, 3, 4])
        kept.pop()

    assert watched(Fill("kept", lambda: len(kept)), call) == {1: CALLS, 2: 3 * CALLS}


def test_what_another_line_gives_back() -> None:
    """What one line takes and another one gives back has not grown, as far as sizes tell."""
    size = [0]

    def call() -> None:
        size[0] += 5000
        size[0] += 300
        size[0] -= 4990

    assert watched(Level("C heap", lambda: size[0]), call) == {1: 30, 2: 900}


def test_who_calls_a_wrapper() -> None:
    """Growth in what a wrapper calls is attributed to the line that called the wrapper."""
    kept: list[int] = []

    def wrapper(function: Callable[..., None], *args: int) -> None:
        return function(*args)

    def call() -> None:
        unused = 1
        wrapper(kept.append, 1)
        wrapper(wrapper, kept.append, unused)

    assert watched(Fill("kept", lambda: len(kept)), call) == {2: CALLS, 3: CALLS}


@pytest.mark.parametrize(("caller", "of_wrapper"), [("runtest", 0), ("pytest_pyfunc_call", 1)])
def test_who_runs_doctests(caller: str, of_wrapper: int) -> None:
    """What `doctest` does is no wrapper's if pytest has called it, but that of a test is."""
    runner = DocTestRunner(verbose=False)
    example = DocTestParser().get_doctest(">>> kept.append(1)", {"kept": []}, "it", None, 0)

    def wrapper() -> None:
        runner.run(example, clear_globs=False)

    names: dict[str, Callable[..., None]] = {}
    source = f"def {caller}(call):\n    call()\n"
    exec(compile(source, pytest.Item.__init__.__code__.co_filename, "exec"), names)  # noqa: S102
    gauges = [
        Fill("runs", lambda: runner.tries),
        Fill("kept", lambda: len(example.globs["kept"])),
    ]
    watch = Watch(gauges)
    for _ in range(CALLS):
        watch.during(partial(names[caller], wrapper))
    runs, kept = (gauge.left() for gauge in gauges)
    assert sum(runs.values()) == of_wrapper * CALLS
    assert kept == {("<doctest it[0]>", 1, "<module>"): CALLS}


def test_who_calls_the_standard_library() -> None:
    """Work of the standard library is attributed to the line that called it."""
    held = []

    def call() -> None:
        unused = 1
        held.append(TemporaryFile())  # noqa: SIM115  # it is to stay
        del unused

    gauge = gauge_of("open files")
    assert gauge is not None
    try:
        assert watched(gauge, call) == {2: CALLS}
    finally:
        for file in held:
            file.close()


def test_who_opens_what_stays() -> None:
    """Of two descriptors the one that is not closed counts, whichever number it has."""
    kept: list[int] = []

    def call() -> None:
        first = os.open(os.devnull, os.O_RDONLY)
        kept.append(os.open(os.devnull, os.O_RDONLY))
        os.close(first)

    gauge = gauge_of("open files")
    assert gauge is not None
    try:
        assert watched(gauge, call) == {2: CALLS}
    finally:
        for descriptor in kept:
            os.close(descriptor)


def test_descriptors_that_are_closed() -> None:
    """A line that closes what it opened has left nothing."""

    def call() -> None:
        for _ in range(3):
            os.close(os.open(os.devnull, os.O_RDONLY))

    gauge = gauge_of("open files")
    assert gauge is not None
    assert watched(gauge, call) == {}


@pytest.mark.parametrize("signal", ["Python threads", "native threads"])
def test_who_starts_a_thread(signal) -> None:
    """A thread that still runs is attributed to the line that started it."""
    gauge = gauge_of(signal)
    if gauge is None:
        pytest.skip("the platform does not list threads")
    end, made = threading.Event(), []

    def call() -> None:
        made.append(threading.Thread(target=end.wait, daemon=True))
        made[-1].start()

    try:
        assert watched(gauge, call) == {2: CALLS}
    finally:
        end.set()
        for thread in made:
            thread.join()


@alone
def test_who_forks() -> None:
    """A child that the test never waits for is attributed to the line that forked it."""
    gauge = gauge_of("child processes")
    if gauge is None:
        pytest.skip("the kernel does not list children")
    children = []

    def call() -> None:
        child = os.fork()
        if child == 0:
            os._exit(0)
        children.append(child)

    assert watched(gauge, call) == {1: CALLS}
    for child in children:
        os.waitpid(child, 0)


def test_a_signal_that_is_no_resource() -> None:
    """Pieces of memory have no numbers by which to follow them."""
    assert gauge_of("C heap") is None


def test_what_no_line_did() -> None:
    """Changes outside of all lines that are followed are attributed to no line."""
    kept: list[int] = []
    gauge = Fill("kept", lambda: len(kept))
    watch = Watch([gauge])
    watch.during(partial(kept.append, 1))
    assert kept == [1]
    assert not gauge.left()


def test_the_rest_of_a_line() -> None:
    """Once a function has returned, changes are attributed to the line that called it."""
    kept: list[int] = []

    def one() -> int:
        return 1

    def call() -> None:
        kept.extend([one() for _ in range(4)])

    assert watched(Fill("kept", lambda: len(kept)), call) == {1: 4 * CALLS}


def test_a_line_that_raises() -> None:
    """A line that adds something and raises has added it."""
    kept: list[int] = []

    def call() -> None:
        try:
            kept.append(1 // len(kept[:0]) if kept.append(1) else 1)
            raise ValueError  # here, in this function
        except ValueError:
            kept.pop()

    assert watched(Fill("kept", lambda: len(kept)), call) == {2: 2 * CALLS}


def test_a_tracer_has_its_place_back() -> None:
    """The tracer of another tool is put back, even if the call changes it."""

    def tracer(*_: object) -> None:
        return None

    def call() -> None:
        raise ZeroDivisionError

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        with pytest.raises(ZeroDivisionError):
            Watch([]).during(call)
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)


def test_not_for_ever(monkeypatch) -> None:
    """After so many lines nothing more is measured."""
    monkeypatch.setattr(watching, "_MOST_READINGS", 10)
    kept: list[int] = []
    samples = []

    def call() -> None:
        for number in range(50):
            kept.append(number)  # noqa: PERF402  # line by line

    def length() -> int:
        samples.append(1)
        return len(kept)

    watch = Watch([Fill("kept", length)])
    watch.during(call)
    assert watch.is_over
    assert len(samples) <= 12


def line(number: int, count: int = 16, left: tuple[tuple[str, int], ...] = ()) -> LeakLine:
    """A line of app.py."""
    return LeakLine(
        file="app.py", line=number, function="f", count=count, size=10 * count, left=left
    )


class Given(Marks):
    """A gauge that has seen these counts."""

    def __init__(self, name: str, **lines: int) -> None:
        """Take a count for each line, ``L5`` for the fifth."""
        super().__init__(name, set)
        self._lines = {("app.py", int(at[1:]), "f"): count for at, count in lines.items()}

    def left(self):
        """The counts it was given."""
        return super().left() + type(super().left())(self._lines)


@pytest.mark.parametrize(
    ("lines", "gauges", "expected"),
    [
        pytest.param([line(3)], [], [line(3)], id="nothing-watched"),
        pytest.param(
            [line(3), line(5)],
            [Given("open files", L5=4)],
            [line(5, left=(("open files", 8),)), line(3)],
            id="those-seen-come-first",
        ),
        pytest.param(
            [line(3)],
            [Given("open files", L7=4), Given("native threads", L7=2)],
            [line(7, 0, (("open files", 8), ("native threads", 4))), line(3)],
            id="two-of-one-line",
        ),
        pytest.param(
            [], [Given("kept", L7=1, L8=40, L9=5)], [line(8, 0, (("kept", 80),))], id="the-rest"
        ),
    ],
)
def test_lines_with_what_was_seen(lines, gauges, expected) -> None:
    """Watched changes are added to the lines, scaled to the calls, without small parts."""
    assert expected == list(with_watched(tuple(lines), gauges, 2.0))
