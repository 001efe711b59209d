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
    ("10, metric='swap'", "metric 'swap' is not one of rss, heap, python, tree"),
    ("10, metric=['rss']", "metric [[]'rss'[]] is not one of rss, heap, python, tree"),
    ("10, phase='run'", "phase 'run' is not one of setup, call, teardown, all"),
    ("10, threads=2", "threads 2 is not one of all, current"),
    ("10, threads='current'", "threads='current' needs metric='heap': *"),
    ("10, stage=''", "stage '' is not the name of a stage"),
    ("10, stage=3", "stage 3 is not the name of a stage"),
    ("10, warn=1.5", "warn: 1.5 is not a share of the budget: *"),
    ("10, warn='much'", "warn: 'much' is not a share of the budget: *"),
    ("10, wran=0.8", "it has no argument 'wran': mem_budget(limit, *"),
    ("10**400", "10000*... (401 characters) is not a size, it is 8 EiB (2[*][*]63 bytes) or *"),
    ("10**5000", "a value of type int is not a size, it is 8 EiB (2[*][*]63 bytes) or more*"),
    ("1e300", "1e+300 is not a size, it is 8 EiB (2[*][*]63 bytes) or more: *"),
    ("'8388608 TB'", "'8388608 TB' is not a size, it is 8 EiB (2[*][*]63 bytes) or more: *"),
    ("-10**400", "-10000*... (402 characters) is not a size: *"),
    ("1e400", "inf is not a size: *"),
    ("'1e30 GB'", "'1e30 GB' is not a size: *"),
    ("1e-9", "1e-09 is not a size, it is less than a byte: *"),
    ("'\uff11\uff10\uff10'", "'\uff11\uff10\uff10' is not a size: *"),
    ("10, warn='\uff18\uff10%'", "warn: '\uff18\uff10%' is not a share of the budget: *"),
    ("10, stage='a', phase='all'", "stage goes without phase: its budget holds in whatever *"),
    ("lambda p: 10", "a limit that is a function needs a parametrised test, *"),
]
BAD_LIMIT_FUNCTIONS = [
    ("lambda p: p['m']", "the function for the limit raised KeyError: 'm'"),
    ("lambda p: 'much'", "'much' is not a size: *"),
    ("lambda: 10", "the function for the limit raised TypeError: *"),
]
BAD_LEAK_MARKERS = [
    ("mem_leak_check(5)", "its arguments are named: mem_leak_check(calls=None, *"),
    ("mem_leak_check(calls=0)", "calls 0 is not a whole number from 1"),
    ("mem_leak_check(calls='5')", "calls '5' is not a whole number from 1"),
    (
        "mem_leak_check(calls=10**400)",
        "calls 1000*... * is not a whole number from 1 to 1000000000",
    ),
    (
        "mem_leak_check(calls=9, warmup=9)",
        "warmup 9 leaves none of 9 calls to look for a leak in",
    ),
    ("mem_leak_check(tolerance=-1)", "tolerance: -1 is not a size: *"),
    (
        "mem_leak_check(tolerance=2**63)",
        "tolerance: 9223372036854775808 is not a size, it is *",
    ),
    ("mem_leak_check(tolerance=None)", "tolerance: None is not a size: *"),
    ("mem_leak_check(ignore='[a')", "ignore: '[[]a' is not a pattern: close its bracket*"),
    ("mem_leak_check(ignore=[''])", "ignore: '' is not a pattern: *"),
    ("mem_leak_check(resources=0)", "resources 0 is neither True nor False"),
    ("mem_leak_check(call=5)", "it has no argument 'call': mem_leak_check(calls=None, *"),
    ("mem_no_leak_check()", "it takes one reason, a text: mem_no_leak_check(reason)"),
    ("mem_no_leak_check(' ')", "it takes one reason, a text: mem_no_leak_check(reason)"),
    ("mem_regression()", "it takes rules: mem_regression(RULE, ...) or mem_regression(None)"),
    ("mem_regression('')", "'' is no rule, it is empty: *"),
    ("mem_regression(10)", "10 is no rule, it is not a text: *"),
    ("mem_regression('peak:5.')", "'peak:5.' is no rule, '5.' is neither a share nor a size *"),
    ("mem_regression('peak:9999999TB')", "* is no rule, '9999999TB' is neither a share nor *"),
    ("mem_regression('peak:9999999%')", "* is no rule, more than 1000000% is no limit: *"),
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
    (
        "mem_budgets",
        "a/b.py::t[1 = 5",
        "in the line 'a/b.py::t[[]1 = 5', 'a/b.py::t[[]1' is not *",
    ),
    ("mem_budgets", "c = 9999999 TB", "in the line 'c = 9999999 TB', * is not a size, it is *"),
    ("mem_leak_ignore", "feed.[a", "'feed.[[]a' is not a pattern: close its bracket, or *"),
    (
        "mem_leak_stop_at",
        "0",
        "in '0', '0' would stop every leak check at once: write *",
    ),
    ("mem_leak_calls", "\uff11", "'\uff11' is not a number of calls: *"),
    ("mem_leak_seconds", "\uff11", "'\uff11' is not a number of seconds: *"),
    ("mem_leak_tolerance", "0.5", "'0.5' is not a size, it is less than a byte: *"),
    ("mem_history", "true", "'true' is not the path of a file: write one (./true, if *"),
    ("mem_compare", "", "it is empty: write the path of a file, or true for the one of *"),
    ("mem_fail_on", "peak:10", "'peak:10' is no rule, '10' is neither a share nor a size *"),
    ("mem_warn", "120%", "'120%' is not a share of the budget: *"),
    ("mem_budget_mode", "shout", "'shout' is not one of fail, warn"),
    ("mem_explain", "later", "'later' is not one of next, rerun, never"),
    ("mem_drill", "deep", "'deep' is neither true nor false"),
]
BAD_FLAGS = [
    ("--mem-fail-on=", "'' is no rule, it is empty: *"),
    ("--mem-fail-on=# peak:10%", "'# peak:10%' is no rule, *"),
    ("--mem-accept=", "'' is not a pattern: write a node id, a path, or one with [*] or [?]"),
    ("--mem-accept=test_it.py::test_it[1", "'test_it.py::test_it[[]1' is not a pattern *"),
    ("--mem-confirm=\uff11", "'\uff11' is not a number of measurements: *"),
    ("--mem-leak-calls=1_000", "'1_000' is not a number of calls: *"),
    ("--mem-leak-seconds=1e300", "'1e300' is not a number of seconds: *"),
    ("--mem-save=", "it is empty: write the path of a file, or true for the one of *"),
    ("--mem-top=some", "'some' is not a number of tests: *"),
    ("--mem-json= ", "it is empty: write the path of a file"),
    ("--mem-markdown= ", "it is empty: write the path of a file"),
    ("--mem-gitlab= ", "it is empty: write the path of a file"),
    ("--mem-github=on", "'on' is not one of auto, off"),
    ("--mem-budget=-1", "'-1' is not a size: *"),
    ("--mem-budget-mode=shout", "'shout' is not one of fail, warn"),
    ("--mem-explain=later", "'later' is not one of next, rerun, never"),
    ("--mem=often", "'often' is neither true nor false"),
    ("--mem-isolate=foo", "'foo' is not one of test, module, off, true, false"),
    ("--mem-leak-check=foo", "'foo' is not one of all, marked, true, false"),
    ("--mem-flight-record=foo", "'foo' is not one of on, workers, off, true, false"),
    ("--mem-parallel=foo", "'foo' is not a size: *"),
    ("--mem-history=", "it is empty: write the path of a file"),
    ("--mem-compare=", "it is empty: write the path of a file, or true for the one of *"),
    ("--no-mem=foo", "'foo' is neither true nor false"),
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


@pytest.mark.parametrize("flag", ["--mem", "--mem-isolate", "--mem-leak-check", "--no-mem"])
def test_empty_values_of_switches(pytester, run, flag):
    """A switch with an empty value, as of a variable that is not set, switches nothing off."""
    pytester.makeini(f"[pytest]\naddopts = {flag}=")
    result = run("def test_it(): pass")
    assert_usage_error(result)
    result.stderr.fnmatch_lines(
        [f"ERROR: memguard: {flag}: it is empty: write {flag} alone, *"]
    )


def test_a_switch_may_have_a_value(pytester, run):
    """What a switch accepts in the config file it accepts on the command line, too."""
    pytester.makeini("[pytest]\nmem = true")
    assert "highest" in run("def test_it(): pass", "--mem-drill=off").stdout.str()
    assert "highest" not in run("def test_it(): pass", "--mem=off").stdout.str()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        pytest.param(
            "mem_budget = [1, 2]", "[[]1, 2[]] is not a size: *", id="list-for-a-size"
        ),
        pytest.param("mem_budget = true", "'True' is not a size: *", id="bool-for-a-size"),
        pytest.param(
            "mem_json = ['a']", "[[]'a'[]] is not the path of a file: *", id="list-path"
        ),
        pytest.param("mem_json = true", "'True' is not the path of a file: *", id="bool-path"),
        pytest.param("mem_top = 3.0", "'3.0' is not a number of tests: *", id="float-count"),
        pytest.param(
            "mem_budgets = 5", "'5' is not a line 'PATTERN = SIZE'", id="number-lines"
        ),
        pytest.param("mem_budgets = [5]", "5 is not a line 'PATTERN = SIZE'", id="number-line"),
        pytest.param("mem_budgets = [' ']", "' ' is not a line 'PATTERN = SIZE'", id="blank"),
        pytest.param("mem_fail_on = ['']", "'' is no rule, it is empty: *", id="empty-rule"),
        pytest.param("mem_fail_on = [['a']]", "[[]'a'[]] is no rule, *", id="list-for-a-rule"),
        pytest.param("mem_leak_ignore = [true]", "True is not a pattern: *", id="bool-pattern"),
    ],
)
def test_bad_value_in_a_toml_table_of_texts(pytester, run, line, problem):
    """A value of a wrong type where pytest reads texts is a usage error, not another text."""
    pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\n{line}")
    result = run("def test_it(): pass", "-W", "ignore::pytest.PytestDeprecationWarning")
    assert_usage_error(result)
    key = line.partition(" ")[0]
    result.stderr.fnmatch_lines([f"ERROR: memguard: {key} in pyproject.toml: {problem}"])
    assert result.stderr.str().count("memguard:") == 1


@pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="pytest 8 has no native TOML")
@pytest.mark.parametrize(
    "line",
    [
        pytest.param("mem_budget = [1, 2]", id="list-for-a-size"),
        pytest.param("mem_budget = {a = 1}", id="table-for-a-size"),
        pytest.param("mem_budget = true", id="bool-for-a-size"),
        pytest.param("mem_top = 3.5", id="float-for-a-number"),
        pytest.param("mem_json = true", id="bool-for-a-path"),
        pytest.param("mem_json = 5", id="number-for-a-path"),
        pytest.param("mem_history = true", id="bool-for-a-place"),
        pytest.param("mem_baseline = 1.5", id="float-for-a-path"),
        pytest.param("mem = 2", id="number-for-a-switch"),
        pytest.param("mem_leak_seconds = inf", id="infinity"),
        pytest.param("mem_budgets = 5", id="number-for-lines"),
        pytest.param("mem_budgets = 'a = 5'", id="text-for-lines"),
        pytest.param("mem_budgets = [5]", id="number-for-a-line"),
        pytest.param("mem_fail_on = ['']", id="empty-rule"),
        pytest.param("mem_leak_ignore = [['a']]", id="list-for-a-pattern"),
    ],
)
def test_bad_value_in_a_native_toml_table(pytester, run, line):
    """A value of a wrong type in pytest's own table is one line that names key, file, value."""
    pytester.makepyprojecttoml(f"[tool.pytest]\n{line}")
    result = run("def test_it(): pass")
    assert_usage_error(result)
    key = line.partition(" ")[0]
    result.stderr.fnmatch_lines([f"ERROR: memguard: {key} in pyproject.toml: *"])
    assert result.stderr.str().count("memguard:") == 1
    assert str(pytester.path) not in result.stderr.str()


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param("mem_compare = false\nmem = false", id="switched-off"),
        pytest.param("mem_budgets = []\nmem_fail_on = []", id="empty-lists"),
        pytest.param("mem_budgets = ['# none']\nmem_fail_on = ['# none']", id="comments"),
    ],
)
@pytest.mark.parametrize("table", ["tool.pytest", "tool.pytest.ini_options"])
def test_toml_values_that_say_nothing(pytester, run, table, lines):
    """Switches that are off, empty lists and comments are as good as no setting."""
    pytester.makepyprojecttoml(f"[{table}]\n{lines}")
    result = run("def test_it(): pass", "-W", "ignore::pytest.PytestDeprecationWarning")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1)
    assert "baseline" not in result.stdout.str()


def test_an_empty_key_of_lines_sets_nothing(pytester, run):
    """A key that takes lines and has none is as good as not there, as with pytest's own."""
    pytester.makeini("[pytest]\nmem_budgets =\nmem_fail_on =\nmem_leak_ignore =\n")
    result = run("def test_it(): pass")
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize("compare", [False, True], ids=["plain", "comparing"])
def test_bad_markers_of_leak_checks_and_rules(run, compare):
    """Every marker on leaks and regressions that makes no sense is named by file and line."""
    lines = ["import pytest", ""]
    expected = []
    for number, (marker, problem) in enumerate(BAD_LEAK_MARKERS):
        name = marker.partition("(")[0]
        expected.append(
            f"ERROR: memguard: test_it.py:{len(lines) + 1}: test_it.py::test_{number}: "
            f"{name}: {problem}"
        )
        lines += [f"@pytest.mark.{marker}", f"def test_{number}(): pass", ""]
    flags = ("--mem-save=new.json", "--mem-compare=new.json") if compare else ()
    result = run("\n".join(lines), *flags)
    assert_usage_error(result)
    result.stderr.fnmatch_lines(expected)
    assert len(expected) == result.stderr.str().count("memguard:")


def test_a_limit_beyond_all_numbers_under_xdist(run):
    """A limit that no machine has ends a distributed run as any other nonsense does."""
    source = """
        import pytest

        @pytest.mark.mem_budget(10**400)
        def test_it():
            pass
    """
    result = run(source, "-n2", plugins=["xdist.plugin"])
    assert_usage_error(result)
    said = result.stdout.str() + result.stderr.str()
    assert said.count("memguard: test_it.py:4: test_it.py::test_it: mem_budget: 1000") == 1


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

        @pytest.mark.parametrize("budget", ["much", -1, True, [5], 10**400, "9999999 TB", 1e-9])
        def test_budget(memguard, budget):
            with pytest.raises(ConfigError, match="stage 'load': budget .* not a"):
                {stage}("load", budget=budget)

        def test_metric(memguard):
            with pytest.raises(ConfigError, match="metric 'swap' is not one of"):
                with memguard.measure("swap"):
                    pass
        """)
    )
    result.assert_outcomes(passed=12)
