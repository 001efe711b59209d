"""Tests of the sentences of a comparison: the numbers in them, and which one is chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.judge.change_sentences import new, noun, sentence, stage_is
from pytest_memguard.model.baselines import (
    BaselineEntry,
    Change,
    EnvironmentKey,
    FailRule,
    StageEntry,
)
from pytest_memguard.sizes import MIB

PLACE = EnvironmentKey(
    system="Linux", machine="x86_64", implementation="CPython", python="3.11"
)
RULE = FailRule(kind="peak", where="--mem-fail-on", text="peak:10%")
CHANGE = Change(
    kind="regression",
    nodeid="t.py::test",
    environment=PLACE,
    before=20 * MIB,
    now=30 * MIB,
    allowed=22 * MIB,
    rule=RULE,
)
HIDDEN = "earlier code left slack inside the process that the kernel's mark does not show"


def entry(**fields) -> BaselineEntry:
    """An entry of which only this matters."""
    return BaselineEntry(peak=0, growth=0, **fields)


def stage(path: str, mib: float, top: float = 0) -> StageEntry:
    """A stage with this peak."""
    return StageEntry(path=path, peak=int(mib * MIB), delta=0, ceiling=int(top * MIB))


def text_of(
    change: Change, was: BaselineEntry | None = None, now: BaselineEntry | None = None, **values
):
    """The sentence of a change."""
    given = {"by_noise": False, **values}
    return sentence(change, was or entry(), now or entry(), **given)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("rss", "peak RSS"), ("heap", "peak heap"), ("gpu", "peak of gpu")],
)
def test_noun(metric, expected) -> None:
    """A metric without a name of its own is called by its key."""
    assert expected == noun(metric)


def test_new() -> None:
    """A new test is reported with its peak."""
    now = BaselineEntry(peak=5 * MIB, growth=0)
    assert new("heap", now) == "peak heap 5.0 MiB, not in the baseline yet"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("new", "stage 'a/b' is not in the baseline yet"),
        ("gone", "stage 'a/b' is in the baseline, and the test did not enter it this time"),
    ],
)
def test_stage_is(kind, expected) -> None:
    """A stage of one side is reported with the side that has it."""
    assert expected == stage_is(kind, "a/b")


@pytest.mark.parametrize(
    ("change", "by_noise", "expected"),
    [
        pytest.param(
            CHANGE,
            False,
            "peak RSS 30.0 MiB is 10.0 MiB (50%) above the baseline of 20.0 MiB; peak:10% "
            "(--mem-fail-on) allows up to 22.0 MiB",
            id="peak",
        ),
        pytest.param(
            replace(CHANGE, environment=replace(PLACE, metric="heap")),
            True,
            "peak heap 30.0 MiB is 10.0 MiB (50%) above the baseline of 20.0 MiB; peak:10% "
            "(--mem-fail-on) and the noise on record allow up to 22.0 MiB",
            id="noise",
        ),
        pytest.param(
            replace(CHANGE, subject="stage", stage="load"),
            False,
            "peak RSS of stage 'load' 30.0 MiB is 10.0 MiB (50%) above the baseline of 20.0 "
            "MiB; peak:10% (--mem-fail-on) allows up to 22.0 MiB",
            id="stage",
        ),
        pytest.param(
            replace(CHANGE, subject="growth", before=-MIB, rule=None),
            False,
            "growth of resident memory 30.0 MiB is 31.0 MiB above the baseline of -1.0 MiB; a "
            "rule allows up to 22.0 MiB",
            id="growth-from-less-than-nothing",
        ),
        pytest.param(
            replace(CHANGE, subject="leak", before=0, now=40, allowed=8),
            False,
            "its leak of 40 B per call is 40 B per call above the baseline of 0 B per call; "
            "peak:10% (--mem-fail-on) allows up to 8 B per call",
            id="leak-from-nothing",
        ),
        pytest.param(
            replace(CHANGE, subject="leak", before=1, now=40, allowed=8),
            False,
            "its leak of 40 B per call is 39 B per call (3900%) above the baseline of 1 B per "
            "call; peak:10% (--mem-fail-on) allows up to 8 B per call",
            id="leak-from-a-byte",
        ),
    ],
)
def test_regression(change, by_noise, expected) -> None:
    """A regression has what is, what was, the difference, its share, and what is allowed."""
    assert expected == text_of(change, by_noise=by_noise)


def test_improvement() -> None:
    """An improvement has what is, what was and the difference, without a sign."""
    change = replace(CHANGE, kind="improvement", now=5 * MIB)
    expected = "peak RSS 5.0 MiB is 15.0 MiB (75%) below the baseline of 20.0 MiB"
    assert expected == text_of(change)


@pytest.mark.parametrize(
    ("subject", "before", "now", "expected"),
    [
        pytest.param(
            "peak",
            (stage("a", 3), stage("b", 1)),
            (stage("a", 3.5), stage("b", 4)),
            "; stage 'b' grew most, from 1.0 MiB to 4.0 MiB",
            id="grew",
        ),
        pytest.param(
            "peak", (), (stage("b", 4),), "; stage 'b' is new, with 4.0 MiB", id="new"
        ),
        pytest.param("peak", (stage("a", 3),), (stage("a", 3),), "", id="none-grew"),
        pytest.param("stage", (stage("b", 1),), (stage("b", 4),), "", id="of-a-stage"),
    ],
)
def test_stage_that_grew(subject, before, now, expected) -> None:
    """A regression of the peak names the stage that grew most, if one did."""
    change = replace(CHANGE, subject=subject)
    _, _, text = text_of(change, entry(stages=before), entry(stages=now)).partition("22.0 MiB")
    assert expected == text


BOUNDED = replace(CHANGE, kind="undecided", now=21 * MIB)


@pytest.mark.parametrize(
    ("change", "was", "now", "expected"),
    [
        pytest.param(
            replace(CHANGE, kind="undecided"),
            entry(imports=3),
            entry(imports=4),
            "peak RSS 30.0 MiB is 10.0 MiB (50%) above the baseline of 20.0 MiB, but 1 module "
            "more than on record was imported for the first time during the call, which may "
            "be all of it",
            id="an-import",
        ),
        pytest.param(
            replace(CHANGE, kind="undecided"),
            entry(imports=1),
            entry(imports=1202),
            "peak RSS 30.0 MiB is 10.0 MiB (50%) above the baseline of 20.0 MiB, but 1,201 "
            "modules more than on record were imported for the first time during the call, "
            "which may be all of it",
            id="imports",
        ),
        pytest.param(
            BOUNDED,
            entry(ceiling=1),
            entry(),
            "peak RSS 21.0 MiB is 1.0 MiB (5%) above the baseline of 20.0 MiB, which is not "
            f"exact: it may have been as high as it is now, as {HIDDEN}",
            id="was-not-exact",
        ),
        pytest.param(
            replace(BOUNDED, now=22 * MIB),
            entry(ceiling=1),
            entry(),
            "peak RSS 22.0 MiB is 2.0 MiB (10%) above the baseline of 20.0 MiB, which is not "
            f"exact: it may have been as high as it is now, as {HIDDEN}",
            id="was-not-exact-and-is-as-high-as-allowed",
        ),
        pytest.param(
            BOUNDED,
            entry(),
            entry(ceiling=90 * MIB),
            "peak RSS is 21.0 MiB or more, and may be above the 22.0 MiB that peak:10% "
            f"(--mem-fail-on) allows: {HIDDEN}",
            id="is-not-exact",
        ),
        pytest.param(
            replace(BOUNDED, now=20 * MIB),
            entry(ceiling=1),
            entry(ceiling=90 * MIB),
            "peak RSS is 20.0 MiB or more, and may be above the 22.0 MiB that peak:10% "
            f"(--mem-fail-on) allows: {HIDDEN}",
            id="neither-is-exact-and-it-is-no-more",
        ),
        pytest.param(
            replace(BOUNDED, now=19 * MIB),
            entry(ceiling=1),
            entry(ceiling=90 * MIB),
            "peak RSS is 19.0 MiB or more, and may be above the 22.0 MiB that peak:10% "
            f"(--mem-fail-on) allows: {HIDDEN}",
            id="neither-is-exact-and-it-may-be-less",
        ),
        pytest.param(
            replace(BOUNDED, subject="stage", stage="a"),
            entry(stages=(stage("a", 0, 1 / MIB), stage("b", 1))),
            entry(),
            "peak RSS of stage 'a' 21.0 MiB is 1.0 MiB (5%) above the baseline of 20.0 MiB, "
            f"which is not exact: it may have been as high as it is now, as {HIDDEN}",
            id="stage-was-not-exact",
        ),
        pytest.param(
            replace(BOUNDED, subject="stage", stage="a"),
            entry(ceiling=1, stages=(stage("a", 1), stage("b", 1, 2))),
            entry(),
            "peak RSS of stage 'a' is 21.0 MiB or more, and may be above the 22.0 MiB that "
            f"peak:10% (--mem-fail-on) allows: {HIDDEN}",
            id="another-stage-was-not-exact",
        ),
    ],
)
def test_undecided(change, was, now, expected) -> None:
    """An undecided change has its reason: imports, or a number that is not exact."""
    assert expected == text_of(change, was, now)


@pytest.mark.parametrize(
    ("subject", "was", "now", "expected"),
    [
        pytest.param(
            "peak",
            1202,
            0,
            "the baseline of 20.0 MiB has the memory of modules in it (1,202 were imported "
            "then, 0 now); saving again makes it exact",
            id="fewer-imports",
        ),
        pytest.param("peak", 3, 3, "", id="as-many"),
        pytest.param("peak", 3, 4, "", id="more"),
        pytest.param("growth", 3, 0, "", id="said-once-of-the-peak"),
    ],
)
def test_same(subject, was, now, expected) -> None:
    """A number that is the same needs no sentence, unless the baseline has imports in it."""
    change = replace(CHANGE, kind="same", subject=subject)
    assert expected == text_of(change, entry(imports=was), entry(imports=now))
