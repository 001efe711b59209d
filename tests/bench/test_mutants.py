"""Tests of the mutation testing: which mutants count, and how they are reported."""

from __future__ import annotations

import json

import pytest

from bench.mutants import MODULES, ROOT, Mutant, files_of, read, survivors, table

SOURCE = '''\
"""A module."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    size: int


def double(size: int, *, times: int = 2) -> int:
    return size * times
'''


def dumped(operator, at, *, outcome="killed", worker="normal", diff="-a\n+b") -> str:
    """A line as cosmic-ray prints it for a mutant."""
    mutation = {"operator_name": f"core/{operator}", "start_pos": at}
    result = {"worker_outcome": worker, "test_outcome": outcome, "diff": diff}
    return json.dumps([{"mutations": [mutation]}, result])


@pytest.mark.parametrize("module", MODULES)
def test_every_rule_has_its_own_tests(module) -> None:
    """Each module that is mutated has a file of unit tests that has to notice."""
    assert all((ROOT / file).is_file() for file in files_of(module))


@pytest.mark.parametrize(
    ("operator", "at", "worker", "counts"),
    [
        pytest.param("ReplaceBinaryOperator_Mul_Div", (12, 16), "normal", True, id="product"),
        pytest.param(
            "ReplaceBinaryOperator_Mul_Div", (11, 22), "normal", False, id="keyword-only"
        ),
        pytest.param("NumberReplacer", (11, 38), "normal", True, id="default"),
        pytest.param("ReplaceTrueWithFalse", (6, 18), "normal", False, id="frozen"),
        pytest.param("RemoveDecorator", (6, 0), "normal", True, id="decorator"),
        pytest.param("NumberReplacer", (11, 38), "skipped", False, id="left-out"),
    ],
)
def test_what_counts(operator, at, worker, counts) -> None:
    """Changes of signs that do no arithmetic, and of how a class is made, do not count."""
    assert counts == bool(list(read(dumped(operator, at, worker=worker), SOURCE)))


@pytest.mark.parametrize(
    ("outcome", "killed"), [("killed", True), ("incompetent", True), ("survived", False)]
)
def test_outcome(outcome, killed) -> None:
    """A mutant survives only if all tests pass."""
    diff = "--- a/box.py\n+++ b/box.py\n@@ -1 +1 @@\n context\n-    size * 2\n+    size / 2"
    line = dumped("NumberReplacer", (11, 38), outcome=outcome, diff=diff)
    assert [Mutant(line=11, change="- size * 2 + size / 2", killed=killed)] == list(
        read(line, SOURCE)
    )


def test_table() -> None:
    """The table has the share of each module and of all, and names what it left out."""
    good = [Mutant(line=1, change="- a + b", killed=True)] * 19
    bad = Mutant(line=7, change="- c + d", killed=False)
    found = {"judge/noise": [*good, bad], "units": [bad]}
    assert table(found).splitlines()[2:] == [
        "judge/noise         20        19           1    95.0%  met",
        "units                1         0           1     0.0%  NOT MET",
        "all                 21        19           2    90.5%  NOT MET",
        "Texts and annotations are not mutated.",
    ]
    assert list(survivors(found)) == [
        "pytest_memguard/judge/noise.py:7: - c + d",
        "pytest_memguard/units.py:7: - c + d",
    ]
