"""Gaps: what cannot be measured is told with its reason, and fails no test."""

from __future__ import annotations

import enum
import functools
import json
import sys
import threading

import memray
import pytest

from pytest_memguard.allocator import mmap_threshold
from pytest_memguard.errors import Unmeasurable
from pytest_memguard.measure import instruments


def refuse(*_: object) -> None:
    """Stand in for a probe that cannot work here."""
    msg = "the kernel said no"
    raise Unmeasurable(msg)


@pytest.fixture
def run(run):
    """Runs are in this process, because what is missing is taken away here."""
    return functools.partial(run, here=True)


@pytest.fixture
def no_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the kernel's mark away."""
    monkeypatch.setattr(instruments, "PeakRss", refuse)


@pytest.fixture
def no_memray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take memray away."""
    monkeypatch.setitem(sys.modules, "memray", None)


SAMPLED = """
    import threading
    import time
    import pytest

    @pytest.mark.mem_budget(20)
    def test_over():
        block = bytearray(30 << 20)
        time.sleep(0.05)

    @pytest.mark.mem_budget(20)
    def test_within(memguard):
        with memguard.stage("load"):
            block = bytearray(10 << 20)
            time.sleep(0.05)

    @pytest.mark.mem_budget(20, stage="load")
    def test_stage(memguard):
        with memguard.stage("load"):
            block = bytearray(30 << 20)
            time.sleep(0.05)

    def test_measure(memguard):
        with memguard.measure() as m:
            block = bytearray(30 << 20)
            time.sleep(0.05)
            del block
        assert m.peak / 2**20 == pytest.approx(30, abs=2)
"""
NO_MARK = (
    "kernel's high-water mark: the kernel said no; resident memory is sampled every * ms "
    "instead, so short peaks may be missed, *"
)


@pytest.mark.usefixtures("no_mark")
def test_sampling(pytester, run, written):
    """Without the kernel's mark numbers are sampled, and every place that shows one says so."""
    result = run(SAMPLED, "--mem", "--mem-json=out.json", "--mem-budget=500")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        [
            "memguard: peak RSS sampled; budget 500.0 MiB (--mem-budget)",
            f"memguard: not measured here: {NO_MARK}",
            "peak RSS [23][0129].? MiB (sampled: the true peak may be higher) is * over the *",
            "peak RSS of stage 'load' [23][0129].? MiB (sampled: *) is * over the budget *",
        ]
    )
    for test in written().values():
        assert {"sampled"} == {
            peak["method"] for phase in test["phases"] for peak in phase["peaks"]
        }
    gaps = json.loads((pytester.path / "out.json").read_text())["gaps"]
    assert "kernel's high-water mark" in {gap["subject"] for gap in gaps}
    assert not [thread for thread in threading.enumerate() if "memguard" in thread.name]


@pytest.mark.usefixtures("no_mark")
def test_sampling_is_told_by_markers_alone(run):
    """Without a header the memory section says that numbers were sampled."""
    result = run(SAMPLED.replace("mem_budget(20)", "mem_budget(20, warn=0.1)"))
    result.assert_outcomes(passed=2, failed=2, warnings=1)
    result.stdout.fnmatch_lines(
        [
            "*= memory =*",
            "test_it.py::test_within: peak RSS *(sampled*",
            "not measured here: *said no*",
        ]
    )


@pytest.mark.usefixtures("no_mark")
def test_comparing_samples(run):
    """A comparison of peaks that were sampled says so, whatever came of it."""
    source = "def test_it(): bytearray(5 << 20)"
    run(source, "--mem-save").assert_outcomes(passed=1)
    result = run(source, "--mem-compare")
    result.stdout.fnmatch_lines(
        [
            "compared with .memguard/baseline.json: *",
            "peaks were sampled here: a regression that lasts a moment may be missed",
        ]
    )


def test_no_thread_of_ours_around_tests_without_budgets(pytester, run):
    """The sampling thread lives in the phases that have a budget, and in no others."""
    pytester.makeconftest("""
        from pytest_memguard.errors import Unmeasurable
        from pytest_memguard.measure import instruments

        def refuse():
            raise Unmeasurable("the kernel said no")

        instruments.PeakRss = refuse
    """)
    result = run(
        """
        import threading
        import pytest

        def samplers():
            return [t for t in threading.enumerate() if t.name.startswith("memguard")]

        @pytest.mark.mem_budget(500)
        def test_measured():
            assert len(samplers()) == 1

        def test_not_measured():
            assert samplers() == []
        """,
        here=False,
    )
    result.assert_outcomes(passed=2)


HEAP = """
    import pytest

    @pytest.mark.mem_budget(20, metric="heap")
    def test_heap():
        bytearray(30 << 20)

    @pytest.mark.mem_budget(20, metric="heap", stage="load")
    def test_heap_of_stage(memguard):
        with memguard.stage("load"):
            bytearray(30 << 20)

    @pytest.mark.mem_budget(20)
    def test_rss():
        bytearray(30 << 20)

    def test_measure(memguard):
        import pytest_memguard
        with pytest.raises(pytest_memguard.Unmeasurable, match="memray is not available"):
            with memguard.measure("heap"):
                pass
"""


@pytest.mark.usefixtures("no_memray")
def test_no_memray(pytester, run, written):
    """Without memray a budget on the heap fails nothing, and the report says why not."""
    result = run(HEAP, "--mem-json=out.json")
    result.assert_outcomes(passed=3, failed=1)
    said = (
        "the budget of 20.0 MiB on peak heap set by the marker was not checked: memray is not "
        "available: * (not-measured)"
    )
    result.stdout.fnmatch_lines(
        [
            "peak RSS [23][0129].*",
            "Allocation lines are not available: memray is not available: *",
            "*= memory =*",
            f"test_it.py::test_heap: {said}",
            f"test_it.py::test_heap_of_stage: {said}",
        ]
    )
    for name in ("test_heap", "test_heap_of_stage"):
        assert [finding["rule"] for finding in written()[name]["findings"]] == ["not-measured"]
    gaps = json.loads((pytester.path / "out.json").read_text())["gaps"]
    assert "metric heap and allocation lines" in {gap["subject"] for gap in gaps}


def test_boundaries_are_missing(run, monkeypatch, written):
    """Where memray does not write what stages are told apart by, no budget passes for it."""
    other = enum.IntEnum("Other", ["PYMALLOC_FREE", "FREE", "MUNMAP", "MMAP"], start=100)
    monkeypatch.setattr(memray, "AllocatorType", other)
    result = run(
        """
        import pytest

        @pytest.mark.mem_budget(20, metric="heap", threads="current")
        def test_it():
            bytearray(30 << 20)
        """,
        "--mem-json=out.json",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["test_it.py::test_it: the budget of 20.0 MiB *was not checked: memray wrote 0 of 2 *"]
    )
    assert [found["rule"] for found in written()["test_it"]["findings"]] == ["not-measured"]


@pytest.mark.usefixtures("no_memray")
def test_no_memray_to_drill_with(run):
    """Without memray --mem-drill leaves the lines out, and says why."""
    result = run(
        """
        def test_it(memguard):
            with memguard.stage("load"):
                bytearray(30 << 20)
        """,
        "--mem",
        "--mem-drill",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "load *",
            "test_it.py::test_it: the lines of its stages are not known: memray is not *",
        ]
    )


@pytest.mark.usefixtures("no_memray")
def test_header_names_missing_memray(run):
    """The header names memray among what cannot be used here, before a test needs it."""
    result = run("def test_it(): pass", "--mem")
    result.stdout.fnmatch_lines(
        ["memguard: not measured here: metric heap and allocation lines: memray is not *"]
    )


@pytest.mark.parametrize(
    ("name", "module", "subject"),
    [
        ("SlackProbe", "pytest_memguard.probes.slack", "slack inside the process"),
        ("Trimmer", "pytest_memguard.measure.instruments", "free pages of the C heap"),
    ],
)
def test_allocators_that_do_not_tell(run, monkeypatch, name, module, subject):
    """Where an allocator cannot be asked, the header says what that may hide; tests go on."""
    monkeypatch.setattr(sys.modules[module], name, refuse)
    result = run(
        """
        import pytest

        @pytest.mark.mem_budget(20)
        def test_over():
            bytearray(30 << 20)

        @pytest.mark.mem_budget(20)
        def test_within():
            bytearray(10 << 20)
        """,
        "--mem",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            (
                f"memguard: not measured here: {subject}: the kernel said no; memory that "
                "earlier tests freed may hide a peak"
            )
        ]
    )


def test_tracing_that_a_test_stops(run):
    """A test that stops tracemalloc under a budget on Python memory is told, not judged."""
    result = run("""
        import tracemalloc
        import pytest

        @pytest.mark.mem_budget(20, metric="python")
        def test_stops():
            bytearray(30 << 20)
            tracemalloc.stop()

        @pytest.mark.mem_budget(20, metric="python")
        def test_clears():
            bytearray(30 << 20)
            tracemalloc.clear_traces()

        @pytest.mark.mem_budget(20, metric="python")
        def test_restarts():
            tracemalloc.stop()
            tracemalloc.start()
            bytearray(30 << 20)
            tracemalloc.stop()

        @pytest.mark.mem_budget(20, metric="python")
        def test_after():
            bytearray(30 << 20)

        def test_last():
            assert not tracemalloc.is_tracing()
    """)
    said = {
        "stops": "the test stopped or cleared tracemalloc *",
        "clears": "the test stopped or cleared tracemalloc *",
        "restarts": "the test started tracemalloc itself",
    }
    result.stdout.fnmatch_lines_random(
        [
            f"test_it.py::test_{name}: the budget of 20.0 MiB on peak Python memory * was not "
            f"checked: {why} (not-measured)"
            for name, why in said.items()
        ]
    )
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_after - * > *: *"])


def test_tracing_that_a_test_starts(run):
    """A test that measures itself reads what it would without a budget, and is not judged."""
    result = run("""
        import tracemalloc
        import pytest

        real = tracemalloc.start, tracemalloc.is_tracing

        @pytest.mark.mem_budget(10, metric="python")
        def test_starts():
            bytearray(20 << 20)
            assert not tracemalloc.is_tracing()
            tracemalloc.start(7)
            assert tracemalloc.is_tracing()
            assert tracemalloc.get_traceback_limit() == 7
            bytearray(2 << 20)
            assert tracemalloc.get_traced_memory()[1] < 5 << 20
            tracemalloc.stop()

        @pytest.mark.mem_budget(10, metric="python")
        def test_leaves_it_on():
            tracemalloc.start()

        def test_it_is_on():
            assert tracemalloc.is_tracing()
            tracemalloc.stop()

        @pytest.mark.mem_budget(10, metric="python")
        def test_another_measurement(memguard):
            with memguard.measure("python") as measured:
                bytearray(3 << 20)
            assert measured.peak > 2 << 20
            bytearray(20 << 20)

        def test_functions_are_back():
            assert real == (tracemalloc.start, tracemalloc.is_tracing)
            assert not tracemalloc.is_tracing()
    """)
    said = "was not checked: the test started tracemalloc itself (not-measured)"
    result.stdout.fnmatch_lines_random(
        [
            f"test_it.py::test_{name}: the budget of 10.0 MiB on peak Python memory * {said}"
            for name in ("starts", "leaves_it_on")
        ]
    )
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_another_measurement - * > *: *"])


def test_a_peak_that_a_test_puts_back(run):
    """A test that measures itself with tracemalloc does not hide its peak from its budget."""
    result = run("""
        import tracemalloc
        import pytest
        import pytest_memguard

        ours = tracemalloc.reset_peak

        def use(mib):
            bytearray(mib << 20)
            tracemalloc.reset_peak()
            return tracemalloc.get_traced_memory()[1]

        @pytest.mark.mem_budget(20, metric="python")
        def test_within():
            assert use(10) < 5 << 20

        @pytest.mark.mem_budget(20, metric="python")
        def test_over():
            assert use(30) < 5 << 20

        @pytest.mark.mem_budget(20, metric="python", stage="second")
        def test_stage():
            with pytest_memguard.stage("first"):
                use(40)
            with pytest_memguard.stage("second"):
                use(30)

        def test_last():
            assert tracemalloc.reset_peak is ours
    """)
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines_random(
        [
            "FAILED test_it.py::test_over - * > *: peak Python memory 30.* MiB *",
            "FAILED test_it.py::test_stage - * > *: peak Python memory *30.* MiB *",
        ]
    )


def test_tracing_that_was_on_before(run):
    """A budget on Python memory holds where tracemalloc ran before, and leaves it running."""
    result = run("""
        import tracemalloc
        import pytest

        @pytest.fixture(scope="module", autouse=True)
        def tracing():
            tracemalloc.start(5)
            yield
            assert tracemalloc.get_traceback_limit() == 5
            tracemalloc.stop()

        def test_first():
            pass

        @pytest.mark.mem_budget(20, metric="python")
        def test_over():
            bytearray(30 << 20)

        @pytest.mark.mem_budget(20, metric="python")
        def test_within():
            bytearray(10 << 20)
            assert tracemalloc.get_traceback_limit() == 5
    """)
    result.assert_outcomes(passed=2, failed=1)


MEMRAY_USERS = """
    import pytest

    @pytest.mark.mem_budget(40)
    def test_over():
        bytearray(60 << 20)

    @pytest.mark.limit_memory("100 MB")
    def test_limit():
        bytearray(20 << 20)
"""


def test_pytest_memray_in_use(run):
    """Where pytest-memray measures, memray is left to it, and the failure says so."""
    pytest.importorskip("pytest_memray")
    for attempt in range(2):  # the second run would track the first test from its start
        result = run(
            MEMRAY_USERS,
            "--memray",
            "--hide-memray-summary",
            plugins=["pytest_memray.plugin"],
            cache=True,
        )
        result.assert_outcomes(passed=1, failed=1)
        advice = "Allocation lines are not available: pytest-memray is measuring this run *"
        result.stdout.fnmatch_lines(
            ["peak RSS [56][0129].* (over-budget)", advice if attempt else "Allocation lines*"]
        )


def test_no_lines_are_promised_beside_pytest_memray(run):
    """Beside pytest-memray no failure promises lines that the next run cannot have."""
    pytest.importorskip("pytest_memray")
    result = run(
        MEMRAY_USERS,
        "--memray",
        "--hide-memray-summary",
        plugins=["pytest_memray.plugin"],
        cache=True,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["Allocation lines are not available: pytest-memray is *"])


@pytest.mark.parametrize("flags", [("--memray", "--hide-memray-summary"), ()])
def test_heap_budget_beside_pytest_memray(run, flags):
    """A budget on the heap gives way to pytest-memray, and the report says so."""
    pytest.importorskip("pytest_memray")
    result = run(
        """
        import pytest

        @pytest.mark.limit_memory("100 MB")
        @pytest.mark.mem_budget(40, metric="heap")
        def test_heap():
            bytearray(60 << 20)
        """,
        *flags,
        plugins=["pytest_memray.plugin"],
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["*= memory =*", "test_it.py::test_heap: *was not checked: pytest-memray *"]
    )


def test_tests_that_use_memray_themselves(run):
    """A test that starts memray can do so though its breach is remembered from before."""
    source = """
        import memray
        import pytest

        @pytest.mark.mem_budget(40)
        def test_over(tmp_path):
            with memray.Tracker(tmp_path / "own.bin"):
                bytearray(60 << 20)
    """
    for _ in range(2):
        result = run(source, cache=True)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            ["peak RSS [56][0129].* (over-budget)", "Allocation lines*"]
        )


def test_no_pinned_mmap_threshold(run, monkeypatch):
    """Where the mmap threshold cannot be pinned, a run that stores peaks says so."""
    monkeypatch.setattr(mmap_threshold, "pin_mmap_threshold", lambda: False)
    result = run("def test_it(): pass", "--mem-save")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["memguard: not measured here: large blocks alike in every run: that takes glibc *"]
    )
