"""Where there is no /proc, or only a part of it: gaps with reasons, and no test goes wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.support import hidden_proc

SCHEMA = Path(__file__).parents[2] / "docs" / "mem-json.schema.json"
NO_RESIDENT = (
    "not measured here: resident memory: psutil cannot read resident memory (NoSuchProcess), "
    "and there is no /proc/self/statm (No such file or directory); only the process's "
    "lifetime high-water mark is known"
)
NO_MARK = (
    "not measured here: kernel's high-water mark: /proc/self/status or clear_refs cannot be "
    "opened (No such file or directory); resident memory is sampled every 2 ms instead, so "
    "short peaks may be missed, unless the process's lifetime high-water mark shows them"
)
NO_MEMRAY = (
    "not measured here: metric heap and allocation lines: memray is not available: it reads "
    "/proc/self/status, which is not there"
)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")


@pytest.fixture
def run_with(request, run, pytester, tmp_path_factory):
    """Run pytest where /proc has so many files of the process.

    Where nothing can be mounted over /proc, it is hidden from Python code alone.
    """

    def run_with(shown: str, source: str, *flags: str) -> pytest.RunResult:
        if hidden_proc.why_not():
            conftest = hidden_proc.PRETENDED.format(shown=shown.split())
            pytester.makeconftest(conftest + CONFTEST.get(request.function.__name__, ""))
            return run(source, *flags)
        pytester.makeconftest(CONFTEST.get(request.function.__name__, ""))
        (pytester.path / "test_it.py").write_text(source, encoding="utf-8")
        ours = ("-p", "pytest_memguard.plugin.hooks", "-p", "no:cacheprovider")
        python = (sys.executable, "-m", "pytest", *ours, *flags)
        folder = tmp_path_factory.mktemp("mounts") / "proc"  # where nothing is collected
        return pytester.run(*hidden_proc.command(folder, shown, *python))

    return run_with


USE = """
import mmap
import pytest
import pytest_memguard

def use(mib):
    with mmap.mmap(-1, mib << 20) as block:
        for page in range(0, mib << 20, mmap.PAGESIZE):
            block[page] = 1
"""
BUDGETS = (
    USE
    + """
def test_high():
    use(100)

@pytest.mark.mem_budget(20)
def test_between():
    use(5)

@pytest.mark.mem_budget("900 GB")
def test_surely_kept():
    use(5)

@pytest.mark.mem_budget(20)
def test_surely_broken():
    use(400)

@pytest.mark.mem_budget(20, stage="load")
def test_stage(memguard):
    with memguard.stage("load"):
        use(5)

@pytest.mark.mem_budget(20, metric="heap")
def test_heap():
    bytearray(5 << 20)

@pytest.mark.mem_budget(20, metric="python")
def test_python():
    bytearray(40 << 20)

def test_fixture(memguard):
    with pytest.raises(pytest_memguard.Unmeasurable, match="psutil cannot read resident"):
        with memguard.measure():
            pytest.fail("it began to measure")
    with pytest.raises(pytest_memguard.Unmeasurable, match="psutil cannot read resident"):
        memguard.snapshot()
    with memguard.measure("python") as measured:
        bytearray(5 << 20)
    assert measured.peak == pytest.approx(5 << 20, rel=0.01)
"""
)


def rules(test) -> list[str]:
    """The rules of a test's findings."""
    return [finding["rule"] for finding in test["findings"]]


def test_budgets(run_with, pytester, written):
    """Without /proc a budget is broken or kept for certain, or not checked, with a line."""
    result = run_with("", BUDGETS, "--mem", "--mem-json=out.json", "--junitxml=out.xml")
    result.assert_outcomes(passed=6, failed=2)
    result.stdout.fnmatch_lines(
        [
            "memguard: peak RSS not measured",
            f"memguard: {NO_RESIDENT}",
            f"memguard: {NO_MEMRAY}",
            "peak RSS * MiB or more is * over the budget of 20.0 MiB set by the marker *",
            "peak Python memory 40.0 MiB is 20.0 MiB over the budget of 20.0 MiB *",
            "load * - * - * -  *ms",
            "Total: 8 tests, RSS not measured; *",
        ]
    )
    said = "was not checked: psutil cannot read resident memory (*), and *; it was * at most"
    result.stdout.fnmatch_lines_random(
        [
            f"test_it.py::test_between: the budget of 20.0 MiB * {said} *",
            f"test_it.py::test_stage: the budget of 20.0 MiB * {said} *",
            "test_it.py::test_heap: the budget of 20.0 MiB * was not checked: memray is not *",
        ]
    )
    tests = written()
    jsonschema.validate(
        json.loads((pytester.path / "out.json").read_text()), json.loads(SCHEMA.read_text())
    )
    assert {name: found for name, test in tests.items() if (found := rules(test))} == {
        "test_between": ["not-measured"],
        "test_stage": ["not-measured"],
        "test_heap": ["not-measured"],
        "test_surely_broken": ["over-budget"],
        "test_python": ["over-budget"],
    }
    metrics = {p["metric"] for t in tests.values() for f in t["phases"] for p in f["peaks"]}
    assert metrics == {"python"}
    junit = (pytester.path / "out.xml").read_text()
    assert "memguard_budget_bytes" in junit
    assert "memguard_peak_bytes" not in junit
    assert "memguard_delta_bytes" not in junit


BASELINE = (
    USE
    + """
def test_load():
    use(5)
"""
)


def test_other_reports(run, run_with, pytester):
    """Without /proc a baseline, a history and a rerun have no numbers to tell, and say so."""
    run(BASELINE, "--mem-save").assert_outcomes(passed=1)
    stored = (pytester.path / ".memguard" / "baseline.json").read_text()
    flags = ("--mem-fail-on=peak:10%", "--mem-fail-on=growth:1MB", "--mem-confirm=1")
    result = run_with("", BASELINE, "--mem-compare", "--mem-save", "--mem-history", *flags)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_load: the rule peak:10% * was not checked: psutil cannot *",
            "test_it.py::test_load: the rule growth:1MB * was not checked: psutil cannot *",
            "compared with .memguard/baseline.json: 1 undecided",
        ]
    )
    assert stored == (pytester.path / ".memguard" / "baseline.json").read_text()
    flags = ("--mem-drill", "--mem-explain=rerun", "-v")
    source = BASELINE.replace("use(5)", "use(300)")
    result = run_with("", source, "--mem", "--mem-budget=1", *flags)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["test_it.py::test_load FAILED *[[]100%]"])


LEAKS = """
import pytest

KEPT = []

def test_leaks():
    KEPT.append(object())

def test_clean():
    pass

@pytest.mark.mem_no_leak_check(reason="it checks a function")
def test_function(memguard):
    assert memguard.check_leaks(sorted, []).state == "clean"
"""
MISSING = [
    "not measured here: leak check: USS: the system does not report it (psutil: NoSuchProcess)",
    "not measured here: leak check: open files: the system does not report it (psutil: *)",
    "not measured here: leak check: native threads: the system does not report it (psutil: *)",
    "not measured here: leak check: child processes: the kernel does not list them *",
]


@pytest.mark.parametrize("flags", [("--mem-leak-check",), ("-k", "function")])
def test_leak_check(run_with, flags):
    """Without /proc leaks are found with the signals that remain, and the others are named."""
    result = run_with("", LEAKS, *flags, "--mem-leak-calls=300")
    everything = flags == ("--mem-leak-check",)
    result.assert_outcomes(
        passed=1 + everything, failed=int(everything), deselected=2 * (not everything)
    )
    result.stdout.fnmatch_lines_random(MISSING)
    if everything:
        result.stdout.fnmatch_lines(["keeps 1* block* (leaking)"])


SAMPLED = (
    USE
    + """
def test_high():
    use(200)

@pytest.mark.mem_budget(20)
def test_between():
    use(5)

@pytest.mark.mem_budget("900 MB")
def test_surely_kept():
    use(5)

@pytest.mark.mem_budget(20)
def test_missed_by_samples():
    use(500)

@pytest.mark.mem_budget(20, phase="all")
def test_all_phases():
    use(5)

@pytest.mark.mem_budget(20, stage="load")
def test_stage(memguard):
    with memguard.stage("load"):
        use(5)

def test_inline(memguard):
    with memguard.stage("load", budget="20 MB"):
        use(5)

def test_measure(memguard):
    with memguard.measure() as measured:
        use(5)
    assert measured.peak < "10 MB"
    assert measured.upper_bound > "400 MB"
"""
)
CONFTEST = {
    "test_sampled": """
from pytest_memguard.measure.sampler import SampledResident

SampledResident._sample = lambda *_: None  # as if each peak were shorter than the interval
"""
}


def test_sampled(run_with, pytester, written):
    """What sampling misses is bounded by the lifetime mark; where it is not, a line says so."""
    result = run_with("statm", SAMPLED, "--mem", "--mem-json=out.json")
    result.assert_outcomes(passed=7, failed=1)
    result.stdout.fnmatch_lines(
        [
            "memguard: peak RSS sampled",
            f"memguard: {NO_MARK}",
            "peak RSS [45]??.? MiB (sampled: the true peak may be higher) is * over the *",
        ]
    )
    result.stdout.fnmatch_lines_random(
        [
            "*[45]??.?*  test_it.py::test_missed_by_samples",
            "*0.0 (<= 2*)*  test_it.py::test_between",
            "load * 0.0 (<= 5*) *",
        ]
    )
    sampled = "was sampled, * at the highest, within the budget of 20.0 MiB * allows up to *"
    tests = ("test_between", "test_all_phases", "test_stage", "test_inline")
    result.stdout.fnmatch_lines_random([f"test_it.py::{name}: * {sampled}" for name in tests])
    tests = written()
    jsonschema.validate(
        json.loads((pytester.path / "out.json").read_text()), json.loads(SCHEMA.read_text())
    )
    assert {name: found for name, test in tests.items() if (found := rules(test))} == {
        "test_between": ["undecided"],
        "test_missed_by_samples": ["over-budget"],
        "test_all_phases": ["undecided"],
        "test_stage": ["undecided"],
        "test_inline": ["undecided"],
    }
    call = next(p for p in tests["test_between"]["phases"] if p["name"] == "call")
    assert 190 << 20 < call["peaks"][0]["unseen_bytes"] < 260 << 20


DECIDED = (
    USE
    + """
def test_high():
    use(100)

@pytest.mark.mem_budget(20)
def test_between():
    use(5)

@pytest.mark.mem_budget(20, stage="load")
def test_stage(memguard):
    with memguard.stage("load"):
        use(5)
"""
)


def test_memray_bounds_what_was_missed(run, pytester):
    """What sampling could not decide is measured, and decided, under memray in the next run."""
    pytester.makeconftest(hidden_proc.PRETENDED.format(shown=["statm", "status", "fd"]))
    for undecided in (2, 0):
        result = run(DECIDED, cache=True)
        result.assert_outcomes(passed=3)
        assert undecided == sum(
            line.endswith("may have been missed (undecided)") for line in result.outlines
        )
