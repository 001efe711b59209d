"""The leak check and the rest of pytest: one run of the test is all that anybody sees."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from tests.plugin.leaky import CHECK, JSON, KEEP, states

COUNT = """
    import pytest

    def count(name):
        with open(name, "a") as file:
            file.write("x")
"""
TWO = (
    KEEP
    + """
    def test_leak():
        keep()

    def test_clean():
        pass
"""
)


def test_what_has_not_passed_is_not_repeated(pytester, run, written):
    """Failing, skipping and expected failures happen once."""
    result = run(
        COUNT
        + """
    import unittest

    def test_fail():
        count("fail")
        assert False

    def test_skip():
        count("skip")
        pytest.skip("why not")

    @pytest.mark.xfail
    def test_xfail():
        count("xfail")
        assert False

    def test_imperative_xfail():
        count("imperative")
        pytest.xfail("so")

    @pytest.fixture
    def bad():
        count("setup")
        raise ValueError

    def test_setup(bad):
        pass

    class TestCase(unittest.TestCase):
        def test_fail(self):
            count("case-fail")
            self.fail()

        def test_skip(self):
            count("case-skip")
            self.skipTest("why not")

        @unittest.expectedFailure
        def test_expected(self):
            count("case-expected")
            self.fail()

        def test_cleanup(self):
            count("case-cleanup")
            self.addCleanup(self.fail)
    """,
        *CHECK,
        JSON,
    )
    result.assert_outcomes(failed=3, skipped=2, xfailed=3, errors=1)
    assert states(written()) == {}
    names = "fail skip xfail imperative setup case-fail case-skip case-expected case-cleanup"
    read = {n: (pytester.path / n).read_text(encoding="utf-8") for n in names.split()}
    assert read == dict.fromkeys(names.split(), "x")


FAILS_LATER = """
    TIMES = []

    def test_it():
        TIMES.append(1)
        assert len(TIMES) < 3, "worn out"
"""


def test_a_repetition_that_fails_is_undecided(run, written):
    """A test that passes first and fails later is undecided, with the error, and passes."""
    result = run(FAILS_LATER, *CHECK, JSON, "-rA")
    result.assert_outcomes(passed=1)
    assert states(written()) == {"test_it": "undecided"}
    result.stdout.fnmatch_lines(
        [
            "1 test checked for leaks: 0 clean, 1 undecided, 0 leaking; *",
            (
                "undecided: test_it.py::test_it: call 2 of the repetition went wrong: "
                "AssertionError: worn out"
            ),
            "PASSED test_it.py::test_it",
        ]
    )


@pytest.mark.parametrize("flags", [(), ("-n", "1")])
def test_failures_after_a_repetition_that_went_wrong(run, flags):
    """The section says after which test's repetition others failed: it may be why."""
    source = """
        SWITCH, TIMES = [], []

        def test_before():
            assert SWITCH

        def test_switches():
            SWITCH.append(1)
            TIMES.append(1)
            assert len(TIMES) < 3, "worn out"
            SWITCH.clear()

        def test_first():
            assert not SWITCH

        def test_second():
            assert not SWITCH

        def test_third():
            pass
    """
    result = run(source, *CHECK, *flags, plugins=["xdist.plugin"])
    result.assert_outcomes(passed=2, failed=3)
    line = "2 tests failed after a repetition of test_it.py::test_switches had gone wrong, *"
    result.stdout.fnmatch_lines([line])


@pytest.mark.parametrize("how", ["--mem-leak-strict", "ini"])
def test_strict(pytester, run, written, how):
    """Where undecided counts as much as leaking, it fails with its reason."""
    if how == "ini":
        pytester.makeini("[pytest]\nmem_leak_strict = true\n")
    result = run(FAILS_LATER, *CHECK, JSON, *([how] if how != "ini" else []))
    result.assert_outcomes(failed=1)
    assert states(written()) == {"test_it": "undecided"}
    result.stdout.fnmatch_lines(
        ["FAILED *- LeakUndecided: undecided after * call 2 of the repetition went wrong: *"]
    )


def test_other_ways_to_end_a_repetition(run, written):
    """A repetition that skips, fails as expected or leaves is one that went wrong."""
    result = run(
        """
        import sys
        import pytest

        TIMES = []

        def is_again(name):
            TIMES.append(name)
            return TIMES.count(name) > 1

        def test_skip():
            if is_again("skip"):
                pytest.skip("not twice")

        def test_xfail():
            if is_again("xfail"):
                pytest.xfail("not twice")

        def test_exit():
            if is_again("exit"):
                sys.exit(3)
        """,
        *CHECK,
        JSON,
    )
    result.assert_outcomes(passed=3)
    verdicts = {name: test["leak"]["verdict"] for name, test in written().items()}
    assert {verdict["state"] for verdict in verdicts.values()} == {"undecided"}
    words = {name: verdict["reason"].split(": ", 1)[1] for name, verdict in verdicts.items()}
    assert words == {
        "test_skip": "Skipped: not twice",
        "test_xfail": "XFailed: not twice",
        "test_exit": "SystemExit: 3",
    }


@pytest.mark.parametrize("raising", ["KeyboardInterrupt", "pytest.exit('enough')"])
def test_an_interruption_ends_the_run(run, raising):
    """Ctrl-C and pytest.exit in a repetition end the run as they always do."""
    result = run(
        f"""
        import pytest

        TIMES = []

        def test_it():
            TIMES.append(1)
            if len(TIMES) > 2:
                raise {raising}

        def test_next():
            pass
        """,
        *CHECK,
        "-p",
        "no:randomly",
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize("raising", ["KeyboardInterrupt", "pytest.exit('enough')"])
@pytest.mark.parametrize(
    ("begins", "line"),
    [
        pytest.param(
            "'pytest_memguard.recording.diagnosis' in sys.modules and len(KEPT) > 40",
            "leaking: 1 test: keeps 1 block per call, in each of * calls (leaking)",
            id="in-the-search",
        ),
        pytest.param(
            "len(KEPT) > 5",
            "undecided: *::test_it: the run was interrupted",
            id="before-it",
        ),
    ],
)
def test_what_is_known_of_an_interrupted_check(run, raising, begins, line):
    """The section comes, with the verdict so far, and the run ends as it always does."""
    result = run(
        f"""
        import sys, pytest

        KEPT = []

        def test_first():
            pass

        def test_it():
            KEPT.append(object())
            if {begins}:
                raise {raising}
        """,
        *CHECK,
        "--mem-leak-calls=400",
        "-p",
        "no:randomly",
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(passed=1)
    ending = "interrupted: the check of *::test_it had not ended"
    result.stdout.fnmatch_lines(["*= leaks =*", "2 tests checked for leaks: 1 clean, *"])
    result.stdout.fnmatch_lines([line])
    result.stdout.fnmatch_lines([ending])


def test_an_interruption_of_a_test_case(run):
    """The test is ended as always, with all that pytest needs for that."""
    result = run(
        """
        import unittest

        TIMES = []

        class TestIt(unittest.TestCase):
            def test_it(self):
                TIMES.append(1)
                if len(TIMES) > 2:
                    raise KeyboardInterrupt
        """,
        *CHECK,
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_xfail(run, written):
    """A leak may be an expected failure, strict or not; a missing one is told as usual."""
    result = run(
        KEEP
        + """
    from pytest_memguard import LeakDetected

    @pytest.mark.xfail
    def test_leak():
        keep()

    @pytest.mark.xfail(strict=True, raises=LeakDetected)
    def test_strict_leak():
        keep()

    @pytest.mark.xfail(raises=ValueError)
    def test_other_reason():
        keep()

    @pytest.mark.xfail(strict=True)
    def test_strict_clean():
        pass
    """,
        *CHECK,
        JSON,
        "-rfxX",
    )
    result.assert_outcomes(xfailed=2, failed=2)
    assert list(states(written()).values()).count("leaking") == 3
    result.stdout.fnmatch_lines_random(
        [
            "FAILED test_it.py::test_other_reason - LeakDetected: keeps *",
            "FAILED test_it.py::test_strict_clean - *XPASS(strict)*",
            "XFAIL test_it.py::test_leak*",
            "XFAIL test_it.py::test_strict_leak*",
        ]
    )


THREE = (
    KEEP
    + """
    @pytest.mark.parametrize("n", [0, 1, 2])
    def test_it(n):
        if n:
            keep()
"""
)


def test_stop_at_first_failure(run):
    """The first leak stops a run that is to stop at its first failure."""
    result = run(THREE, *CHECK, "-x", "-p", "no:randomly")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines_random(
        ["*stopping after 1 failures*", "2 tests checked for leaks: *"]
    )


def test_last_failed(run):
    """--lf runs the tests with a leak again, and those alone."""
    run(THREE, *CHECK, cache=True).assert_outcomes(passed=1, failed=2)
    run(THREE, *CHECK, "--lf", cache=True).assert_outcomes(failed=2)


def test_rerun(run, written):
    """A plugin that runs failed tests again does so with leaking ones; the last run counts."""
    result = run(
        KEEP
        + """
    RUNS = []

    @pytest.fixture(scope="module")
    def wide():
        yield 1

    def test_leak(wide):
        keep()

    def test_flaky(wide, tmp_path):
        RUNS.append(1)
        assert len(RUNS) > 1
        del RUNS[5:]
    """,
        *CHECK,
        "--reruns=1",
        JSON,
        plugins=["pytest_rerunfailures"],
    )
    outcomes = result.parseoutcomes()
    assert (outcomes["failed"], outcomes["passed"], outcomes["rerun"]) == (1, 1, 2)
    assert states(written()) == {"test_flaky": "clean", "test_leak": "leaking"}


def test_junit(pytester, run):
    """JUnit has a case a test, its duration that of one run, its message one line."""
    run(
        KEEP
        + """
    import time

    def test_leak(record_property):
        record_property("mine", 1)
        keep()

    def test_clean():
        print("said")
        time.sleep(0.1)
    """,
        "--mem-leak-check",
        "--mem-leak-calls=120",
        "--junit-xml=junit.xml",
    )
    suite = ET.parse(pytester.path / "junit.xml").getroot()[0]  # noqa: S314  our own file
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("2", "1")
    cases = {case.attrib["name"]: case for case in suite.iter("testcase")}
    assert sorted(cases) == ["test_clean", "test_leak"]
    # a clean test is called ten times, and a leak fifty times and is looked into
    assert 0.1 <= float(cases["test_clean"].attrib["time"]) < 0.8
    assert float(cases["test_leak"].attrib["time"]) < 0.4
    failures = list(cases["test_leak"].iter("failure"))
    assert len(failures) == 1
    message = failures[0].attrib["message"]
    assert message.startswith("LeakDetected: keeps ")
    assert "\n" not in message
    assert "Held by: module test_it -> KEPT" in str(failures[0].text)
    mine = [p for p in cases["test_leak"].iter("property") if p.attrib["name"] == "mine"]
    assert len(mine) == 1


def test_durations(run):
    """The slowest durations are those of the one run."""
    result = run(
        """
        import time
        import pytest

        @pytest.fixture
        def slow():
            time.sleep(0.05)
            yield
            time.sleep(0.05)

        def test_slow(slow):
            time.sleep(0.05)
        """,
        *CHECK,
        "--durations=0",
        "-vv",
    )
    found = [line.split() for line in result.outlines if line.endswith("::test_slow")]
    assert sorted(words[1] for words in found) == ["call", "setup", "teardown"]
    assert all(float(words[0].removesuffix("s")) < 0.4 for words in found)


WATCHER = """
    import json
    import pytest

    SEEN = []

    def note(hook, *more):
        SEEN.append(" ".join((hook, *more)))

    def pytest_runtest_logstart(nodeid):
        note("logstart")

    def pytest_runtest_logfinish(nodeid):
        note("logfinish")

    def pytest_runtest_logreport(report):
        note("logreport", report.when, report.outcome)

    def pytest_exception_interact(node, report):
        note("interact")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(item, call):
        note("makereport", call.when)
        return (yield)

    def pytest_runtest_protocol(item, nextitem):
        note("protocol")

    def pytest_warning_recorded(warning_message, when, nodeid, location):
        note("warning", when)

    def pytest_assertion_pass(item, lineno, orig, expl):
        note("assertion")

    def pytest_unconfigure():
        with open("seen.json", "w") as file:
            json.dump(SEEN, file)
"""


@pytest.mark.parametrize("leaks", [False, True], ids=["clean", "leaking"])
def test_hooks_of_others_see_one_run(pytester, run, leaks):
    """Whoever listens for starts, reports, ends, warnings and failures hears of one run."""
    pytester.makeconftest(WATCHER)
    run(
        KEEP
        + f"""
    import warnings

    def test_it():
        warnings.warn("said")
        assert KEPT is not None
        if {leaks}:
            keep()
    """,
        *CHECK,
        "-o",
        "enable_assertion_pass_hook=true",
    )
    seen = json.loads((pytester.path / "seen.json").read_text(encoding="utf-8"))
    call = "failed" if leaks else "passed"
    expected = [
        *("protocol", "logstart", "makereport setup", "logreport setup passed"),
        *("assertion", "warning runtest", "makereport call", f"logreport call {call}"),
        *(["interact"] if leaks else []),
        *("makereport teardown", "logreport teardown passed", "logfinish"),
    ]
    assert sorted(seen) == sorted(expected)
    assert [w for w in seen if w != "warning runtest"] == [
        w for w in expected if w != "warning runtest"
    ]


def test_repetitions_that_fail_interest_nobody(pytester, run):
    """No other plugin hears of a repetition that went wrong."""
    pytester.makeconftest(WATCHER)
    run(FAILS_LATER, *CHECK)
    seen = json.loads((pytester.path / "seen.json").read_text(encoding="utf-8"))
    assert "interact" not in seen
    assert seen.count("makereport call") == 1


def test_the_debugger_is_entered_once(pytester, run):
    """--pdb stops at a leak, and at no repetition that went wrong."""
    pytester.makepyfile(
        leak_debugger="""
        import pdb

        class Pdb(pdb.Pdb):
            def interaction(self, frame, traceback):
                with open("entered", "a") as file:
                    file.write("x")
        """
    )
    pytester.syspathinsert()
    flags = (*CHECK, "--pdb", "--pdbcls=leak_debugger:Pdb", "-s")
    run(FAILS_LATER, *flags).assert_outcomes(passed=1)
    assert not (pytester.path / "entered").exists()
    run(TWO, *flags).assert_outcomes(passed=1, failed=1)
    assert (pytester.path / "entered").read_text(encoding="utf-8") == "x"


PRINTS = """
    import logging
    import os
    import subprocess
    import sys

    def test_it():
        print("said-by-print")
        print("said-by-stderr", file=sys.stderr)
        os.write(1, b"said-by-descriptor\\n")
        logging.getLogger("it").warning("said-by-log")
        if {fails}:
            KEPT.append([object() for _ in range(20)])

    KEPT = []
"""


@pytest.mark.parametrize("capture", ["fd", "sys", "no", "tee-sys"])
def test_output_is_shown_once(run, capture):
    """What a test says is captured and shown as often as it was said in its one run."""
    leaking = PRINTS.format(fails=True).replace("said-by", "leaks-by")
    result = run(
        PRINTS.format(fails=False) + leaking.replace("test_it", "test_leak"),
        *CHECK,
        f"--capture={capture}",
        "-rA",
        "-v",
    )
    result.assert_outcomes(passed=1, failed=1)
    text = result.stdout.str() + result.stderr.str()
    # it is shown at once and again in the summary, or in the failure as well
    shown = 2 if capture == "tee-sys" else 1
    expected = {"print": shown, "stderr": shown, "descriptor": 1, "log": 1}
    for said in ("said-by", "leaks-by"):
        assert {word: text.count(f"{said}-{word}") for word in expected} == expected


def test_live_logs_are_shown_once(pytester, run):
    """Live logs and the log file have the records of the one run."""
    result = run(
        PRINTS.format(fails=False),
        *CHECK,
        "-o",
        "log_cli=true",
        "--log-file=log.txt",
    )
    result.assert_outcomes(passed=1)
    assert result.stdout.str().count("said-by-log") == 1
    assert (pytester.path / "log.txt").read_text(encoding="utf-8").count("said-by-log") == 1
    assert result.stdout.str().count("live log call") == 1


def test_warnings_are_counted_once(run):
    """The summary of warnings counts those of the one run."""
    result = run(
        """
        import warnings

        def test_it():
            for _ in range(2):
                warnings.warn("said")
        """,
        *CHECK,
        "-W",
        "always",
    )
    result.assert_outcomes(passed=1, warnings=2)


def test_warnings_as_errors(run, written):
    """Where warnings are errors, they are errors in repetitions too."""
    result = run(
        """
        import warnings

        TIMES = []

        def test_it():
            TIMES.append(1)
            if len(TIMES) > 2:
                warnings.warn("said")
        """,
        *CHECK,
        "-W",
        "error",
        JSON,
    )
    result.assert_outcomes(passed=1)
    verdict = written()["test_it"]["leak"]["verdict"]
    assert (verdict["state"], verdict["reason"].endswith("UserWarning: said")) == (
        "undecided",
        True,
    )


def test_the_current_test_is_named_as_before(run):
    """PYTEST_CURRENT_TEST names the phase in repetitions, and the call afterwards."""
    result = run(
        """
        import os
        import pytest

        @pytest.fixture
        def phases():
            assert os.environ["PYTEST_CURRENT_TEST"].endswith("test_it (setup)")
            yield
            assert os.environ["PYTEST_CURRENT_TEST"].endswith("test_it (teardown)")

        def test_it(phases):
            assert os.environ["PYTEST_CURRENT_TEST"].endswith("test_it (call)")
        """,
        *CHECK,
        "--mem-leak-strict",
    )
    result.stdout.fnmatch_lines(["1 test checked for leaks: 1 clean, *"])
    result.assert_outcomes(passed=1)


def test_the_current_test_in_the_report(pytester, run):
    """While the report of a checked test's call is made, its call is the current test."""
    pytester.makeconftest("""
        import os
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            if call.when == "call":
                assert os.environ["PYTEST_CURRENT_TEST"].endswith("test_it (call)")
            return (yield)
    """)
    run("def test_it(): pass", *CHECK).assert_outcomes(passed=1)


def test_the_item_is_as_after_its_one_run(pytester, run):
    """Plugins that look at the test afterwards find what its first run left."""
    pytester.makeconftest("""
        import pytest

        def pytest_runtest_setup(item):
            item.stash[KEY] = item.stash.get(KEY, 0) + 1
            item.user_properties.append(("set up", 1))

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            if call.when == "call":
                assert item.funcargs["value"] == [1]
                assert item.stash[KEY] == 1
                assert item.user_properties == [("set up", 1)]
                assert [name for _, name, _ in item._report_sections] == ["stdout"]
            return (yield)

        KEY = pytest.StashKey()
    """)
    run(
        """
        import pytest

        @pytest.fixture
        def value():
            return []

        class TestIt:
            def test_it(self, value):
                value.append(1)
                print("said")
        """,
        *CHECK,
    ).assert_outcomes(passed=1)


LEAVES_A_FILE = """
    import gc
    import pytest

    class Node:
        pass

    def leave_open_file():
        node = Node()
        node.me = node
        node.file = open(__file__)
        gc.collect()  # it is old from now on, and not collected soon

    @pytest.mark.xfail
    def test_expected_to_fail():
        leave_open_file()
        assert False

    CACHE = {}

    def test_innocent():
        CACHE.setdefault("table", [str(i) * 200 for i in range(500)])
"""


@pytest.mark.parametrize(
    "flags",
    [(), ("-W", "error"), ("-W", "error", "-p", "no:unraisableexception"), ("-W", "default")],
)
def test_garbage_of_an_earlier_test(run, flags):
    """What an earlier test left open fails or warns at the end, not in the test that runs."""
    plain = run(LEAVES_A_FILE, "-p", "no:randomly", *flags)
    result = run(LEAVES_A_FILE, "-p", "no:randomly", "--mem-leak-check", *flags)
    assert result.ret == plain.ret
    result.assert_outcomes(passed=1, xfailed=1)
    result.stdout.fnmatch_lines(["1 test checked for leaks: 1 clean, *"])
