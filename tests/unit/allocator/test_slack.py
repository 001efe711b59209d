"""Tests of the watch on free room: a bound that holds, from few questions."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_memguard.allocator.slack import RoomWatch
from tests.fakes import FakeBallast, FakeProbe, FakeRoom

COST = 0.002
LEVEL = 1_000_000
NEVER = 10**12


class Setting:
    """A watch that has asked once: 5,000 bytes of room, 100 small blocks in use."""

    def __init__(self, clock) -> None:
        """Ask once."""
        self.probe = FakeProbe(clock, FakeRoom(5000), COST)
        self.blocks = 100
        self.resident = 0
        self.watch = RoomWatch(self.probe, lambda: self.resident, lambda: self.blocks)
        self.watch.ballast = self.ballast = FakeBallast()
        self.first = self.watch.bound(LEVEL, 5000, NEVER)
        self.probe.answer = FakeRoom(7000)

    def bound(self, level=LEVEL, tolerance=2000, expensive=NEVER) -> int:
        """What it says now; 7,000 if it has asked again."""
        return self.watch.bound(level, tolerance, expensive)


@pytest.fixture
def watch(clock, monkeypatch) -> Setting:
    """A watch that has asked once, and fills for good what is more than 500 bytes."""
    monkeypatch.setattr("pytest_memguard.allocator.slack._LEAST_TO_LAY", 500)
    return Setting(clock)


def test_asks_the_first_time(watch) -> None:
    """The first answer is the probe's."""
    assert watch.first == 5000
    assert watch.probe.calls == 1


def test_nothing_moved(watch) -> None:
    """As long as nothing moves the answer holds."""
    assert [watch.bound(tolerance=0) for _ in range(3)] == [5000] * 3
    assert watch.probe.calls == 1


def test_seconds_that_another_process_has_used(clock, monkeypatch) -> None:
    """A probe that was interrupted for long is asked again as soon as any other."""
    probe = FakeProbe(clock, FakeRoom(5000), 10.0)
    watch = RoomWatch(probe, lambda: 0, lambda: 100)
    monkeypatch.setattr(watch, "_cpu", lambda: 0.0)
    watch.bound(LEVEL, 5000, NEVER)
    clock.advance(0.001)
    watch.bound(LEVEL, 5000, NEVER)
    assert probe.calls == 2


def test_what_was_given_back_hides_nothing_that_rises_later(watch) -> None:
    """Resident memory counts from where it was lowest since the last answer."""
    assert watch.bound(level=LEVEL - 100_000) == 5000
    assert watch.bound(level=LEVEL - 99_000) == 6000
    assert watch.probe.calls == 1


def test_what_a_test_used_may_be_free_afterwards(watch) -> None:
    """Neither resident memory nor blocks need show it, so it is added until asked again."""
    watch.watch.note_use(300)
    watch.watch.note_use(400)
    assert watch.bound() == 5700
    assert watch.probe.calls == 1
    watch.watch.note_use(1000)
    assert watch.bound() == 7000  # asked again: it matters
    assert (watch.probe.calls, watch.bound()) == (2, 7000)


def test_what_a_test_used_counts_beside_a_new_answer(watch) -> None:
    """Pools that the probe counts may be untouched, but not where a test has used as much."""
    watch.probe.answer = FakeRoom(7000, arena_size=4000)
    watch.watch.note_use(1500)
    assert watch.bound() == 6500


def test_blocks_are_counted_each_time(clock) -> None:
    """Blocks that went are seen at once, however long counting takes."""
    blocks = FakeProbe(clock, 100, COST)
    watch = RoomWatch(FakeProbe(clock, FakeRoom(5000), COST), lambda: 0, blocks)
    watch.bound(LEVEL, 5000, NEVER)
    assert watch.bound(LEVEL, 2000, NEVER) == 5000
    blocks.answer -= 1
    assert watch.bound(LEVEL, 2000, NEVER) == 5512


@pytest.mark.parametrize(
    ("level", "blocks", "bound"),
    [
        pytest.param(LEVEL + 300, 100, 5300, id="level-rose"),
        pytest.param(LEVEL - 300, 100, 5000, id="level-fell"),
        pytest.param(LEVEL, 99, 5512, id="a-block-went"),
        pytest.param(LEVEL, 150, 5000, id="blocks-came"),
        pytest.param(LEVEL + 300, 99, 5812, id="both"),
        pytest.param(LEVEL + 1000, 100, 6000, id="just-tolerable"),
        pytest.param(LEVEL + 1001, 100, 7000, id="not-tolerable"),
        pytest.param(LEVEL + 489, 99, 7000, id="both-not-tolerable"),
        pytest.param(LEVEL - 10**6, 98, 7000, id="falling-does-not-make-up-for-blocks"),
    ],
)
def test_bound(watch, level, blocks, bound) -> None:
    """What moved is added to the answer; too much of it, and the probe is asked again."""
    watch.blocks = blocks
    assert bound == watch.bound(level)


def test_movement_within_the_tolerance(watch) -> None:
    """As long as the room does not matter, it may have moved by whatever it has."""
    assert watch.bound(LEVEL + 2900, tolerance=7900) == 7900
    assert watch.probe.calls == 1
    assert watch.bound(LEVEL + 2901, tolerance=4900) == 7000


def test_movement_is_counted_from_the_last_answer(watch) -> None:
    """Movement adds up over many calls, not from one call to the next."""
    bounds = [watch.bound(LEVEL + moved) for moved in (500, 1000, 1500)]
    assert bounds == [5500, 6000, 7000]
    assert watch.bound(LEVEL + 2000) == 7500


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [
        pytest.param(200 * COST - 0.001, 5000, id="not-yet"),
        pytest.param(200 * COST + 0.001, 7000, id="long-enough"),
    ],
)
def test_asks_again_after_a_while(watch, clock, seconds, bound) -> None:
    """Asking takes at most a two hundredth of the time."""
    clock.advance(seconds)
    assert bound == watch.bound()


@pytest.mark.parametrize(
    ("seconds", "expensive", "bound"),
    [
        pytest.param(20 * COST - 0.001, 4000, 5000, id="not-yet"),
        pytest.param(20 * COST + 0.001, 4000, 7000, id="long-enough"),
        pytest.param(20 * COST + 0.001, 5000, 5000, id="not-expensive"),
    ],
)
def test_asks_sooner_where_the_answer_is_expensive(
    watch, clock, seconds, expensive, bound
) -> None:
    """Before an expensive instrument is used, asking may take a twentieth of the time."""
    clock.advance(seconds)
    assert bound == watch.bound(expensive=expensive)
    assert (1 if bound == 5000 else 2) == watch.probe.calls


def test_movement_can_make_it_expensive(watch, clock) -> None:
    """What moved counts for whether the answer is expensive."""
    clock.advance(20 * COST + 0.001)
    assert watch.bound(LEVEL + 100, expensive=5100) == 5100
    assert watch.bound(LEVEL + 101, expensive=5100) == 7000


def test_room_that_matters_is_filled(watch, clock) -> None:
    """More room than is tolerable is filled, and measured once more."""

    def fill() -> bool:
        watch.probe.answer = FakeRoom(30)
        watch.blocks = 900
        return True

    watch.watch.ballast = ballast = FakeBallast(fill)
    clock.advance(60)
    assert watch.bound(tolerance=6999) == 30
    assert watch.probe.calls == 3
    assert FakeRoom(7000) == ballast.calls[0][0]
    # it goes on from the blocks there are now
    assert watch.bound(tolerance=6999) == 30
    watch.blocks = 899
    assert watch.bound(tolerance=6999) == 30 + 512


def test_room_that_is_not_to_be_filled(watch, clock) -> None:
    """Whoever cannot have ballast laid now gets the room as it is."""
    clock.advance(60)
    assert watch.watch.bound(LEVEL, 0, NEVER, fill=False) == 7000
    assert watch.ballast.calls == []


def test_room_for_blocks_of_any_size(watch, clock) -> None:
    """How much of the room large blocks fit into is told as of the last answer."""
    before = watch.watch.anywhere
    watch.probe.answer = FakeRoom(7000, anywhere=600)
    clock.advance(60)
    watch.bound()
    assert (before, watch.watch.anywhere) == (0, 600)


def test_room_that_cannot_be_filled(watch, clock) -> None:
    """Where nothing could be filled, nothing is measured again."""
    clock.advance(60)
    assert watch.bound(tolerance=6999) == 7000
    assert (len(watch.ballast.calls), watch.probe.calls) == (1, 2)


def test_room_that_does_not_matter_is_left(watch, clock) -> None:
    """Room that is tolerable is not filled."""
    clock.advance(60)
    assert watch.bound(tolerance=7000) == 7000
    assert watch.ballast.calls == []


UNTOUCHED = FakeRoom(9000, arena_size=6000)


@pytest.mark.parametrize(
    ("room", "level", "blocks", "bound"),
    [
        pytest.param(UNTOUCHED, LEVEL, 100, 5000, id="nothing-moved"),
        pytest.param(UNTOUCHED, LEVEL + 2000, 100, 7000, id="as-much-as-moved"),
        pytest.param(
            FakeRoom(9000, arena_size=6000, used=-512),
            LEVEL + 2000,
            100,
            7512,
            id="blocks-went",
        ),
        pytest.param(UNTOUCHED, LEVEL + 9999, 100, 9000, id="no-more-than-there-is"),
        pytest.param(FakeRoom(9000, arena_size=3000), LEVEL, 100, 6000, id="one-arena"),
        pytest.param(FakeRoom(9000, malloc=1500, arena_size=6000), LEVEL, 100, 6500, id="c"),
    ],
)
def test_an_arena_that_was_never_touched_is_no_room(
    watch, clock, room, level, blocks, bound
) -> None:
    """What the probe counts is believed as far as resident memory or blocks have moved."""
    watch.probe.answer = room
    watch.blocks = blocks
    clock.advance(60)
    assert bound == watch.bound(level, tolerance=NEVER)
    assert watch.probe.calls == 2


@pytest.mark.parametrize(
    ("complete", "bound"),
    [pytest.param(True, 4 * 10 + 500, id="all"), pytest.param(False, 600, id="a-part")],
)
def test_pools_of_a_new_arena_are_no_room(watch, clock, complete, bound) -> None:
    """When all is filled but some pools, the pools beyond those are of a new arena."""

    def fill() -> bool:
        watch.probe.answer = FakeRoom(600, pools=10, pool_size=10)
        return complete

    watch.watch.ballast = FakeBallast(fill)
    clock.advance(60)
    assert bound == watch.bound(tolerance=100)


def test_what_filling_touched_is_no_movement(watch, clock) -> None:
    """Resident memory that rose when ballast was laid is in use."""

    def fill() -> bool:
        watch.probe.answer = FakeRoom(30)
        watch.resident += 4000
        return True

    watch.watch.ballast = FakeBallast(fill)
    clock.advance(60)
    watch.bound(tolerance=100)
    assert watch.bound(LEVEL + 4000, tolerance=100) == 30


def test_what_an_instrument_takes_while_room_is_filled(filling) -> None:
    """It is in use afterwards as well."""
    filling.watch.fill_briefly(LEVEL, 7000, NEVER, 1000)
    filling.watch.discount(LEVEL + 3000)
    filling.watch.release()
    assert filling.bound(LEVEL + 3000, tolerance=0) == 7000


def test_while_pymalloc_is_hooked(watch, clock) -> None:
    """What moved since the last answer is a bound as long as pymalloc tells nothing."""
    clock.advance(60)
    watch.probe.answer = FakeRoom(300, malloc=300, heap=400, hooked=True)
    watch.blocks -= 1
    assert watch.bound(LEVEL + 1000, tolerance=0) == 5000 + 1000 - 400 + 512 + 300
    clock.advance(60)
    watch.probe.answer = FakeRoom(300, malloc=300, heap=100, hooked=True)
    assert watch.bound(LEVEL + 1000, tolerance=0) == 5000 + 1000 - 400 + 512 + 300 + 300
    clock.advance(60)
    watch.watch.note_use(50)
    watch.probe.answer = FakeRoom(9000, used=40, arena_size=9000)
    assert watch.bound(LEVEL + 1000, tolerance=0) == 5000 + 1000 - 400 + 512 + 300 + 50 - 40


def test_hooked_from_the_start(clock) -> None:
    """What was free before the first answer is not known; what moves later is."""
    probe = FakeProbe(clock, FakeRoom(300, malloc=300, hooked=True), COST)
    watch = RoomWatch(probe, lambda: 0, lambda: 100)
    assert watch.bound(LEVEL, 0, NEVER) == 300
    clock.advance(60)
    assert watch.bound(LEVEL + 700, 0, NEVER) == 1000


@pytest.fixture
def filling(watch, monkeypatch) -> Setting:
    """A watch whose room can be filled for a while: 30 bytes are left, 4,000 are touched."""

    def fill() -> bool:
        watch.probe.answer = FakeRoom(30)
        watch.resident += 4000
        watch.blocks += 800
        return True

    def drop() -> None:
        watch.probe.answer = FakeRoom(7000)
        watch.blocks -= 800

    def make() -> FakeBallast:
        watch.brief = FakeBallast(fill)
        watch.brief.drop = drop
        return watch.brief

    monkeypatch.setattr("pytest_memguard.allocator.slack.Ballast", make)
    return watch


def test_fill_for_a_while(filling) -> None:
    """Until it is released the room is what was left; then it is what it was before."""
    assert filling.watch.fill_briefly(LEVEL, 7000, NEVER, 1000) == 30
    assert filling.bound(LEVEL + 4000, tolerance=100) == 30
    assert filling.bound(LEVEL + 4050, tolerance=100) == 80
    assert filling.watch.release() == 4000
    calls = filling.probe.calls
    assert filling.bound() == 7000
    assert calls == filling.probe.calls
    assert filling.watch.release() == 0


def test_blocks_that_go_while_it_is_filled(filling) -> None:
    """What goes during a measurement is room there, and afterwards."""
    filling.watch.fill_briefly(LEVEL, 7000, NEVER, 1000)
    filling.blocks -= 1
    assert filling.bound(LEVEL + 4000, tolerance=10**6) == 542
    filling.watch.release()
    assert filling.bound(LEVEL, tolerance=10**6) == 7512


def test_what_takes_long_is_filled_for_good(filling, clock) -> None:
    """Room that would take long each time is filled once; nothing is left to be filled."""
    filling.watch.ballast._lay = lambda: setattr(filling.probe, "answer", FakeRoom(30))
    clock.advance(60)
    assert filling.watch.fill_briefly(LEVEL, 7000, 6999, 1000) == 30
    assert [call[0] for call in filling.ballast.calls] == [FakeRoom(7000)]
    assert filling.watch.release() == 0


@pytest.mark.parametrize(
    ("lasted", "tries"), [pytest.param(19, 100, id="briefly"), pytest.param(20, 0, id="long")]
)
def test_filled_room_that_does_not_last(filling, lasted, tries) -> None:
    """Who has to fill anew too soon is content with more room for a number of times."""
    watch = filling.watch
    watch.fill_briefly(LEVEL, 7000, NEVER, 1000)
    for _ in range(lasted - 1):  # filling asks once itself
        filling.bound(LEVEL + 4000)
    watch.fill_briefly(LEVEL, 7000, NEVER, 1000)
    watch.release()
    content = 0
    while watch.fill_briefly(LEVEL, 3000, NEVER, 1000) == 3000:
        content += 1
    assert content == tries


def test_more_than_enough_is_filled_all_the_same(filling) -> None:
    """Three times the room is what it is content with, not more."""
    watch = filling.watch
    for _ in range(2):
        watch.fill_briefly(LEVEL, 7000, NEVER, 1000)
    assert watch.fill_briefly(LEVEL, 3000, NEVER, 1000) == 3000
    assert watch.fill_briefly(LEVEL, 3001, NEVER, 1000) == 30


def test_nothing_is_filled_where_it_has_made_the_process_much_larger(
    filling, monkeypatch
) -> None:
    """The free room may become so much larger than it was, and no more."""
    monkeypatch.setattr(filling.watch, "_most", 7000)
    assert filling.watch.fill_briefly(LEVEL, 7000, NEVER, 1000) == 30
    filling.watch.release()
    filling.ballast.size = 1
    assert filling.watch.fill_briefly(LEVEL, 7000, NEVER, 1000) == 7000
    assert filling.watch.release() == 0


def test_whether_anything_was_laid(filling) -> None:
    """Once after ballast was laid or given up it is told that the level is another one."""
    watch = filling.watch
    assert not watch.has_laid()
    watch.fill_briefly(LEVEL, 7000, NEVER, 1000)
    assert [watch.has_laid(), watch.has_laid()] == [True, False]
    watch.release()
    assert [watch.has_laid(), watch.has_laid()] == [True, False]
    watch.release()
    assert not watch.has_laid()


def test_filling_again_releases_first(filling) -> None:
    """What a phase that was interrupted left is not laid twice."""
    filling.watch.fill_briefly(LEVEL, 7000, NEVER, 1000)
    filling.watch.fill_briefly(LEVEL, 7000, NEVER, 1000)
    assert filling.blocks == 900
    filling.watch.release()
    assert filling.blocks == 100


def test_filling_more(filling, clock) -> None:
    """What becomes free while it is filled is filled too, in a share of the time."""
    watch = filling.watch
    assert watch.fill_more(LEVEL, 7000, NEVER, 1000) == 30
    assert watch.fill_more(LEVEL, 1000, NEVER, 1000) == 1000
    filling.probe.answer = FakeRoom(5000)
    assert watch.fill_more(LEVEL + 9000, 5000, NEVER, 1000) == 30
    assert watch.fill_more(LEVEL + 9000, 5000, NEVER, 1000) == 5000
    clock.advance(60)
    filling.probe.answer = FakeRoom(5000)
    assert watch.fill_more(LEVEL + 9000, 5000, NEVER, 1000) == 30
    assert watch.release() > 4000
    assert watch.release() == 0


def test_real_room_is_filled_for_a_while() -> None:
    """Small blocks find no free place while it is filled, and make the process larger."""
    code = (
        "from pytest_memguard.recording.instruments import Instruments\n"
        "made = Instruments()\n"
        "watch, level = made.room, made.resident.level\n"
        "kept = [bytes(200) for _ in range(200_000)]\n"
        "kept = kept[::50]\n"
        "rises = []\n"
        "for fill in (False, True, False, True):\n"
        "    if fill:\n"
        "        assert watch.fill_briefly(level(), 1 << 30, 1 << 40, 1000) < 1 << 20\n"
        "    before = level()\n"
        "    more = [bytes(200) for _ in range(100_000)]\n"
        "    rises.append((level() - before) >> 20)\n"
        "    del more\n"
        "    watch.release()\n"
        "print(*rises)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    without, filled, again, filled_again = map(int, done.stdout.split())
    assert without <= 2
    assert again <= 2
    assert filled >= 22
    assert filled_again >= 22


def test_counts_real_blocks(clock) -> None:
    """Without anything else to call, the interpreter counts the blocks."""
    watch = RoomWatch(FakeProbe(clock, FakeRoom(5), COST), lambda: 0)
    assert watch.bound(LEVEL, NEVER, NEVER) == 5
    assert 5 <= watch.bound(LEVEL, NEVER, NEVER) < 5 + 10**8
