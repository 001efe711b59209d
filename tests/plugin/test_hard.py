"""Hard budgets: the test is stopped at the line that goes too far, and fails with it."""

from __future__ import annotations

import importlib.util
import json
import sys

import pytest

pytestmark = [
    pytest.mark.fast,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel's limit is Linux's"),
]

HEAD = """
    import resource, sys
    import pytest
    import pytest_memguard

    hard = pytest.mark.mem_budget(20, hard=True)

    def load(blocks):
        rows = []
        for _ in range(blocks):
            rows.append(bytearray(1 << 20))
        return rows
"""
LINE = "test_it.py:11"
"""Where ``load`` asks for more."""
STOPPED = f"the hard budget of 20.0 MiB set by the marker stopped the test in load, {LINE}"
REACHED = "the hard budget of 20.0 MiB set by the marker was reached"


def test_the_failure_shows_the_line(run) -> None:
    """A test that goes too far fails at that line, with its budget; the next has no limit."""
    result = run(
        HEAD
        + """
    @hard
    def test_over():
        load(40)

    @hard
    def test_within():
        assert resource.getrlimit(resource.RLIMIT_DATA)[0] != resource.RLIM_INFINITY
        load(10)

    def test_after():
        assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY
        load(40)
    """,
        "-rf",
    )
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            ">       load(40)",
            ">           rows.append(bytearray(1 << 20))",
            f"E * BudgetExceeded: {STOPPED}: it asked for more when it had reserved *",
            f"{LINE}: BudgetExceeded",
            f"FAILED test_it.py::test_over - BudgetExceeded: {STOPPED}: *",
        ]
    )


def test_every_kind_of_end(run, written) -> None:
    """A stop is a failure like any other: expected, of a unittest, or behind another one."""
    result = run(
        HEAD
        + """
    import unittest
    from unittest import mock

    @pytest.mark.xfail(raises=pytest_memguard.BudgetExceeded, strict=True)
    @hard
    def test_expected():
        load(40)

    class TestOf(unittest.TestCase):
        @hard
        def test_unittest(self):
            load(40)

        @hard
        def test_fails(self):
            self.fail("not ours")

    @hard
    def test_replaced():
        try:
            load(40)
        except MemoryError:
            raise ValueError("replaced") from None

    @hard
    def test_skips():
        try:
            load(40)
        except MemoryError:
            pytest.skip("too little memory")

    @hard
    def test_group():
        try:
            load(40)
        except MemoryError as error:
            raise ExceptionGroup("some", [error]) from None

    @hard
    def test_threads():
        import _thread, threading
        end = threading.Event()
        try:
            for _ in range(8):
                _thread.start_new_thread(end.wait, ())
        finally:
            end.set()

    @hard
    def test_own():
        raise MemoryError("of the test's own")

    @hard
    def test_mock():
        mock.Mock(side_effect=MemoryError)()

    @hard
    def test_exhausted():
        rows = []
        while True:
            rows.append([1])
    """,
        "--mem-json=out.json",
        "--tb=line",
    )
    result.assert_outcomes(failed=9, xfailed=1)
    found = {
        name: [(f["rule"], f["raised"], f["stop"]["line"]) for f in test["findings"]]
        for name, test in written().items()
        if test["findings"]
    }
    for name in ("test_expected", "test_unittest", "test_replaced", "test_skips", "test_group"):
        assert found.pop(name) == [("hard-limit", True, 11)]
    assert {"test_threads", "test_exhausted"} == set(found)
    result.stdout.fnmatch_lines_random(
        [
            "*test_it.py*: MemoryError: of the test's own",
            "*: AssertionError: not ours",
            "*stopped the test in test_threads, *and touched *; can't start new thread *",
        ]
    )


def test_phases_and_stages(run, written) -> None:
    """Setup, teardown, the whole test and stages are held; the lowest of several counts."""
    result = run(
        HEAD
        + """
    @pytest.fixture
    def heavy():
        return load(40)

    @pytest.fixture
    def torn():
        yield
        load(40)

    @pytest.fixture
    def light():
        return load(12)

    @pytest.mark.mem_budget(20, hard=True, phase="setup")
    def test_setup(heavy):
        pass

    @pytest.mark.mem_budget(20, hard=True, phase="teardown")
    def test_teardown(torn):
        load(40)

    @pytest.mark.mem_budget(20, hard=True, phase="all")
    def test_whole(light):
        load(12)

    @pytest.mark.mem_budget(20, hard=True, stage="parse")
    def test_stage():
        with pytest_memguard.stage("load"):
            kept = load(30)
            with pytest_memguard.stage("parse"):
                load(40)

    @pytest.mark.mem_budget(20, hard=True, stage="parse")
    def test_outside_the_stage():
        with pytest_memguard.stage("parse"):
            load(10)
        load(40)

    @pytest.mark.mem_budget(60, hard=True, phase="all")
    @hard
    def test_lowest():
        load(40)
    """,
        "--mem-json=out.json",
        "--tb=line",
    )
    result.assert_outcomes(passed=2, failed=3, errors=2)
    stops = {
        name: (finding["budget"]["phase"], finding["stop"]["stage"])
        for name, test in written().items()
        for finding in test["findings"]
        if finding["rule"] == "hard-limit"
    }
    assert stops == {
        "test_setup": ("setup", None),
        "test_teardown": ("teardown", None),
        "test_whole": ("all", None),
        "test_stage": ("call", "load/parse"),
        "test_lowest": ("call", None),
    }


CAUGHT = (
    HEAD
    + """
    @hard
    def test_goes_on():
        try:
            load(40)
        except MemoryError:
            pass
        print("on")

    @hard
    def test_at_once():
        with pytest.raises(MemoryError):
            bytearray(40 << 20)

    @hard
    def test_in_a_stage():
        with pytest_memguard.stage("parse"):
            with pytest.raises(MemoryError):
                load(40)

    @hard
    def test_fails_otherwise():
        with pytest.raises(MemoryError):
            load(40)
        assert 1 == 2

    @hard
    def test_subtest(subtests):
        with subtests.test("first"):
            load(40)

    @hard
    def test_own():
        with pytest.raises(MemoryError):
            raise MemoryError
    """
)


def test_a_caught_error_fails_the_test_nevertheless(run, written) -> None:
    """A test that catches the MemoryError and goes on fails; one of its own does not count."""
    result = run(CAUGHT, "--mem-json=out.json", "--tb=line")
    assert result.parseoutcomes()["passed"] == 1
    found = {
        name: [(f["raised"], f["stop"]["caught"]) for f in test["findings"]]
        for name, test in written().items()
    }
    assert found == {
        "test_goes_on": [(True, True)],
        "test_at_once": [(True, True)],
        "test_in_a_stage": [(True, True)],
        "test_fails_otherwise": [(False, True)],
        "test_subtest": [(True, True)],
        "test_own": [],
    }
    result.stdout.fnmatch_lines_random(
        [f"*: BudgetExceeded: {REACHED}*aught *MemoryError and went on (hard-limit)"]
    )
    notes = written()["test_own"]["notes"]
    if sys.version_info >= (3, 12):
        result.stdout.fnmatch_lines([f"*{REACHED} in load, {LINE}*"])
        assert notes == []
    else:
        assert [note.partition(":")[0] for note in notes] == ["the test caught a MemoryError"]
        result.stdout.fnmatch_lines(["not measured here: MemoryErrors that tests catch *"])


def test_children_and_limits_of_the_test(run, written) -> None:
    """Children have no limit of ours, and what a test sets itself stays, and is said."""
    result = run(
        HEAD
        + """
    import multiprocessing, os, subprocess

    ASK = "import resource; print(resource.getrlimit(resource.RLIMIT_DATA)[0])"

    @hard
    def test_children():
        command = [sys.executable, "-c", ASK]
        assert subprocess.check_output(command) == b"-1\\n"
        assert os.system(f'{sys.executable} -c "{ASK}" > limit') == 0
        assert open("limit").read() == "-1\\n"
        child = os.fork()
        if not child:
            os._exit(resource.getrlimit(resource.RLIMIT_DATA)[0] + 1)
        assert os.waitpid(child, 0)[1] == 0
        assert resource.getrlimit(resource.RLIMIT_DATA)[0] > 0
        load(40)

    @hard
    def test_sets_it():
        resource.setrlimit(resource.RLIMIT_DATA, (1 << 40, resource.RLIM_INFINITY))

    def test_is_there():
        assert resource.getrlimit(resource.RLIMIT_DATA)[0] == 1 << 40
    """,
        "--mem-json=out.json",
        "--tb=line",
    )
    result.assert_outcomes(passed=2, failed=1)
    tests = written()
    assert tests["test_children"]["findings"][0]["rule"] == "hard-limit"
    (note,) = tests["test_sets_it"]["notes"]
    assert note.endswith(
        "could not stop the test to its end: something set RLIMIT_DATA meanwhile"
    )


def test_native_libraries_are_left_out(run) -> None:
    """What a library reserves when it is loaded does not count, and does not end the run."""
    if importlib.util.find_spec("numpy") is None:  # loaded here, it could not be once more
        pytest.skip("there is no numpy")
    result = run(
        HEAD
        + """
    @hard
    def test_loads():
        import numpy

    @hard
    def test_over():
        import numpy
        with pytest.raises(MemoryError):
            numpy.ones(1 << 60, "u1")
        numpy.ones(40 << 17)
    """,
        "-rf",
        subprocess=True,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*called from line * of the test's file: *Unable to allocate*"]
    )


def test_stacks_of_threads_are_left_out(run) -> None:
    """A thread that only waits needs no room in a budget, and what it allocates does."""
    result = run(
        HEAD
        + """
    import threading
    from concurrent.futures import ThreadPoolExecutor

    @hard
    def test_many():
        end = threading.Event()
        threads = [threading.Thread(target=end.wait) for _ in range(20)]
        for thread in threads:
            thread.start()
        end.set()
        for thread in threads:
            thread.join()

    @hard
    def test_over():
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(load, [40]))
    """,
        "-rf",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*stopped the test in load, test_it.py:*"])


def test_caught_errors_of_numpy(run, written) -> None:
    """A MemoryError of numpy that a test catches fails it, at the line that it came from."""
    if importlib.util.find_spec("numpy") is None:  # loaded here, it could not be once more
        pytest.skip("there is no numpy")
    result = run(
        HEAD
        + """
    import numpy

    @hard
    def test_catches():
        try:
            numpy.empty(40 << 20, "u1")
        except MemoryError:
            pass

    @hard
    def test_beyond_reason():
        with pytest.raises(MemoryError):
            numpy.ones(1 << 60, "u1")

    @hard
    def test_raises():
        numpy.ones(40 << 20, "u1")
    """,
        "--mem-json=out.json",
    )
    result.assert_outcomes(passed=1, failed=2)
    stops = {
        name: test["findings"][0]["stop"]
        for name, test in written().items()
        if test["findings"]
    }
    caught, raised = stops["test_catches"], stops["test_raises"]
    assert (caught["caught"], caught["file"]) == (True, "test_it.py")
    assert (raised["caught"], raised["function"]) == (False, "ones")
    assert raised["test_line"] > caught["line"]


@pytest.mark.parametrize(
    ("flags", "ini", "where"),
    [
        pytest.param(["--mem-hard", "--mem-budget=20"], "", "--mem-budget", id="flag"),
        pytest.param(
            [], "mem_hard = true\nmem_budget = 20", "mem_budget in pytest.ini", id="ini"
        ),
        pytest.param(
            ["--mem-hard"],
            "mem_budgets =\n    test_it.py = 20",
            "the pattern 'test_it.py' of mem_budgets in pytest.ini",
            id="pattern",
        ),
    ],
)
def test_all_budgets_may_be_hard(run, pytester, flags, ini, where) -> None:
    """`--mem-hard` makes default budgets hard, and those of stages, unless a marker differs."""
    if ini:
        pytester.path.joinpath("pytest.ini").write_text(f"[pytest]\n{ini}\n")
    result = run(
        HEAD
        + """
    def test_over():
        load(40)

    @pytest.mark.mem_budget(20, hard=False)
    def test_soft():
        load(40)

    @pytest.mark.mem_budget(None)
    @pytest.mark.mem_budget(20, metric="python")
    def test_python():
        load(40)

    @pytest.mark.mem_budget(None)
    def test_stage():
        with pytest_memguard.stage("parse", budget="20 MiB"):
            load(40)
    """,
        *flags,
        "--tb=line",
    )
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines_random(
        [
            f"E   BudgetExceeded: the hard budget of 20.0 MiB set by {where} stopped *",
            "* > *: peak RSS * is * over the budget of 20.0 MiB set by the marker*",
            "* > *: peak Python memory * is * over the budget of 20.0 MiB *",
            "E   BudgetExceeded: the hard budget of 20.0 MiB for stage 'parse' set by stage(*",
        ]
    )


@pytest.mark.parametrize(
    ("source", "flags", "line"),
    [
        pytest.param(
            "def test_it(): pass",
            ["--mem-hard"],
            "not measured here: --mem-hard: no test has a budget on peak RSS that could be *",
            id="no-budget",
        ),
        pytest.param(
            HEAD + "\n    @hard\n    def test_it(): load(40)\n",
            ["--mem-budget-mode=warn"],
            "not measured here: hard budgets: breaches only warn (--mem-budget-mode), so no *",
            id="only-warns",
        ),
    ],
)
def test_what_stops_nothing_is_said(run, source, flags, line) -> None:
    """Where no test can be stopped, the report says so, and nothing fails."""
    result = run(source, *flags, "-W", "ignore")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([line])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param("hard='yes'", "hard 'yes' is neither True nor False", id="no-bool"),
        pytest.param(
            "metric='heap', hard=True",
            "hard=True needs metric='rss': no other metric can stop a test",
            id="heap",
        ),
    ],
)
def test_bad_arguments_are_refused(run, arguments, problem) -> None:
    """A marker that makes no sense stops the run before the first test."""
    result = run(f"""
        import pytest

        @pytest.mark.mem_budget(20, {arguments})
        def test_it():
            pass
    """)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*test_it: mem_budget: {problem}"])


def test_workers(run, written) -> None:
    """Under pytest-xdist each worker holds its own tests, and the controller reports them."""
    pytest.importorskip("xdist")
    result = run(
        HEAD
        + """
    @hard
    def test_over():
        load(40)

    @hard
    def test_within():
        load(10)
    """,
        "-n2",
        "--mem-json=out.json",
        "--tb=line",
        plugins=["xdist.plugin"],
    )
    result.assert_outcomes(passed=1, failed=1)
    (finding,) = written()["test_over"]["findings"]
    assert finding["budget"]["hard"]
    assert (finding["raised"], finding["stop"]["file"]) == (True, "test_it.py")
    assert (finding["stop"]["line"], finding["stop"]["by"]) == (11, "kernel limit")


def test_lines_come_from_a_second_run(run) -> None:
    """With --mem-explain=rerun the child is stopped, too, and names the largest lines."""
    pytest.importorskip("memray")
    result = run(
        HEAD + "\n    @hard\n    def test_over(): load(40)\n", "--mem-explain=rerun", "-rf"
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [f"*; largest: load, {LINE}, * MiB (hard-limit)", "*The lines are those of a second*"]
    )


def test_repetitions_are_not_held(run) -> None:
    """A leak check repeats a test that stays within its hard budget, and finds its leak."""
    result = run(
        HEAD
        + """
    KEPT = []

    @pytest.mark.mem_leak_check(calls=60)
    @hard
    def test_leaks():
        KEPT.append(bytearray(200_000))
    """,
        "--tb=line",
        "--mem-leak-blame=none",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_leaks - LeakDetected: keeps *"])


def test_a_lower_limit_stays(run, pytester) -> None:
    """A limit that was there is never raised; what it refuses is no breach of a budget."""
    pytester.makeconftest("""
        import resource

        def pytest_sessionstart():
            used = int(open("/proc/self/statm").read().split()[5]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_DATA, (used + (90 << 20), -1))
    """)
    result = run(
        HEAD
        + """
    @pytest.mark.mem_budget(300, hard=True)
    def test_above():
        load(200)
    """,
        "--tb=line",
        "-rf",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["not measured here: hard budgets: this process has a limit *", "*_above - MemoryError"]
    )


WATCHED = """
    from pytest_memguard.errors import Unmeasurable
    from pytest_memguard.probes.data_limit import DataLimit

    def refuse(self):
        raise Unmeasurable("this system has no limit on data")

    DataLimit.__init__ = refuse
"""


def test_elsewhere_a_thread_watches(run, pytester, written) -> None:
    """Without the kernel's limit a thread stops the test, and the report says so."""
    pytester.makepyfile(without_limit=WATCHED)
    result = run(
        HEAD.replace("rows = []", "import time; rows = []").replace(
            "(1 << 20))", "(1 << 20)); time.sleep(0.002)"
        )
        + """
    @hard
    def test_over():
        load(1000)

    @hard
    def test_caught():
        with pytest.raises(MemoryError):
            load(1000)

    @hard
    def test_within():
        load(10)

    @hard
    def test_own():
        bytearray(1 << 60)
    """,
        "--mem-json=out.json",
        "--tb=line",
        "-rf",
        plugins=["without_limit"],
        subprocess=True,
    )
    result.assert_outcomes(passed=1, failed=3)
    found = {
        name: [(f["rule"], f["stop"]["by"], f["stop"]["caught"]) for f in test["findings"]]
        for name, test in written().items()
    }
    assert found == {
        "test_over": [("hard-limit", "watchdog", False)],
        "test_caught": [("hard-limit", "watchdog", True)],
        "test_within": [],
        "test_own": [],
    }
    result.stdout.fnmatch_lines(
        [
            "not measured here: hard budgets by the *: this system has *; a thread reads *",
            f"FAILED *test_over - BudgetExceeded: {STOPPED}: peak RSS had risen *",
        ]
    )


def test_runs_without_hard_budgets_load_nothing(run) -> None:
    """A budget that is not hard costs no import, and no hook."""
    result = run(
        """
        import sys
        import pytest

        @pytest.mark.mem_budget(100)
        def test_it(pytestconfig):
            names = [name for name in sys.modules if name.startswith("pytest_memguard")]
            assert [name for name in names if "hard" in name.partition(".judge.")[0]] == []
            assert not pytestconfig.pluginmanager.hasplugin("memguard-hard")
        """,
        subprocess=True,
    )
    result.assert_outcomes(passed=1)


def test_every_output_has_it(run, pytester) -> None:
    """Markdown, GitLab, JUnit and `memguard report` show a stop as an error of its test."""
    source = HEAD + "\n    @hard\n    def test_over(): load(40)\n"
    run(
        source,
        "--mem-markdown=out.md",
        "--mem-gitlab=gl.json",
        "--junitxml=out.xml",
        "--tb=no",
    )
    text = pytester.path.joinpath("out.md").read_text()
    assert text.startswith("## Memory: 1 test")
    assert "1 stopped at a hard budget" in text
    (problem,) = json.loads(pytester.path.joinpath("gl.json").read_text())
    assert problem["check_name"] == "memguard/hard-limit"
    assert (
        f'message="BudgetExceeded: {STOPPED}' in pytester.path.joinpath("out.xml").read_text()
    )
