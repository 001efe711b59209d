"""Tests of explaining a leak: what is not sure at first is measured again."""

from __future__ import annotations

import gc
import time
from dataclasses import replace

import pytest

from pytest_memguard.attribution.growth import GrowthFound
from pytest_memguard.model.leaks import Rate, RetentionPath, TypeGrowth, Verdict
from pytest_memguard.recording import diagnosis
from pytest_memguard.recording.calls import TimedCall
from tests.support.fresh_process import fresh
from tests.unit.attribution.leaking import NAME, module

RING = "Q = collections.deque([[n] for n in range(99)], maxlen=99)\n"


def _explained(source: str) -> tuple[str, str, bool, bool]:
    """Holder, its bound, whether more calls feed what grows, and whether the heap is frozen."""
    rate = Rate(signal="blocks", per_call=1.0, low=1.0, high=1.0)
    verdict = Verdict(state="leaking", calls=30, rates=(rate,))
    with module(source) as made:
        for _ in range(3):
            made.leak()
        gc.collect()
        gc.freeze()
        result, growing_container = diagnosis.diagnose(
            made.leak, verdict, gc.collect, fork=False
        )
        fed = (
            growing_container is not None
            and growing_container.fed_by(made.leak, gc.collect) > 0
        )
        frozen = gc.get_freeze_count() > 0
    return result.path.holder, result.path.bounded, fed, frozen


@pytest.mark.parametrize(
    ("source", "holder"),
    [
        pytest.param("L = []\ndef leak(): L.append(Request())", "L", id="objects"),
        pytest.param("L = []\ndef leak(): L.append(b'x' * len(L))", "L", id="bytes"),
        pytest.param(
            f"{RING}L = []\ndef leak():\n  Q.append([1])\n  L.append(b'x' * len(L))",
            "L",
            id="beside-a-ring-that-is-full",
        ),
    ],
)
def test_what_grows_is_found(source, holder):
    """The holder is what grows, not what gets new objects in the place of others."""
    assert fresh(_explained, source) == (f"{NAME}.{holder}", "", True, True)


def test_a_cache_that_fills_meanwhile():
    """A bounded cache is known as one, though it is soon full."""
    source = "Q = collections.deque(maxlen=26)\ndef leak(): Q.append([1])"
    assert "maxlen=26" in fresh(_explained, source)[1]


def _begun_within(seconds: float) -> tuple[int, list[str], str]:
    """Calls that explain a slow leak, what is begun besides, and the holder."""
    rate = Rate(signal="blocks", per_call=1.0, low=1.0, high=1.0)
    verdict = Verdict(state="leaking", calls=30, rates=(rate,))
    calls, begun = [], []
    traced_again, searched_further = diagnosis.traced_again, diagnosis.searched_further
    with module("L = []\ndef leak(): L.append(Request())") as made:

        def call() -> None:
            calls.append(None)
            time.sleep(0.01)
            made.leak()

        diagnosis.traced_again = lambda *a: begun.append("traced again") or traced_again(*a)
        diagnosis.searched_further = lambda *a, **k: (
            begun.append("closer") or searched_further(*a, **k)
        )
        gc.collect()
        gc.freeze()
        result, _ = diagnosis.diagnose(call, verdict, gc.collect, fork=False, seconds=seconds)
    return len(calls), begun, result.path.holder


def test_little_time_is_enough_for_the_holder():
    """When its time is over, the explanation begins nothing that only adds details."""
    many, all_of_it, holder = fresh(_begun_within, 60.0)
    few, nothing, same = fresh(_begun_within, 0.0)
    assert (all_of_it, nothing) == (["traced again", "closer"], [])
    assert few < many
    assert holder == same == f"{NAME}.L"


def _out_of_time() -> tuple[str, list[str], bool]:
    """Holder and lines of a leak with time for four calls, and whether it has a name."""
    rate = Rate(signal="blocks", per_call=2.0, low=2.0, high=2.0)
    verdict = Verdict(state="leaking", calls=30, rates=(rate,))
    with module("L = []\ndef leak():\n  L.append([[]])") as made:
        call = TimedCall(lambda: (time.sleep(0.1), made.leak()), 0.45)
        gc.collect()
        gc.freeze()
        result, _ = diagnosis.diagnose(call, verdict, gc.collect, fork=False, seconds=2.0)
    return (
        result.path.holder,
        [line.function for line in result.lines],
        bool(result.fingerprint),
    )


def test_calls_that_the_time_is_not_enough_for():
    """What the few calls have shown is told if there is no time for as many as it takes."""
    assert fresh(_out_of_time) == (f"{NAME}.L", ["leak"], True)


def _few_calls() -> tuple[int, str]:
    """The few calls that explain a leak whose calls take long, and the holder."""
    rate = Rate(signal="blocks", per_call=1.0, low=1.0, high=1.0)
    verdict = Verdict(state="leaking", calls=30, rates=(rate,))
    ring = "Q = collections.deque(([n] for n in range(99)), maxlen=99)\n"
    calls = []
    with module(
        f"{ring}L = []\ndef leak():\n  for _ in range(30): Q.append([1])\n  L.append([])"
    ) as made:

        def call() -> None:
            calls.append(None)
            time.sleep(0.3)
            made.leak()

        gc.collect()
        gc.freeze()
        result, _ = diagnosis.diagnose(call, verdict, gc.collect, fork=False, seconds=0.0)
    return len(calls), result.path.holder


def test_a_slow_leak_beside_what_is_replaced():
    """There is no time for further calls, so all containers are measured in the first."""
    calls, holder = fresh(_few_calls)
    assert calls < 10
    assert holder == f"{NAME}.L"


def _old_lists() -> list[tuple[str, int, int]]:
    """Function, blocks and bytes per call of the lines of a slow leak in many old lists."""
    rate = Rate(signal="blocks", per_call=1.0, low=1.0, high=1.0)
    verdict = Verdict(state="leaking", calls=30, rates=(rate,))
    source = """LISTS = [[None] * 99 for _ in range(500)]
def add(one, new): one.extend([new] * 20)
def leak():
  new = Request()
  for one in LISTS: add(one, new)"""
    with module(source) as made:

        def call() -> None:
            time.sleep(0.3)
            made.leak()

        gc.collect()
        gc.freeze()
        told, _ = diagnosis.diagnose(call, verdict, gc.collect, fork=False, seconds=0.0)
    return [(x.function, x.count // told.calls, x.size // told.calls) for x in told.lines]


def test_old_lists_of_a_slow_leak() -> None:
    """Without time for a trace, the line that adds to them has what was added."""
    (function, blocks, size), *_ = fresh(_old_lists)
    assert (function, blocks) == ("add", 0)
    assert 500 * 20 * 8 <= size < 1.3 * 500 * 20 * 8


PATH = RetentionPath(steps=("module sys", "path (list)"), holder="sys.path")
OBJECTS = (TypeGrowth(type="app.Node", count=16, size=900),)


@pytest.mark.parametrize(
    ("found", "blocks", "stays"),
    [
        pytest.param(GrowthFound(path=PATH, types=OBJECTS, gained=16), 3, True, id="evident"),
        pytest.param(
            GrowthFound(path=PATH, types=OBJECTS, gained=16, reached=0.1),
            3,
            False,
            id="another",
        ),
        pytest.param(GrowthFound(path=PATH, types=OBJECTS), 3, False, id="does-not-grow"),
        pytest.param(
            GrowthFound(path=PATH, types=OBJECTS, gained=9), 3, False, id="in-some-calls"
        ),
        pytest.param(GrowthFound(path=PATH, gained=16), 1, True, id="text"),
        pytest.param(
            GrowthFound(path=PATH, gained=16), 352, False, id="one-text-of-many-blocks"
        ),
        pytest.param(
            GrowthFound(path=replace(PATH, bounded="maxlen=9")), 352, True, id="a-cache"
        ),
    ],
)
def test_holders_that_were_found_in_too_little_time(found, blocks, stays) -> None:
    """A container that may have nothing to do with the leak is not named."""
    assert (diagnosis._with_evidence(found, blocks, 16).path is not None) is stays
