"""The regression check at its edges: rules, order, noise, pruning, and how flags are read."""

from __future__ import annotations

import json

import pytest

SUITE = """
    import json
    import pytest
    from pathlib import Path

    KEPT = []
    N = json.loads(Path(__file__).with_name("n.json").read_text())

    {mark}
    def test_it():
        assert bytearray(N["it"] << 20)

    def test_other():
        assert bytearray(b"x" * (N["other"] << 20))
"""
FILE = ".memguard/baseline.json"
ONCE = "--mem-confirm=0"  # as what a second measurement finds is another matter


@pytest.fixture(autouse=True)
def size(pytester):
    """Set how many MiB the tests use."""

    def size(it=10, other=4):
        text = json.dumps({"it": it, "other": other})
        (pytester.path / "n.json").write_text(text, encoding="utf-8")

    size()
    return size


def suite(mark="") -> str:
    """The suite, with a marker on its first test."""
    return SUITE.format(mark=mark)


RULES = [
    pytest.param("", ("--mem-fail-on=peak:18MB",), 0, id="flag-lets-it-pass"),
    pytest.param("", ("--mem-fail-on=peak:20%",), 1, id="flag"),
    pytest.param("", ("-o", "mem_fail_on=peak:90%"), 0, id="ini"),
    pytest.param("@pytest.mark.mem_regression('peak:18MB')", (), 0, id="marker"),
    pytest.param(
        "@pytest.mark.mem_regression('peak:20%')", ("--mem-fail-on=peak:18MB",), 1, id="closest"
    ),
    pytest.param("@pytest.mark.mem_regression(None)", (), 0, id="switched-off"),
]


@pytest.mark.parametrize(("mark", "flags", "failed"), RULES)
def test_rules(run, saved, size, mark, flags, failed):
    """Flag, ini key and marker say how much more is too much; the closest one wins."""
    size(it=20)
    saved(suite(mark))
    size(it=32)
    result = run(suite(mark), "--mem-compare", ONCE, *flags)
    result.assert_outcomes(passed=2 - failed, failed=failed)


def test_growth(run):
    """What a test leaves behind is compared after its teardown, which fails."""
    keeps = (
        suite() + "\n    def test_keeps():\n        KEPT.append(bytearray(b'k' * {} * 2**20))"
    )
    flags = ("--mem-fail-on=growth:1MB", "--mem-fail-on=peak:900%", ONCE)
    run(keeps.format(1), "--mem-save", ONCE)
    run(keeps.format(1), "--mem-compare", *flags).assert_outcomes(passed=3)
    result = run(keeps.format(6), "--mem-compare", *flags)
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        ["growth of resident memory * is * above *; growth:1MB (--mem-fail-on) and the noise *"]
    )


def test_stage_of_another_metric(run, size):
    """A rule on a stage holds for every metric that its stages have numbers of."""
    source = """
        import json
        import pytest
        from pathlib import Path

        N = json.loads(Path(__file__).with_name("n.json").read_text())

        @pytest.mark.mem_budget("1GB", metric="python", stage="load")
        @pytest.mark.mem_budget("1GB", metric="python")
        def test_it(memguard):
            with memguard.stage("load"):
                assert bytearray(N["it"] << 20)
            assert bytearray(30 << 20)
    """
    run(source, "--mem-save", ONCE).assert_outcomes(passed=1)
    size(it=20)
    flags = ("--mem-compare", ONCE, "--mem-fail-on=stage:load:20%", "--mem-fail-on=peak:900%")
    result = run(source, *flags)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["peak Python memory of stage 'load' 20.0 MiB is * above the baseline*"]
    )


def test_leak_of_an_accepted_leak(run):
    """A known leak that becomes larger is a regression."""
    leaks = """
    KEPT = []

    def test_leak():
        KEPT.append([object() for _ in range({})])
    """
    check = ("--mem-leak-check", "--mem-leak-calls=60")
    run(leaks.format(10), *check, "--mem-save", "--mem-leak-accept")
    compare = ("--mem-compare", "--mem-fail-on=leak:50%+100B")
    run(leaks.format(10), *check, *compare).assert_outcomes(passed=1)
    result = run(leaks.format(60), *check, *compare)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["its leak of * per call is * above *leak:50%+100B*"])


BAD = [
    pytest.param(
        (), "@pytest.mark.mem_regression('peak')", "mem_regression: *peak*", id="mark"
    ),
    pytest.param((), "@pytest.mark.mem_regression()", "mem_regression: it takes *", id="empty"),
    pytest.param(("--mem-fail-on=speed:1%",), "", "--mem-fail-on: 'speed:1%' *", id="flag"),
    pytest.param(("--mem-confirm=some",), "", "--mem-confirm: 'some' is not *", id="confirm"),
]


@pytest.mark.parametrize(("flags", "mark", "problem"), BAD)
def test_bad_rules(run, saved, flags, mark, problem):
    """What makes no sense is told before the first test."""
    saved(suite())
    result = run(suite(mark), "--mem-compare", *flags)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*memguard: *{problem}"])


@pytest.mark.parametrize("flags", [(), ("--mem-save",), ("--mem",), ("-n1",)])
def test_a_marker_is_read_in_every_run(run, flags):
    """A marker with a rule that makes no sense is told where nothing is compared, too."""
    plugins = ["xdist.plugin"] if "-n1" in flags else []
    result = run(suite("@pytest.mark.mem_regression('peak')"), *flags, plugins=plugins)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*memguard: test_it.py:*: mem_regression: *peak*"])


def test_a_good_marker_starts_nothing(run):
    """Where nothing is compared and nothing asked for, a marker changes no run."""
    result = run(suite("@pytest.mark.mem_regression('peak:5%')"))
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*memguard: *")


@pytest.mark.parametrize("flag", ["--mem-fail-on=peak:1%", "--mem-prune"])
def test_flags_that_would_do_nothing(run, flag):
    """A flag that means nothing without another one says so."""
    result = run(suite(), flag)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"*memguard: {flag.partition('=')[0]}: it does nothing without *"]
    )


@pytest.mark.parametrize("where", ["command line", "environment", "ini"])
def test_flags_take_no_path(run, pytester, monkeypatch, where):
    """A path behind --mem-save is a path to tests, wherever the flag stands."""
    pytester.mkdir("tests").joinpath("test_in.py").write_text("def test_in(): pass")
    flags = ("--mem-save", "tests")
    if where == "environment":
        monkeypatch.setenv("PYTEST_ADDOPTS", "--mem-save tests")
        flags = ()
    elif where == "ini":
        pytester.makeini("[pytest]\naddopts = --mem-save tests")
        flags = ()
    run(suite(), *flags).assert_outcomes(passed=1)
    text = (pytester.path / FILE).read_text(encoding="utf-8")
    assert "tests/test_in.py::test_in" in text
    assert "test_it.py" not in text


def test_where_the_file_is(run, pytester):
    """mem_baseline names the file, relative to the root; a flag's own file goes first."""
    ini = ("-o", "mem_baseline=numbers/base.json", ONCE)
    run(suite(), "--mem-save", *ini)
    assert (pytester.path / "numbers" / "base.json").exists()
    result = run(suite(), *ini, "-o", "mem_compare=true")
    result.stdout.fnmatch_lines(["compared with numbers/base.json: 2 as before"])
    run(suite(), "--mem-save=here.json", *ini)
    assert (pytester.path / "here.json").exists()


def test_gone_and_pruned(run, saved, pytester):
    """Tests that no longer exist are told, and dropped if asked to; never by a part of them."""
    saved(suite())
    less = suite().partition("    def test_other")[0]
    result = run(less, "--mem-compare")
    result.stdout.fnmatch_lines(
        ["compared with *: 1 gone, 1 as before", "gone: *test_other: *"]
    )
    assert run(less, "--mem-compare", "--mem-strict").ret == 1
    result = run(less, "--mem-save", ONCE)
    result.stdout.fnmatch_lines(["1 test on record no longer exist*"])
    assert "test_other" in (pytester.path / FILE).read_text(encoding="utf-8")

    result = run(less, "--mem-save", "--mem-prune", "-k", "it", ONCE)
    result.stdout.fnmatch_lines(["--mem-prune dropped nothing: -k was given"])
    assert "test_other" in (pytester.path / FILE).read_text(encoding="utf-8")

    run(less, "--mem-save", "--mem-prune", ONCE)
    assert "test_other" not in (pytester.path / FILE).read_text(encoding="utf-8")


def test_a_part_of_the_tests(run, saved):
    """Tests that were not run are neither gone nor dropped."""
    saved(suite())
    result = run(suite(), "--mem-compare", "test_it.py::test_it")
    result.stdout.fnmatch_lines(["compared with *: 1 as before"])
    result.stdout.no_fnmatch_line("gone: *")


def test_who_pays_for_an_import(run, pytester):
    """A test that is the first to import a library, because of the order, does not fail."""
    pytester.makepyfile(heavy="DATA = b'h' * (6 << 20)\n")
    imports = """
    def test_first():
        import heavy
        assert heavy

    def test_second():
        import heavy
        assert heavy
    """
    run(imports, "--mem-save")
    once = ("--mem-confirm=0", "test_it.py::test_second")
    result = run(imports, "--mem-compare", *once)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_second: peak RSS *, but 1 module more than on *(undecided)",
            "compared with *: 1 undecided",
        ]
    )
    strict = ("--mem-strict", *once)
    run(imports, "--mem-compare", *strict).assert_outcomes(failed=1)
    sure = ("--mem-strict", "test_it.py::test_second")
    result = run(imports, "--mem-compare", *sure)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["compared with *: 1 fills what another test had filled"])


def test_confirmed_with_what_was_imported(run, pytester, size):
    """A test that loads a part of a library is measured again with the library itself there."""
    pytester.makepyfile(
        whole="import sys\nDATA = b'h' * (9 << 20)\nOF_PARTS = 1\n",
        part="import whole\nDATA = b'h' * (4 << 20)\n",
    )
    parts = suite().replace("def test_it():", "def test_it():\n        import part")
    first = "    def test_a_first():\n        import whole\n\n" + parts
    flags = ("--mem-compare", "--mem-confirm=1")
    run(first, "--mem-save", "--mem-confirm=1").assert_outcomes(passed=3)
    result = run(first, *flags)
    result.stdout.fnmatch_lines(["compared with *: 3 as before"])
    size(it=13)
    result = run(first, *flags)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["peak RSS *; measured again in a fresh process: * (regression)"]
    )


def test_confirmed(run, saved, size):
    """With --mem-confirm a regression is measured again in a fresh process before it fails."""
    saved(suite())
    size(it=20)
    result = run(suite(), "--mem-compare", "--mem-confirm=2")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["peak RSS *; measured again in a fresh process: *.* MiB and *.* MiB, and *.* MiB *"]
    )


def test_not_confirmed(run):
    """What a fresh process does not show is told, and does not fail."""
    flaky = """
    from pathlib import Path

    def test_it():
        times = Path("times")
        count = int(times.read_text()) if times.exists() else 0
        times.write_text(str(count + 1))
        assert bytearray(20 << 20 if count == 1 else 1 << 20)
    """
    run(flaky, "--mem-save", "--mem-confirm=0")
    result = run(flaky, "--mem-compare", "--mem-confirm=2")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["*; measured again in a fresh process: *, so it is not held against it*(undecided)"]
    )


def test_no_time_to_confirm(run, size):
    """Without time for a second measurement a suspect is undecided, with what would help."""
    run(suite(), "--mem-save")
    size(it=20)
    result = run(suite(), "--mem-compare", "--mem-confirm-share=0", "--mem-explain=never")
    result.assert_outcomes(passed=2)
    line = (
        "*; it could not be measured again in a fresh process: there is no time left for it: "
        "second measurements may take 0% of the run's time (--mem-confirm-share) (undecided)"
    )
    result.stdout.fnmatch_lines([line])


def test_no_time_but_a_known_cause(run, pytester):
    """A suspect for which no time is left fails if it calls the line that made another fail."""
    pytester.makeconftest(
        """
        from pytest_memguard.plugin.fresh import fresh_process

        fresh_process._ALWAYS_SECONDS = 0.0
        """
    )
    tests = """
    def load(size):
        return bytearray(size << 20)

    def test_first():
        assert load({size})

    def test_second():
        assert load({size})
    """
    run(tests.format(size=4), "--mem-save")
    result = run(tests.format(size=20), "--mem-compare", "--mem-confirm-share=1%")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "peak RSS *; measured again in a fresh process: * (regression)",
            "peak RSS *; * grew, as in *test_first, which explains it (regression)",
        ]
    )


def test_confirming_in_workers(run, saved, size):
    """Every worker has a fresh process of its own."""
    saved(suite())
    size(it=20)
    flags = ("--mem-compare", "--mem-confirm=1", "-n2")
    result = run(suite(), *flags, plugins=["xdist.plugin"])
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["peak RSS *; measured again in a fresh process: * (regression)"]
    )


def test_a_child_that_dies(run, saved, size):
    """A test that kills the fresh process fails with what was measured, and that is said."""
    saved(suite())
    size(it=20)
    dies = "import os\n    FIRST = os.getpid()\n" + suite().replace(
        'assert bytearray(N["it"]',
        'os.getpid() == FIRST or os._exit(3); assert bytearray(N["it"]',
    ).replace("{mark}", "")
    result = run("    " + dies, "--mem-compare", "--mem-confirm=1")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*; it could not be measured again in a fresh process: the child*"]
    )


def test_a_library_that_no_test_had_loaded(run, pytester):
    """No order of tests explains its memory: the test that begins to import it fails."""
    pytester.makepyfile(
        heavy="DATA = b'h' * (9 << 20)",
        other="",
        test_other="import other\n\ndef test_other(): pass",
    )
    tests = """
    def test_a():
        {}

    def test_b():
        pass
    """
    run(tests.format("pass"), "--mem-save", "test_it.py", "test_other.py")
    result = run(tests.format("import heavy"), "--mem-compare", "test_it.py", "test_other.py")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["peak RSS *; the first one imports heavy, which no test had imported * (regression)"]
    )
    known = json.loads((pytester.path / ".memguard/baseline.json").read_text())
    assert "other" in known["environments"][0]["loaded"]
    pytester.makepyfile(other="DATA = b'h' * (9 << 20)")
    result = run(tests.format("import other"), "--mem-compare", "test_it.py")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_a: * imports 1 module more than * (undecided)"])
