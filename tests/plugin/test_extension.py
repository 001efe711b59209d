"""Tests of the example extension, installed as another distribution: probe, check, renderer."""

from __future__ import annotations

import csv
import json
import shutil
import textwrap
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "extension"
LEAVES = """
    import os
    import pytest

    KEPT = []

    def open_some(count):
        return [os.open(os.devnull, os.O_RDONLY) for _ in range(count)]

    @pytest.mark.fd_budget(2)
    def test_leaves():
        KEPT.extend(open_some(4))

    @pytest.mark.fd_budget(2)
    def test_closes():
        for number in open_some(9):
            os.close(number)
"""
BUDGET = """
    import json
    import os
    import pytest
    from pathlib import Path

    @pytest.fixture
    def opened():
        found = []
        yield found
        for number in found:
            os.close(number)

    @pytest.mark.mem_budget({limit}, metric="descriptors")
    def test_it(opened):
        number = json.loads(Path(__file__).with_name("n.json").read_text())
        opened += [os.open(os.devnull, os.O_RDONLY) for _ in range(number)]
"""


@pytest.fixture
def installed(pytester, monkeypatch):
    """Install the example as pip would, for processes that are started from here."""
    site = pytester.mkdir("site")
    shutil.copytree(EXAMPLE / "memguard_extras", site / "memguard_extras")
    folder = site / "memguard_extras-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: memguard-extras\nVersion: 1.0\n", encoding="utf-8"
    )
    (folder / "entry_points.txt").write_text(
        "[pytest11]\nmemguard_extras = memguard_extras.plugin\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    return site


@pytest.fixture
def run_extended(pytester, run, installed):  # noqa: ARG001  for its effect
    """Run pytest with the example, loaded by the name of its entry point."""

    def run_extended(source, *flags, opens=0):
        (pytester.path / "n.json").write_text(json.dumps(opens), encoding="utf-8")
        plugins = ["memguard_extras", *(["xdist.plugin"] if "-n" in flags else [])]
        return run(source, *flags, plugins=plugins)

    return run_extended


LEFT_OPEN = [
    "4 descriptors are left open, and fd_budget allows 2 (fd_budget)",
    "*= fd_budget =*",
    "test_it.py::test_leaves: 4 descriptors are left open, and fd_budget allows 2",
]


@pytest.mark.parametrize("flags", [("-n", "2"), ("--mem-budget=4GB",)])
def test_check(run_extended, flags):
    """Another plugin's check fails tests by its own marker, with a section of its own."""
    result = run_extended(LEAVES, *flags)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(LEFT_OPEN)


def test_pytest_finds_it(pytester, installed):  # noqa: ARG001  for its effect
    """Once it is installed, no option is needed to load it."""
    pytester.makepyfile(test_it=LEAVES)
    slow = ("anyio", "asyncio", "hypothesispytest", "memray", "randomly", "xdist")
    result = pytester.runpytest_subprocess(*(f"-pno:{name}" for name in slow))
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(LEFT_OPEN)


def test_markers(run_extended):
    """Its marker is known, and its arguments are looked at before the first test."""
    run_extended("", "--markers").stdout.fnmatch_lines(
        ["@pytest.mark.fd_budget(limit): fail the test*"]
    )
    source = "import pytest\n@pytest.mark.fd_budget('many')\ndef test_it(): pass"
    result = run_extended(source, "--strict-markers")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*memguard: test_it.py::test_it, fd_budget: fd_budget takes one whole number*"]
    )


@pytest.mark.parametrize("flags", [(), ("-n", "1")])
def test_budget(run_extended, flags):
    """A budget in the metric of another plugin's probe is one in its unit."""
    if not flags:
        run_extended(BUDGET.format(limit=5), opens=5).assert_outcomes(passed=1)
    result = run_extended(BUDGET.format(limit=5), *flags, opens=7)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["open descriptors 7 descriptors is 2 descriptors over the budget of 5 descriptors *"]
    )
    result.stdout.no_fnmatch_line("*llocation*")


def test_bad_limit(run_extended):
    """A limit that is no number of them is named as such."""
    result = run_extended(BUDGET.format(limit="'5 MB'"))
    result.stderr.fnmatch_lines(["*'5 MB' is not a number of descriptors: write a whole*"])


def test_report(run_extended, pytester):
    """Report, JSON and user properties have the numbers in their unit."""
    result = run_extended(BUDGET.format(limit=5), "--mem", "--mem-json=out.json", opens=4)
    result.stdout.fnmatch_lines(["*5 descriptors *80%  test_it.py::test_it"])
    data = json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))
    call = next(phase for phase in data["tests"][0]["phases"] if phase["name"] == "call")
    peaks = {peak["metric"]: peak for peak in call["peaks"]}
    assert data["units"] == {"descriptors": "descriptors"}
    assert peaks["descriptors"]["bytes"] == 4
    assert peaks["descriptors"]["method"] == "probe"


def test_baseline(run_extended, pytester):
    """The baseline keeps exact numbers, and a tenth more is a regression."""
    run_extended(BUDGET.format(limit=50), "--mem-save", opens=20).assert_outcomes(passed=1)
    text = (pytester.path / ".memguard/baseline.json").read_text(encoding="utf-8")
    assert '"metric": "descriptors", "unit": "descriptors"' in text
    assert '{"peak": 20}' in text
    run_extended(BUDGET.format(limit=50), "--mem-compare", opens=22).assert_outcomes(passed=1)
    result = run_extended(BUDGET.format(limit=50), "--mem-compare", opens=23)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["open descriptors 23 descriptors is 3 descriptors (15%) above the baseline of 20 *"]
    )


def test_renderer(run_extended, pytester):
    """Another plugin's format is one of those that the option knows."""
    run_extended(BUDGET.format(limit=5), "--mem-output", "peaks=peaks.csv", opens=4)
    with (pytester.path / "peaks.csv").open(encoding="utf-8") as file:
        rows = {row["metric"]: row for row in csv.DictReader(file)}
    assert rows["descriptors"] == {
        "test": "test_it.py::test_it",
        "metric": "descriptors",
        "peak": "4",
    }


def test_unknown_format(run_extended):
    """A format that nobody has is refused, with those there are."""
    result = run_extended("def test_it(): pass", "--mem-output", "pdf=out.pdf")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*--mem-output: 'pdf' is not one of bencher, csv, *, peaks, *"]
    )


def test_own_formats(run_extended, pytester):
    """Our own formats are written in the same way, several in one run."""
    flags = ("--mem-output=csv=a.csv", "--mem-output=markdown=a.md", "--mem-output=json=a.json")
    run_extended("def test_it(): pass", *flags).assert_outcomes(passed=1)
    assert (pytester.path / "a.csv").read_text(encoding="utf-8").startswith("test,metric,")
    assert "test_it" in (pytester.path / "a.md").read_text(encoding="utf-8")
    assert json.loads((pytester.path / "a.json").read_text(encoding="utf-8"))["tests"]


def test_probe_without_its_device(run_extended):
    """A budget that the probe cannot measure is reported as not measured, with its reason."""
    source = """
        import pytest

        @pytest.mark.mem_budget("1 GB", metric="gpu")
        def test_it():
            pass
    """
    result = run_extended(source)
    result.assert_outcomes(passed=1)
    result.stdout.re_match_lines(
        [".*budget of 1.00 GiB on peak GPU memory .* was not checked: (PyTorch|there is no).*"]
    )


ADDED = """
    import os
    import pytest

    KEPT = []

    @pytest.fixture
    def limited(request):
        request.applymarker(pytest.mark.fd_budget({limit}))

    def test_in_setup(limited):
        KEPT.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(3))

    def test_in_call(request):
        request.applymarker(pytest.mark.fd_budget(1))
"""
"""Tests that get a marker when they have been collected."""


def test_marker_added_in_setup(run_extended):
    """A fixture adds a check's marker in time: the test is judged by it."""
    result = run_extended(ADDED.format(limit=2))
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["3 descriptors are left open, and fd_budget allows 2 *"])


def test_bad_marker_added_in_setup(run_extended):
    """A fixture that adds a marker which makes no sense fails the test, as with our own."""
    result = run_extended(ADDED.format(limit="'many'"))
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        ["*test_in_setup, fd_budget: fd_budget takes one whole number*"]
    )


def test_marker_added_in_call(run_extended):
    """A marker that the test adds during its call is reported as not heeded."""
    result = run_extended(ADDED.format(limit=9))
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["*test_in_call*the check fd_budget could not be made: the test added the marker*"]
    )


BELOW_ROOT = """
    from pytest_memguard import Check

    class Never(Check):
        name = "never"

        def plan(self, test):
            raise AssertionError

    def pytest_memguard_checks():
        return [Never()]
"""


@pytest.mark.parametrize("flags", [(), ("--mem",), ("--mem-budget=4GB",), ("-n", "1")])
def test_check_below_the_root(pytester, run, flags):
    """A conftest below the root comes too late to add a check, and the report says so."""
    folder = pytester.mkdir("below")
    (folder / "conftest.py").write_text(textwrap.dedent(BELOW_ROOT), encoding="utf-8")
    (folder / "test_it.py").write_text("def test_it(): pass\n", encoding="utf-8")
    result = run(None, *flags, plugins=["xdist.plugin"] if "-n" in flags else [])
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*the checks of *below*conftest.py: they are not made: *"])


def test_hooks_are_called_once(pytester, run):
    """An extension makes its checks and probes once in a run."""
    pytester.makeconftest("""
        from pytest_memguard import Check

        class Once(Check):
            name = "once"
            made = 0

            def __init__(self):
                Once.made += 1
                assert Once.made == 1

        def pytest_memguard_checks():
            return [Once()]
    """)
    result = run("def test_it(): pass", "--mem")
    result.assert_outcomes(passed=1)


BROKEN = """
    import pytest
    from pytest_memguard import Check, Metric, Probe

    class Broken(Probe):
        metric = Metric(name="broken", noun="broken things", unit="things")

        def level(self):
            raise OSError("no answer")

    class Wrong(Check):
        name = "wrong"

        def plan(self, test):
            return True

        def judge(self, plan, readings, phase):
            raise KeyError("lost")

    def pytest_memguard_probes(config):
        return [Broken()]

    def pytest_memguard_checks(config):
        return [Wrong()]
"""


def test_errors_of_others(pytester, run):
    """What raises in another plugin's code fails no test, and is told."""
    pytester.makeconftest(BROKEN)
    source = """
        import pytest

        @pytest.mark.mem_budget(1, metric="broken")
        def test_it():
            pass
    """
    result = run(source)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines_random(
        [
            "*broken things * was not checked: its probe raised OSError: no answer*",
            "*the check wrong could not be made: it raised KeyError: 'lost'*",
        ]
    )


def test_check_that_asks_for_the_heap(pytester, run):
    """The heap is traced for our own checks only; to ask for it is a usage error."""
    pytester.makeconftest("""
        from pytest_memguard import Check

        class Asks(Check):
            name = "asks"

            def plan(self, test):
                return True

            def metrics(self, plan):
                return {"heap"}

            def judge(self, plan, readings, phase):
                return []

        def pytest_memguard_checks():
            return [Asks()]
    """)
    result = run("def test_it(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*the check asks asks for the metric heap, which no probe*"])


def test_probe_that_may_miss_a_peak(pytester, run):
    """Where a probe says that nothing bounds what it missed, a budget is undecided."""
    pytester.makeconftest("""
        from pytest_memguard import Metric, Probe

        class Sampled(Probe):
            metric = Metric(name="sampled", noun="sampled things", unit="things")

            def level(self):
                return 3

            def missed(self, start, high):
                return None

        def pytest_memguard_probes():
            return [Sampled()]
    """)
    source = """
        import pytest

        @pytest.mark.mem_budget(1, metric="sampled")
        def test_it():
            pass
    """
    result = run(source)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*sampled things was sampled, 0 things at the highest*"])


@pytest.mark.parametrize(
    ("metric", "problem"),
    [
        ("Metric(name='rss', noun='x')", "there is a metric rss already"),
        ("Metric(name='no name', noun='x')", "'no name' is no identifier"),
        ("'rss'", "its metric is no pytest_memguard.Metric"),
    ],
)
def test_bad_probes(pytester, run, metric, problem):
    """A probe that cannot be used is refused before the first test."""
    pytester.makeconftest(f"""
        from pytest_memguard import Metric, Probe

        class Mine(Probe):
            metric = {metric}

        def pytest_memguard_probes():
            return [Mine()]
    """)
    result = run("def test_it(): pass", "--mem")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*the probe *Mine: *{problem}"])


def test_a_metric_is_gone_with_its_run(pytester, run):
    """The next run in the same process knows nothing of it."""
    from pytest_memguard.model.metrics import METRICS

    pytester.makeconftest("""
        from pytest_memguard import Metric, Probe

        class Mine(Probe):
            metric = Metric(name="mine", noun="mine")

            def level(self):
                return 0

        def pytest_memguard_probes():
            return [Mine()]
    """)
    source = """
        from pytest_memguard.model.metrics import METRICS

        def test_it():
            assert "mine" in METRICS
    """
    run(source, "--mem", here=True).assert_outcomes(passed=1)
    assert "mine" not in METRICS


def test_failure_in_one_line(pytester, run):
    """The failure of another plugin's check is one line, at the test's own."""
    pytester.makeconftest("""
        from pytest_memguard import Check, Violation

        class Refuses(Check):
            name = "refuses"

            def plan(self, test):
                return True

            def judge(self, plan, readings, phase):
                return [Violation(text="not this one")] if phase == "call" else []

        def pytest_memguard_checks():
            return [Refuses()]
    """)
    result = run("def test_it(): pass", "--tb=line")
    result.stdout.fnmatch_lines(["*test_it.py:1: CheckFailed: not this one (refuses)"])


def test_measure(run_extended):
    """A test reads numbers of another plugin's metric, which print in its unit."""
    source = """
        import os

        def test_it(memguard):
            with memguard.measure("descriptors") as measured:
                opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1003)]
            for number in opened:
                os.close(number)
            assert measured.peak == 1003
            assert repr(measured).startswith("<open descriptors 1,003, growth 1,003, ")
    """
    run_extended(source).assert_outcomes(passed=1)
