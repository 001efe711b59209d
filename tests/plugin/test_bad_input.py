"""Bad input: every mistake is told at once, in one usage error, before the first test."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

BAD_MARKERS = [
    ("'10 bananas'", "'10 bananas' is not a size: *"),
    ("-5", "-5 is not a size: *"),
    ("True", "True is not a size: *"),
    ("float('nan')", "nan is not a size: *"),
    ("float('inf')", "inf is not a size: *"),
    ("[200]", "[[]200[]] is not a size: *"),
    ("''", "'' is not a size: *"),
    ("", "it takes one limit: mem_budget(limit, *"),
    ("10, 20", "it takes one limit: mem_budget(limit, *"),
    ("10, limit=20", "it takes one limit: mem_budget(limit, *"),
    ("10, metric='swap'", "metric 'swap' is not one of rss, heap, python"),
    ("10, metric=['rss']", "metric [[]'rss'[]] is not one of rss, heap, python"),
    ("10, phase='run'", "phase 'run' is not one of setup, call, teardown, all"),
    ("10, threads=2", "threads 2 is not one of all, current"),
    ("10, threads='current'", "threads='current' needs metric='heap': *"),
    ("10, stage=''", "stage '' is not the name of a stage"),
    ("10, stage=3", "stage 3 is not the name of a stage"),
    ("10, warn=1.5", "warn: 1.5 is not a share of the budget: *"),
    ("10, warn='much'", "warn: 'much' is not a share of the budget: *"),
    ("10, wran=0.8", "it has no argument 'wran': mem_budget(limit, *"),
    ("lambda p: 10", "a limit that is a function needs a parametrised test, *"),
]
BAD_LIMIT_FUNCTIONS = [
    ("lambda p: p['m']", "the function for the limit raised KeyError: 'm'"),
    ("lambda p: 'much'", "'much' is not a size: *"),
    ("lambda: 10", "the function for the limit raised TypeError: *"),
]
BAD_INI = [
    ("mem", "perhaps", "'perhaps' is neither true nor false"),
    ("mem_top", "0", "'0' is not a number of tests: *"),
    ("mem_json", "", "it is empty: write the path of a file"),
    ("mem_markdown", "", "it is empty: write the path of a file"),
    ("mem_gitlab", "", "it is empty: write the path of a file"),
    ("mem_github", "never", "'never' is not one of auto, off"),
    ("mem_budget", "1 elephant", "'1 elephant' is not a size: *"),
    ("mem_budgets", "tests", "'tests' is not a line 'PATTERN = SIZE'"),
    ("mem_budgets", "= 5", "'= 5' is not a line 'PATTERN = SIZE'"),
    ("mem_budgets", "a/** = x", "in the line 'a/[*][*] = x', 'x' is not a size: *"),
    ("mem_warn", "120%", "'120%' is not a share of the budget: *"),
    ("mem_budget_mode", "shout", "'shout' is not one of fail, warn"),
    ("mem_explain", "later", "'later' is not one of next, rerun, never"),
    ("mem_drill", "deep", "'deep' is neither true nor false"),
]
BAD_FLAGS = [
    ("--mem-top=some", "'some' is not a number of tests: *"),
    ("--mem-json= ", "it is empty: write the path of a file"),
    ("--mem-markdown= ", "it is empty: write the path of a file"),
    ("--mem-gitlab= ", "it is empty: write the path of a file"),
    ("--mem-github=on", "'on' is not one of auto, off"),
    ("--mem-budget=-1", "'-1' is not a size: *"),
    ("--mem-budget-mode=shout", "'shout' is not one of fail, warn"),
    ("--mem-explain=later", "'later' is not one of next, rerun, never"),
]
TWO_BAD_MARKERS = """
    import pytest

    @pytest.mark.mem_budget("much")
    def test_bad():
        pass

    @pytest.mark.mem_budget(10, metric="swap")
    class TestBad:
        def test_one(self):
            pass

        def test_two(self):
            pass

    def test_good():
        open("it_ran", "w").close()
"""


def assert_usage_error(result: pytest.RunResult) -> None:
    """Check that pytest stopped as it does for a usage error."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in said
    assert "Traceback" not in said


def test_every_bad_marker_is_told_with_file_line_and_node_id(run):
    """All markers that make no sense are told in one usage error, each by file and line."""
    lines = ["import pytest", ""]
    expected = []
    for number, (arguments, problem) in enumerate(BAD_MARKERS):
        expected.append(
            f"ERROR: memguard: test_it.py:{len(lines) + 1}: test_it.py::test_{number}: "
            f"mem_budget: {problem}"
        )
        lines += [f"@pytest.mark.mem_budget({arguments})", f"def test_{number}(): pass", ""]
    for number, (function, problem) in enumerate(BAD_LIMIT_FUNCTIONS):
        expected.append(
            f"ERROR: memguard: test_it.py:{len(lines) + 1}: test_it.py::test_f{number}[[]7[]]: "
            f"mem_budget: {problem}"
        )
        lines += [
            f"@pytest.mark.mem_budget({function})",
            "@pytest.mark.parametrize('n', [7])",
            f"def test_f{number}(n): pass",
            "",
        ]
    result = run("\n".join(lines))
    assert_usage_error(result)
    result.stderr.fnmatch_lines(expected)
    assert len(expected) == result.stderr.str().count("memguard:")


def test_all_mistakes_of_one_marker_are_told(run):
    """A marker with several bad arguments gets a line for each of them."""
    result = run("""
        import pytest

        @pytest.mark.mem_budget("much", metric="swap", phase="run", warn=2, wran=1)
        def test_it():
            pass
    """)
    assert_usage_error(result)
    assert result.stderr.str().count("memguard: test_it.py:4: test_it.py::test_it:") == 5


def test_markers_of_classes_and_modules_are_told_once(run):
    """A bad marker on a class or module is told once, by the name of its owner."""
    result = run("""
        import pytest

        pytestmark = pytest.mark.mem_budget("much", phase="call")

        @pytest.mark.mem_budget(10, metric="swap")
        class TestIt:
            def test_one(self):
                pass

            def test_two(self):
                pass
    """)
    assert_usage_error(result)
    result.stderr.fnmatch_lines_random(
        [
            (
                "ERROR: memguard: test_it.py:*::TestIt::test_one, marker on TestIt: "
                "mem_budget: metric 'swap' *"
            ),
            (
                "ERROR: memguard: test_it.py:*::TestIt::test_one, marker on test_it.py: "
                "mem_budget: 'much' *"
            ),
        ]
    )
    assert result.stderr.str().count("memguard:") == 2


@pytest.mark.parametrize("flags", [(), ("--mem",), ("--collect-only",), ("--mem-budget=5",)])
def test_nothing_runs_after_a_bad_marker(run, flags):
    """Bad markers stop the run before its first test, and a mere collection too."""
    result = run(TWO_BAD_MARKERS, *flags)
    assert_usage_error(result)
    result.stderr.fnmatch_lines(
        [
            "*memguard: test_it.py:4: test_it.py::test_bad: *",
            "*memguard: test_it.py:*: test_it.py::TestBad::test_one, marker on TestBad: *",
        ]
    )
    assert result.stderr.str().count("memguard:") == 2
    assert not Path("it_ran").exists()


@pytest.mark.parametrize("flags", [(), ("--mem",)], ids=["marker-alone", "with-flag"])
def test_bad_markers_under_xdist(run, flags):
    """Under xdist the same mistakes give the same error, once though two workers see it."""
    result = run(TWO_BAD_MARKERS, "-n2", *flags, plugins=["xdist.plugin"])
    assert_usage_error(result)
    said = result.stdout.str() + result.stderr.str()
    for problem in (
        "memguard: test_it.py:4: test_it.py::test_bad: mem_budget: 'much' is not a size",
        "TestBad::test_one, marker on TestBad: mem_budget: metric 'swap' is not one of",
    ):
        assert said.count(problem) == 1
    assert not Path("it_ran").exists()


def test_bad_ini_values_are_told_at_once(pytester, run):
    """Every ini value that makes no sense is named, with its key and file, in one error."""
    keys = dict.fromkeys(key for key, _, _ in BAD_INI)
    lines = ["[pytest]"]
    for key in keys:
        values = [value for name, value, _ in BAD_INI if name == key]
        lines.append(f"{key} =" + "".join(f"\n  {value}" for value in values))
    pytester.makefile(".ini", tox="\n".join(lines))
    result = run("def test_it(): pass")
    assert_usage_error(result)
    result.stderr.fnmatch_lines_random(
        [f"ERROR: memguard: {key} in tox.ini: {problem}" for key, _, problem in BAD_INI]
    )
    assert len(BAD_INI) == result.stderr.str().count("memguard:")


def test_bad_flags_are_told_at_once(pytester, run):
    """Every flag that makes no sense is named in one error, together with the ini's."""
    pytester.makeini("[pytest]\nmem_warn = 2")
    result = run("def test_it(): pass", *(flag for flag, _ in BAD_FLAGS))
    assert_usage_error(result)
    expected = [
        f"ERROR: memguard: {flag.partition('=')[0]}: {problem}" for flag, problem in BAD_FLAGS
    ]
    result.stderr.fnmatch_lines_random(
        [*expected, "*memguard: mem_warn in tox.ini: '2' is not *"]
    )
    assert len(BAD_FLAGS) + 1 == result.stderr.str().count("memguard:")


def test_bad_value_in_a_toml_table(pytester, run):
    """A value of a wrong type in pyproject.toml is a usage error that names its key."""
    pytester.makepyprojecttoml("""
        [tool.pytest]
        mem_budget = [1, 2]
    """)
    result = run("def test_it(): pass")
    assert_usage_error(result)
    result.stderr.fnmatch_lines(["ERROR: *pyproject.toml: *mem_budget*[[]1, 2[]]*"])


def test_bad_flag_under_xdist(run):
    """A bad flag stops a distributed run before a worker is started."""
    result = run(
        "def test_it(): pass",
        "-n2",
        "--mem-budget=much",
        plugins=["xdist.plugin"],
    )
    assert_usage_error(result)
    assert (result.stdout.str() + result.stderr.str()).count("memguard:") == 1


@pytest.mark.parametrize("source", ["fixture", "library"])
def test_bad_stages_fail_the_test_that_has_them(run, source):
    """A stage without a name or with a bad budget raises ConfigError where it is written."""
    stage = "memguard.stage" if source == "fixture" else "pytest_memguard.stage"
    result = run(
        dedent(f"""
        import pytest
        import pytest_memguard
        from pytest_memguard import ConfigError

        @pytest.mark.parametrize("name", ["", "  ", None, 3])
        def test_name(memguard, name):
            with pytest.raises(ConfigError, match="a stage needs a name"):
                {stage}(name)

        @pytest.mark.parametrize("budget", ["much", -1, True, [5]])
        def test_budget(memguard, budget):
            with pytest.raises(ConfigError, match="stage 'load': budget .* not a"):
                {stage}("load", budget=budget)

        def test_metric(memguard):
            with pytest.raises(ConfigError, match="metric 'swap' is not one of"):
                with memguard.measure("swap"):
                    pass
        """)
    )
    result.assert_outcomes(passed=9)
