"""Tests of memguard compare and merge: what they print, write, and end with."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_memguard.cli import main
from pytest_memguard.codecs.run_codec import run_from_json
from pytest_memguard.judge.readings import environment_key, readings
from pytest_memguard.model.baselines import Baseline, BaselineEntry
from pytest_memguard.model.measurements import Budget, PhaseReading
from pytest_memguard.model.results import Outcome, Totals
from pytest_memguard.sizes import MIB
from pytest_memguard.storage.baseline import read_baseline, write_baseline
from tests.support.large_baselines import baseline_of
from tests.support.sample_values import OUTCOME, RUN, STAGE, heap, rss
from tests.support.stored_runs import as_stored

TOTALS = replace(RUN.totals[0], worker="")
PLACE = environment_key(RUN.environment)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    """Files have short names, and the usage has no colours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")


def passed(name, mib, *, more=(), **fields) -> Outcome:
    """A test that passed, with this peak."""
    phase = PhaseReading(name="call", seconds=0.1, level=0, growth=0, peaks=(rss(mib), *more))
    budgets = tuple(Budget(limit=MIB, where="the marker", metric=peak.metric) for peak in more)
    return Outcome(nodeid=f"t.py::{name}", **{"phases": (phase,), "budgets": budgets, **fields})


def run_of(*outcomes, **fields):
    """A run of these tests."""
    return replace(RUN, **{"outcomes": outcomes, "totals": (TOTALS,), "settings": (), **fields})


def write_run(name, *outcomes, **fields) -> str:
    """Write a run as --mem-json does."""
    run = run_of(*outcomes, **fields)
    Path(name).write_text(json.dumps(as_stored(run)), encoding="utf-8")
    return name


def read_run(name):
    """A run that was written."""
    return run_from_json(json.loads(Path(name).read_text(encoding="utf-8")), name)


def write_base(name, **mib) -> str:
    """Write a baseline with these peaks."""
    tests = {
        f"t.py::{test}": BaselineEntry(peak=int(size * MIB), growth=0)
        for test, size in mib.items()
    }
    write_baseline(Path(name), Baseline(environments={PLACE: tests}))
    return name


def test_compare_the_same(capsys) -> None:
    """Two runs alike end in 0, with one line."""
    old, new = (
        write_run("old.json", passed("a", 10)),
        write_run("new.json", passed("a", 10)),
    )
    assert main(["compare", old, new]) == 0
    assert capsys.readouterr().out == "old.json -> new.json: 1 test: 1 the same\n"


def test_compare_worse(capsys) -> None:
    """A test that got worse ends in 1, with a table, the sentence and the lines."""
    old = write_run("old.json", passed("a", 10), passed("b", 5), passed("c", 5))
    new = write_run("new.json", passed("a", 20), passed("b", 5), passed("d", 1))
    assert main(["compare", old, new]) == 1
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines()[2:5]] == [
        *("t.py::a", "t.py::d", "t.py::c"),
    ]
    assert "old.json -> new.json: 4 tests: 1 regression, 1 new, 1 gone, 1 the same" in printed
    assert printed.endswith(
        "\nt.py::a:\npeak RSS 20.0 MiB is 10.0 MiB (100%) above the baseline of 10.0 MiB; "
        "peak:10%+2MB (the default) allows up to 12.0 MiB (regression)\n"
    )


@pytest.mark.parametrize(
    ("rules", "status"),
    [
        pytest.param([], 0, id="default"),
        pytest.param(["peak:5%"], 1, id="stricter"),
        pytest.param(["growth:1MB"], 0, id="about-something-else"),
        pytest.param(["growth:1MB", "peak:1MB"], 1, id="several"),
        pytest.param(["peak:100%"], 0, id="weaker"),
    ],
)
def test_fail_on(rules, status) -> None:
    """The rules that were given decide; the default one does for a peak without a rule."""
    old = write_run("old.json", passed("a", 20))
    new = write_run("new.json", passed("a", 21.5))
    flags = [part for rule in rules for part in ("--fail-on", rule)]
    assert status == main(["compare", old, new, *flags])


def test_rule_about_nothing(capsys) -> None:
    """A rule that no test is about is reported: it may be misspelt."""
    name = write_run("a.json", passed("a", 10, stages=(STAGE,)))
    rules = ["--fail-on", "stage:laod:5%", "--fail-on", "stage:parse:5%", "--fail-on=leak:1"]
    assert main(["compare", name, name, *rules]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "the rule stage:laod:5% (--fail-on) was about nothing that both sides have",
        "the rule leak:1 (--fail-on) was about nothing that both sides have",
    ]


@pytest.mark.parametrize("baseline_first", [True, False])
def test_compare_with_a_baseline(capsys, baseline_first) -> None:
    """A baseline and a run can be compared, either way round."""
    base, run = write_base("base.json", a=10), write_run("run.json", passed("a", 10))
    names = [base, run] if baseline_first else [run, base]
    assert main(["compare", *names]) == 0
    assert "1 test: 1 the same" in capsys.readouterr().out


def test_tests_that_did_not_pass(capsys) -> None:
    """A test that failed is not compared and not gone, and is reported."""
    old = write_run("old.json", passed("a", 10), passed("b", 10))
    new = write_run("new.json", passed("a", 10), passed("b", 90, result="failed"))
    assert main(["compare", old, new]) == 0
    assert capsys.readouterr().out == (
        "old.json -> new.json: 1 test: 1 the same\n\n"
        "not compared: 1 test of new.json without numbers, which did not pass\n"
    )


def test_undecided(capsys) -> None:
    """A comparison that cannot be decided is no regression, and has its reason."""
    old = write_run("old.json", passed("a", 10))
    new = write_run("new.json", passed("a", 25, imports=100))
    assert main(["compare", old, new]) == 0
    printed = capsys.readouterr().out
    assert "1 test: 1 undecided" in printed
    assert "t.py::a:\npeak RSS 25.0 MiB is 15.0 MiB (150%) above" in printed
    assert "but 100 modules more than on record were imported" in printed


def test_nothing_in_common(capsys) -> None:
    """Numbers of other environments cannot be compared, which is an error, not a pass."""
    old = write_run("old.json", passed("a", 10))
    elsewhere = replace(RUN.environment, python="3.13.0")
    new = write_run("new.json", passed("a", 90), environment=elsewhere)
    assert main(["compare", old, new]) == 2
    assert capsys.readouterr().err == (
        "memguard: nothing can be compared: old.json has peak RSS of CPython 3.12 on Linux "
        "x86_64, new.json has peak RSS of CPython 3.13 on Linux x86_64\n"
    )


def test_nothing_at_all(capsys) -> None:
    """A run in which nothing passed has nothing to compare."""
    old = write_run("old.json", passed("a", 10))
    new = write_run("new.json", passed("a", 90, result="failed"))
    assert main(["compare", old, new]) == 2
    assert "new.json has no numbers of tests that passed" in capsys.readouterr().err


def test_metric_of_one_side(capsys) -> None:
    """A metric that only one side has is reported."""
    old = write_run("old.json", passed("a", 10, more=(heap(5),)))
    new = write_run("new.json", passed("a", 10))
    assert main(["compare", old, new]) == 0
    assert capsys.readouterr().out.endswith(
        "\nnot compared: peak heap of CPython 3.12 on Linux x86_64 (1 test), which only "
        "old.json has, not new.json\n"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("{", "bad.json is not a JSON file: ", id="half-a-file"),
        pytest.param("[]", "bad.json is not a file that --mem-json wrote", id="list"),
        pytest.param('{"a": 1}', "bad.json is not a file that --mem", id="other"),
        pytest.param(
            '{"format": 9, "environments": []}', "bad.json, line 1: it has format 9", id="newer"
        ),
        pytest.param(
            " " * 300 + '{"format": 9, "environments": []}',
            "bad.json, line 1: it has format 9",
            id="newer-further-down",
        ),
        pytest.param('{"format": 9, "tests": []}', "bad.json has format 9", id="newer-run"),
        pytest.param("\ud800", "bad.json is not a JSON file: ", id="no-text"),
    ],
)
@pytest.mark.parametrize("command", ["compare", "merge"])
def test_bad_file(capsys, text, problem, command) -> None:
    """A file that is neither a run nor a baseline ends in 2, with one line."""
    good = write_run("good.json", passed("a", 1))
    Path("bad.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    more = ["-o", "out.json"] if command == "merge" else []
    assert main([command, good, "bad.json", *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"memguard: {problem}")
    assert error.count("\n") == 1
    assert not Path("out.json").exists()


def test_bad_rule(capsys) -> None:
    """Every rule that is none is reported, with status 2."""
    name = write_run("a.json", passed("a", 1))
    assert main(["compare", name, name, "--fail-on", "peak", "--fail-on=leek:1"]) == 2
    error = capsys.readouterr().err
    assert "memguard: 'peak' is no rule, it has no amount" in error
    assert "; 'leek:1' is no rule" in error


def test_no_file(capsys) -> None:
    """A file that is not there is reported."""
    assert main(["compare", "none.json", "none.json"]) == 2
    expected = "memguard: none.json cannot be read: No such file or directory\n"
    assert expected == capsys.readouterr().err


@pytest.mark.parametrize("command", ["compare", "merge"])
def test_help(capsys, command) -> None:
    """The help ends in commands to copy."""
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    assert f"\n  memguard {command} " in printed
    assert "%%" not in printed


def test_merge_runs(capsys) -> None:
    """Shards of a run become one: every test, every process, and the sums."""
    one = write_run("one.json", passed("a", 1), passed("b", 2, worker="gw0"))
    two = write_run("two.json", passed("c", 3))
    assert main(["merge", one, two, "-o", "all.json"]) == 0
    merged = read_run("all.json")
    assert [(test.nodeid, test.worker) for test in merged.outcomes] == [
        ("t.py::a", "one"),
        ("t.py::b", "one/gw0"),
        ("t.py::c", "two"),
    ]
    assert merged.totals == (
        replace(TOTALS, worker="one"),
        replace(TOTALS, worker="two"),
        Totals(
            worker="",
            tests=4,
            start=80 * MIB,
            end=120 * MIB,
            highest=360 * MIB,
            overhead=0.25,
        ),
    )
    assert capsys.readouterr().out == "all.json: a run of 2 files, 3 tests\n"


def test_merged_run_is_one() -> None:
    """Shards that were merged compare like the run that they are the parts of."""
    tests = [passed(name, 9) for name in "abcd"]
    whole = write_run("whole.json", *tests)
    parts = [write_run("1.json", *tests[:2]), write_run("2.json", *tests[2:])]
    main(["merge", *parts, "-o", "merged.json"])
    assert main(["compare", whole, "merged.json"]) == 0
    assert readings(read_run("merged.json")) == readings(read_run(whole))
    assert main(["report", "merged.json"]) == 0


def test_workers_keep_their_totals() -> None:
    """Where a run had workers, theirs are kept and its own sum is not counted again."""
    workers = [replace(TOTALS, worker="gw0"), replace(TOTALS, worker="gw1")]
    name = write_run("x.json", passed("a", 1), totals=(*workers, TOTALS))
    main(["merge", name, "-o", "out.json"])
    totals = read_run("out.json").totals
    assert [total.worker for total in totals] == ["x/gw0", "x/gw1", ""]
    assert totals[-1].tests == 4


def test_settings_and_gaps() -> None:
    """Settings that differ stand with their file; a gap of both is one."""
    one = write_run("1.json", settings=(("--mem", "on"), ("--mem-top", "3")))
    two = write_run("2.json", settings=(("--mem", "on"), ("--mem-top", "5"), ("x", "y")))
    main(["merge", one, two, "-o", "out.json"])
    merged = read_run("out.json")
    assert merged.settings == (
        ("--mem", "on"),
        ("--mem-top", "3 in 1; 5 in 2"),
        ("x", "y in 2"),
    )
    assert merged.gaps == RUN.gaps


def test_files_of_one_name() -> None:
    """Files that are called the same in several folders are distinguished."""
    Path("a").mkdir()
    Path("b").mkdir()
    names = [
        write_run("a/m.json", passed("a", 1)),
        write_run("b/m.json", passed("b", 1)),
    ]
    main(["merge", *names, "-o", "out.json"])
    assert [test.worker for test in read_run("out.json").outcomes] == ["m-1", "m-2"]


def test_passed_two_shards(capsys) -> None:
    """Of a test in two runs the worst result is kept, then the highest peak."""
    one = write_run("1.json", passed("a", 5), passed("b", 9), passed("c", 1))
    two = write_run("2.json", passed("a", 3, result="failed"), passed("b", 8), OUTCOME)
    three = write_run("3.json", passed("b", 10))
    assert main(["merge", one, two, three, "-o", "out.json"]) == 0
    kept = {test.nodeid: test.worker for test in read_run("out.json").outcomes}
    assert kept == {"t.py::a": "2", "t.py::b": "3", "t.py::c": "1", OUTCOME.nodeid: "2/gw1"}
    assert capsys.readouterr().out.splitlines()[1] == (
        "in more than one file: 2 tests (t.py::a, t.py::b); the worst result is kept, and of "
        "equal ones the highest peak"
    )


def test_many_tests_of_two_shards(capsys) -> None:
    """Only a few names are listed."""
    tests = [passed(f"n{number}", 1) for number in range(9)]
    one, two = write_run("1.json", *tests), write_run("2.json", *tests)
    main(["merge", one, two, "-o", "out.json"])
    assert "9 tests (t.py::n0, t.py::n1, t.py::n2, t.py::n3, t.py::n4 and 4 more)" in (
        capsys.readouterr().out
    )


def test_other_versions(capsys) -> None:
    """Runs whose versions differ a little become one, and that is reported."""
    newer = replace(RUN.environment, python="3.12.9", memguard="0.2.0")
    one = write_run("1.json", passed("a", 1))
    two = write_run("2.json", passed("b", 1), environment=newer)
    assert main(["merge", one, two, "-o", "out.json"]) == 0
    assert read_run("out.json").environment == RUN.environment
    assert "versions differ, those of the first are kept (1: CPython 3.12.1 on Linux " in (
        capsys.readouterr().out
    )


def test_other_environments(capsys) -> None:
    """Runs of different environments make no run, but they make a baseline."""
    elsewhere = replace(RUN.environment, platform="Darwin arm64")
    one = write_run("1.json", passed("a", 1))
    two = write_run("2.json", passed("a", 2), environment=elsewhere)
    assert main(["merge", one, two, "-o", "out.json"]) == 2
    assert "--baseline puts them beside each other in a baseline" in capsys.readouterr().err
    assert not Path("out.json").exists()
    assert main(["merge", one, two, "--baseline", "-o", "out.json"]) == 0
    merged = read_baseline(Path("out.json"))
    assert sorted(tests["t.py::a"].peak for tests in merged.environments.values()) == [
        1 * MIB,
        2 * MIB,
    ]
    assert capsys.readouterr().out.splitlines() == [
        "out.json: a baseline of 2 files",
        "  CPython 3.12 on Linux x86_64, rss: 1 test",
        "  CPython 3.12 on Darwin arm64, rss: 1 test",
    ]


def test_merge_into_a_baseline(capsys) -> None:
    """A run merged into a baseline adds what it lacks, and what did not pass is reported."""
    base = write_base("base.json", a=10, b=5)
    run = write_run(
        "run.json",
        passed("b", 5.25),
        passed("c", 1),
        passed("d", 1, result="failed"),
    )
    assert main(["merge", base, run, "-o", "base.json"]) == 0
    merged = read_baseline(Path("base.json")).environments[PLACE]
    assert {name[-1]: (entry.peak / MIB, entry.readings) for name, entry in merged.items()} == {
        "a": (10, 1),
        "b": (5.25, 2),
        "c": (1, 1),
    }
    assert capsys.readouterr().out.splitlines() == [
        "base.json: a baseline of 2 files",
        "  CPython 3.12 on Linux x86_64, rss: 3 tests",
        "in more than one file: 1 test (t.py::b); their readings were put together",
        "left out: 1 test without numbers, which did not pass",
    ]


@pytest.mark.parametrize("flags", [[], ["--baseline"]], ids=["run", "baseline"])
def test_output_that_cannot_be_written(capsys, flags) -> None:
    """Where the file cannot be written that is reported in one line, with status 2."""
    name = write_run("a.json", passed("a", 1))
    Path("folder").mkdir()
    assert main(["merge", name, "-o", "folder", *flags]) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith("memguard: ")
    assert "folder" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["merge", "-o", "x"], ["merge", "a.json"], ["compare", "a.json"]]
)
def test_bad_arguments(capsys, arguments) -> None:
    """A missing argument is reported with the usage."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "required" in capsys.readouterr().err


def _places_in(data, path=()):
    """The paths to every value in a JSON document."""
    pairs = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in pairs:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from _places_in(value, (*path, key))


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_file_with_any_value_changed(capsys, data) -> None:
    """Any other value in a run, in place of one, ends the command with a status."""
    plain = json.loads(json.dumps(as_stored(run_of(replace(OUTCOME, result="passed")))))
    path = data.draw(st.sampled_from(list(_places_in(plain))))
    at = plain
    for key in path[:-1]:
        at = at[key]
    odd = st.sampled_from(
        [None, True, -1, 0, 1.5, 10**30, 1e999, "", "x", [], {}, [1], {"a": 1}]
    )
    at[path[-1]] = data.draw(odd)
    good = write_run("good.json", passed("a", 1))
    Path("odd.json").write_text(json.dumps(plain), encoding="utf-8")
    commands = (["compare", good, "odd.json"], ["merge", good, "odd.json", "-o", "out.json"])
    for command in commands:
        status = main(command)
        output, error = capsys.readouterr()
        assert status in {0, 1, 2}
        assert (status == 2) == error.startswith("memguard: ") == (output == "")


def test_many_tests(capsys) -> None:
    """Comparing takes time by the number of tests, not by its square."""
    write_baseline(Path("old.json"), baseline_of(0, 20_000))
    write_baseline(Path("new.json"), baseline_of(1, 20_000))
    start = time.process_time()
    assert main(["compare", "old.json", "new.json"]) == 0
    assert time.process_time() - start < 6  # 1.1 s on a busy machine
    assert "20,000 tests: 20,000 the same" in capsys.readouterr().out
