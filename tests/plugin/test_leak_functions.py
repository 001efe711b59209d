"""The leak check of one function: through the fixture, and through the package."""

from __future__ import annotations

import pytest

from tests.plugin.leaky import CHECK, JSON, KEEP, QUICK, states

pytestmark = pytest.mark.fast

BOTH = [
    pytest.param("memguard.check_leaks", id="fixture"),
    pytest.param("pytest_memguard.check_leaks", id="package"),
]


@pytest.mark.parametrize("check", BOTH)
def test_a_leak_raises(run, check):
    """A function that leaks raises LeakDetected, with the reading; a clean one returns."""
    result = run(
        KEEP
        + f"""
    import pytest_memguard

    def test_leak(memguard):
        with pytest.raises(pytest_memguard.LeakDetected, match="^keeps .* blocks") as caught:
            {check}(keep)
        reading = caught.value.reading
        assert reading.verdict.state == "leaking"
        assert reading.diagnosis.path.holder == "test_it.KEPT"
        assert isinstance(caught.value, AssertionError)

    def test_clean(memguard):
        verdict = {check}(sorted, [2, 1], reverse=True)
        assert verdict.state == "clean"
        assert 6 <= verdict.calls <= 12

    def test_arguments(memguard):
        seen = set()

        def function(*args, **kwargs):
            seen.add((args, tuple(kwargs.items())))

        {check}(function, 1, 2, function=3, self=4)
        assert seen == {{((1, 2), (("function", 3), ("self", 4)))}}
    """,
        *QUICK[:1],
    )
    result.assert_outcomes(passed=3)


@pytest.mark.parametrize("check", BOTH)
def test_the_first_calls_exception_passes_on(run, check):
    """The first call's exception is the caller's; that of a later one makes it undecided."""
    run(
        f"""
        import pytest
        import pytest_memguard

        def fails():
            raise KeyError("mine")

        CALLS = []

        def fails_later():
            CALLS.append(1)
            if len(CALLS) > 2:
                raise KeyError("later")

        def test_first(memguard):
            with pytest.raises(KeyError, match="mine"):
                {check}(fails)

        def test_later(memguard):
            verdict = {check}(fails_later)
            assert verdict.state == "undecided"
            assert "KeyError: 'later'" in verdict.reason
        """
    ).assert_outcomes(passed=2)


def test_a_leak_fails_the_test(run, written):
    """A leak nobody catches fails the test as text, and is in section and JSON."""
    result = run(
        KEEP
        + """
    def test_leak(memguard):
        memguard.check_leaks(keep)

    def test_worst(memguard):
        memguard.check_leaks(int)
        with pytest.raises(AssertionError):
            memguard.check_leaks(keep)
        memguard.check_leaks(int)

    def test_clean(memguard):
        memguard.check_leaks(int)
    """,
        *QUICK,
        JSON,
    )
    result.assert_outcomes(passed=2, failed=1)
    assert states(written()) == {
        "test_clean": "clean",
        "test_leak": "leaking",
        "test_worst": "leaking",
    }
    result.stdout.fnmatch_lines(
        [
            "keeps * blocks* per call, in each of * calls (leaking)",
            "3 tests checked for leaks: 1 clean, 2 leaking; *",
            "FAILED test_it.py::test_leak - LeakDetected: keeps *",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_in_a_test_that_is_checked_itself(run, written):
    """In the repetitions of its test a function is called once, not checked again."""
    result = run(
        KEEP
        + """
    CALLS = [0]
    CHECKED = []

    def count():
        CALLS[0] += 1

    def test_clean(memguard):
        before = CALLS[0]
        state = memguard.check_leaks(count).state
        assert state == "clean"
        if CHECKED:
            assert CALLS[0] == before + 1
        else:
            assert CALLS[0] > before + 6
            CHECKED.append(True)

    def test_leak(memguard):
        keep()
        memguard.check_leaks(int)
    """,
        *CHECK,
        JSON,
    )
    result.assert_outcomes(passed=1, failed=1)
    assert states(written()) == {"test_clean": "clean", "test_leak": "leaking"}


def test_settings_of_the_run(pytester, run):
    """Calls, tolerance, patterns and known leaks are those of the run."""
    pytester.makeini("[pytest]\nmem_leak_ignore = test_it.MORE\nmem_leak_tolerance = 2 KiB\n")
    run(
        KEEP
        + """
    MORE = []

    def test_ignored(memguard):
        verdict = memguard.check_leaks(lambda: MORE.append([None] * 400))
        assert verdict.state == "leaking"
        assert verdict.calls < 120

    def test_tolerated(memguard):
        assert memguard.check_leaks(keep).state == "leaking"

    def test_not_tolerated(memguard):
        with pytest.raises(AssertionError):
            memguard.check_leaks(lambda: KEPT.append([None] * 400))
    """,
        "--mem-leak-calls=120",
    ).assert_outcomes(passed=3)


def test_strict(run):
    """Where undecided counts as much as leaking, an undecided function fails."""
    result = run(
        """
        CALLS = []

        def fails_later():
            CALLS.append(1)
            assert len(CALLS) < 3

        def test_it(memguard):
            memguard.check_leaks(fails_later)
        """,
        "--mem-leak-strict",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["FAILED *LeakUndecided: undecided after *"])


def test_outside_pytest(pytester):
    """The package's function works where there is no pytest."""
    pytester.makepyfile(
        script="""
        import sys
        import pytest_memguard

        KEPT = []

        def leaks():
            KEPT.append([object() for _ in range(20)])

        assert pytest_memguard.check_leaks(int).state == "clean"
        assert "pytest" not in sys.modules
        try:
            pytest_memguard.check_leaks(leaks)
        except pytest_memguard.LeakDetected as leak:
            print(leak)
        """
    )
    result = pytester.runpython(pytester.path / "script.py")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["keeps * blocks, * bytes per call, in each of * calls; held by __main__.KEPT *"]
    )
