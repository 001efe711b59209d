"""Tests of calls under an instrument that takes long."""

from __future__ import annotations

import pytest

from pytest_memguard.recording.calls import (
    LEAST,
    CallFailed,
    OutOfTime,
    TimedCall,
    in_time,
    make_calls,
)


@pytest.mark.parametrize(
    ("seconds", "made"),
    [
        pytest.param(0.0, 20, id="no-time-at-all"),
        pytest.param(0.1, 10, id="until-the-time-is-over"),
        pytest.param(9.0, LEAST, id="as-many-as-it-takes"),
    ],
)
def test_how_many(clock, seconds, made) -> None:
    """Calls are made for a second, but so many as an explanation takes in any case."""
    assert made_of(lambda: clock.advance(seconds)) == made


def made_of(call) -> int:
    """How many of twenty calls are made in a second."""
    calls = []

    def counted() -> None:
        calls.append(None)
        call()

    made = make_calls(counted, 20, 1.0)
    assert made == len(calls)
    return made


@pytest.mark.parametrize("seconds", [9.0, 3.0])
def test_too_little_time_for_all_calls(clock, seconds) -> None:
    """A few calls are enough if there is no time for more; two are not."""
    calls = TimedCall(lambda: clock.advance(3.0), seconds)
    if seconds < 9.0:
        with pytest.raises(OutOfTime):
            make_calls(calls, 20, 60.0)
    else:
        assert make_calls(calls, 20, 60.0) == 3


def test_fewer_calls_in_parts(clock) -> None:
    """Where calls are made in parts, each needs fewer."""
    assert make_calls(lambda: clock.advance(9.0), 20, 1.0, 2) == 2


def test_time_of_all_explanations(clock) -> None:
    """Time between the calls does not count, and the last one may take longer."""
    call = TimedCall(lambda: clock.advance(3.0), 10.0)
    for _ in range(4):
        call()
        clock.advance(60.0)
    with pytest.raises(OutOfTime, match="4 calls under the instruments took 12 s"):
        call()


def test_a_call_that_fails(clock) -> None:
    """A failed call counts with its time, and its error is passed on."""

    def fail() -> None:
        clock.advance(7.0)
        raise CallFailed

    call = TimedCall(fail, 10.0)
    for _ in range(2):
        with pytest.raises(CallFailed):
            call()
    with pytest.raises(OutOfTime):
        call()


def test_what_is_known_if_there_is_no_time(clock) -> None:
    """A step that needs more calls than there is time for adds nothing."""
    call = TimedCall(lambda: clock.advance(3.0), 10.0)

    def step() -> str:
        for _ in range(3):
            call()
        return "more"

    assert [in_time(step, "known") for _ in range(2)] == ["more", "known"]
