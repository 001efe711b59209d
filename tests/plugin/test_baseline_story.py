"""The story of a regression: saved, found where it is, accepted, green again."""

from __future__ import annotations

import json
import sys

import pytest

CODE = """
    MIB = 1024 * 1024
    LOAD = {load}

    def load_rows():
        return bytearray(LOAD * MIB)

    def parse(rows):
        return bytearray(6 * MIB)
"""
TESTS = """
    import pytest_memguard
    import rows

    def test_pipeline():
        with pytest_memguard.stage("load"):
            loaded = rows.load_rows()
        with pytest_memguard.stage("parse"):
            assert rows.parse(loaded)

    def test_parse():
        assert rows.parse(None)
"""
OTHERS = """
    def test_other():
        assert bytearray(3 << 20)
"""
RED = [
    "peak RSS * MiB is * above the baseline of *; stage 'load' grew most, from * to * MiB; *",
    "* rows.py:5*",
    "compared with .memguard/baseline.json: 1 regression, 2 as before",
    "FAILED test_it.py::test_pipeline - * > *: peak RSS *",
]


@pytest.fixture(autouse=True)
def project(pytester):
    """Write the code under test, which uses so many MiB to load."""

    def project(load=12):
        pytester.makepyfile(rows=CODE.format(load=load), test_others=OTHERS)

    project()
    return project


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param((), id="plain"),
        pytest.param(("-p", "xdist.plugin", "-n2"), id="xdist"),
    ],
)
def test_story(run, project, flags):
    """A stage that doubles is found: the test, the stage and the line; accepted, it is fine."""
    run(TESTS, "--mem-save", *flags).assert_outcomes(passed=3)
    if not flags:  # the last run is as green
        run(None, "--mem-compare").assert_outcomes(passed=3)

    project(load=24)
    result = run(None, "--mem-compare", "--mem-explain=rerun", *flags)
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(RED)

    accept = ("--mem-accept", "test_it.py::test_pipeline")
    run(None, *accept, *flags).assert_outcomes(passed=3)
    run(None, "--mem-compare", *flags).assert_outcomes(passed=3)


def test_story_in_shards(run, project, pytester):
    """Shards that were saved apart are merged into one baseline, which each compares with."""
    run(TESTS, "--mem-save=one.json", "test_it.py")
    run(None, "--mem-save=two.json", "test_others.py")
    merge = ("-m", "pytest_memguard", "merge", "one.json", "two.json", "-o", "all.json")
    assert pytester.run(sys.executable, *merge).ret == 0

    project(load=24)
    compare = ("--mem-compare=all.json", "--mem-explain=rerun")
    result = run(None, *compare, "test_it.py")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([*RED[:2], "compared with all.json: 1 regression, 1 as before"])
    run(None, *compare, "test_others.py").assert_outcomes(passed=1)

    accept = ("--mem-compare=all.json", "--mem-accept", "test_it.py::test_pipeline")
    run(None, *accept).assert_outcomes(passed=3)
    run(None, *compare).assert_outcomes(passed=3)


def test_lines_that_grew(run, project):
    """Where both runs know the lines of stages, the failure shows what grew."""
    run(TESTS, "--mem-save", "--mem-drill")
    project(load=24)
    result = run(None, "--mem-compare", "--mem-drill")
    result.stdout.fnmatch_lines(
        ["Lines that grew:", "*12.0 *24.0 *+12.0  load_rows *rows.py:5"]
    )


def test_rules_of_stages(run, project):
    """A rule on a stage finds growth below the peak of the test."""
    run(TESTS, "--mem-save")
    project(load=19)
    flags = ("--mem-compare", "--mem-fail-on=stage:load:500KB", "--mem-fail-on=peak:50%")
    result = run(None, *flags)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["peak RSS of stage 'load' * is * above *; stage:load:500KB (--mem-fail-on) *"]
    )


def test_numbers_of_a_regression(run, project, pytester):
    """The JSON file has what was on record, and the rule that decided."""
    run(TESTS, "--mem-save")
    project(load=24)
    run(None, "--mem-compare", "--mem-json=out.json")
    data = json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))
    (found,) = [f for test in data["tests"] for f in test["findings"]]
    assert found["rule"] == "regression"
    assert found["raised"]
    assert found["budget"]["former"]["rule"]["text"] == "peak:10%+2MB"
    assert 10 << 20 < found["budget"]["former"]["before_bytes"] < 24 << 20
    assert not any(test["budgets"] for test in data["tests"])
