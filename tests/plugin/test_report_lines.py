"""What people look at: short lines, colours, no noise, and names of what they meant."""

from __future__ import annotations

import pytest

FAILING = """
    import pytest

    @pytest.mark.mem_budget(2)
    def test_large():
        print("noise")
        bytearray(5 << 20)

    def test_itself():
        print("signal")
        assert 0
"""


def test_short_line(run):
    """The last lines have the numbers first, and the failure itself the whole sentence."""
    result = run(FAILING)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "peak RSS * MiB is * MiB over the budget of 2.0 MiB set by the marker*",
            "FAILED test_it.py::test_large - [45].* MiB > 2.0 MiB: peak RSS *",
            "FAILED test_it.py::test_itself - assert 0",
        ]
    )


@pytest.mark.parametrize(("flags", "noise"), [((), False), (("-v",), True)])
def test_captured_output(run, pytester, flags, noise):
    """What a test printed is left out where only memory failed it; JUnit has it all."""
    result = run(FAILING, "--junitxml=j.xml", "-o", "junit_logging=all", *flags)
    assert noise == ("noise" in result.stdout.str())
    assert "signal" in result.stdout.str()
    assert "noise" in (pytester.path / "j.xml").read_text(encoding="utf-8")


def test_colours(run):
    """A test above its budget is red, one close to it yellow, and so is the title."""
    tests = """
        import pytest

        @pytest.mark.parametrize("size", [1, 9, 15])
        def test_it(size):
            bytearray(size << 20)
    """
    result = run(tests, "--mem", "--mem-budget=10", "--color=yes")
    result.stdout.re_match_lines_random(
        [
            r"\x1b\[31m\x1b\[1m=+ memory =+\x1b\[0m",
            r"\x1b\[31m +1[45].* 1[45].%  test_it.py::test_it\[15\]\x1b\[0m",
            r"\x1b\[33m +[89].* [89].%  test_it.py::test_it\[9\]\x1b\[0m",
            r" +[01]\.. .* +[0-9]+%  test_it.py::test_it\[1\]",
        ]
    )


def test_whole_names_with_v(run, monkeypatch):
    """A long name is shortened to the width of the terminal, and whole with -v."""
    monkeypatch.setenv("COLUMNS", "80")
    name = "test_" + "x" * 80
    source = f"def {name}(): bytearray(3 << 20)"
    short = run(source, "--mem").stdout.lines
    table = [line for line in short if line.endswith("xxx") and "..." in line]
    assert [len(line) for line in table] == [80]
    run(source, "--mem", "-v").stdout.fnmatch_lines([f"  *  test_it.py::{name}"])


def test_growth(run):
    """With --mem-growth, those that raised the level for good are shown, and no peaks."""
    tests = """
        KEPT = []

        def test_keeps():
            KEPT.append(bytearray(12 << 20))

        def test_frees():
            bytearray(20 << 20)
    """
    result = run(tests, "--mem-growth=2")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["RSS was * MiB before the first test and * MiB after the last one", "*  test_it.py*"]
    )
    result.stdout.re_match_lines([r"\+1[12]\..  test_it.py::test_keeps"])
    assert "Peak MiB" not in result.stdout.str()


def test_nearest_pattern(run, pytester):
    """A pattern that matches no test is named with the nearest that would."""
    pytester.makeini("[pytest]\nmem_budgets = tset_it.py = 10")
    result = run("def test_it(): pass")
    result.stdout.fnmatch_lines(
        ["*pattern 'tset_it.py' of mem_budgets: it matches no test; the nearest* 'test_it.py'"]
    )


def test_many_patterns(run, pytester):
    """The nearest is looked for a few of many patterns, and for none where tests are chosen."""
    globs = [f"test_it{number}.py = 10" for number in range(9)]
    pytester.makeini("\n    ".join(["[pytest]\nmem_budgets =", *globs]))
    source = "def test_it(): pass\ndef test_other(): pass"
    lines = run(source).stdout.str().splitlines()
    named = [line for line in lines if "of mem_budgets: it matches no test" in line]
    assert len(named) == 9
    assert sum("; the nearest that would is" in line for line in named) == 5
    result = run(source, "-k", "other")
    result.stdout.no_fnmatch_line("*matches no test*")


def test_git_ignores_the_history(run, pytester):
    """The folder of the history has a .gitignore, which keeps what the user has written."""
    run("def test_it(): pass", "--mem-history")
    ignore = pytester.path / ".memguard" / ".gitignore"
    assert "*.sqlite3\n" in ignore.read_text(encoding="utf-8")
    ignore.write_text("mine\n", encoding="utf-8")
    run("def test_it(): pass", "--mem-history")
    assert ignore.read_text(encoding="utf-8") == "mine\n"


@pytest.mark.parametrize("name", ["CI", "BUILD_NUMBER"])
def test_lines_at_once_in_ci(run, monkeypatch, name):
    """In CI a breach has its lines at once, unless the user has chosen something else."""
    monkeypatch.setenv(name, "true")
    result = run(FAILING, "-k", "large", cache=True)
    result.stdout.fnmatch_lines(["Largest allocations at the peak:"])
    result = run(FAILING, "-k", "large", "--mem-explain=never", cache=True)
    result.stdout.fnmatch_lines(["*--mem-explain=never."])


def test_first_save(run):
    """The first --mem-save shows the largest tests, and none that use nothing."""
    tests = """
        import pytest

        @pytest.mark.parametrize("size", [0] * 9 + list(range(1, 13)))
        def test_it(size):
            bytearray(size << 20)
    """
    result = run(tests, "--mem-save", "--mem-confirm=0")
    lines = result.stdout.lines
    at = lines.index("Peak MiB  Test")
    names = [line.split()[-1] for line in lines[at + 2 : at + 12]]
    assert [f"test_it.py::test_it[{size}]" for size in range(12, 2, -1)] == names
    assert lines[at + 12].startswith("====")
