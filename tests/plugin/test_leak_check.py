"""The leak check: who is checked, what it says, and what makes no sense."""

from __future__ import annotations

import json

import pytest

from tests.plugin.leaky import CHECK, JSON, KEEP, QUICK, states


def test_a_leak_fails_and_is_explained(run, written):
    """A test that keeps objects fails with verdict, rounds, holder, lines and types."""
    result = run(
        KEEP
        + """
    class Request:
        pass

    def new():
        return Request()

    def test_leak():
        KEPT.append([new() for _ in range(20)])

    def test_clean():
        [new() for _ in range(20)]
    """,
        "--mem-leak-check",
        "--mem-leak-calls=120",
        JSON,
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*_ test_leak _*",
            (
                "keeps * blocks, * bytes per call, in each of * calls; held by test_it.KEPT "
                "(leaking)"
            ),
            "*Round *Calls *Blocks*",
            "Blocks: * per call, 95 % interval * to *",
            "Held by: module test_it -> KEPT (list, * items) -> *",
            "Lines whose allocations stay, over * more calls:",
            "new *test_it.py:*",
            "Objects that become more:",
            "test_it.Request * 20 *",
            "Fingerprint *; --mem-leak-accept writes it to .memguard/leaks.json, *",
            "*= leaks =*",
            "2 tests checked for leaks: 1 clean, 1 leaking; * calls in * s",
            "leaking: *, 1 test: keeps *",
            "  test_it.py::test_leak",
            "FAILED test_it.py::test_leak - LeakDetected: keeps *",
        ]
    )
    tests = written()
    assert states(tests) == {"test_clean": "clean", "test_leak": "leaking"}
    leak = tests["test_leak"]["leak"]
    assert leak["blame"]["path"]["holder"] == "test_it.KEPT"
    assert leak["blame"]["types"][0]["type"] == "test_it.Request"
    assert leak["blame"]["lines"][0]["file"] == "test_it.py"
    assert leak["calls"] > leak["verdict"]["calls"] > 0
    assert leak["seconds"] > 0
    rates = {rate["signal"]: rate for rate in leak["verdict"]["rates"]}
    assert rates["blocks"]["low"] <= rates["blocks"]["per_call"] <= rates["blocks"]["high"]
    assert rates["blocks"]["per_call"] > 20
    assert tests["test_leak"]["result"] == "failed"
    clean = tests["test_clean"]["leak"]
    assert (clean["blame"], clean["verdict"]["rounds"], clean["accepted"]) == (None, [], "")


def test_one_object_per_call_is_found(run, written):
    """One object kept per call is a leak, and nothing else is blamed for it."""
    run(
        """
        KEPT = []

        def test_leak():
            KEPT.append(object())
        """,
        "--mem-leak-check",
        "--mem-leak-seconds=10",
        JSON,
    ).assert_outcomes(failed=1)
    leak = written()["test_leak"]["leak"]
    assert leak["blame"]["path"]["holder"] == "test_it.KEPT"
    blocks = next(r for r in leak["verdict"]["rates"] if r["signal"] == "blocks")
    assert pytest.approx(1, abs=0.05) == blocks["per_call"]


def test_nothing_is_checked_unasked(run, written):
    """Without flag and marker no test is called twice."""
    result = run(
        KEEP
        + """
    def test_leak():
        keep()
        assert len(KEPT) == 1
    """,
        JSON,
    )
    result.assert_outcomes(passed=1)
    assert states(written()) == {}
    result.stdout.no_fnmatch_line("*= leaks =*")


MARKED = (
    KEEP
    + """
    @pytest.mark.mem_leak_check
    def test_marked():
        keep()

    @pytest.mark.mem_leak_check
    def test_clean():
        pass

    def test_unmarked():
        keep()
        assert len(KEPT) < 200 or not FEW
"""
)


@pytest.mark.parametrize("flags", [(), ("--mem-leak-check=marked",)], ids=["", "marked"])
def test_markers_need_no_flag(run, flags):
    """A marker has a test checked in every run, and no other."""
    result = run(MARKED + "\n    FEW = True\n", *flags, *QUICK, "-rf")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "2 tests checked for leaks: 1 clean, 1 leaking; *",
            "FAILED test_it.py::test_marked - LeakDetected: keeps *",
        ]
    )


@pytest.mark.parametrize(
    ("value", "checked"),
    [
        pytest.param("all", 3, id="all"),
        pytest.param("true", 3, id="true"),
        pytest.param("marked", 2, id="marked"),
        pytest.param("false", 2, id="false"),
    ],
)
def test_ini(pytester, run, written, value, checked):
    """The config file says which tests are checked, and how far the check goes."""
    pytester.makeini(
        f"[pytest]\nmem_leak_check = {value}\nmem_leak_calls = 120\nmem_leak_blame = none\n"
    )
    result = run(MARKED + "\n    FEW = False\n", JSON)
    assert checked == len(states(written()))
    result.assert_outcomes(failed=checked - 1, passed=4 - checked)


def test_the_flag_wins_over_the_config_file(pytester, run, written):
    """A flag decides where the config file says otherwise."""
    pytester.makeini("[pytest]\nmem_leak_check = all\n")
    run(MARKED + "\n    FEW = True\n", "--mem-leak-check=marked", *QUICK, JSON)
    assert list(states(written())) == ["test_clean", "test_marked"]


def test_left_out(run, written):
    """A marker leaves a test out, with a reason that the report shows."""
    result = run(
        KEEP
        + """
    @pytest.mark.mem_no_leak_check("keeps a journal")
    def test_first():
        keep()

    @pytest.mark.mem_no_leak_check(reason="slow")
    def test_second():
        keep()

    def test_clean():
        assert len(KEPT) == 2
    """,
        *CHECK,
        JSON,
        "-p",
        "no:randomly",
    )
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            "1 test checked for leaks: 1 clean, 0 leaking, 2 left out; *",
            "left out: test_it.py::test_first: keeps a journal",
            "left out: test_it.py::test_second: slow",
        ]
    )
    tests = written()
    assert states(tests) == {"test_clean": "clean"}
    assert tests["test_first"]["leak_skipped"] == "keeps a journal"


def test_the_closest_marker_decides(run, written):
    """A test's own marker goes before its class's, and that before its module's."""
    result = run(
        """
        import pytest

        pytestmark = pytest.mark.mem_leak_check

        def test_module():
            pass

        @pytest.mark.mem_no_leak_check("the class is odd")
        class TestOdd:
            def test_class(self):
                pass

            @pytest.mark.mem_leak_check
            def test_own(self):
                pass

        @pytest.mark.mem_leak_check
        @pytest.mark.mem_no_leak_check("both on one test")
        def test_both():
            pass
        """,
        *QUICK,
        JSON,
    )
    result.assert_outcomes(passed=4)
    assert states(written()) == {"test_module": "clean", "test_own": "clean"}
    result.stdout.fnmatch_lines_random(
        [
            "left out: test_it.py::test_both: both on one test",
            "left out: test_it.py::TestOdd::test_class: the class is odd",
        ]
    )


CLOSE = """
    import os

    @pytest.fixture(scope="module", autouse=True)
    def close():
        yield
        for kept in KEPT:
            if isinstance(kept[0], int):
                os.close(kept[0])

    def keep_file():
        KEPT.append([os.open("/dev/null", os.O_RDONLY), [object() for _ in range(20)]])
"""


def test_marker_arguments(run, written):
    """A marker's calls, warm-up, tolerance and resources are those of its test's check."""
    result = run(
        KEEP
        + CLOSE
        + """
    @pytest.mark.mem_leak_check(calls=7, warmup=1)
    def test_few():
        keep()

    @pytest.mark.mem_leak_check(tolerance="100 KB")
    def test_tolerated():
        keep()

    @pytest.mark.mem_leak_check(tolerance=100)
    def test_not_tolerated():
        keep()

    @pytest.mark.mem_leak_check(resources=False, tolerance="100 KB")
    def test_files():
        keep_file()

    @pytest.mark.mem_leak_check(calls=None, warmup=None)
    def test_defaults():
        pass
    """,
        "--mem-leak-calls=120",
        JSON,
        "-rf",
    )
    tests = written()
    assert states(tests) == {
        "test_few": "undecided",
        "test_tolerated": "leaking",
        "test_not_tolerated": "leaking",
        "test_files": "leaking",
        "test_defaults": "clean",
    }
    assert [t["result"] for t in tests.values() if t["result"] != "passed"] == ["failed"]
    few = tests["test_few"]["leak"]
    assert 0 < few["calls"] <= 7
    assert "and 7 is the most there may be" in few["verdict"]["reason"]
    tolerated = tests["test_tolerated"]["leak"]["accepted"]
    assert tolerated.endswith("per call is within the tolerance of 100.0 KiB")
    signals = [r["signal"] for r in tests["test_files"]["leak"]["verdict"]["rates"]]
    assert "open files" not in signals
    result.stdout.fnmatch_lines(["FAILED *test_not_tolerated - LeakDetected: keeps *"])


def test_a_tolerance_for_all(pytester, run):
    """mem_leak_tolerance holds for every test; resources are never within it."""
    pytester.makeini("[pytest]\nmem_leak_tolerance = 100 KB\n")
    result = run(
        KEEP
        + CLOSE
        + """
    def test_memory():
        keep()

    def test_files():
        keep_file()
    """,
        "--mem-leak-check",
        "--mem-leak-calls=120",
        "-rf",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "2 tests checked for leaks: 0 clean, 2 leaking (1 of them accepted); *",
            "FAILED *test_files - LeakDetected: keeps *1 open file*",
        ]
    )


BAD_MARKERS = [
    ("mem_leak_check", "20", "its arguments are named: mem_leak_check(calls=None, *"),
    ("mem_leak_check", "calls=0", "calls 0 is not a whole number from 1"),
    ("mem_leak_check", "calls=True", "calls True is not a whole number from 1"),
    ("mem_leak_check", "calls=2.5", "calls 2.5 is not a whole number from 1"),
    ("mem_leak_check", "warmup=-1", "warmup -1 is not a whole number from 0"),
    ("mem_leak_check", "tolerance='lots'", "tolerance: 'lots' is not a size: *"),
    ("mem_leak_check", "ignore=3", "ignore: 3 is not a pattern: *"),
    ("mem_leak_check", "ignore=[3]", "ignore: 3 is not a pattern: *"),
    ("mem_leak_check", "resources=1", "resources 1 is neither True nor False"),
    ("mem_leak_check", "cals=3", "it has no argument 'cals': mem_leak_check(calls=None, *"),
    ("mem_no_leak_check", "", "it takes one reason, a text: mem_no_leak_check(reason)"),
    ("mem_no_leak_check", "''", "it takes one reason, a text: *"),
    ("mem_no_leak_check", "reason=3", "it takes one reason, a text: *"),
    ("mem_no_leak_check", "'a', 'b'", "it takes one reason, a text: *"),
    ("mem_no_leak_check", "'a', reason='b'", "it takes one reason, a text: *"),
    ("mem_no_leak_check", "why='a'", "it takes one reason, a text: *"),
]


def test_bad_markers(run):
    """All markers that make no sense are told in one usage error, by file, line and node id."""
    lines, expected = ["import pytest", ""], []
    for number, (name, arguments, problem) in enumerate(BAD_MARKERS):
        lines += [f"@pytest.mark.{name}({arguments})", f"def test_{number}(): open('ran', 'w')"]
        where = f"test_it.py:{len(lines) - 1}: test_it.py::test_{number}"
        expected.append(f"*memguard: {where}: {name}: {problem}")
    result = run("\n".join(lines))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(expected)
    assert "INTERNALERROR" not in result.stderr.str()


def test_a_bad_marker_of_a_class_is_told_once_a_test(run):
    """A marker that is not the test's own is told with the node that has it."""
    result = run(
        """
        import pytest

        @pytest.mark.mem_leak_check(calls="many")
        class TestBad:
            def test_one(self):
                open("ran", "w")
        """
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            (
                "*memguard: test_it.py:6: test_it.py::TestBad::test_one, marker on TestBad: "
                "mem_leak_check: calls 'many' is not a whole number from 1"
            )
        ]
    )


def test_bad_settings(pytester, run):
    """Every setting that makes no sense is told before the first test, with its source."""
    bad = [
        ("mem_leak_check", "perhaps", "'perhaps' is not one of all, marked, true, false"),
        ("mem_leak_strict", "much", "'much' is neither true nor false"),
        ("mem_leak_blame", "you", "'you' is not one of here, fork, none"),
        ("mem_leak_tolerance", "some", "'some' is not a size: *"),
        ("mem_leak_calls", "0", "'0' is not a number of calls: *"),
        ("mem_leak_seconds", "-1", "'-1' is not a number of seconds: write one above 0, *"),
        ("mem_leak_stop_at", "all", "in 'all', 'all' is not a size: *"),
    ]
    pytester.makeini("[pytest]\n" + "\n".join(f"{name} = {value}" for name, value, _ in bad))
    result = run("def test_it(): open('ran', 'w')")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines_random(
        [f"*memguard: {name} in tox.ini: {problem}" for name, _, problem in bad]
    )
    assert not (pytester.path / "ran").exists()


@pytest.mark.parametrize(
    ("flag", "problem"),
    [
        ("--mem-leak-calls=none", "'none' is not a number of calls: *"),
        ("--mem-leak-seconds=nan", "'nan' is not a number of seconds: write one above 0, *"),
        ("--mem-leak-blame=me", "'me' is not one of here, fork, none"),
    ],
)
def test_bad_flags(run, flag, problem):
    """A flag that makes no sense is a usage error that names it."""
    result = run("def test_it(): pass", flag)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{flag.partition('=')[0]}: {problem}"])


def test_the_flag_takes_no_path(pytester, run):
    """A path behind the flag is a path, not the flag's value."""
    folder = pytester.mkdir("tests_dir")
    (folder / "test_there.py").write_text("def test_it(): pass\n", encoding="utf-8")
    (pytester.path / "test_here.py").write_text("def test_it(): pass\n", encoding="utf-8")
    result = run(None, "--mem-leak-check", "tests_dir")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["tests_dir*test_there.py . *", "1 test checked for leaks: *"])


@pytest.mark.parametrize("flag", ["--mem-leak-check", "--mem-leak-check=marked", ""])
def test_no_mem_switches_all_off(pytester, run, flag):
    """--no-mem leaves nothing but the markers: no test is repeated, no file read or written."""
    (pytester.mkdir(".memguard") / "leaks.json").write_text("no JSON", encoding="utf-8")
    result = run(
        KEEP
        + """
    @pytest.mark.mem_leak_check
    def test_marked():
        keep()
        assert len(KEPT) == 1

    @pytest.mark.mem_no_leak_check("odd")
    def test_fixture(memguard):
        calls = []
        verdict = memguard.check_leaks(calls.append, 1)
        assert ("undecided", [1]) == (verdict.state, calls)
        assert "--no-mem" in verdict.reason
    """,
        "--no-mem",
        "--mem-leak-accept",
        "--strict-markers",
        *filter(None, [flag]),
        JSON,
    )
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*= leaks =*")
    assert not (pytester.path / "out.json").exists()
    assert (pytester.path / ".memguard/leaks.json").read_text(encoding="utf-8") == "no JSON"


def test_a_marker_added_at_collection_counts(pytester, run, written):
    """A marker that a hook adds counts like a written one."""
    pytester.makeconftest("""
        def pytest_collection_modifyitems(items):
            items[0].add_marker("mem_leak_check")
    """)
    run(KEEP + "\n    def test_leak():\n        keep()\n", *QUICK, JSON)
    assert states(written()) == {"test_leak": "leaking"}


def test_the_json_says_what_was_asked_for(pytester, run):
    """The settings of the check are among those in the JSON file."""
    run("def test_it(): pass", *CHECK, JSON)
    settings = json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))["settings"]
    assert settings["--mem-leak-check"] == "all (--mem-leak-check)"
    assert settings["--mem-leak-calls"] == "120 (--mem-leak-calls)"
