"""Tests of the rule by which a history judges the plugin."""

from __future__ import annotations

import pytest

from tests.histories.model import Answer, Truth
from tests.histories.verdict import FAULTS, Verdict, judge, resolution

MIB = 1 << 20
PASSES = Answer("passed")
FAILS = Answer("failed")
EXCEEDS = Answer("failed", exceeded=True)
HAS_LINE = Answer("passed", lines=("test_it.py::test_0: between (undecided)",))
FAILS_WITH_LINE = Answer("failed", lines=("test_it.py::test_0: over (over-budget)",))


@pytest.mark.parametrize(
    ("limit", "nothing_within"),
    [
        pytest.param(2 * MIB, MIB, id="small"),
        pytest.param(20 * MIB, MIB, id="where-the-share-begins"),
        pytest.param(100 * MIB, 5 * MIB, id="a-share"),
    ],
)
def test_resolution(limit, nothing_within) -> None:
    """Nothing is promised within a share of the limit, or within an arena."""
    assert nothing_within == resolution(limit)


@pytest.mark.parametrize(
    ("mib", "lessened", "answer", "verdict"),
    [
        pytest.param(20, 0, PASSES, Verdict.SILENT, id="silent"),
        pytest.param(20, 0, EXCEEDS, Verdict.CAUGHT, id="caught"),
        pytest.param(20, 0, HAS_LINE, Verdict.REPORTED, id="reported"),
        pytest.param(20, 0, FAILS, Verdict.BROKEN, id="broken"),
        pytest.param(20, 0, FAILS_WITH_LINE, Verdict.REPORTED, id="broken-with-a-line"),
        pytest.param(20, 12, PASSES, Verdict.LESSENED, id="lessened"),
        pytest.param(20, 8, PASSES, Verdict.SILENT, id="lessened-by-too-little"),
        pytest.param(5, 0, PASSES, Verdict.WITHIN, id="within"),
        pytest.param(5, 0, FAILS, Verdict.WITHIN, id="within-and-broken"),
        pytest.param(5, 0, EXCEEDS, Verdict.FALSE_ALARM, id="false-alarm"),
        pytest.param(5, 0, HAS_LINE, Verdict.UNDECIDED, id="undecided"),
        pytest.param(10.5, 0, PASSES, Verdict.CLOSE, id="close-and-passes"),
        pytest.param(10.5, 0, EXCEEDS, Verdict.CLOSE, id="close-and-fails"),
        pytest.param(9.5, 0, EXCEEDS, Verdict.CLOSE, id="close-below"),
        pytest.param(10.5, 0, HAS_LINE, Verdict.CLOSE, id="close-with-a-line"),
    ],
)
def test_verdict(mib, lessened, answer, verdict) -> None:
    """A test with a limit of 10 MiB is judged by its use alone and what the plugin says."""
    truth = Truth(int(mib * MIB), int(mib * MIB))
    assert verdict is judge(10 * MIB, truth, lessened * MIB, answer)


@pytest.mark.parametrize(
    ("low", "high", "answer", "verdict"),
    [
        pytest.param(5, 20, PASSES, Verdict.CLOSE, id="may-pass"),
        pytest.param(5, 20, EXCEEDS, Verdict.CLOSE, id="may-fail"),
        pytest.param(12, 20, PASSES, Verdict.SILENT, id="above-in-any-case"),
        pytest.param(5, 8, EXCEEDS, Verdict.FALSE_ALARM, id="below-in-any-case"),
    ],
)
def test_truth_that_depends_on_collections(low, high, answer, verdict) -> None:
    """Where it depends on when garbage is collected what a test uses, both ends count."""
    assert verdict is judge(10 * MIB, Truth(low * MIB, high * MIB), 0, answer)


@pytest.mark.parametrize(
    ("retaining", "verdict"),
    [
        pytest.param(12, Verdict.RETAINED, id="above"),
        pytest.param(6, Verdict.FALSE_ALARM, id="below"),
    ],
)
def test_truth_that_depends_on_the_c_library(retaining, verdict) -> None:
    """A test may fail if it is above its limit where the C library keeps what is freed."""
    truth = Truth(5 * MIB, 5 * MIB, retaining * MIB)
    assert verdict is judge(10 * MIB, truth, 0, EXCEEDS)


def test_no_limit() -> None:
    """Of a test without a limit nothing can be wrong."""
    assert Verdict.UNLIMITED is judge(None, Truth(MIB, MIB), 0, PASSES)


def test_faults() -> None:
    """A pass in silence and a false alarm are the only faults."""
    assert {Verdict.SILENT, Verdict.FALSE_ALARM} == FAULTS
