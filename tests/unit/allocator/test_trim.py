"""Tests of trimming: always where it is cheap, rarely where it is expensive."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_memguard.allocator.trim import Trimmer
from pytest_memguard.errors import Unmeasurable
from tests.support.fakes import FakeMeter, FakeProbe

CHEAP, EXPENSIVE = 10e-6, 0.02


class Setting:
    """A trimmer on a heap that takes some time to trim, with 500 bytes in use."""

    def __init__(self, clock, cost) -> None:
        """Begin before the first trim."""
        self.meter = FakeMeter(1000)
        self.used = 500
        self.trim = FakeProbe(clock, cost=cost)
        self.trimmer = Trimmer(self.meter.level, self.trim, lambda: self.used)

    def trims(self, tolerance=10) -> bool:
        """Whether the trimmer really trims when it is called now."""
        before = self.trim.calls
        self.trimmer(tolerance)
        return self.trim.calls > before


@pytest.fixture
def cheap(clock) -> Setting:
    """A heap that is trimmed in no time."""
    return Setting(clock, CHEAP)


@pytest.fixture
def expensive(clock) -> Setting:
    """A heap that takes milliseconds, and has been trimmed once."""
    setting = Setting(clock, EXPENSIVE)
    setting.trimmer(0)
    return setting


def test_first_time(clock) -> None:
    """The first call always trims: its cost is not known yet."""
    assert Setting(clock, EXPENSIVE).trims(tolerance=10**9)


def test_cheap_every_time(cheap) -> None:
    """Where trimming is cheap, every call trims, and nothing else is measured."""
    assert [cheap.trims(tolerance=10**9) for _ in range(3)] == [True] * 3
    assert (cheap.meter.calls, cheap.trim.calls) == ([], 3)


def test_seconds_that_another_process_has_used(cheap, monkeypatch) -> None:
    """A trim that was interrupted for long is as cheap as before, and not left out."""
    monkeypatch.setattr(cheap.trimmer, "_cpu", lambda: 0.0)
    cheap.trim.cost = EXPENSIVE
    assert [cheap.trims(tolerance=10**9) for _ in range(3)] == [True] * 3


def test_whether_it_may_be_called_without_asking(clock, cheap, expensive) -> None:
    """Whether a trim is cheap is known from the last one; before the first it is not known."""
    assert not Setting(clock, CHEAP).trimmer.cheap
    cheap.trimmer(0)
    assert cheap.trimmer.cheap
    assert not expensive.trimmer.cheap
    cheap.trim.cost = EXPENSIVE
    cheap.trimmer(0)
    assert not cheap.trimmer.cheap


def test_what_was_given_back_elsewhere_hides_no_slack(expensive) -> None:
    """Resident memory counts from where it was lowest since the last trim."""
    expensive.meter.now = 400
    assert not expensive.trims(tolerance=10)
    expensive.meter.now = 900
    assert expensive.trims(tolerance=10)


def test_expensive_not_again(expensive) -> None:
    """Where trimming is expensive and nothing has moved, it is left out."""
    assert [expensive.trims(tolerance=0) for _ in range(3)] == [False] * 3


@pytest.mark.parametrize(
    ("level", "used", "trims"),
    [
        pytest.param(1010, 500, False, id="level-rose-to-the-tolerance"),
        pytest.param(1011, 500, True, id="level-rose"),
        pytest.param(100, 500, False, id="level-fell"),
        pytest.param(1000, 490, False, id="use-fell-to-the-tolerance"),
        pytest.param(1000, 489, True, id="use-fell"),
        pytest.param(1000, 9000, False, id="use-rose"),
        pytest.param(1005, 494, True, id="both-together"),
        pytest.param(100, 489, True, id="a-lower-level-does-not-make-up-for-use"),
        pytest.param(1011, 9000, True, id="more-use-does-not-make-up-for-the-level"),
    ],
)
def test_expensive_when_there_may_be_slack(expensive, level, used, trims) -> None:
    """Where trimming is expensive, it is done when there may be enough to give back."""
    expensive.meter.move(level)
    expensive.used = used
    assert trims is expensive.trims(tolerance=10)


def test_in_any_case(expensive) -> None:
    """A negative tolerance trims at any cost."""
    assert expensive.trims(tolerance=-1)


def test_counted_from_where_trimming_left_it(clock) -> None:
    """Slack is counted from the level and the use after the last time."""
    setting = Setting(clock, EXPENSIVE)

    def settle() -> None:
        setting.meter.move(2000)
        setting.used = 300

    setting.trim.then = settle
    setting.meter.move(5000)
    assert setting.trims()
    assert not setting.trims(tolerance=0)


@pytest.mark.parametrize(
    ("seconds", "trims"),
    [
        pytest.param(50 * 2 * EXPENSIVE - 0.001, False, id="not-yet"),
        pytest.param(50 * 2 * EXPENSIVE + 0.001, True, id="long-enough"),
    ],
)
def test_expensive_after_a_while(expensive, clock, seconds, trims) -> None:
    """Trimming takes at most a fiftieth of the time, with the second trim to learn its cost."""
    clock.advance(seconds)
    assert trims is expensive.trims()


def test_asking_is_bounded_too(clock) -> None:
    """How much is in use is read once in fifty times what that costs."""
    setting = Setting(clock, EXPENSIVE)
    asked = FakeProbe(clock, 500, cost=EXPENSIVE)
    setting.trimmer = Trimmer(setting.meter.level, setting.trim, asked)
    setting.trimmer(0)
    for _ in range(5):
        clock.advance(EXPENSIVE)
        assert not setting.trims()
    assert asked.calls == 1
    clock.advance(45 * EXPENSIVE)
    assert not setting.trims()
    assert asked.calls == 2


def test_expensive_once(clock) -> None:
    """Trimming that was expensive because of what it returned is not so every time."""
    setting = Setting(clock, EXPENSIVE)

    def settle() -> None:
        setting.trim.cost = CHEAP

    setting.trim.then = settle
    assert [setting.trims(tolerance=10**9) for _ in range(3)] == [True] * 3


def test_heap_becomes_cheap(expensive, clock) -> None:
    """A heap that has become cheap to trim is trimmed every time again."""
    expensive.trim.cost = CHEAP
    clock.advance(60)
    assert [expensive.trims() for _ in range(3)] == [True] * 3


def test_library_that_cannot_trim(monkeypatch) -> None:
    """Without a way to trim, the reason is given when the trimmer is made."""
    psutil = pytest.importorskip("psutil")
    monkeypatch.delattr(psutil, "heap_trim", raising=False)
    with pytest.raises(Unmeasurable, match="no way to give free pages back"):
        Trimmer(lambda: 0)


def test_through_psutil(clock, monkeypatch) -> None:
    """Without anything else to call, psutil's functions are called."""
    psutil = pytest.importorskip("psutil")
    trim = FakeProbe(clock, cost=EXPENSIVE)
    heap = SimpleNamespace(heap_used=500)
    monkeypatch.setattr(psutil, "heap_trim", trim, raising=False)
    monkeypatch.setattr(psutil, "heap_info", lambda: heap, raising=False)
    trimmer = Trimmer(lambda: 1000)
    trimmer(0)
    trimmer(0)
    assert trim.calls == 2  # once to give back, once to see what that costs
    heap.heap_used = 400
    trimmer(0)
    assert trim.calls == 4
