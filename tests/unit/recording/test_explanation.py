"""Tests of what is known about a leak: notes that hold, and how sure a holder is."""

from __future__ import annotations

import pytest

from pytest_memguard.model.leaks import (
    NOT_FOLLOWED,
    Diagnosis,
    LeakLine,
    RetentionPath,
    Verdict,
)
from pytest_memguard.recording.calls import OutOfTime
from pytest_memguard.recording.diagnosis import GrowingContainer
from pytest_memguard.recording.explanation import Explanation
from pytest_memguard.recording.part import Part

PATH = RetentionPath(steps=("module app", "KEPT (list)"), holder="app.KEPT")
LEAKING = Verdict(state="leaking", calls=30)


@pytest.mark.parametrize("is_followed", [True, False])
def test_objects_that_were_followed_later(is_followed) -> None:
    """The note on lines of reused memory stays only where the division did not follow them."""
    explanation = Explanation()
    explanation.found(Diagnosis(calls=16, notes=(NOT_FOLLOWED, "another")))
    part = Part(
        verdict=LEAKING,
        diagnosis=Diagnosis(calls=16),
        growing_container=None,
        is_followed=is_followed,
    )
    notes = explanation.with_notes(part).diagnosis.notes
    assert notes == (("another",) if is_followed else (NOT_FOLLOWED, "another"))


def test_notes_on_an_explanation_that_was_cut_short() -> None:
    """It is said once, and none says that nothing holds it."""
    explanation = Explanation()
    note = "no module, class or thread was found that holds the new objects"
    explanation.found(Diagnosis(calls=6, notes=(note, "another"), path=None))
    explanation.cut_short("9 calls took 3 s")
    explanation.failed(OutOfTime("9 calls took 3 s"))
    assert explanation.diagnosis is not None
    assert explanation.diagnosis.notes == (
        "another",
        "explaining it was cut short: 9 calls took 3 s",
    )


LINE = LeakLine(file="app.py", line=3, function="lose", count=0, size=0)


@pytest.mark.parametrize(
    ("known", "divided", "preferred"),
    [
        pytest.param(Diagnosis(calls=16), Diagnosis(calls=6, lines=(LINE,)), True, id="a-line"),
        pytest.param(Diagnosis(calls=16), Diagnosis(calls=6), False, id="no-line"),
        pytest.param(
            Diagnosis(calls=16, path=PATH),
            Diagnosis(calls=6, lines=(LINE,), path=PATH),
            False,
            id="a-holder-is-known",
        ),
    ],
)
def test_lines_that_only_the_division_has(known, divided, preferred) -> None:
    """They are named where nothing else is known."""
    explanation = Explanation()
    explanation.found(known, GrowingContainer([], 1.0) if known.path else None)
    part = Part(verdict=LEAKING, diagnosis=divided, growing_container=None)
    assert explanation.prefers(part) is preferred


@pytest.mark.parametrize(
    ("path", "note"),
    [
        pytest.param(PATH, "too long; the holder is the best guess so far", id="a-holder"),
        pytest.param(None, "too long", id="no-holder"),
    ],
)
def test_an_explanation_that_was_cut_short(path, note) -> None:
    """The note says how sure the holder is, if one is named."""
    explanation = Explanation()
    explanation.found(Diagnosis(calls=6, path=path))
    explanation.cut_short("too long")
    assert explanation.diagnosis is not None
    assert explanation.diagnosis.is_cut_short
    assert explanation.diagnosis.notes == (f"explaining it was cut short: {note}",)
