"""The fixture: measured blocks for assertions of one's own, readings, where they work."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("measured_once")


@pytest.mark.parametrize("flags", [(), ("--mem",), ("--no-mem",), ("--mem-budget=500",)])
def test_measure(run, flags):
    """A measured block knows peak, growth, seconds and metric, whatever the flags are."""
    result = run(
        """
        import time
        import pytest

        @pytest.mark.parametrize("metric", ["rss", "heap", "python"])
        def test_it(memguard, metric):
            with memguard.measure(metric) as m:
                kept = bytearray(10 << 20)
                bytearray(20 << 20)
                time.sleep(0.02)
            assert m.metric == metric
            assert m.peak / 2**20 == pytest.approx(30, abs=2)
            assert m.growth / 2**20 == pytest.approx(10, abs=2)
            assert 0.02 <= m.seconds < 5
            assert "27 MB" < m.peak <= "33 MiB"
            assert m.growth < m.peak
        """,
        *flags,
    )
    result.assert_outcomes(passed=3)


def test_resident_memory_is_the_default(run):
    """Without an argument measure() takes resident memory, and growth may be negative."""
    result = run("""
        def test_it(memguard):
            block = bytearray(20 << 20)
            with memguard.measure() as m:
                del block
            assert m.metric == "rss"
            assert m.growth < -(17 << 20)
            assert 0 <= m.peak < "3 MB"
    """)
    result.assert_outcomes(passed=1)


def test_failing_assertion_reads_well(run):
    """A failing assertion shows sizes in words, on both sides of the comparison."""
    result = run("""
        def test_it(memguard):
            with memguard.measure() as measured:
                block = bytearray(30 << 20)
            del block
            assert measured.peak < "20 MB"
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">       assert measured.peak < '20 MB'".replace("'", '"'),
            "E       AssertionError: assert [23][0129].? MiB < '20 MB'",
            (
                "E        +  where [23][0129].? MiB = <peak RSS [23][0129].? MiB, "
                "growth *.? MiB, 0.??? s>.peak"
            ),
        ]
    )


def test_numbers_are_there_after_the_block(run):
    """Inside the block there is no number yet, and asking for one says so."""
    result = run("""
        import pytest

        @pytest.mark.parametrize("metric", ["rss", "heap", "python"])
        def test_it(memguard, metric):
            with memguard.measure(metric) as m:
                assert repr(m) == f"<measuring {metric}>"
                for name in ("peak", "growth", "seconds"):
                    with pytest.raises(RuntimeError, match="once its block has ended"):
                        getattr(m, name)
            m.peak, m.growth, m.seconds
    """)
    result.assert_outcomes(passed=3)


def test_exception_in_the_block(run):
    """An exception goes its way, and the numbers up to it are there."""
    result = run("""
        import pytest

        @pytest.mark.parametrize("metric", ["rss", "heap", "python"])
        def test_it(memguard, metric):
            with pytest.raises(ZeroDivisionError):
                with memguard.measure(metric) as m:
                    bytearray(20 << 20)
                    1 / 0
            assert m.peak > "17 MB"
            with memguard.measure(metric) as m:
                pass
            assert m.peak < "3 MB"
    """)
    result.assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("metric", "flags"),
    [
        ("rss", ()),
        ("rss", ("--no-mem",)),
        ("python", ()),
        ("python", ("--no-mem",)),
    ],
)
def test_nested_measurements(run, metric, flags):
    """Blocks within a block leave the outer's peak right, also one it had before them."""
    result = run(
        f"""
        import pytest

        def test_nested(memguard):
            with memguard.measure({metric!r}) as outer:
                bytearray(30 << 20)
                with memguard.measure({metric!r}) as inner:
                    bytearray(10 << 20)
                with memguard.measure({metric!r}) as second:
                    bytearray(20 << 20)
            peaks = [m.peak / 2**20 for m in (outer, inner, second)]
            assert peaks == pytest.approx([30, 10, 20], abs=2)
        """,
        *flags,
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("flags", [(), ("--no-mem",)])
def test_measurements_of_several_metrics(run, flags):
    """Blocks of different metrics go together; a second memray says why it cannot."""
    result = run(
        """
        import pytest
        from pytest_memguard import Unmeasurable

        def test_mixed(memguard):
            with memguard.measure("rss") as rss, memguard.measure("python") as python:
                with memguard.measure("heap") as heap:
                    bytearray(20 << 20)
            assert rss.peak / 2**20 == pytest.approx(20, abs=6)  # with what memray needs
            for m in (python, heap):
                assert m.peak / 2**20 == pytest.approx(20, abs=2)

        def test_heap_in_heap(memguard):
            with memguard.measure("heap") as outer:
                with pytest.raises(Unmeasurable, match="memray tracks something else"):
                    with memguard.measure("heap"):
                        pass
                bytearray(20 << 20)
            assert outer.peak / 2**20 == pytest.approx(20, abs=2)
        """,
        *flags,
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("budget", "metric"),
    [
        ("rss", "rss"),
        ("rss", "heap"),
        ("rss", "python"),
        ("heap", "rss"),
        ("heap", "python"),
        ("python", "rss"),
        ("python", "heap"),
        ("python", "python"),
    ],
)
def test_measuring_hides_nothing_from_a_budget(run, budget, metric):
    """A test over its budget fails though it measures something after its peak."""
    result = run(f"""
        import pytest

        @pytest.mark.mem_budget(20, metric={budget!r})
        def test_over(memguard):
            bytearray(30 << 20)
            with memguard.measure({metric!r}):
                pass
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_over - * > *: peak *"])


def test_measurements_stages_and_budgets_together(run):
    """Measured blocks and stages, one in the other, hide nothing from each other's budgets."""
    result = run(
        """
        import pytest

        @pytest.mark.mem_budget(25)
        @pytest.mark.mem_budget(22, stage="outer")
        @pytest.mark.mem_budget(15, stage="inner")
        def test_within(memguard):
            with memguard.stage("outer"):
                bytearray(20 << 20)
                with memguard.measure() as m:
                    with memguard.stage("inner"):
                        bytearray(10 << 20)
            assert m.peak / 2**20 == pytest.approx(10, abs=2)

        @pytest.mark.mem_budget(20)
        def test_over_inside(memguard):
            with memguard.measure() as m:
                bytearray(30 << 20)
            assert m.peak / 2**20 == pytest.approx(30, abs=2)

        @pytest.mark.mem_budget(20, stage="outer")
        def test_stage_over(memguard):
            with memguard.stage("outer"):
                bytearray(30 << 20)
                with memguard.measure():
                    pass
    """,
        "-rfp",
    )
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines_random(
        [
            "PASSED test_it.py::test_within",
            "FAILED test_it.py::test_over_inside - * > *: peak RSS [23][0129].*",
            "FAILED test_it.py::test_stage_over - * > *: peak RSS of stage 'outer' *",
        ]
    )


def test_snapshot(run):
    """A snapshot holds resident and own memory, heap, blocks, open files and threads."""
    result = run(
        """
        import threading
        import pytest

        @pytest.mark.parametrize("attempt", range(2))
        def test_it(memguard, attempt):
            before = memguard.snapshot()
            stop = threading.Event()
            thread = threading.Thread(target=stop.wait)
            thread.start()
            block, objects = bytearray(20 << 20), [[] for _ in range(10_000)]
            file = open(__file__)
            after = memguard.snapshot()
            stop.set(), thread.join(), file.close()
            assert (after.rss - before.rss) / 2**20 == pytest.approx(20, abs=2)
            assert (after.uss - before.uss) / 2**20 == pytest.approx(20, abs=2)
            assert (after.heap - before.heap) / 2**20 == pytest.approx(20, abs=2)
            assert after.blocks - before.blocks > 9_000
            assert after.open_files - before.open_files == 1
            assert after.threads - before.threads == 1
            assert before.rss > "5 MB"
            assert "rss=" in repr(before) and "MiB" in repr(before)
        """,
        subprocess=True,  # what a fork has of its own is not what it has
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("flags", [(), ("--mem",), ("--no-mem",)])
def test_asked_for_in_the_middle_of_a_test(run, flags):
    """The fixture works where a test asks for it by name, or another fixture does."""
    result = run(
        """
        import pytest

        @pytest.fixture
        def guard(request):
            return request.getfixturevalue("memguard")

        def check(guard):
            with guard.measure() as m, guard.stage("load"):
                bytearray(20 << 20)
            assert m.peak / 2**20 == pytest.approx(20, abs=2)
            assert guard.snapshot().rss > 0

        def test_test(request):
            check(request.getfixturevalue("memguard"))

        def test_fixture(guard):
            check(guard)

        """,
        *flags,
        subprocess=not flags,  # here the modules that measure are loaded already
    )
    result.assert_outcomes(passed=2)


def test_asked_for_beside_other_tests(run):
    """The fixture asked for by name works too where a marker has the run measured."""
    result = run(
        """
        import pytest

        @pytest.mark.mem_budget(30)
        def test_marked(request):
            guard = request.getfixturevalue("memguard")
            with guard.measure() as m, guard.stage("load"):
                bytearray(20 << 20)
            assert m.peak / 2**20 == pytest.approx(20, abs=2)

        def test_other(request):
            guard = request.getfixturevalue("memguard")
            with guard.measure() as m, guard.stage("load"):
                bytearray(20 << 20)
            assert m.peak / 2**20 == pytest.approx(20, abs=2)
        """,
    )
    result.assert_outcomes(passed=2)


def test_stage_budget_of_a_fixture_asked_for_late(run):
    """The budget of a stage holds too where the fixture was asked for by name."""
    result = run(
        """
        def test_it(request):
            with request.getfixturevalue("memguard").stage("load", budget=20):
                bytearray(30 << 20)
        """,
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["* test_it.py::test_it - BudgetExceeded: peak RSS of stage *"])


def test_fixtures_may_measure_themselves(run):
    """The fixture serves other fixtures, in their setup and in their teardown."""
    result = run(
        """
        import pytest

        @pytest.fixture
        def service(memguard):
            with memguard.measure() as m:
                block = bytearray(20 << 20)
            assert m.peak / 2**20 == pytest.approx(20, abs=2)
            yield block
            with memguard.measure() as m:
                del block
                bytearray(10 << 20)
            with memguard.measure("heap") as m:
                bytearray(10 << 20)
            assert m.peak / 2**20 == pytest.approx(10, abs=2)

        @pytest.fixture(autouse=True)
        def always(memguard):
            with memguard.measure() as m:
                yield
            assert m.peak / 2**20 == pytest.approx(30, abs=6)  # with what memray needs

        def test_it(service):
            bytearray(10 << 20)
        """
    )
    result.assert_outcomes(passed=1)


def test_tracing_goes_on(run):
    """A test that traces its memory itself finds tracemalloc as it left it."""
    result = run("""
        import tracemalloc
        import pytest

        def test_on(memguard):
            tracemalloc.start(3)
            try:
                with memguard.measure("python") as m:
                    bytearray(20 << 20)
                assert m.peak / 2**20 == pytest.approx(20, abs=2)
                assert tracemalloc.is_tracing() and tracemalloc.get_traceback_limit() == 3
            finally:
                tracemalloc.stop()

        def test_off(memguard):
            with memguard.measure("python"):
                pass
            assert not tracemalloc.is_tracing()

        def test_stopped_inside(memguard):
            from pytest_memguard import Unmeasurable
            with pytest.raises(Unmeasurable, match="stopped or cleared tracemalloc"):
                with memguard.measure("python"):
                    tracemalloc.stop()
            assert not tracemalloc.is_tracing()
    """)
    result.assert_outcomes(passed=3)


def test_asynchronous_tests(run):
    """The fixture serves asynchronous tests, across their awaits."""
    result = run(
        """
        import asyncio
        import pytest

        @pytest.mark.asyncio
        async def test_it(memguard):
            with memguard.measure() as m:
                await asyncio.sleep(0.01)
                block = bytearray(20 << 20)
                await asyncio.sleep(0)
            assert m.peak / 2**20 == pytest.approx(20, abs=2)
        """,
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        plugins=["pytest_asyncio.plugin"],
    )
    result.assert_outcomes(passed=1)
