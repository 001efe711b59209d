"""Tests of what a leak says, whole texts against the files in tests/gold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.model.leaks import (
    Diagnosis,
    Kept,
    KnownLeak,
    LeakLine,
    LeakReading,
    Rate,
    RetentionPath,
    Round,
    Signal,
    TypeGrowth,
    Verdict,
)
from pytest_memguard.model.results import Outcome
from pytest_memguard.report.leak_section import leaks_section
from pytest_memguard.report.leak_text import kept_text, leak_line, leak_text, path_text
from pytest_memguard.sizes import MIB
from tests.support.gold_files import gold

LINE = LeakLine(
    file="app/cache.py", line=17, function="put", count=48, size=3456, native=("parse", "parse")
)
OTHER_LINE = LeakLine(
    file="lib/io.py", line=4, function="read", count=16, size=512, caller="app/load.py:8"
)
TYPE = TypeGrowth(type="app.cache.Request", count=16, size=768)
PATH = RetentionPath(
    steps=("module app.cache", "_REGISTRY (dict)", "key 'req-17'", "app.cache.Request"),
    holder="app.cache._REGISTRY",
    remark="held by the value of its own weak key",
)
BLAME = Diagnosis(
    calls=16,
    lines=(LINE, OTHER_LINE),
    types=(TYPE,),
    path=PATH,
    notes=("the heap is large",),
    fingerprint="0123456789ab",
)


DESCRIPTOR = Diagnosis(
    calls=16,
    lines=(
        LeakLine(
            file="app/io.py",
            line=4,
            function="read",
            count=0,
            size=0,
            left=(("open files", 32), ("app.io.OPENED", 16)),
        ),
    ),
)


def rate(signal: Signal, per_call: float, spread: float = 0.0) -> Rate:
    """A rate with its interval."""
    low, high = per_call - spread, per_call + spread
    return Rate(signal=signal, per_call=per_call, low=low, high=high)


def leaking(*rates: Rate, diagnosis: Diagnosis | None = None, rounds: int = 2) -> LeakReading:
    """A leak with these rates, the same in every round."""
    series = tuple(
        Round(calls=3, growth=tuple((r.signal, round(3 * r.per_call)) for r in rates))
        for _ in range(rounds)
    )
    verdict = Verdict(state="leaking", calls=24, rates=rates, rounds=series)
    return LeakReading(verdict=verdict, diagnosis=diagnosis, calls=40, seconds=0.25)


LEAK = leaking(rate("blocks", 3, 0.1), rate("C heap", 96.0), diagnosis=BLAME)


@pytest.mark.parametrize(
    ("reading", "line"),
    [
        pytest.param(
            LEAK,
            "keeps 3 blocks, 248 bytes per call, in each of 24 calls; "
            "held by app.cache._REGISTRY (leaking)",
            id="blocks",
        ),
        pytest.param(
            leaking(rate("blocks", 1)),
            "keeps 1 block per call, in each of 24 calls (leaking)",
            id="one",
        ),
        pytest.param(
            leaking(rate("blocks", 1 / 3)),
            "keeps 0.333 blocks per call, measured over 24 calls (leaking)",
            id="every-third",
        ),
        pytest.param(
            replace(
                leaking(rate("C heap", 32)),
                verdict=replace(leaking(rate("C heap", 32)).verdict, reason="rising"),
            ),
            "keeps 32 bytes per call, rising over 24 calls (leaking)",
            id="rising",
        ),
        pytest.param(
            leaking(
                rate("C heap", 32),
                diagnosis=Diagnosis(
                    calls=16, lines=(replace(LINE, file="cache.py", function=""),)
                ),
            ),
            "keeps 216 bytes per call, in each of 24 calls; allocated at cache.py:17 (leaking)",
            id="without-source",
        ),
        pytest.param(
            leaking(rate("blocks", 1234.5)),
            "keeps 1,234 blocks per call, in each of 24 calls (leaking)",
            id="many",
        ),
        pytest.param(
            leaking(rate("C heap", 32)),
            "keeps 32 bytes per call, in each of 24 calls (leaking)",
            id="c-heap",
        ),
        pytest.param(
            leaking(rate("USS", 3 * MIB)),
            "keeps 3.0 MiB per call, in each of 24 calls (leaking)",
            id="pages",
        ),
        pytest.param(
            leaking(rate("open files", 2), rate("child processes", 1)),
            "keeps 2 open files, 1 child process per call, in each of 24 calls (leaking)",
            id="resources",
        ),
        pytest.param(
            leaking(rate("child processes", 2), rate("Python threads", 3)),
            "keeps 2 child processes, 3 Python threads per call, in each of 24 calls (leaking)",
            id="plurals",
        ),
        pytest.param(
            leaking(rate("blocks", 1), diagnosis=replace(BLAME, path=None)),
            "keeps 1 block, 248 bytes per call, in each of 24 calls; "
            "allocated by put, app/cache.py:17 (leaking)",
            id="no-holder",
        ),
        pytest.param(
            leaking(rate("open files", 2), diagnosis=DESCRIPTOR),
            "keeps 2 open files per call, in each of 24 calls; "
            "left by read, app/io.py:4 (leaking)",
            id="no-allocation",
        ),
        pytest.param(
            leaking(rate("asyncio tasks", 1), diagnosis=Diagnosis(calls=0)),
            "keeps 1 asyncio task per call, in each of 24 calls (leaking)",
            id="nothing-known",
        ),
        pytest.param(
            LeakReading(verdict=Verdict(state="undecided", calls=5, reason="it went wrong")),
            "undecided after 5 calls: it went wrong (undecided)",
            id="undecided",
        ),
        pytest.param(
            LeakReading(verdict=Verdict(state="clean", calls=6)),
            "clean after 6 calls (clean)",
            id="clean",
        ),
    ],
)
def test_one_line(reading, line) -> None:
    """The line has the verdict, what is kept, how sure that is and what holds it."""
    assert leak_line(reading) == line


NATIVE = Diagnosis(
    calls=16,
    lines=(
        LeakLine(file="<no Python frame>", line=0, function="native code", count=16, size=1),
    ),
)


@pytest.mark.parametrize(
    ("per_call", "margin", "shown"),
    [
        pytest.param(47.9, 0.2, "48 blocks", id="may-be-whole"),
        pytest.param(6.01, 0.02, "6 blocks", id="nearly"),
        pytest.param(47.9, 0.05, "47.9 blocks", id="is-not-whole"),
        pytest.param(1.4, 0.6, "1.4 blocks", id="too-uncertain"),
        pytest.param(0.1, 0.2, "0.1 blocks", id="less-than-one"),
    ],
)
def test_whole_numbers(per_call, margin, shown):
    """A number whose interval has a whole one near it reads as that."""
    low, high = per_call - margin, per_call + margin
    assert kept_text(Rate(signal="blocks", per_call=per_call, low=low, high=high)) == shown


def test_more_lines():
    """Lines that are not listed are counted where those listed leave something unexplained."""
    diagnosis = replace(BLAME, per_call=9_000.0, more_lines=7)
    text = leak_text(leaking(rate("blocks", 3), diagnosis=diagnosis))
    assert "The 2 largest of 9 lines account for " in text


def test_new_globals():
    """A module that gets more globals is no holder that could be emptied by its name alone."""
    path = RetentionPath(
        steps=("module app.cache", "made_3"), holder="app.cache", of_globals=True
    )
    text = leak_line(leaking(rate("blocks", 3), diagnosis=replace(BLAME, path=path)))
    assert text.endswith("; held by globals of app.cache (leaking)")


def test_pool():
    """Memory that may have been handed on has the C function that had it, and no line."""
    reading = leaking(rate("C heap", 32), diagnosis=replace(BLAME, path=None, pool="get"))
    headline, *_ = leak_text(reading).splitlines()
    assert headline.endswith("; allocated by C function get (leaking)")
    assert "a line here may keep nothing" in leak_text(reading)


@pytest.mark.parametrize(
    ("name", "reading"),
    [
        pytest.param("leak", LEAK, id="all"),
        pytest.param("leak_long", leaking(rate("USS", 8192.0), rounds=11), id="many-rounds"),
        pytest.param(
            "leak_native", leaking(rate("C heap", 32, 1.5), diagnosis=NATIVE), id="native"
        ),
        pytest.param(
            "leak_descriptor",
            leaking(rate("open files", 2), diagnosis=DESCRIPTOR),
            id="descriptor",
        ),
        pytest.param(
            "leak_unexplained",
            leaking(
                rate("open files", 1),
                diagnosis=Diagnosis(calls=0, notes=("a call failed",)),
                rounds=0,
            ),
            id="unexplained",
        ),
    ],
)
def test_text(name, reading) -> None:
    """The whole text of a failure."""
    assert leak_text(reading) == gold(name)


@pytest.mark.parametrize(
    ("signal", "count", "text"),
    [
        ("C heap", 16, "the memory is native"),
        ("C heap", 1, "text, bytes or numbers inside of something"),
        ("C heap", 0, "text, bytes or numbers inside of something"),
        ("C heap", None, "text, bytes or numbers inside of something"),
        ("blocks", 16, "text, bytes or numbers inside of something"),
        ("open files", 0, "No Python object holds it."),
    ],
)
def test_held_by_no_object(signal, count, text) -> None:
    """Where no holder was found, a leak is native only if Python's blocks do not grow."""
    line = LeakLine(file="app.py", line=4, function="f", count=count or 0, size=800)
    lines = () if count is None else (line,)
    reading = leaking(rate(signal, 2), diagnosis=Diagnosis(calls=16, lines=lines))
    assert text in leak_text(reading)


def test_a_leak_that_was_explained() -> None:
    """The second test that shows a leak says where it is explained, and no more."""
    text = leak_text(LEAK, {"0123456789ab": "tests/test_a.py::test_first"})
    assert text == (
        f"{leak_line(LEAK)}\n\nThis leak is explained under tests/test_a.py::test_first."
    )


def test_several_leaks() -> None:
    """Each leak has a text of its own; one that is accepted has a line."""
    other = leaking(rate("open files", 1), diagnosis=replace(DESCRIPTOR, fingerprint="fedcba"))
    text = leak_text(replace(LEAK, more=(other, replace(other, accepted="known leak"))))
    first, *rest = text.split("\n\n")
    assert first.startswith("3 leaks: keeps 3 blocks, ")
    assert first.endswith("(leaking)")
    assert "Open files" in rest[0]
    titles = [part for part in rest if part.startswith("Leak ")]
    assert titles[0] == f"Leak 1 of 3: {leak_line(LEAK)}"
    assert titles[2] == f"Leak 3 of 3: {leak_line(other)}; known leak"
    assert text.count("Fingerprint") == 2


def test_several_leaks_of_one_line() -> None:
    """What tells them apart stands in the headline."""
    first = replace(BLAME, path=None, lines=(LINE,))
    second = replace(first, lines=(replace(LINE, native=()),), types=(), fingerprint="fedcba")
    one, other = (leaking(rate("blocks", 3), diagnosis=each) for each in (first, second))
    headline = leak_text(replace(one, more=(other,))).partition("\n")[0]
    assert (
        "; allocated by put, app/cache.py:17 (parse, app.cache.Request, 0123456789ab); k"
        in (headline)
    )
    assert headline.endswith("; allocated by put, app/cache.py:17 (fedcba) (leaking)")


def test_what_a_plugin_keeps_is_reported_once() -> None:
    """The section has a line for each owner, with the most of any test."""
    kept = [
        Kept(owner="plugin syrupy", holder="syrupy.kept", rates=(("blocks", blocks),))
        for blocks in (2.0, 16.0)
    ]
    outcomes = [
        outcome("a", leak=LeakReading(verdict=Verdict(state="clean", calls=8), kept=(one,)))
        for one in kept
    ]
    lines = leaks_section(outcomes, {})
    expected = "kept by plugin syrupy: 16 blocks per call, not counted (up to that in 2 tests)"
    assert expected in lines


def test_path() -> None:
    """A path reads from the root to the object that survived, with the remark at its end."""
    assert path_text(PATH) == (
        "Held by: module app.cache -> _REGISTRY (dict) -> key 'req-17' -> app.cache.Request\n"
        "(held by the value of its own weak key)"
    )
    assert "\n" not in path_text(replace(PATH, remark=""))


def outcome(
    name: str,
    state: str = "clean",
    reason: str = "",
    rounds: tuple[Round, ...] = (),
    **more: object,
) -> Outcome:
    """A test with a verdict."""
    verdict = Verdict(state=state, calls=6, reason=reason, rounds=rounds)  # type: ignore[arg-type]
    values: dict[str, object] = {
        "leak": LeakReading(verdict=verdict, calls=1000, seconds=0.5),
        **more,
    }
    return Outcome(nodeid=f"test_a.py::{name}", **values)  # type: ignore[arg-type]


KNOWN = {
    "0123456789ab": KnownLeak(fingerprint="0123456789ab", holder="app.cache._REGISTRY"),
    "ffffffffffff": KnownLeak(
        fingerprint="ffffffffffff", holder="app.gone", tests=("test_a.py::test_clean",)
    ),
}
ALL = (
    outcome("test_clean"),
    outcome(
        "test_settling",
        "settling",
        "C heap grew by 97.7 KiB at first, and no more after 30 calls",
        (Round(calls=30, growth=(("C heap", 100_000),)),),
    ),
    outcome("test_small", "settling", "blocks grew by 18 at first, and no more after 6 calls"),
    outcome("test_undecided", "undecided", "5 calls are too few to tell"),
    outcome("test_leak", leak=LEAK),
    outcome("test_same_leak", leak=LEAK),
    outcome("test_accepted", leak=replace(LEAK, accepted="known leak 0123456789ab")),
    outcome("test_alone", leak=leaking(rate("blocks", 2))),
    outcome("test_left_out", leak=None, leak_skipped="odd"),
    outcome("test_not_checked", leak=None),
)


def test_section() -> None:
    """Counts, leaks with their tests, what is not certain, what was left out, what is gone."""
    assert "\n".join(leaks_section(ALL, KNOWN)) == gold("leaks_section")


def test_no_section_where_nothing_was_checked() -> None:
    """Tests without a check have no section, whatever is known."""
    assert leaks_section((outcome("test_it", leak=None),), KNOWN) == []
    assert leaks_section((), KNOWN) == []


def test_one_test() -> None:
    """A single test is counted as one."""
    line, *_ = leaks_section((outcome("test_it"),), {})
    assert line == "1 test checked for leaks: 1 clean, 0 leaking; 1,000 calls in 0.5 s"


def test_left_out_alone() -> None:
    """A run in which every test is left out says so."""
    lines = leaks_section((outcome("test_it", leak=None, leak_skipped="odd"),), {})
    assert lines[1:] == ["left out: test_a.py::test_it: odd"]


@pytest.mark.parametrize("state", ["settling", "undecided"])
def test_many(state) -> None:
    """Twenty lines of a kind are enough."""
    grew = (Round(calls=9, growth=(("blocks", 5000),)),)
    tests = [outcome(f"test_{n}", state, "so", grew) for n in range(25)]
    lines = leaks_section(tests, {})
    assert len(lines) == 1 + 20 + 1
    assert lines[-1] == f"... and 5 more {state}"


def test_small_growth_is_counted() -> None:
    """Tests that grew a little and stopped have no lines of their own, but one number."""
    small = (Round(calls=9, growth=(("blocks", 999), ("C heap", 65_535))),)
    large = (Round(calls=9, growth=(("blocks", 0), ("C heap", 65_536))),)
    files = (Round(calls=9, growth=(("open files", 8),)),)
    tests = [
        outcome("test_a", "settling", "so", small),
        outcome("test_b", "settling", "so", large),
        outcome("test_c", "settling", "so", files),
        outcome("test_d", "settling", "so", small),
    ]
    assert leaks_section(tests, {})[1:] == [
        "settling: test_a.py::test_b: so",
        "settling: test_a.py::test_c: so",
        (
            "settling: 2 tests grew by less than 1,000 blocks, C heap 64.0 KiB, USS 1.0 MiB, "
            "then no more"
        ),
    ]
    assert leaks_section(tests[:1], {})[1].startswith("settling: 1 test grew by less than ")


def test_a_filling_cache_is_reported() -> None:
    """A cache that is filling has a line with its limit, however little it grew."""
    path = RetentionPath(steps=("app.cached",), bounded="functools.lru_cache(maxsize=9)")
    leak = LeakReading(
        verdict=Verdict(state="settling", calls=9, reason="a cache is filling"),
        diagnosis=Diagnosis(calls=16, path=path),
    )
    lines = leaks_section([outcome("test_it", leak=leak)], {})
    assert lines[1:] == ["settling: test_a.py::test_it: a cache is filling"]


def test_what_clean_rests_on() -> None:
    """The calls in which nothing grew are reported, since fewer calls show less."""
    tests = [
        outcome(f"test_{n}", leak=LeakReading(verdict=Verdict(state="clean", calls=calls)))
        for n, calls in enumerate((8, 57, 12, 1))  # one was not checked for itself
    ]
    more = "growth in one of many calls takes more (mem_leak_check(calls=...))"
    assert leaks_section(tests, {})[1:] == [f"clean: nothing grew in 8 to 57 calls; {more}"]
    assert leaks_section(tests[:1], {})[1:] == [f"clean: nothing grew in 8 calls; {more}"]
    assert leaks_section(tests[3:], {})[1:] == []


def test_many_with_one_leak() -> None:
    """A leak that floods a suite is reported once, with twenty of its tests."""
    lines = leaks_section([outcome(f"test_{n}", leak=LEAK) for n in range(25)], {})
    assert lines[1].startswith("leaking: 0123456789ab, 25 tests: keeps 3 blocks")
    assert len(lines) == 2 + 20 + 1
    assert lines[-1] == "  ... and 5 more"


def test_tests_with_and_without_acceptance() -> None:
    """Where one leak is accepted in some tests alone, the reason stands behind these."""
    accepted = replace(LEAK, accepted="within the tolerance")
    lines = leaks_section((outcome("test_a", leak=LEAK), outcome("test_b", leak=accepted)), {})
    assert lines[2:] == ["  test_a.py::test_a", "  test_a.py::test_b: within the tolerance"]
    lines = leaks_section((outcome("test_b", leak=accepted),), {})
    assert lines[1].endswith("(leaking); within the tolerance")


@pytest.mark.parametrize(
    ("signal", "of_python", "text"),
    [
        pytest.param("blocks", 16, "Of these blocks, 2 per call are C code's own", id="some"),
        pytest.param("blocks", 48, "", id="none"),
        pytest.param("C heap", 16, "", id="blocks-do-not-grow"),
    ],
)
def test_blocks_that_python_does_not_count(signal, of_python, text) -> None:
    """Lines with more blocks than the headline say which of them Python does not count."""
    line = replace(LINE, count=48, of_python=of_python)
    diagnosis = Diagnosis(calls=16, lines=(line,))
    said = leak_text(leaking(rate(signal, 1), diagnosis=diagnosis), "")
    assert text in said
    assert ("Of these blocks" in said) == bool(text)


@pytest.mark.parametrize(
    ("per_call", "text"),
    [
        (None, ""),
        (216.0, ""),
        (269.0, ""),
        (432.0, "The lines account for 216 of 432 bytes per call."),
        (25_600.0, "The lines account for 216 B of 25.0 KiB per call."),
    ],
)
def test_what_lines_do_not_account_for(per_call, text) -> None:
    """The difference is reported where it is more than allocators round up."""
    diagnosis = Diagnosis(calls=16, lines=(LINE,), per_call=per_call)
    said = leak_text(leaking(rate("blocks", 3), diagnosis=diagnosis), "")
    assert text in said
    assert ("The lines account for" in said) == bool(text)


def test_what_a_known_leak_is_called_now() -> None:
    """A leak that was not seen may be one with another name, as its tests show."""
    diagnosis = Diagnosis(calls=16, lines=(LINE,), fingerprint="new0new0new0")
    reading = leaking(rate("blocks", 3), diagnosis=diagnosis)
    shown = replace(outcome("test_a", "leaking"), leak=reading)
    known = KnownLeak(fingerprint="old0old0old0", holder="app.X", tests=(shown.nodeid,))
    lines = leaks_section([shown], {"old0old0old0": known})
    said = "known, but not seen in this run: old0old0old0 (app.X)"
    assert lines[-1] == f"{said}; its tests show new0new0new0 now"
    clean = replace(outcome("test_a"), nodeid=shown.nodeid)
    assert leaks_section([clean], {"old0old0old0": known})[-1] == said


@pytest.mark.parametrize("calls", [0, 16])
def test_a_holder_that_there_was_no_time_for(calls) -> None:
    """It is said, whatever else is known."""
    diagnosis = Diagnosis(calls=calls, types=(TYPE,) if calls else (), is_cut_short=True)
    text = leak_text(leaking(rate("blocks", 1.0), diagnosis=diagnosis))
    assert "What holds it was not found in the time there was." in text
