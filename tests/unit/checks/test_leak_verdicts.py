"""Tests of what becomes of the reading of a leak check."""

from __future__ import annotations

from pytest_memguard.checks.leak.verdicts import LeakVerdicts
from pytest_memguard.model.leaks import Diagnosis, LeakLine, LeakReading, Verdict
from pytest_memguard.options.settings import Settings


def test_paths_are_the_same_on_every_machine() -> None:
    """Lines and their callers are relative to the root, or to where they are installed."""
    line = LeakLine(
        file="/env/lib/python3.11/site-packages/a/b.py",
        line=3,
        function="put",
        count=16,
        size=384,
        caller="/project/tests/test_b.py:8",
    )
    leak = LeakReading(
        verdict=Verdict(state="leaking", calls=24), diagnosis=Diagnosis(calls=16, lines=(line,))
    )
    found = LeakVerdicts(Settings(), "/project/").accepted(
        leak, tolerance=0, ignore=(), known={}, nodeid="tests/test_b.py::test_put"
    )
    assert [(line.file, line.caller) for line in found.diagnosis.lines] == [
        ("a/b.py", "tests/test_b.py:8")
    ]
