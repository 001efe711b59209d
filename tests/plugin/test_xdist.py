"""Several processes: the same outcomes and the same report as in one."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest

XDIST = ["xdist.plugin"]
SUITE = """
    import pytest

    @pytest.fixture
    def large():
        bytearray(30 << 20)

    @pytest.mark.mem_budget(20)
    def test_over():
        print("said before the breach")
        bytearray(30 << 20)

    @pytest.mark.mem_budget(40, warn=0.5)
    def test_near():
        bytearray(30 << 20)

    @pytest.mark.mem_budget(20)
    def test_uncovered(large):
        pass

    @pytest.mark.mem_budget(20, metric="heap")
    def test_heap():
        bytearray(30 << 20)

    def test_stages(memguard):
        with memguard.stage("load"):
            bytearray(10 << 20)

    @pytest.mark.parametrize("n", range(4))
    def test_plain(n):
        pass
"""


def stripped(test: dict[str, Any]) -> dict[str, Any]:
    """What must be the same of a test in any process: all but numbers and names of those."""
    return {
        "file": (test["file"], test["line"], test["result"]),
        "phases": [
            (phase["name"], [peak["metric"] for peak in phase["peaks"]])
            for phase in test["phases"]
        ],
        "peak": [round(phase["peaks"][0]["bytes"] / (10 << 20)) for phase in test["phases"]],
        "stages": [stage["path"] for stage in test["stages"]],
        "budgets": test["budgets"],
        "findings": [(finding["rule"], finding["budget"]) for finding in test["findings"]],
        "notes": len(test["notes"]),
    }


def test_same_report_as_in_one_process(pytester, run, written):
    """Outcomes, JSON file, sections and properties of two workers are those of one process."""
    flags = ["--mem", "--mem-json=out.json", "--junitxml=out.xml", "-v", "--mem-budget=500"]
    one = run(SUITE, *flags)
    one.assert_outcomes(passed=7, failed=2, warnings=1)
    expected = {name: stripped(test) for name, test in written().items()}
    properties = sorted(
        (case.attrib["name"], [found.attrib["name"] for found in case.iter("property")])
        for case in ET.parse(pytester.path / "out.xml").iter("testcase")  # noqa: S314
    )

    two = run(SUITE, *flags, "-n2", plugins=XDIST)
    assert one.ret == two.ret
    two.assert_outcomes(passed=7, failed=2, warnings=1)
    assert expected == {name: stripped(test) for name, test in written().items()}
    assert {"gw0", "gw1"} == {test["worker"] for test in written().values()}
    assert properties == sorted(
        (case.attrib["name"], [found.attrib["name"] for found in case.iter("property")])
        for case in ET.parse(pytester.path / "out.xml").iter("testcase")  # noqa: S314
    )
    totals = json.loads((pytester.path / "out.json").read_text())["totals"]
    assert [total["worker"] for total in totals] == ["gw0", "gw1", ""]
    assert 9 == totals[0]["tests"] + totals[1]["tests"] == totals[2]["tests"]
    two.stdout.fnmatch_lines(
        ["memguard: peak RSS by the kernel's high-water mark; budget 500.0 *"]
    )
    two.stdout.fnmatch_lines_random(["*gw?*PASSED (*.? MiB) test_it.py::test_near*"])
    two.stdout.fnmatch_lines(
        [
            "*= memory =*",
            "gw0: * tests, RSS * before, * after, * at its highest; *",
            "gw1: * tests, RSS * before, * after, * at its highest; *",
            "Total: 9 tests, RSS * before, * after, * at its highest; *",
            "test_it.py::test_near: peak RSS * (near-budget)",
        ]
    )
    two.stdout.fnmatch_lines(["Stages of test_it.py::test_stages:", "load *"])


def test_markers_alone(run):
    """Without any flag workers judge, the report tells, and the next run names lines."""
    flags = ["-n2", "--strict-markers"]
    result = run(SUITE, *flags, plugins=XDIST, cache=True)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=7, failed=2, warnings=1)
    result.stdout.fnmatch_lines_random(
        [
            "peak RSS * over the budget of 20.0 MiB set by the marker (over-budget)",
            "peak heap * largest: test_heap, test_it.py:*",
            "Allocation lines: run this test again; *",
            "*MemoryBudgetWarning: *",
            "*= memory =*",
            "test_it.py::test_near: peak RSS * (near-budget)",
            "test_it.py::test_uncovered: setup rose *",
            "FAILED test_it.py::test_over - * > *: *",
        ]
    )
    result = run(SUITE, "-k", "test_over", cache=True)
    result.stdout.fnmatch_lines(["peak RSS * largest: test_over, test_it.py:11, 30.0 MiB *"])


def test_worker_that_dies(run, written):
    """A worker that dies takes nothing of its earlier tests with it."""
    result = run(
        """
        import os

        def test_first(memguard):
            with memguard.stage("load"):
                bytearray(30 << 20)

        def test_second():
            bytearray(20 << 20)

        def test_dies():
            os._exit(9)

        def test_after():
            pass
        """,
        "--mem",
        "--mem-json=out.json",
        "-n1",
        plugins=XDIST,
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    tests = written()
    assert {"test_first", "test_second", "test_after"} == set(tests) - {"test_dies"}
    assert [stage["path"] for stage in tests["test_first"]["stages"]] == ["load"]
    result.stdout.fnmatch_lines_random(
        [
            "*[23][0129].?*  test_it.py::test_first",
            "*[12][09].?*  test_it.py::test_second",
            "gw0: 2 tests, *",
            "gw1: 1 test, *",
            "Total: 3 tests, *",
        ]
    )


def test_no_workers(run):
    """With xdist at hand but not in use everything is as it is without."""
    result = run(SUITE, "--mem", "-n0", plugins=XDIST)
    result.stdout.fnmatch_lines(["*= memory =*", "Total: 9 tests, *", "*= 2 failed, 7 passed*"])
    result.stdout.no_fnmatch_line("gw*")
