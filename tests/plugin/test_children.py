"""What is reported of children that no budget counts, with real children."""

from __future__ import annotations

import json
import os

import pytest

from tests.plugin.test_tree import USES, peaks

pytestmark = pytest.mark.skipif(os.name != "posix", reason="it forks")
MIB = 1 << 20

SUITE = (
    USES
    + """
    def test_program():
        program(90 * MIB)

    def test_pool():
        pool(45 * MIB)

    def test_none():
        pass
    """
)
MARKED = SUITE.replace("def test", "@pytest.mark.mem_budget(60)\n    def test")
SAID = "its children used *, which the budget of 60.0 MiB set by * does not count; *"
LINES = [f"*test_program: {SAID}", f"*test_pool: {SAID}"]


def test_a_column_of_children(run):
    """With --mem, a column has what the descendants of each test used, if any had some."""
    result = run(SUITE, "--mem")
    result.assert_outcomes(passed=3)
    result.stdout.re_match_lines_random(
        [
            r"Peak MiB .*Children  Test",
            r".* 9[0-9][.][0-9]( [(]<= [0-9.]+[)])?  test_it.py::test_program",
            r".* [89][0-9][.][0-9]( [(]<= [0-9.]+[)])?  test_it.py::test_pool",
            r".* -  test_it.py::test_none",
        ]
    )
    result.stdout.no_fnmatch_line("*does not count*")


def test_no_column_without_children(run):
    """A run without descendants looks as it always has."""
    result = run("def test_it(): pass", "--mem")
    result.stdout.no_fnmatch_line("*Children*")


def test_files_have_children(run, pytester):
    """JSON and CSV have the peak of descendants; the baseline does not."""
    result = run(
        SUITE, "--mem", "--mem-json=run.json", "--mem-output=csv=run.csv", "--mem-save"
    )
    result.assert_outcomes(passed=3)
    found = peaks(pytester.path / "run.json", "children")
    assert {"test_program", "test_pool"} == found.keys()
    assert 90 * MIB < found["test_program"]["bytes"] < 100 * MIB
    assert {"sampled"} == {peak["method"] for peak in found.values()}
    rows = (pytester.path / "run.csv").read_text().splitlines()
    assert sum(",children," in row for row in rows) == 2
    baseline = json.loads((pytester.path / ".memguard/baseline.json").read_text())
    assert {"rss"} == {env["metric"] for env in baseline["environments"]}


@pytest.mark.parametrize(
    ("suite", "flags"),
    [
        pytest.param(MARKED, [], id="marker"),
        pytest.param(MARKED, ["--mem"], id="marker-and-report"),
        pytest.param(SUITE, ["--mem-budget=60"], id="one-budget"),
        pytest.param(SUITE, ["--mem-budget=60", "--mem-json=x.json"], id="one-budget-and-file"),
    ],
)
def test_a_budget_that_does_not_count_its_children(run, suite, flags):
    """When children would have exceeded a budget, a line says how much they used."""
    result = run(suite, *flags)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines_random(LINES)
    result.stdout.no_fnmatch_line("*test_none: *")


def test_a_budget_with_workers(run):
    """Lines about children come from workers as well."""
    pytest.importorskip("xdist")
    result = run(SUITE, "--mem-budget=60", "-n2", plugins=["xdist.plugin"])
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines_random(LINES)


def test_children_that_do_not_matter(run):
    """Nothing is said of children that leave room below the budget, or of failing tests."""
    result = run(
        USES
        + """
    @pytest.mark.mem_budget(60)
    def test_small():
        program(20 * MIB)

    @pytest.mark.mem_budget(60)
    def test_fails_by_itself():
        program(90 * MIB)
        bytearray(90 * MIB)

    @pytest.mark.mem_budget(60, metric="tree")
    @pytest.mark.mem_budget(60)
    def test_counts():
        program(90 * MIB)
    """
    )
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.no_fnmatch_line("*does not count*")


def test_children_of_setup_and_of_a_server(run):
    """A server of a wider fixture counts for the test that starts it, and for growth later."""
    result = run(
        USES
        + """
    @pytest.fixture(scope="module")
    def server():
        code = f"import sys; b = bytearray({90 * MIB}); print(flush=True); sys.stdin.read()"
        command, pipe = [sys.executable, "-S", "-c", code], subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe) as child:
            child.stdout.readline()
            yield
            child.communicate()

    def test_first(server):
        pass

    def test_second(server):
        pass
    """,
        "--mem",
    )
    result.assert_outcomes(passed=2)
    result.stdout.re_match_lines_random(
        [
            r".* 9[0-9][.][0-9]  test_it.py::test_first",
            r".* 0[.][0-9]  test_it.py::test_second",
        ]
    )


def test_children_of_a_test_that_nothing_measures(run):
    """The first test has the children watched; a later one of which nothing is asked passes."""
    result = run(
        USES
        + """
    import pytest_memguard

    def test_watched():
        with pytest_memguard.watch(os.getpid(), 0.01):
            pool(60 * MIB, 1)

    def test_larger():
        pool(120 * MIB, 1)

    def test_largest():
        pool(180 * MIB, 1)
    """
    )
    result.assert_outcomes(passed=3)


def test_our_own_children_do_not_count(run):
    """A child in which a test is run once more is none of the test's."""
    result = run(
        """
        import pytest

        @pytest.mark.mem_budget(20)
        def test_it():
            bytearray(90 << 20)

        def test_other():
            pass
        """,
        "--mem",
        "--mem-explain=rerun",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*Children*")


def test_no_sampler_for_tests_that_are_not_measured(run):
    """A watch is reported with its test, but the children of such a test are not."""
    result = run(
        """
        import os, subprocess
        import pytest_memguard
        from pytest_memguard.probes import tree_client

        def test_watch():
            with pytest_memguard.watch(os.getpid()):
                subprocess.run(["true"], check=True)

        def test_children():
            subprocess.run(["true"], check=True)

        def test_sampler():
            assert tree_client._client is None
        """
    )
    result.assert_outcomes(passed=3)


def test_repetitions_of_a_leak_check_do_not_count(run, pytester):
    """Of a test that is repeated, the children of its own call count."""
    result = run(
        USES
        + """
    @pytest.mark.mem_leak_check(calls=10, warmup=1)
    def test_it():
        subprocess.run(["true"])
    """,
        "--mem",
        "--mem-json=run.json",
    )
    result.assert_outcomes(passed=1)
    peak = peaks(pytester.path / "run.json", "children")["test_it"]
    assert peak["upper_bound_bytes"] + peak.get("unseen_bytes", 0) < 4 * MIB


def test_no_sampler(run, pytester):
    """Where no sampler starts, the report says so; counters of the kernel remain as a bound."""
    pytester.makeconftest(
        """
        from pytest_memguard.probes import tree_client

        def refuse(*_):
            raise OSError("no more processes")

        tree_client.start_separate = refuse
        """
    )
    result = run(
        MARKED
        + """
    @pytest.mark.mem_budget(10, metric="tree")
    def test_tree():
        program(20 * MIB)
    """,
        "--mem",
    )
    result.assert_outcomes(passed=4)
    reason = "no process could be started that samples the process tree: no more processes"
    result.stdout.fnmatch_lines_random(
        [
            f"not measured here: what the children of tests use: {reason}",
            "*test_program: its children used * at most, which the budget of 60.0 MiB *",
            f"*test_tree: *was not checked: {reason} (not-measured)",
        ]
    )
