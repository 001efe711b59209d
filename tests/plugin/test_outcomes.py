"""Outcomes: a breach is an ordinary failure, and nothing else changes its outcome."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

PROPERTIES = ("memguard_peak_bytes", "memguard_delta_bytes", "memguard_budget_bytes")


def properties(junit: Path) -> dict[str, list[tuple[str, int]]]:
    """Our properties of every test in a JUnit file, in order."""
    cases = ET.parse(junit).iter("testcase")  # noqa: S314  we have just written it
    return {
        case.attrib["name"]: [
            (found.attrib["name"], int(found.attrib["value"]))
            for found in case.iter("property")
        ]
        for case in cases
    }


def test_xfail(run):
    """An expected failure may be a breach, strict or not; a missing one is told as usual."""
    result = run(
        """
        import pytest
        from pytest_memguard import BudgetExceeded

        pytestmark = pytest.mark.mem_budget(20)

        @pytest.mark.xfail
        def test_breach():
            bytearray(30 << 20)

        @pytest.mark.xfail(strict=True, raises=BudgetExceeded)
        def test_strict_breach():
            bytearray(30 << 20)

        @pytest.mark.xfail(raises=ValueError)
        def test_other_reason():
            bytearray(30 << 20)

        @pytest.mark.xfail
        def test_within():
            bytearray(10 << 20)

        @pytest.mark.xfail(strict=True)
        def test_strict_within():
            bytearray(10 << 20)
        """,
        "-rfxX",
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(xfailed=2, xpassed=1, failed=2)
    result.stdout.fnmatch_lines_random(
        [
            "FAILED test_it.py::test_other_reason - * > *: peak RSS *",
            "FAILED test_it.py::test_strict_within - *XPASS(strict)*",
            "XFAIL test_it.py::test_breach*",
            "XFAIL test_it.py::test_strict_breach*",
            "XPASS test_it.py::test_within*",
        ]
    )


MANY = """
    import pytest

    @pytest.mark.parametrize("size", [10, 30, 31, 11])
    @pytest.mark.mem_budget(20)
    def test_it(size):
        bytearray(size << 20)
"""


@pytest.mark.parametrize("flag", ["-x", "--maxfail=1"])
def test_stop_at_first_failure(run, flag):
    """The first breach stops a run that is to stop at its first failure."""
    result = run(MANY, flag)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


def test_last_failed(run):
    """--lf runs the tests with a breach again, and those alone."""
    run(MANY, cache=True).assert_outcomes(passed=2, failed=2)
    result = run(MANY, "--lf", cache=True)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["run-last-failure: rerun previous 2 failures"])


def test_debugger_is_entered(pytester, run):
    """--pdb stops at a breach as at any other failure."""
    pytester.makepyfile(
        debugger="""
        import pdb

        class Pdb(pdb.Pdb):
            def interaction(self, frame, traceback):
                print("entered the debugger")
        """
    )
    pytester.syspathinsert()
    result = run(MANY, "--pdb", "--pdbcls=debugger:Pdb", "-s", "-x")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["peak RSS * over the budget of *", "*entered the debugger*"])


OWN_FAILURES = """
    import unittest
    import pytest

    pytestmark = pytest.mark.mem_budget(20)

    def test_own():
        bytearray(30 << 20)
        assert 1 == 2, "my own failure"

    class TestUnit(unittest.TestCase):
        def test_own(self):
            bytearray(30 << 20)
            self.assertEqual(3, 4, "my own failure")

    @pytest.fixture
    def broken():
        bytearray(30 << 20)
        raise ValueError("my own error")

    @pytest.mark.mem_budget(20, phase="setup")
    def test_setup(broken):
        pass
"""


def test_own_failure_is_kept(run):
    """A test that fails by itself keeps its traceback; its memory is in the report."""
    result = run(OWN_FAILURES, "--mem", "-v")
    result.assert_outcomes(failed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*::test_own FAILED ([23][0129].? MiB)*",
            "*::TestUnit::test_own FAILED ([23][0129].? MiB)*",
            "E *ValueError: my own error",
            "E *AssertionError: my own failure",
            "E *AssertionError: 3 != 4 : my own failure",
            "*= memory =*",
        ]
    )
    result.stdout.fnmatch_lines_random(
        [
            "*[23][0129].? *20.0 MiB*1[45]?%  test_it.py::test_own",
            "*[23][0129].? *20.0 MiB*1[45]?%  test_it.py::TestUnit::test_own",
            "*[23][0129].?*  test_it.py::test_setup",
        ]
    )
    result.stdout.no_fnmatch_line("*BudgetExceeded*")


def test_breach_behind_an_own_failure_is_told(run):
    """A breach that is not the test's failure is told at the end, flag or no flag."""
    result = run(OWN_FAILURES)
    result.assert_outcomes(failed=2, errors=1)
    result.stdout.fnmatch_lines(
        ["*= memory =*", "test_it.py::test_own: peak RSS * over the budget of 20.0 MiB *"]
    )


def test_skip_inside_a_test(run):
    """A test over its budget that skips or is interrupted by hand does not fail for it."""
    result = run(
        """
        import unittest
        import pytest

        pytestmark = pytest.mark.mem_budget(20)

        def test_skip():
            bytearray(30 << 20)
            pytest.skip("not today")

        def test_xfail():
            bytearray(30 << 20)
            pytest.xfail("known")

        class TestUnit(unittest.TestCase):
            def test_skip(self):
                bytearray(30 << 20)
                self.skipTest("not today")
        """
    )
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(skipped=2, xfailed=1)
    result.stdout.fnmatch_lines(
        ["*= memory =*", "test_it.py::test_skip: peak RSS * over the budget of 20.0 MiB *"]
    )


@pytest.mark.parametrize("kind", ["near-budget", "over-budget"])
def test_own_failure_goes_before_a_warning_turned_into_an_error(run, kind):
    """With warnings as errors, a test that fails or skips by itself still does so."""
    flags = ["--mem-budget-mode=warn"] if kind == "over-budget" else []
    limit = 20 if kind == "over-budget" else 40
    result = run(
        f"""
        import pytest

        pytestmark = pytest.mark.mem_budget({limit}, warn=0.5)

        @pytest.mark.xfail(raises=ZeroDivisionError, strict=True)
        def test_own():
            bytearray(30 << 20)
            1 / 0

        def test_skip():
            bytearray(30 << 20)
            pytest.skip("not today")
        """,
        "-Werror",
        *flags,
    )
    result.assert_outcomes(xfailed=1, skipped=1)


def test_teardown_still_runs_after_a_breach(run):
    """A breach in setup or call leaves fixtures torn down, and the next test unharmed."""
    result = run(
        """
        import pytest

        torn_down = []

        @pytest.fixture
        def inner():
            yield
            torn_down.append("inner")

        @pytest.fixture(scope="module")
        def outer():
            yield bytearray(30 << 20)

        @pytest.mark.mem_budget(20, phase="setup")
        def test_setup(inner, outer):
            pass

        @pytest.mark.mem_budget(20, phase="setup")
        @pytest.mark.mem_budget(20)
        def test_call(inner, outer):
            assert torn_down == ["inner"]
            bytearray(30 << 20)

        def test_after():
            assert torn_down == ["inner"] * 2
        """
    )
    result.assert_outcomes(passed=1, failed=1, errors=1)


def test_interrupts_stay_interrupts(run):
    """An interrupted run ends as it does without budgets, and says nothing strange."""
    source = """
        import pytest

        @pytest.mark.mem_budget(20)
        def test_it(memguard):
            with memguard.stage("load"):
                bytearray(30 << 20)
                {interrupt}
    """
    result = run(source.format(interrupt="pytest.exit('enough', 7)"), "--mem", "--mem-drill")
    assert result.ret == 7
    result.stdout.fnmatch_lines(["*Exit: enough*"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    result = run(source.format(interrupt="raise KeyboardInterrupt"))
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_reruns(pytester, run):
    """A rerun after a breach decides, and the properties of the run before are replaced."""
    result = run(
        """
        import pytest

        sizes = [31, 30, 10]

        @pytest.mark.mem_budget(20)
        def test_flaky():
            bytearray(sizes.pop(0) << 20)

        @pytest.mark.mem_budget(20)
        def test_always():
            bytearray(30 << 20)
        """,
        "--reruns=2",
        "--mem",
        "-rR",
        f"--junitxml={pytester.path / 'out.xml'}",
        plugins=["pytest_rerunfailures"],
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*1 failed, 1 passed, 4 rerun*"])
    found = properties(pytester.path / "out.xml")
    assert [list(PROPERTIES)] * 2 == [[name for name, _ in found[test]] for test in found]
    assert found["test_flaky"][0][1] < 20 << 20 < found["test_always"][0][1]
    rows = [line for line in result.stdout.lines if line.endswith("  test_it.py::test_flaky")]
    assert len(rows) == 1


def test_breach_is_one_line_in_summary_and_junit(pytester, run, monkeypatch):
    """In CI, where pytest does not shorten its summary, tables stay where the failure is."""
    monkeypatch.setenv("CI", "true")
    result = run(
        """
        import pytest

        @pytest.mark.mem_budget(5)
        def test_over(memguard):
            with memguard.stage("load"):
                bytearray(20 << 20)
        """,
        f"--junitxml={pytester.path / 'out.xml'}",
    )
    assert result.stdout.str().count("Cumul MiB") == 1
    result.stdout.re_match_lines(
        [r"FAILED .* - (19|20)\.\d MiB > 5\.0 MiB: peak RSS .*\(over-budget\)$"]
    )
    failure = ET.parse(pytester.path / "out.xml").find(".//failure")  # noqa: S314  our own
    assert failure is not None
    assert failure.get("message", "").endswith("(over-budget)")
    assert "Cumul MiB" in (failure.text or "")


def test_junit_has_what_budgets_count(pytester, run):
    """A budget by another metric puts that metric's peak beside its limit."""
    run(
        """
        import pytest

        @pytest.mark.mem_budget(40, metric="heap")
        def test_heap():
            bytearray(20 << 20)

        @pytest.mark.mem_budget(40, metric="python")
        def test_python():
            bytearray(10 << 20)
        """,
        f"--junitxml={pytester.path / 'out.xml'}",
    ).assert_outcomes(passed=2)
    found = {
        name: dict(values) for name, values in properties(pytester.path / "out.xml").items()
    }
    assert found["test_heap"]["memguard_heap_peak_bytes"] >> 20 == 20
    assert "memguard_python_peak_bytes" not in found["test_heap"]
    assert found["test_python"]["memguard_python_peak_bytes"] >> 20 == 10


COUNTS_PROPERTIES = """
import pytest
from _pytest.junitxml import xml_key

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    made = session.config.stash[xml_key].node_reporters_ordered
    properties = [p for r in made for p in r.to_xml().iter("property")]
    kinds = {}
    for element in properties:
        kinds.setdefault(element.get("name"), set()).add(id(element))
    print(len(properties), "properties of", {name: len(ids) for name, ids in kinds.items()})
"""


@pytest.mark.parametrize("workers", [False, True], ids=["here", "xdist"])
def test_junit_shares_equal_properties(pytester, run, workers):
    """Pytest keeps one element for all tests with the same budget, and each its own rest."""
    pytester.makeconftest(COUNTS_PROPERTIES)
    result = run(
        """
        import pytest

        @pytest.mark.parametrize("number", range(8))
        def test_it(number, record_property):
            record_property("own", number)
        """,
        "--mem",
        "--mem-budget=100",
        f"--junitxml={pytester.path / 'out.xml'}",
        *(["-n2"] if workers else []),
        plugins=["xdist.plugin"] if workers else [],
        subprocess=workers,
    )
    result.assert_outcomes(passed=8)
    (line,) = [line for line in result.outlines if "properties of" in line]
    assert "32 properties of" in line
    assert "'memguard_budget_bytes': 1}" in line
    assert "'own': 8" in line
    values = list(properties(pytester.path / "out.xml").values())
    assert list(range(8)) == sorted(dict(named)["own"] for named in values)
    assert {100 << 20} == {dict(named)["memguard_budget_bytes"] for named in values}


def test_junit_properties(pytester, run):
    """JUnit XML has peak, delta and budget of passing and failing tests, in bytes."""
    result = run(
        """
        import pytest

        kept = []

        @pytest.mark.mem_budget(40)
        def test_pass():
            kept.append(bytearray(10 << 20))
            bytearray(20 << 20)

        @pytest.mark.mem_budget(20)
        def test_over():
            bytearray(30 << 20)

        @pytest.mark.mem_budget(20)
        def test_own():
            bytearray(30 << 20)
            assert 1 == 2

        def test_no_budget():
            bytearray(30 << 20)
        """,
        "--mem",
        f"--junitxml={pytester.path / 'out.xml'}",
    )
    result.assert_outcomes(passed=2, failed=2)
    found = properties(pytester.path / "out.xml")
    assert {name: len(values) for name, values in found.items()} == {
        "test_pass": 3,
        "test_over": 3,
        "test_own": 3,
        "test_no_budget": 2,
    }
    for values in found.values():
        assert list(PROPERTIES[: len(values)]) == [name for name, _ in values]
        assert abs(values[0][1] - (30 << 20)) < 3 << 20
    assert abs(found["test_pass"][1][1] - (10 << 20)) < 3 << 20
    assert {name: values[2][1] >> 20 for name, values in found.items() if values[2:]} == {
        "test_pass": 40,
        "test_over": 20,
        "test_own": 20,
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("bytearray(10 << 20)", pytest.ExitCode.OK),
        ("bytearray(30 << 20)", pytest.ExitCode.TESTS_FAILED),
        ("pytest.skip()", pytest.ExitCode.OK),
    ],
)
def test_exit_codes(run, body, code):
    """Exit codes are pytest's: 0 within all budgets, 1 over one."""
    source = f"""
        import pytest

        @pytest.mark.mem_budget(20)
        def test_it():
            {body}
    """
    assert code == run(source).ret


VARIED = '''
    """
    >>> print("from a doctest")
    from a doctest
    >>> 1 + 1
    3
    """
    import asyncio
    import logging
    import sys
    import threading
    import time
    import tracemalloc
    import unittest
    import warnings

    import pytest

    def test_pass(capsys):
        print("captured by the test")
        assert capsys.readouterr().out == "captured by the test\\n"

    def test_output():
        print("to stdout")
        print("to stderr", file=sys.stderr)
        logging.getLogger().warning("to the log")

    def test_fail():
        print("before the failure")
        assert [1, 2] == [1, 3]

    def test_exception():
        raise LookupError("a reason")

    def test_warns():
        warnings.warn("mind the gap", stacklevel=1)

    def test_recwarn(recwarn):
        warnings.warn("kept", stacklevel=1)
        assert len(recwarn) == 1

    @pytest.mark.parametrize("n", range(3))
    def test_params(n, request):
        request.node.user_properties.append(("n", n))
        assert n != 1

    @pytest.mark.skip(reason="never")
    def test_skipped(): pass

    def test_skips():
        pytest.skip("in the middle")

    @pytest.mark.xfail(reason="known")
    def test_xfails():
        assert False

    @pytest.mark.xfail(reason="wrong", strict=True)
    def test_xpasses(): pass

    @pytest.fixture
    def broken_setup():
        print("in setup")
        raise OSError("setup")

    @pytest.fixture
    def broken_teardown():
        yield
        print("in teardown")
        raise OSError("teardown")

    def test_setup(broken_setup): pass
    def test_teardown(broken_teardown): pass

    @pytest.fixture(scope="module")
    def shared(tmp_path_factory):
        return tmp_path_factory.mktemp("shared")

    class TestClass:
        @classmethod
        def setup_class(cls):
            cls.ready = True

        def test_in_class(self, shared, tmp_path, monkeypatch):
            monkeypatch.setattr(time, "perf_counter", lambda: 0.0)
            assert self.ready and time.perf_counter() == 0.0

        def test_files(self, shared):
            assert list(shared.iterdir()) == []

    class TestUnit(unittest.TestCase):
        def setUp(self):
            print("unit setup")

        def test_pass(self):
            self.assertEqual(1, 1)

        def test_fail(self):
            self.assertEqual(1, 2)

        def test_error(self):
            raise KeyError("x")

        def test_skip(self):
            self.skipTest("unit skip")

        @unittest.expectedFailure
        def test_expected(self):
            self.fail("expected")

        @unittest.expectedFailure
        def test_unexpected(self):
            pass

        def test_subtests(self):
            for n in range(2):
                with self.subTest(n=n):
                    self.assertEqual(n, 0)

    class TestAsync(unittest.IsolatedAsyncioTestCase):
        async def asyncSetUp(self):
            # asyncio logs what takes a tenth of a second, as anything may on a busy machine
            asyncio.get_running_loop().slow_callback_duration = 60

        async def test_pass(self):
            await asyncio.sleep(0)

        async def test_fail(self):
            self.fail("asynchronous")

    def test_settrace():
        assert sys.gettrace() is None and sys.getprofile() is None

    def test_tracemalloc():
        assert not tracemalloc.is_tracing()

    def test_threads():
        assert not [t for t in threading.enumerate() if "memguard" in t.name]

    def test_frozen_time(monkeypatch):
        monkeypatch.setattr(time, "monotonic", lambda: 1.0)
        monkeypatch.setattr(time, "time", lambda: 1.0)

    def test_recursion():
        def down(): return down()
        with pytest.raises(RecursionError):
            down()
'''
RECORDER = """
    import json

    import pytest

    rows = []

    def pytest_runtest_logreport(report):
        text = str(report.longrepr) if report.longrepr else ""
        rows.append([
            report.nodeid, report.when, report.outcome, text.replace(", capsys = ", ""),
            report.sections, getattr(report, "wasxfail", None),
            [p for p in report.user_properties if not p[0].startswith("memguard")],
        ])

    def pytest_warning_recorded(warning_message, when, nodeid):
        rows.append([nodeid, when, str(warning_message.message), warning_message.lineno])

    def pytest_sessionfinish(exitstatus):
        rows.append(["exit", int(exitstatus)])
        with open("rows.json", "w") as file:
            json.dump(rows, file)
"""


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(("--mem",), id="report"),
        pytest.param(("--mem-budget=500",), id="budget"),
        pytest.param(("--mem", "--mem-drill", "--mem-explain=rerun"), id="drill"),
        pytest.param(("--no-mem",), id="off"),
        pytest.param((), id="idle"),
    ],
)
def test_same_outcomes_as_without_the_plugin(pytester, run, flags):
    """A varied suite has the same reports, output and warnings with the plugin as without."""
    pytester.makeconftest(RECORDER)
    always = ("--doctest-modules", "-p", "no:randomly", "--tb=short")
    run(VARIED, *always, without=True)
    expected = json.loads((pytester.path / "rows.json").read_text())
    assert len(expected) > 90
    # in a fork the modules that measure are loaded already
    run(VARIED, *always, *flags, subprocess=not flags)
    assert expected == json.loads((pytester.path / "rows.json").read_text())


def test_same_outcomes_under_the_exact_trackers(pytester, run):
    """Under memray and tracemalloc a suite keeps its outcomes, output and warnings too."""
    pytester.makeconftest(RECORDER)
    always = ("--doctest-modules", "--tb=short", "-k", "not test_tracemalloc and not settrace")
    run(VARIED, *always, without=True)
    expected = json.loads((pytester.path / "rows.json").read_text())
    run(
        f"""{VARIED}
    pytestmark = [
        pytest.mark.mem_budget(900, metric=metric, phase="all")
        for metric in ("rss", "heap", "python")
    ]
    """,
        *always,
    )
    assert expected == json.loads((pytester.path / "rows.json").read_text())


@pytest.mark.parametrize(
    ("marker", "body"),
    [
        pytest.param("mem_budget(4)", "bytearray(8 << 20)", id="budget"),
        pytest.param("mem_leak_check", "kept.append(bytes(3000))", id="leak"),
    ],
)
def test_failures_are_at_the_line_of_the_test(run, marker, body):
    """--tb=line names the line of the test, never one of ours."""
    result = run(
        f"""
        import pytest

        kept = []

        @pytest.mark.{marker}
        def test_it():
            {body}
        """,
        "--tb=line",
        "--mem-leak-calls=60",
        "--mem-leak-blame=none",
    )
    result.assert_outcomes(failed=1)
    named = [line for line in result.outlines if line.startswith("/")]
    assert [line.partition(".py:")[2].partition(":")[0] for line in named] == ["6"]


@pytest.mark.parametrize("flag", ["--mem-leak-check", "--mem", "--mem-save"])
def test_nothing_is_printed_when_the_interpreter_ends(pytester, monkeypatch, flag) -> None:
    """Objects that live as long as the process are freed without a word."""
    pytester.makepyfile("KEPT = []\n\ndef test_keeps():\n    KEPT.append(object())")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    ours = ("-p", "pytest_memguard.plugin.hooks", "--tb=no", "--mem-leak-calls=60")
    assert pytester.run(sys.executable, "-m", "pytest", "-q", *ours, flag).errlines == []
