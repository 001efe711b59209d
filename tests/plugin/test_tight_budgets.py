"""Budgets close to what tests use, after tests that have left memory free."""

from __future__ import annotations

import pytest

# stands for a process in which no slack can be filled
NO_FILLER = """
    import pytest_memguard.allocator.slack_estimator

    pytest_memguard.allocator.slack_estimator.available_memory = lambda: 0
"""
SUITE = """
    import gc
    import os
    import pytest

    PINNED, CALLS = [], []

    def lists(mebibytes):
        return [[number] for number in range(int(mebibytes * 2**20 / 120))]

    def test_neighbour():
        gc.disable()
        PINNED.extend(lists(16)[::40])

    {test}
"""
WITHIN = """
    @pytest.mark.mem_budget(8)
    def test_it():
        lists(6)
"""
OVER = """
    @pytest.mark.mem_budget(8)
    def test_it():
        lists(10)
"""
FILLS = """
    CACHE = []

    @pytest.mark.mem_budget(8)
    def test_it():
        if not CACHE:
            CACHE.extend(lists(10))
"""
ONCE = """
    @pytest.mark.mem_budget(8)
    def test_it():
        assert PINNED
        lists(6)
"""
STAGE = """
    @pytest.mark.mem_budget(8, stage="build")
    def test_it(memguard):
        with memguard.stage("build"):
            lists(10)
"""
SETUP = """
    @pytest.fixture
    def built():
        return lists(6)

    @pytest.mark.mem_budget(8, phase="setup")
    def test_it(built):
        pass
"""
AGAIN = "measured again in a fresh process: 1 test, *: earlier tests had left memory free *"


def suite(test: str) -> str:
    """The neighbour, and one test."""
    return SUITE.replace("    {test}", test)


@pytest.mark.parametrize(
    ("test", "failed", "line"),
    [
        pytest.param(WITHIN, 0, AGAIN, id="within"),
        pytest.param(
            OVER,
            1,
            "peak RSS *.? MiB * over the budget of 8.0 MiB * measured in a fresh process: *",
            id="over",
        ),
        pytest.param(
            FILLS,
            0,
            "*test_it: peak RSS lies between * the first call takes * depends on what is "
            "filled already (undecided)",
            id="filled-once",
        ),
        pytest.param(
            ONCE, 0, "*test_it: * fresh process: it did not pass there (undecided)", id="once"
        ),
        pytest.param(STAGE, 1, "FAILED *peak RSS of stage 'build' *", id="stage"),
    ],
)
def test_judged_by_a_fresh_process(pytester, run, test, failed, line):
    """What slack hides is measured where no test has run; memray does not run at all."""
    pytester.makeconftest(NO_FILLER)
    result = run(suite(test), "-rf")
    result.assert_outcomes(passed=2 - failed, failed=failed)
    result.stdout.fnmatch_lines_random([line, AGAIN, "  a budget of * avoids it for *test_it"])
    result.stdout.no_fnmatch_line("memray ran in *")


def test_one_budget_for_all_tests(pytester, run):
    """The process is forked before a test calls for the session, and has no past."""
    pytester.makeconftest(NO_FILLER)
    source = suite(WITHIN).replace("@pytest.mark.mem_budget(8)", "")
    source = source.replace("def test_neighbour", "@pytest.mark.mem_budget(0)\n    def test_n")
    result = run(source, "--mem-budget=8")
    result.assert_outcomes(passed=2)


def test_in_workers(pytester, run):
    """The controller tells what workers have measured again."""
    pytester.makeconftest(NO_FILLER)
    result = run(suite(WITHIN), "-n1", plugins=["xdist.plugin"])
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([AGAIN, "  a budget of * avoids it for test_it.py::test_it"])


@pytest.mark.parametrize(
    ("test", "flags", "line"),
    [
        pytest.param(
            WITHIN, ["--mem-confirm=0"], "memray ran in 1 test for *% of *", id="no-process"
        ),
        pytest.param(SETUP, [], "memray ran in 1 test for *% of *", id="not-repeatable"),
        pytest.param(
            WITHIN,
            ["--mem-confirm=0", "--mem-tracker-share=0"],
            "*test_it: * memray was not used, since it would have taken more than 0% of the "
            "run's time (--mem-tracker-share); a budget of * MiB needs no second measurement "
            "(undecided)",
            id="no-memray",
        ),
        pytest.param(
            WITHIN, ["--mem-confirm-share=0"], "memray ran in 1 test for *% of *", id="no-time"
        ),
        pytest.param(
            WITHIN,
            ["--mem-confirm-share=0", "--mem-tracker-share=0"],
            "*test_it: * it could not be measured again in a fresh process: there is no time "
            "left for it: second measurements may take 0% of the run's time "
            "(--mem-confirm-share); *",
            id="no-time-at-all",
        ),
    ],
)
def test_memray_where_no_process_can_answer(pytester, run, test, flags, line):
    """It runs for a share of the time; a test that goes without is undecided, and says so."""
    pytester.makeconftest(NO_FILLER)
    result = run(suite(test), *flags)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([line])
    result.stdout.no_fnmatch_line("measured again *")


def test_isolated_modules_share_the_process(pytester, run):
    """A test in a child of the run is judged by the same fresh process, and is counted."""
    pytester.makeconftest(NO_FILLER)
    result = run(suite(WITHIN), "--mem-isolate=module")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([AGAIN, "  a budget of * avoids it for *test_it"])


def test_slack_stays_where_it_does_no_harm(pytester, run):
    """Tests that use again what others left are within their budgets, and nothing is filled."""
    pytester.makeconftest(
        """
        from pytest_memguard.allocator.filler import Filler

        FILLED = []
        Filler.fill = lambda *_: FILLED.append(1)

        def pytest_unconfigure():
            print("filled", len(FILLED), "times")
        """
    )
    source = """
        import pytest

        KEPT = []

        @pytest.mark.mem_budget(10)
        @pytest.mark.parametrize("number", range(4))
        def test_it(number):
            rows = [[] for _ in range(100_000)]
            KEPT.append(rows[::2000])
    """
    result = run(source, "-s")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*filled 0 times"])


def test_bad_share(run):
    """A share that makes no sense is refused before the first test."""
    result = run("def test_it(): pass", "--mem-tracker-share=110%")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*'110%' is not a share of the run's time: *"])
