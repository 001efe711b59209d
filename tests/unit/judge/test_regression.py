"""Tests of the comparison: numbers before and now, and what is reported of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_memguard.judge.merging import merged
from pytest_memguard.judge.noise import READINGS, noise, noise_of_growth
from pytest_memguard.judge.regression import compare, judge_entry
from pytest_memguard.model.baselines import (
    Baseline,
    BaselineEntry,
    EnvironmentKey,
    LineEntry,
    StageEntry,
)
from pytest_memguard.options.rules import closest, parse_rules
from pytest_memguard.sizes import MIB

PLACE = EnvironmentKey(
    system="Linux", machine="x86_64", implementation="CPython", python="3.11"
)
HEAP = replace(PLACE, metric="heap")


def entry(mib: float, **fields) -> BaselineEntry:
    """An entry with this peak; sizes of other fields are in bytes."""
    return BaselineEntry(peak=int(mib * MIB), growth=fields.pop("growth", 0), **fields)


def stage(path: str, mib: float, top: float = 0) -> StageEntry:
    """A stage with this peak."""
    return StageEntry(path=path, peak=int(mib * MIB), delta=0, ceiling=int(top * MIB))


def line(function: str, mib: float, number: int = 1) -> LineEntry:
    """A line of app.py."""
    return LineEntry(file="app.py", function=function, line=number, size=int(mib * MIB))


def judged(before, now, *rules, environment=PLACE):
    """The changes by the rules written."""
    parsed = parse_rules(rules, "--mem-fail-on")
    return judge_entry("t.py::test", environment, before, now, closest(parsed))


def kind_of(before, now, *rules, environment=PLACE) -> str:
    """The kind of change of the peak."""
    return judged(before, now, *rules, environment=environment)[0].kind


@pytest.mark.parametrize(
    ("before", "now", "rule", "kind"),
    [
        pytest.param(100, 109, "peak:10%", "same", id="share-kept"),
        pytest.param(100, 111, "peak:10%", "regression", id="share-exceeded"),
        pytest.param(100, 104, "peak:5MB", "same", id="size-kept"),
        pytest.param(100, 106, "peak:5MB", "regression", id="size-exceeded"),
        pytest.param(100, 109, "peak:10%+2MB", "same", id="size-alone-exceeded"),
        pytest.param(10, 11.9, "peak:10%+2MB", "same", id="share-alone-exceeded"),
        pytest.param(10, 12.1, "peak:10%+2MB", "regression", id="both-exceeded"),
        pytest.param(100, 89, "peak:10%", "improvement", id="less"),
        pytest.param(100, 91, "peak:10%", "same", id="a-little-less"),
        pytest.param(0, 1.9, "peak:10%+2MB", "same", id="from-nothing-a-little"),
        pytest.param(0, 2.1, "peak:10%+2MB", "regression", id="from-nothing"),
        pytest.param(100, 100.0, "peak:0%", "same", id="nothing-allowed-nothing-more"),
    ],
)
def test_peak(before, now, rule, kind) -> None:
    """A peak above what the rule lets pass is a regression; as far below, an improvement."""
    assert kind == kind_of(entry(before), entry(now), rule)


EXACT = BaselineEntry(peak=1000, growth=0, readings=READINGS)
"""Readings of the heap that were all the same: nothing is noise."""


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        pytest.param({}, {"peak": 1100}, "same", id="as-much-as-allowed"),
        pytest.param({}, {"peak": 1101}, "regression", id="a-byte-more"),
        pytest.param({}, {"peak": 1, "ceiling": 1100}, "same", id="bound-as-allowed"),
        pytest.param({}, {"peak": 1, "ceiling": 1101}, "undecided", id="bound-a-byte-more"),
        pytest.param({"ceiling": 1050}, {"peak": 1100}, "same", id="allowed-whatever-it-was"),
        pytest.param(
            {"ceiling": 1050}, {"peak": 1101}, "undecided", id="allowed-from-the-bound"
        ),
        pytest.param({"ceiling": 1050}, {"peak": 1150}, "undecided", id="as-the-bound-allows"),
        pytest.param({"ceiling": 1050}, {"peak": 1151}, "regression", id="above-any-bound"),
        pytest.param({"ceiling": 900}, {"peak": 1100}, "same", id="bound-below-the-peak"),
        pytest.param({}, {"peak": 900}, "same", id="less-as-much-as-allowed"),
        pytest.param({}, {"peak": 899}, "improvement", id="less-by-a-byte-more"),
        pytest.param({}, {"peak": 899, "ceiling": 900}, "same", id="may-be-no-less"),
        pytest.param({"spread": 100}, {"peak": 800}, "same", id="as-low-as-readings-were"),
        pytest.param({"spread": 100}, {"peak": 799}, "improvement", id="lower-than-that"),
        pytest.param({"imports": 1}, {"peak": 1}, "same", id="imported-on-record"),
        pytest.param({"imports": 1}, {"peak": 1, "imports": 1}, "improvement", id="as-then"),
    ],
)
def test_boundaries(before, now, kind) -> None:
    """A limit is exact to the byte, above as well as below."""
    reading = replace(EXACT, readings=1, **now)
    assert kind == kind_of(replace(EXACT, **before), reading, "peak:100B", environment=HEAP)


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        pytest.param(stage("load", 10), stage("load", 12), "same", id="as-much-as-allowed"),
        pytest.param(
            stage("load", 10, 11), stage("load", 13), "undecided", id="from-its-bound"
        ),
        pytest.param(stage("load", 10, 11), stage("load", 13.01), "regression", id="above-it"),
        pytest.param(stage("load", 10), stage("load", 7), "same", id="as-low-as-readings-were"),
        pytest.param(stage("load", 10), stage("load", 6.99), "improvement", id="lower"),
    ],
)
def test_boundaries_of_a_stage(before, now, kind) -> None:
    """A stage has the noise and the spread of its test."""
    was = replace(EXACT, spread=MIB, stages=(before,))
    change = judged(was, replace(EXACT, stages=(now,)), "stage:load:2MB", environment=HEAP)[1]
    assert (kind, "stage", "load") == (change.kind, change.subject, change.stage)


def test_peak_has_both_numbers() -> None:
    """A change has the numbers on both sides, and what was allowed."""
    change = judged(EXACT, replace(EXACT, peak=1200), "peak:100B", environment=HEAP)[0]
    assert (change.before, change.now, change.allowed) == (1000, 1200, 1100)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param((), (stage("load", 7),), (0, 7 * MIB, "new"), id="new"),
        pytest.param((stage("load", 7),), (), (7 * MIB, 0, "gone"), id="gone"),
    ],
)
def test_stage_of_one_side(before, now, expected) -> None:
    """A stage that one side has not is nothing there."""
    change = judged(entry(9, stages=before), entry(9, stages=now), "stage:load:10%")[1]
    assert expected == (change.before, change.now, change.kind)


def test_less_than_no_growth() -> None:
    """Memory that earlier tests left and a test freed is no growth, then or now."""
    change = judged(entry(9, growth=-MIB), entry(9, growth=-3 * MIB), "growth:10%")[1]
    assert (change.before, change.now, change.allowed, change.kind) == (0, 0, 3 * MIB, "same")


@pytest.mark.parametrize(
    ("before", "now", "rule", "kind"),
    [
        pytest.param(100.0, 100.0, "leak:0", "same", id="nothing-more-allowed"),
        pytest.param(100.0, 101.0, "leak:0", "regression", id="a-byte-is-no-noise"),
        pytest.param(100.0, 99.0, "leak:0", "improvement", id="a-byte-less"),
        pytest.param(100.4, 100.0, "leak:0", "same", id="whole-bytes"),
        pytest.param(0.0, 1.0, "leak:100%", "regression", id="any-share-of-nothing"),
    ],
)
def test_leak_has_no_noise(before, now, rule, kind) -> None:
    """Bytes per call are compared to the byte."""
    change = judged(entry(5, leak=before), entry(5, leak=now), rule)[1]
    assert kind == change.kind


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param(None, 7.0, (0, 7, "new"), id="new"),
        pytest.param(7.0, None, (7, 0, "undecided"), id="not-checked"),
        pytest.param(7.0, 9.0, (7, 9, "regression"), id="both"),
    ],
)
def test_leak_has_both_numbers(before, now, expected) -> None:
    """A leak that one side has no number for is nothing there."""
    change = judged(entry(5, leak=before), entry(5, leak=now), "leak:0")[1]
    assert expected == (change.before, change.now, change.kind)


def test_imports_explain_no_leak() -> None:
    """Modules are loaded once, so they are no leak."""
    before, now = entry(5, leak=0.0), entry(5, leak=500.0, imports=50)
    assert judged(before, now, "leak:100B")[1].kind == "regression"
    before, now = entry(5, leak=500.0, imports=50), entry(5, leak=0.0)
    assert judged(before, now, "leak:100B")[1].kind == "improvement"


def test_noise_that_lets_pass_no_more_than_the_rule() -> None:
    """Noise is reported only where it let more pass than the rule."""
    text = judged(entry(100), entry(120), "peak:1%", environment=HEAP)[0].text
    assert "; peak:1% (--mem-fail-on) allows up to 101.0 MiB" in text


def test_any_rule_may_fail_it() -> None:
    """Of two rules on the peak the stricter one decides, and is named."""
    change = judged(entry(100), entry(106), "peak:10%", "peak:5MB")[0]
    assert (change.kind, change.rule.text) == ("regression", "peak:5MB")


def test_no_rule_on_the_peak() -> None:
    """Without any rule a peak is neither good nor bad."""
    change = judge_entry("t", PLACE, entry(10), entry(99), ())[0]
    assert (change.kind, change.text) == ("same", "")


@pytest.mark.parametrize("environment", [PLACE, HEAP], ids=["rss", "heap"])
def test_noise_on_record_lets_pass(environment) -> None:
    """A peak within the noise of readings that differed is no regression."""
    before = entry(100, readings=READINGS, spread=10 * MIB)
    assert kind_of(before, entry(107), "peak:1%", environment=environment) == "same"
    assert kind_of(before, entry(109), "peak:1%", environment=environment) == "regression"


def test_growth_within_three_arenas_is_noise() -> None:
    """One object that stays may hold an arena, so growth is not known better than that."""
    before = replace(entry(10), growth=-MIB // 2)
    assert noise_of_growth(before) == 3 * MIB
    assert noise_of_growth(entry(100)) == noise(entry(100), "rss")
    for grown, kind in ((3, "same"), (4, "regression")):
        now = replace(entry(10), growth=before.growth + grown * MIB)
        change = judged(before, now, "growth:10%")[-1]
        assert (change.subject, change.kind) == ("growth", kind)


def test_before_may_have_been_higher() -> None:
    """A peak in the baseline that is not exact leaves open what it may have been."""
    before = entry(10, ceiling=30 * MIB)
    assert kind_of(before, entry(12)) == "same"
    assert kind_of(before, entry(34)) == "regression"
    change = judged(before, entry(32))[0]
    assert change.kind == "undecided"
    assert change.text == (
        "peak RSS 32.0 MiB is 22.0 MiB (220%) above the baseline of 10.0 MiB, which is not "
        "exact: it may have been as high as it is now, as earlier code left slack inside "
        "the process that the kernel's mark does not show"
    )


def test_now_may_be_higher() -> None:
    """A peak that may be above the limit is not called fine."""
    change = judged(entry(10), entry(10, ceiling=30 * MIB))[0]
    assert change.kind == "undecided"
    assert "10.0 MiB or more, and may be above the 12.0 MiB that peak:10%+2MB" in change.text


def test_less_only_if_it_is_sure() -> None:
    """A peak is an improvement only if it cannot be as high as before."""
    assert kind_of(entry(100), entry(20, ceiling=100 * MIB)) == "same"
    assert kind_of(entry(100, spread=50 * MIB, readings=5), entry(60), "peak:1%") == "same"


def test_imports_explain() -> None:
    """A test that was the first to import something is not called a regression for it."""
    change = judged(entry(5), entry(25, imports=122))[0]
    assert change.kind == "undecided"
    assert change.text == (
        "peak RSS 25.0 MiB is 20.0 MiB (400%) above the baseline of 5.0 MiB, but 122 modules "
        "more than on record were imported for the first time during the call, which may be "
        "all of it"
    )


def test_one_import() -> None:
    """One module is named in the singular."""
    text = judged(entry(5), entry(15, imports=4), "peak:1%")[0].text
    assert "4 modules more than on record were imported" in text
    text = judged(entry(5, imports=3), entry(15, imports=4), "peak:1%")[0].text
    assert "1 module more than on record was imported" in text


def test_imports_do_not_explain_everything() -> None:
    """One module more does not excuse a growth that no module accounts for."""
    assert kind_of(entry(5), entry(25, imports=1)) == "regression"
    assert kind_of(entry(5), entry(300, imports=122)) == "regression"
    assert kind_of(entry(5, imports=9), entry(25, imports=9)) == "regression"


def test_cold_baseline_is_reported() -> None:
    """A baseline with the memory of imports in it is no improvement, and is reported."""
    change = judged(entry(25, imports=122), entry(5))[0]
    assert change.kind == "same"
    assert "the baseline of 25.0 MiB has the memory of modules in it (122 were" in change.text


def test_cold_baseline_is_reported_once() -> None:
    """A note about the peak is not repeated for each stage."""
    before = entry(25, imports=122, stages=(stage("load", 20),))
    changes = judged(before, entry(5, stages=(stage("load", 1),)), "stage:load:10%")
    assert [(change.kind, bool(change.text)) for change in changes] == [
        ("same", True),
        ("same", False),
    ]


def test_new() -> None:
    """A test that the baseline does not have is new."""
    change = judged(None, entry(5))[0]
    assert (change.kind, change.now) == ("new", 5 * MIB)
    assert change.text == "peak RSS 5.0 MiB, not in the baseline yet"


def test_growth() -> None:
    """The growth of a test is compared only where a rule requires it."""
    before, now = entry(20, growth=MIB), entry(20, growth=6 * MIB)
    assert [change.subject for change in judged(before, now)] == ["peak"]
    changes = judged(before, now, "growth:4MB")
    assert [(change.subject, change.kind) for change in changes] == [
        ("peak", "same"),
        ("growth", "regression"),
    ]
    assert changes[1].text.startswith(
        "growth of resident memory 6.0 MiB is 5.0 MiB (500%) above the baseline of 1.0 MiB; "
        "growth:4MB (--mem-fail-on) allows up to 5.0 MiB"
    )
    shrunk = judged(entry(20, growth=-5 * MIB), entry(20, growth=-4 * MIB), "growth:10%")
    assert shrunk[1].kind == "same"


def test_growth_is_of_resident_memory() -> None:
    """Other metrics have no growth to compare."""
    now = entry(20, growth=40 * MIB)
    assert len(judged(entry(20), now, "growth:1MB", "leak:1", environment=HEAP)) == 1


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        pytest.param([stage("load", 10)], [stage("load", 11)], "same", id="kept"),
        pytest.param([stage("load", 10)], [stage("load", 13)], "regression", id="more"),
        pytest.param([stage("load", 10)], [stage("load", 7)], "improvement", id="less"),
        pytest.param([], [stage("load", 7)], "new", id="new"),
        pytest.param([stage("load", 7)], [], "gone", id="gone"),
        pytest.param([stage("run/load", 10)], [stage("run/load", 13)], "regression", id="end"),
        pytest.param(
            [stage("load", 5, 12)], [stage("load", 13)], "undecided", id="was-not-exact"
        ),
        pytest.param(
            [stage("load", 10)], [stage("load", 5, 13)], "undecided", id="is-not-exact"
        ),
    ],
)
def test_stage(before, now, kind) -> None:
    """The stage that a rule is about is compared as the peak is."""
    changes = judged(
        entry(20, stages=(*before, stage("other", 1))),
        entry(20, stages=(*now, stage("other", 9))),
        "stage:load:10%+2MB",
    )
    assert ["same", kind] == [change.kind for change in changes]
    assert changes[1].subject == "stage"
    assert changes[1].stage in {"load", "run/load"}
    assert changes[1].text or kind == "same"


def test_every_stage() -> None:
    """A star is every stage."""
    both = (stage("a", 1), stage("b", 2))
    changes = judged(entry(9, stages=both), entry(9, stages=both), "stage:*:10%")
    assert [(change.subject, change.stage) for change in changes] == [
        ("peak", ""),
        ("stage", "a"),
        ("stage", "b"),
    ]


@pytest.mark.parametrize(
    ("before", "now", "kinds"),
    [
        pytest.param(0.0, 0.0, ["same"], id="clean"),
        pytest.param(100.0, 150.0, ["same"], id="kept"),
        pytest.param(100.0, 250.0, ["regression"], id="more"),
        pytest.param(250.0, 100.0, ["improvement"], id="less"),
        pytest.param(None, 100.0, ["new"], id="new"),
        pytest.param(100.0, None, ["undecided"], id="not-checked"),
        pytest.param(None, None, [], id="never-checked"),
    ],
)
def test_leak(before, now, kinds) -> None:
    """Bytes per call are compared where a rule asks for it and the test was checked."""
    changes = judged(entry(5, leak=before), entry(5, leak=now), "leak:100B")
    assert kinds == [change.kind for change in changes[1:]]


def test_leak_in_words() -> None:
    """A leak that grew is reported per call."""
    change = judged(entry(5, leak=100.0), entry(5, leak=250.0), "leak:100B")[1]
    assert change.text == (
        "its leak of 250 B per call is 150 B per call (150%) above the baseline of 100 B per "
        "call; leak:100B (--mem-fail-on) allows up to 200 B per call"
    )


def test_sentence() -> None:
    """A regression says baseline, now, the difference, the rule, its source and the stage."""
    before = entry(34, stages=(stage("read", 5), stage("load", 20), stage("load/parse", 18)))
    now = entry(54, stages=(stage("read", 5), stage("load", 40), stage("load/parse", 38)))
    assert judged(before, now)[0].text == (
        "peak RSS 54.0 MiB is 20.0 MiB (59%) above the baseline of 34.0 MiB; peak:10%+2MB (the "
        "default) allows up to 37.4 MiB; stage 'load/parse' grew most, from 18.0 MiB to 38.0 "
        "MiB"
    )


def test_sentence_with_noise() -> None:
    """Where noise let more pass than the rule, the sentence says so."""
    before = entry(100, readings=2, spread=2 * MIB)
    text = judged(before, entry(120), "peak:1%")[0].text
    assert "; peak:1% (--mem-fail-on) and the noise on record allow up to 104.3 MiB" in text


def test_sentence_with_a_new_stage() -> None:
    """A stage that was not there before may be the one that grew."""
    text = judged(entry(5), entry(54, stages=(stage("load", 40),)))[0].text
    assert text.endswith("; stage 'load' is new, with 40.0 MiB")


def test_lines_that_grew() -> None:
    """Lines are distinguished by function, added up, and sorted by growth."""
    before = entry(34, lines=(line("load", 10, 5), line("parse", 3, 9), line("keep", 8, 2)))
    now = entry(
        64,
        lines=(line("load", 12, 7), line("load", 8, 8), line("parse", 25, 9), line("keep", 8)),
    )
    lines = judged(before, now)[0].lines
    assert [(n.function, n.line, b.size, n.size) for b, n in lines] == [
        ("parse", 9, 3 * MIB, 25 * MIB),
        ("load", 7, 10 * MIB, 20 * MIB),
    ]


def test_lines_of_one_side() -> None:
    """Where one side does not know its lines, none is said to have grown."""
    assert judged(entry(34), entry(64, lines=(line("load", 30),)))[0].lines == ()
    assert judged(entry(34, lines=(line("load", 30),)), entry(64))[0].lines == ()


def test_a_line_that_was_not_there() -> None:
    """A line that is new has nothing before it."""
    before = entry(34, lines=(line("keep", 8),))
    ((was, now),) = judged(before, entry(64, lines=(line("load", 30),)))[0].lines
    assert (was, now.function) == (None, "load")


def test_compare() -> None:
    """Tests of both, of one and of the other are reported, by node id."""
    old = Baseline(environments={PLACE: {"b": entry(10), "c": entry(5), "d": entry(6)}})
    new = Baseline(environments={PLACE: {"b": entry(20), "a": entry(1)}})
    changes = compare(old, new, closest(), present={"d"})
    assert [(change.nodeid, change.kind) for change in changes] == [
        ("a", "new"),
        ("b", "regression"),
        ("c", "gone"),
    ]


def test_compare_in_another_place() -> None:
    """Numbers of another environment are not compared, and nothing of it is gone."""
    old = Baseline(environments={PLACE: {"a": entry(1)}})
    elsewhere = replace(PLACE, python="3.12")
    changes = compare(old, Baseline(environments={elsewhere: {"a": entry(50)}}), closest())
    assert [("a", "new", elsewhere)] == [(c.nodeid, c.kind, c.environment) for c in changes]


sizes = st.integers(0, 500 * MIB)
readings = st.builds(
    lambda peak, more, growth, imports, leak, parts: BaselineEntry(
        peak=peak,
        ceiling=peak + more if more else 0,
        growth=growth,
        imports=imports,
        leak=leak,
        stages=tuple(
            StageEntry(path=path, peak=size, delta=0) for path, size in sorted(parts.items())
        ),
    ),
    sizes,
    st.just(0) | st.integers(2 * MIB, 50 * MIB),
    st.integers(-50 * MIB, 50 * MIB),
    st.integers(0, 3),
    st.none() | st.floats(0, 1e6),
    st.dictionaries(st.sampled_from("ab"), sizes),
)
STRICT = ("peak:0%", "growth:0%", "stage:*:0%", "leak:0")


@given(st.lists(readings, min_size=1, max_size=8), st.sampled_from([PLACE, HEAP]))
def test_what_was_saved_is_no_regression(several, environment) -> None:
    """A reading that was just saved is not worse than the baseline after that."""
    stored = None
    for reading in several:
        stored = merged(stored, reading, environment.metric)
        kinds = {
            change.kind for change in judged(stored, reading, *STRICT, environment=environment)
        }
        assert "regression" not in kinds


@given(readings, readings, sizes)
def test_more_is_never_better(before, now, more) -> None:
    """A regression stays one with a higher peak, and no improvement becomes one."""
    order = ["improvement", "same", "undecided", "regression"]
    higher = replace(now, peak=now.peak + more, ceiling=now.ceiling and now.ceiling + more)
    assert order.index(kind_of(before, now)) <= order.index(kind_of(before, higher))


@given(readings, readings)
def test_weaker_rules_fail_less(before, now) -> None:
    """A regression by a weaker rule is one by a stricter rule, too."""
    if kind_of(before, now, "peak:20%+4MB") == "regression":
        assert kind_of(before, now, "peak:10%+2MB") == "regression"
        assert kind_of(before, now, "peak:0%") == "regression"
