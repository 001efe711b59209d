"""Tests of what lets a leak pass: tolerance, patterns, leaks accepted before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.judge.accepted_leaks import (
    accepted_by,
    matches,
    with_acceptance,
    within_tolerance,
)
from pytest_memguard.model.leaks import KnownLeak, LeakReading, Rate, Signal
from tests.support.sample_values import LEAK

BLAME = LEAK.diagnosis
assert BLAME is not None


def leaking(*signals: Signal, per_call: float = 3.0) -> LeakReading:
    """A reading without a cause in which these signals grow."""
    rates = tuple(Rate(signal=s, per_call=per_call, low=2.9, high=3.1) for s in signals)
    return replace(LEAK, verdict=replace(LEAK.verdict, rates=rates), diagnosis=None)


@pytest.mark.parametrize(
    ("reading", "tolerance", "within"),
    [
        pytest.param(LEAK, 216, True, id="its-very-size"),
        pytest.param(LEAK, 1000, True, id="more"),
        pytest.param(LEAK, 215, False, id="a-byte-less"),
        pytest.param(LEAK, 0, False, id="none"),
        pytest.param(leaking("C heap", per_call=32.0), 32, True, id="c-heap"),
        pytest.param(leaking("C heap", per_call=32.0), 31, False, id="c-heap-less"),
        pytest.param(leaking("USS", per_call=4096.0), 5000, True, id="pages"),
        pytest.param(leaking("blocks"), 5000, False, id="blocks-of-unknown-size"),
        pytest.param(leaking("C heap", "open files"), 5000, False, id="files"),
        pytest.param(leaking("C heap", "native threads"), 5000, False, id="threads"),
    ],
)
def test_tolerance(reading, tolerance, within) -> None:
    """A tolerance in bytes lets bytes pass, but no other resources."""
    assert bool(within_tolerance(reading, tolerance)) == within


def test_the_reason_has_the_tolerance() -> None:
    """The reason has both sizes."""
    assert within_tolerance(LEAK, 2048) == "216 B per call is within the tolerance of 2.0 KiB"


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("put", True),
        ("pu?", True),
        ("app/cache.py", True),
        ("cache.py", True),
        ("*/cache.py", True),
        ("app.cache", True),
        ("cache", True),
        ("app.*", True),
        ("app.cache.Request", True),
        ("*.Request", True),
        ("app.cache._REGISTRY", True),
        ("Request", False),
        ("app", False),
        ("PUT", False),
        ("ache", False),
        ("", False),
        ("other.py", False),
    ],
)
def test_patterns(pattern, fits) -> None:
    """A pattern fits a whole name: of function, file, module, type or holder."""
    assert matches(pattern, BLAME) == fits


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        pytest.param("app.cache._REGISTRY", True, id="whole"),
        pytest.param("app.cache", True, id="what-it-is-in"),
        pytest.param("_REGISTRY", False, id="its-own-name"),
        pytest.param(".", False, id="no-name"),
    ],
)
def test_patterns_for_the_holder(pattern, fits) -> None:
    """A holder is known by its whole name, and by that of what it is in."""
    assert fits is matches(pattern, replace(BLAME, lines=(), types=()))


def test_only_what_grows_most_counts() -> None:
    """Lines and types further down are not matched."""
    line, growth = BLAME.lines[0], BLAME.types[0]
    diagnosis = replace(
        BLAME,
        path=None,
        lines=(replace(line, file="first.py", function="first"), line),
        types=(replace(growth, type="first.Type"), growth),
    )
    assert matches("first", diagnosis)
    assert matches("first.Type", diagnosis)
    assert not matches("put", diagnosis)
    assert not matches("app.cache.Request", diagnosis)


def test_paths_of_windows() -> None:
    """A path with backslashes is matched with slashes."""
    line = replace(BLAME.lines[0], file="app\\sub\\cache.py")
    diagnosis = replace(BLAME, path=None, types=(), lines=(line,))
    assert matches("app/sub/*", diagnosis)
    assert matches("sub.cache", diagnosis)


def test_nothing_known_fits_nothing() -> None:
    """No pattern matches a cause without names, not even a star."""
    assert not matches("*", replace(BLAME, path=None, types=(), lines=()))


KNOWN = {"0123456789ab": KnownLeak(fingerprint="0123456789ab")}


@pytest.mark.parametrize(
    ("marker", "ini", "known", "expected"),
    [
        pytest.param((), (), {}, "", id="nothing-accepts-it"),
        pytest.param(("x", "put"), (), {}, "the marker's ignore has the pattern 'put'", id="m"),
        pytest.param((), ("x", "put"), {}, "mem_leak_ignore has the pattern 'put'", id="ini"),
        pytest.param((), (), KNOWN, "known leak 0123456789ab (.memguard/leaks.json)", id="k"),
        pytest.param(
            ("put",), ("put",), KNOWN, "the marker's ignore has the pattern 'put'", id="all"
        ),
        pytest.param((), (), {"x": KNOWN["0123456789ab"]}, "", id="other"),
    ],
)
def test_accepted(marker, ini, known, expected) -> None:
    """The reason says what lets the leak pass; the marker goes first."""
    assert accepted_by(LEAK, marker, ini, known) == expected


def test_without_blame_nothing_is_accepted() -> None:
    """A leak that was not diagnosed is neither known nor ignored."""
    assert accepted_by(replace(LEAK, diagnosis=None), ("*",), ("*",), KNOWN) == ""


def test_without_fingerprint_nothing_is_known() -> None:
    """A leak without a name is no known leak."""
    nameless = replace(LEAK, diagnosis=replace(BLAME, fingerprint=""))
    assert accepted_by(nameless, (), (), {"": KnownLeak(fingerprint="")}) == ""


@pytest.mark.parametrize(
    ("nodeid", "tests", "accepted"),
    [
        pytest.param("test_a", ("test_a", "test_b"), True, id="one-of-its-tests"),
        pytest.param("test_c", ("test_a", "test_b"), False, id="another-test"),
        pytest.param("test_a", (), False, id="no-tests"),
    ],
)
def test_a_former_name(nodeid, tests, accepted) -> None:
    """A former name may have been that of several leaks, so it counts only for its tests."""
    reading = replace(LEAK, diagnosis=replace(BLAME, earlier_fingerprint="old0old0old0"))
    known = {"old0old0old0": KnownLeak(fingerprint="old0old0old0", tests=tests)}
    reason = accepted_by(reading, (), (), known, nodeid)
    expected = (
        "known leak old0old0old0 (.memguard/leaks.json), which is called 0123456789ab now"
    )
    assert reason == expected * accepted


def test_patterns_for_threads() -> None:
    """A pattern for all threads, or the module, fits a leak of threads of one kind."""
    assert BLAME.path is not None
    path = replace(BLAME.path, holder="threading._active, thread app.Poller")
    diagnosis = replace(BLAME, path=path, lines=(), types=())
    for pattern in ("threading", "threading._active", "*, thread app.Poller"):
        assert matches(pattern, diagnosis)
    assert not matches("app.Poller", diagnosis)


OTHER = replace(
    leaking("open files", per_call=1.0),
    diagnosis=replace(BLAME, fingerprint="other", path=None, lines=(), types=()),
)
TWO = replace(LEAK, more=(OTHER,))


@pytest.mark.parametrize(
    ("known", "tolerance", "otherwise", "fails"),
    [
        pytest.param((), 0, "", True, id="neither"),
        pytest.param((BLAME.fingerprint,), 0, "", True, id="the-first"),
        pytest.param(("other",), 0, "", True, id="the-second"),
        pytest.param((BLAME.fingerprint, "other"), 0, "", False, id="both"),
        pytest.param(("other",), 5000, "", False, id="tolerated-and-known"),
        pytest.param((), 5000, "", True, id="no-tolerance-for-files"),
        pytest.param((), 0, "accepted in this run", False, id="all-now"),
    ],
)
def test_each_leak_of_a_test_by_itself(known, tolerance, otherwise, fails) -> None:
    """A test passes only if every one of its leaks is accepted."""
    reading = with_acceptance(
        TWO,
        tolerance=tolerance,
        marker=(),
        ini=(),
        known={name: KnownLeak(fingerprint=name) for name in known},
        otherwise=otherwise,
    )
    assert reading.fails == fails


def test_several_leaks_are_tolerated_together() -> None:
    """The tolerance is for what a call leaves behind in all."""
    twice = replace(LEAK, more=(LEAK,))
    accepting = {"marker": (), "ini": (), "known": {}}
    assert with_acceptance(twice, tolerance=431, **accepting).fails
    assert not with_acceptance(twice, tolerance=432, **accepting).fails
