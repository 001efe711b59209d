"""Tests of the choice of a meter where the kernel's mark cannot be reset."""

from __future__ import annotations

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.measure import without_mark
from pytest_memguard.measure.without_mark import meter_without_mark


def refuse(*_: object) -> None:
    """Fail as a probe that cannot work here."""
    msg = "the kernel said no"
    raise Unmeasurable(msg)


def mark(_level: object) -> object:
    """A lifetime mark that works."""
    return lambda: 900


def level() -> object:
    """A level that can be read."""
    return lambda: 500


@pytest.mark.parametrize(
    ("read", "lifetime", "method", "lost", "missed", "sentence"),
    [
        pytest.param(
            level,
            mark,
            "sampled",
            "",
            True,
            "resident memory is sampled every 2 ms instead, so short peaks may be missed, "
            "unless the process's lifetime high-water mark shows them",
            id="level-and-mark",
        ),
        pytest.param(
            level,
            refuse,
            "sampled",
            "",
            False,
            "resident memory is sampled every 2 ms instead, so short peaks may be missed, "
            "and nothing bounds them: the kernel said no",
            id="level-alone",
        ),
        pytest.param(
            refuse,
            mark,
            "kernel mark",
            "the kernel said no",
            True,
            "the kernel said no; only the process's lifetime high-water mark is known",
            id="mark-alone",
        ),
        pytest.param(
            refuse,
            refuse,
            "kernel mark",
            "the kernel said no",
            False,
            "the kernel said no; and nothing bounds it: the kernel said no",
            id="nothing",
        ),
    ],
)
def test_choice(monkeypatch, read, lifetime, method, lost, missed, sentence) -> None:
    """Memory is sampled where its level can be read, and bounded by the mark there is."""
    monkeypatch.setattr(without_mark, "resident_reader", read)
    monkeypatch.setattr(without_mark, "lifetime_peak_reader", lifetime)
    meter, said = meter_without_mark()
    assert (method, lost, sentence) == (meter.method, meter.lost, said)
    assert missed is (meter.missed(0, 0) is not None)
