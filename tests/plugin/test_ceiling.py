"""Tests whose budget is larger than all that the process has ever held: nothing is measured."""

from __future__ import annotations

import re
import sys

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only there the mark is watched"
)

XDIST = ("xdist.plugin",)
# Otherwise it takes budgets of gigabytes: twenty times what the process holds anyway.
FAR = """
    from pytest_memguard.plugin import ceiling_calls

    ceiling_calls.ignored_slack = lambda limit: limit
"""
SUITE = """
    import pytest

    def test_small():
        pass

    def test_large():
        bytearray(200 << 20)

    def test_after():
        bytearray(20 << 20)
"""
IN_USE = """
    import pytest

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(session):
        found = session.config.pluginmanager.get_plugin("memguard-ceiling-calls")
        print("on the ceiling" if found else "measured")
"""


def failed(result: pytest.RunResult) -> set[str]:
    """Names of the tests that failed."""
    lines = "\n".join(result.outlines)
    return set(re.findall(r"^FAILED \S+::(\w+)", lines, re.MULTILINE))


def test_no_mark_is_reset(pytester, run):
    """What a process has held at most is what getrusage tells, as without us."""
    pytester.makeconftest(IN_USE)
    result = run(
        """
        import resource

        HIGHEST = []

        def highest():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        def test_large():
            bytearray(200 << 20)
            HIGHEST.append(highest())

        def test_after():
            assert highest() >= HIGHEST[0] > 200 << 10
        """,
        "--mem-budget=16GB",
        "-s",
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*budget 16.00 GiB (--mem-budget)", "*on the ceiling"])


def test_a_breach(pytester, run):
    """The test that exceeds the budget fails, with its number; the others pass."""
    pytester.makeconftest(FAR)
    result = run(SUITE, "--mem-budget=160")
    assert failed(result) == {"test_large"}
    (peak,) = re.findall(r"^peak RSS ([\d.]+) MiB is", "\n".join(result.outlines), re.MULTILINE)
    assert float(peak) == pytest.approx(200, abs=16)


def test_a_test_that_comes_close(pytester, run):
    """What cannot be told from a breach is a line of the report, and no failure."""
    pytester.makeconftest(FAR)
    result = run(SUITE, "--mem-budget=205", "--mem-confirm=0")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*::test_large: peak RSS lies between * (undecided)"])


ALIVE = """
    BIG = [bytearray(150 << 20)]

    def test_uses_again():
        BIG.clear()
        bytearray(180 << 20)

    def test_other():
        pass
"""
RESET = """
    def test_resets():
        bytearray(200 << 20)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")

    def test_other():
        pass
"""
FORKS = """
    import os

    def test_forks():
        pid = os.fork()
        if pid == 0:
            bytearray(200 << 20)
            os._exit(0)
        os.waitpid(pid, 0)

    def test_large():
        bytearray(200 << 20)
"""
MARKED = """
    import pytest

    @pytest.mark.mem_budget(40)
    def test_tight():
        bytearray(60 << 20)

    def test_within():
        bytearray(60 << 20)

    def test_large():
        bytearray(200 << 20)
"""
LATE = """
    import pytest

    def test_late(request):
        request.node.add_marker(pytest.mark.mem_budget(20))
        bytearray(150 << 20)

    def test_stage():
        from pytest_memguard import stage
        with stage("load", budget=20):
            bytearray(60 << 20)

    def test_guard(request):
        guard = request.getfixturevalue("memguard")
        with guard.stage("load", budget=20):
            bytearray(60 << 20)

    def test_other():
        pass
"""
STAGED = """
    import pytest

    @pytest.fixture
    def loaded():
        from pytest_memguard import stage
        with stage("load", budget=20):
            bytearray(60 << 20)

    @pytest.fixture
    def torn_down():
        yield
        from pytest_memguard import stage
        with stage("close"):
            bytearray(20 << 20)

    def test_first(torn_down):
        pass

    def test_staged(loaded):
        pass

    def test_large():
        bytearray(200 << 20)
"""
FAILS = """
    import pytest

    @pytest.fixture
    def heavy():
        bytearray(200 << 20)

    def test_fails():
        bytearray(200 << 20)
        assert False

    def test_setup(heavy):
        pass
"""


@pytest.mark.parametrize(
    ("source", "larger"),
    [
        pytest.param(ALIVE, 0, id="memory-that-goes-and-is-used-again"),
        pytest.param(RESET, 0, id="the-mark-is-reset"),
        pytest.param(FORKS, 0, id="forks"),
        pytest.param(MARKED, 0, id="tight-beside-generous"),
        pytest.param(LATE, 0, id="what-comes-late"),
        pytest.param(STAGED, 0, id="a-stage-in-a-fixture-comes-late"),
        pytest.param(STAGED.replace("(torn_down)", "()"), 0, id="a-stage-in-the-first-fixture"),
        pytest.param(FAILS, 0, id="fails-by-itself"),
        pytest.param(SUITE, 200 << 20, id="started-by-a-larger-process"),
    ],
)
def test_nothing_passes_that_the_meter_fails(pytester, run, source, larger):
    """What fails where every number is measured fails here, or is a line of the report."""
    pytester.makeconftest(FAR)
    large = bytearray(larger)
    flags = ("--mem-budget=160", "-p", "no:randomly")
    measured = run(source, *flags, "--mem", subprocess=bool(large))
    result = run(source, *flags, subprocess=bool(large))
    assert measured.parseoutcomes() == result.parseoutcomes()
    assert failed(measured) == failed(result)
    told = [
        re.findall(r"::(\w+): .*\((undecided|not-measured)\)$", line)
        for line in measured.outlines
    ]
    lines = "\n".join(result.outlines)
    for name, rule in (found for several in told for found in several):
        assert re.search(rf"::{name}: .*\({rule}\)", lines), (name, rule)


def test_a_stage_of_a_fixture_fails_its_setup(pytester, run):
    """It is an error where it happens, though the session was set up in the middle of it."""
    pytester.makeconftest(FAR)
    result = run(STAGED.replace("(torn_down)", "()"), "--mem-budget=160", "-p", "no:randomly")
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at setup of test_staged*"])


def test_a_stage_in_a_hook_before_fixtures(pytester, run):
    """The test whose setup it calls for the session in is measured as well."""
    pytester.makeconftest(
        FAR
        + """
    import pytest

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(item):
        if item.name == "test_large":
            from pytest_memguard import stage
            with stage("hook"):
                pass
"""
    )
    assert failed(run(SUITE, "--mem-budget=160", "-p", "no:randomly")) == {"test_large"}


def test_children_of_failed_tests_and_of_fixtures(pytester, run):
    """Once a test has had children, those of others do not count to the next that passes."""
    pytester.makeconftest(FAR)
    result = run(
        """
        import os
        import pytest

        def child():
            pid = os.fork()
            if pid == 0:
                bytearray(200 << 20)
                os._exit(0)
            os.waitpid(pid, 0)

        @pytest.fixture
        def server():
            child()

        def test_fails():
            child()
            assert False

        def test_next():
            pass

        def test_fixture(server):
            pass

        def test_own():
            child()
        """,
        "--mem-budget=160",
        "-p",
        "no:randomly",
    )
    assert failed(result) == {"test_fails"}
    result.stdout.fnmatch_lines(["*::test_own: its children used *"])
    result.stdout.no_fnmatch_line("*::test_next: *")
    result.stdout.no_fnmatch_line("*::test_fixture: *")


def test_a_remembered_breach(pytester, run):
    """It is measured from the start the next time, and shows its lines."""
    pytester.makeconftest(FAR)
    assert failed(run(SUITE, "--mem-budget=160", cache=True)) == {"test_large"}
    result = run(SUITE, "--mem-budget=160", cache=True)
    assert failed(result) == {"test_large"}
    result.stdout.fnmatch_lines(["*test_it.py:8*"])


def test_workers(pytester, run):
    """A breach in a worker of pytest-xdist is reported as anywhere else."""
    pytester.makeconftest(FAR)
    result = run(SUITE, "--mem-budget=160", "-n2", plugins=XDIST)
    assert failed(result) == {"test_large"}
    result.stdout.fnmatch_lines(["memguard: peak RSS by *; budget 160.0 MiB (--mem-budget)"])


@pytest.mark.parametrize(
    ("code", "found"),
    [
        pytest.param("report.outcome", "on the ceiling", id="others"),
        pytest.param("report.user_properties", "measured", id="properties"),
        pytest.param("[p for p in [1] if report.user_properties]", "measured", id="inside"),
    ],
)
def test_plugins_that_want_numbers(pytester, run, code, found):
    """Where a hook of the suite reads what we tell other plugins, every test is measured."""
    hook = f"    def pytest_runtest_logreport(report):\n        return {code}\n"
    pytester.makeconftest(FAR + IN_USE + hook)
    run(SUITE, "--mem-budget=1000", "-s").stdout.fnmatch_lines([f"*{found}"])


def test_a_plugin_with_objects_that_cannot_be_asked(pytester, run):
    """What stands for another object, and raises whatever is asked of it, is left alone."""
    pytester.makeconftest(
        FAR
        + IN_USE
        + """
    class Proxy:
        def __getattribute__(self, name):
            raise RuntimeError("outside of a request")

    current = Proxy()
"""
    )
    run(SUITE, "--mem-budget=1000", "-s").stdout.fnmatch_lines(["*on the ceiling"])
