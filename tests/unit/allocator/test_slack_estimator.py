"""Tests of the estimator of slack: a bound that holds, and few calls of the probe."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_memguard.allocator.slack_estimator import SlackEstimator
from pytest_memguard.clock import Clock
from tests.support.fakes import FakeClock, FakeFiller, FakeProbe, FakeSlack

COST = 0.002
LEVEL = 1_000_000
NEVER = 10**12


class Setting:
    """An estimator that has called the probe once: slack of 5,000 bytes, 100 small blocks."""

    def __init__(self, clock) -> None:
        """Call the probe once."""
        self.probe = FakeProbe(clock, FakeSlack(5000), COST)
        self.blocks = 100
        self.resident = 0
        self.estimator = SlackEstimator(self.probe, lambda: self.resident, lambda: self.blocks)
        self.estimator.filler = self.filler = FakeFiller()
        self.first = self.estimator.bound(LEVEL, 5000, NEVER)
        self.probe.answer = FakeSlack(7000)

    def bound(self, level=LEVEL, tolerance=2000, expensive=NEVER) -> int:
        """What the estimator returns now; 7,000 if it has called the probe again."""
        return self.estimator.bound(level, tolerance, expensive)


@pytest.fixture
def setting(clock, monkeypatch) -> Setting:
    """An estimator that has called the probe once, and fills more than 500 bytes for good."""
    monkeypatch.setattr("pytest_memguard.allocator.slack_estimator._LEAST_FILLED_BYTES", 500)
    return Setting(clock)


def test_asks_the_first_time(setting) -> None:
    """The first answer is that of the probe."""
    assert setting.first == 5000
    assert setting.probe.calls == 1


def test_nothing_moved(setting) -> None:
    """The answer holds as long as nothing moves."""
    assert [setting.bound(tolerance=0) for _ in range(3)] == [5000] * 3
    assert setting.probe.calls == 1


def test_seconds_that_another_process_has_used(clock, monkeypatch) -> None:
    """Only this thread's time counts, of which a forked child has used none."""
    cpu = FakeClock()
    monkeypatch.setattr(Clock, "cpu", staticmethod(cpu))
    probe = FakeProbe(cpu, FakeSlack(5000), 0.01)
    estimator = SlackEstimator(probe, lambda: 0, lambda: 100)
    calls = []
    for wait, seconds in ((clock, 0), (clock, 1000), (cpu, 1.9), (cpu, 0.2), (cpu, -1)):
        wait.advance(seconds)
        estimator.bound(LEVEL, 5000, NEVER)
        calls.append(probe.calls)
    assert calls == [1, 1, 1, 2, 3]


def test_what_was_given_back_hides_nothing_that_rises_later(setting) -> None:
    """Resident memory counts from where it was lowest since the last answer."""
    assert setting.bound(level=LEVEL - 100_000) == 5000
    assert setting.bound(level=LEVEL - 99_000) == 6000
    assert setting.probe.calls == 1


def test_what_a_test_used_may_be_free_afterwards(setting) -> None:
    """Neither resident memory nor blocks need show it, so it is added until the next call."""
    setting.estimator.note_use(300)
    setting.estimator.note_use(400)
    assert setting.bound() == 5700
    assert setting.probe.calls == 1
    setting.estimator.note_use(1000)
    assert setting.bound() == 7000  # asked again: it matters
    assert (setting.probe.calls, setting.bound()) == (2, 7000)


def test_what_a_test_used_counts_beside_a_new_answer(setting) -> None:
    """Pools that the probe counts may be untouched, but not where a test has used as much."""
    setting.probe.answer = FakeSlack(7000, arena_size=4000)
    setting.estimator.note_use(1500)
    assert setting.bound() == 6500


def test_blocks_are_counted_each_time(clock) -> None:
    """Blocks that went are seen at once, however long counting takes."""
    blocks = FakeProbe(clock, 100, COST)
    estimator = SlackEstimator(FakeProbe(clock, FakeSlack(5000), COST), lambda: 0, blocks)
    estimator.bound(LEVEL, 5000, NEVER)
    assert estimator.bound(LEVEL, 2000, NEVER) == 5000
    blocks.answer -= 1
    assert estimator.bound(LEVEL, 2000, NEVER) == 5512


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
def test_bound(setting, level, blocks, bound) -> None:
    """Movement is added to the answer; after too much of it the probe is called again."""
    setting.blocks = blocks
    assert bound == setting.bound(level)


def test_movement_within_the_tolerance(setting) -> None:
    """As long as the slack does not matter, movement of any size is allowed."""
    assert setting.bound(LEVEL + 2900, tolerance=7900) == 7900
    assert setting.probe.calls == 1
    assert setting.bound(LEVEL + 2901, tolerance=4900) == 7000


def test_movement_is_counted_from_the_last_answer(setting) -> None:
    """Movement adds up over many calls, not from one call to the next."""
    bounds = [setting.bound(LEVEL + moved) for moved in (500, 1000, 1500)]
    assert bounds == [5500, 6000, 7000]
    assert setting.bound(LEVEL + 2000) == 7500


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [
        pytest.param(200 * COST - 0.001, 5000, id="not-yet"),
        pytest.param(200 * COST + 0.001, 7000, id="long-enough"),
    ],
)
def test_asks_again_after_a_while(setting, clock, seconds, bound) -> None:
    """Calls of the probe take at most a two hundredth of the time."""
    clock.advance(seconds)
    assert bound == setting.bound()


@pytest.mark.parametrize(
    ("seconds", "expensive", "bound"),
    [
        pytest.param(20 * COST - 0.001, 4000, 5000, id="not-yet"),
        pytest.param(20 * COST + 0.001, 4000, 7000, id="long-enough"),
        pytest.param(20 * COST + 0.001, 5000, 5000, id="not-expensive"),
    ],
)
def test_asks_sooner_where_the_answer_is_expensive(
    setting, clock, seconds, expensive, bound
) -> None:
    """Before an expensive instrument is used, the probe may take a twentieth of the time."""
    clock.advance(seconds)
    assert bound == setting.bound(expensive=expensive)
    assert (1 if bound == 5000 else 2) == setting.probe.calls


def test_movement_can_make_it_expensive(setting, clock) -> None:
    """Movement counts for whether the answer is expensive."""
    clock.advance(20 * COST + 0.001)
    assert setting.bound(LEVEL + 100, expensive=5100) == 5100
    assert setting.bound(LEVEL + 101, expensive=5100) == 7000


def test_slack_that_matters_is_filled(setting, clock) -> None:
    """More slack than is tolerable is filled, and measured once more."""

    def fill() -> bool:
        setting.probe.answer = FakeSlack(30)
        setting.blocks = 900
        return True

    setting.estimator.filler = filler = FakeFiller(fill)
    clock.advance(60)
    assert setting.bound(tolerance=6999) == 30
    assert setting.probe.calls == 3
    assert FakeSlack(7000) == filler.calls[0][0]
    # it goes on from the blocks there are now
    assert setting.bound(tolerance=6999) == 30
    setting.blocks = 899
    assert setting.bound(tolerance=6999) == 30 + 512


def test_slack_that_is_not_to_be_filled(setting, clock) -> None:
    """A caller that cannot have slack filled now gets the slack as it is."""
    clock.advance(60)
    assert setting.estimator.bound(LEVEL, 0, NEVER, fill=False) == 7000
    assert setting.filler.calls == []


def test_slack_for_blocks_of_any_size(setting, clock) -> None:
    """How much of the slack large blocks fit into is known from the last answer."""
    before = setting.estimator.anywhere
    setting.probe.answer = FakeSlack(7000, anywhere=600)
    clock.advance(60)
    setting.bound()
    assert (before, setting.estimator.anywhere) == (0, 600)


def test_slack_that_cannot_be_filled(setting, clock) -> None:
    """Where nothing could be filled, nothing is measured again."""
    clock.advance(60)
    assert setting.bound(tolerance=6999) == 7000
    assert (len(setting.filler.calls), setting.probe.calls) == (1, 2)


def test_slack_that_does_not_matter_is_left(setting, clock) -> None:
    """Slack that is tolerable is not filled."""
    clock.advance(60)
    assert setting.bound(tolerance=7000) == 7000
    assert setting.filler.calls == []


UNTOUCHED = FakeSlack(9000, arena_size=6000)


@pytest.mark.parametrize(
    ("slack", "level", "blocks", "bound"),
    [
        pytest.param(UNTOUCHED, LEVEL, 100, 5000, id="nothing-moved"),
        pytest.param(UNTOUCHED, LEVEL + 2000, 100, 7000, id="as-much-as-moved"),
        pytest.param(
            FakeSlack(9000, arena_size=6000, used=-512),
            LEVEL + 2000,
            100,
            7512,
            id="blocks-went",
        ),
        pytest.param(UNTOUCHED, LEVEL + 9999, 100, 9000, id="no-more-than-there-is"),
        pytest.param(FakeSlack(9000, arena_size=3000), LEVEL, 100, 6000, id="one-arena"),
        pytest.param(FakeSlack(9000, malloc=1500, arena_size=6000), LEVEL, 100, 6500, id="c"),
    ],
)
def test_an_arena_that_was_never_touched_is_no_slack(
    setting, clock, slack, level, blocks, bound
) -> None:
    """The probe's count is used as far as resident memory or blocks have moved."""
    setting.probe.answer = slack
    setting.blocks = blocks
    clock.advance(60)
    assert bound == setting.bound(level, tolerance=NEVER)
    assert setting.probe.calls == 2


@pytest.mark.parametrize(
    ("complete", "bound"),
    [pytest.param(True, 4 * 10 + 500, id="all"), pytest.param(False, 600, id="a-part")],
)
def test_pools_of_a_new_arena_are_no_slack(setting, clock, complete, bound) -> None:
    """When all is filled but some pools, the pools beyond those are of a new arena."""

    def fill() -> bool:
        setting.probe.answer = FakeSlack(600, pools=10, pool_size=10)
        return complete

    setting.estimator.filler = FakeFiller(fill)
    clock.advance(60)
    assert bound == setting.bound(tolerance=100)


def test_what_filling_touched_is_no_movement(setting, clock) -> None:
    """Resident memory that rose when slack was filled counts as in use."""

    def fill() -> bool:
        setting.probe.answer = FakeSlack(30)
        setting.resident += 4000
        return True

    setting.estimator.filler = FakeFiller(fill)
    clock.advance(60)
    setting.bound(tolerance=100)
    assert setting.bound(LEVEL + 4000, tolerance=100) == 30


def test_what_an_instrument_takes_while_slack_is_filled(filling) -> None:
    """Memory of an instrument counts as in use after the slack is released as well."""
    filling.estimator.fill_temporarily(LEVEL, 7000, NEVER, 1000)
    filling.estimator.discount(LEVEL + 3000)
    filling.estimator.release()
    assert filling.bound(LEVEL + 3000, tolerance=0) == 7000


def test_while_pymalloc_is_hooked(setting, clock) -> None:
    """Movement since the last answer is a bound as long as pymalloc reports nothing."""
    clock.advance(60)
    setting.probe.answer = FakeSlack(300, malloc=300, heap=400, hooked=True)
    setting.blocks -= 1
    assert setting.bound(LEVEL + 1000, tolerance=0) == 5000 + 1000 - 400 + 512 + 300
    clock.advance(60)
    setting.probe.answer = FakeSlack(300, malloc=300, heap=100, hooked=True)
    assert setting.bound(LEVEL + 1000, tolerance=0) == 5000 + 1000 - 400 + 512 + 300 + 300
    clock.advance(60)
    setting.estimator.note_use(50)
    setting.probe.answer = FakeSlack(9000, used=40, arena_size=9000)
    assert setting.bound(LEVEL + 1000, tolerance=0) == 5000 + 1000 - 400 + 512 + 300 + 50 - 40


def test_hooked_from_the_start(clock) -> None:
    """Slack from before the first answer is not known; later movement is."""
    probe = FakeProbe(clock, FakeSlack(300, malloc=300, hooked=True), COST)
    estimator = SlackEstimator(probe, lambda: 0, lambda: 100)
    assert estimator.bound(LEVEL, 0, NEVER) == 300
    clock.advance(60)
    assert estimator.bound(LEVEL + 700, 0, NEVER) == 1000


@pytest.fixture
def filling(setting, monkeypatch) -> Setting:
    """An estimator whose slack can be filled: 30 bytes are left, 4,000 are touched."""

    def fill() -> bool:
        setting.probe.answer = FakeSlack(30)
        setting.resident += 4000
        setting.blocks += 800
        return True

    def drop() -> None:
        setting.probe.answer = FakeSlack(7000)
        setting.blocks -= 800

    def make() -> FakeFiller:
        setting.temporary = FakeFiller(fill)
        setting.temporary.drop = drop
        return setting.temporary

    monkeypatch.setattr("pytest_memguard.allocator.slack_estimator.Filler", make)
    return setting


def test_fill_for_a_while(filling) -> None:
    """Until it is released the slack is what was left; then it is what it was before."""
    assert filling.estimator.fill_temporarily(LEVEL, 7000, NEVER, 1000) == 30
    assert filling.bound(LEVEL + 4000, tolerance=100) == 30
    assert filling.bound(LEVEL + 4050, tolerance=100) == 80
    assert filling.estimator.release() == 4000
    calls = filling.probe.calls
    assert filling.bound() == 7000
    assert calls == filling.probe.calls
    assert filling.estimator.release() == 0


def test_blocks_that_go_while_it_is_filled(filling) -> None:
    """Memory freed during a measurement is slack there, and afterwards."""
    filling.estimator.fill_temporarily(LEVEL, 7000, NEVER, 1000)
    filling.blocks -= 1
    assert filling.bound(LEVEL + 4000, tolerance=10**6) == 542
    filling.estimator.release()
    assert filling.bound(LEVEL, tolerance=10**6) == 7512


def test_what_takes_long_is_filled_for_good(filling, clock) -> None:
    """Slack that would take long each time is filled once; nothing is left to be filled."""
    filling.estimator.filler._fill = lambda: setattr(filling.probe, "answer", FakeSlack(30))
    clock.advance(60)
    assert filling.estimator.fill_temporarily(LEVEL, 7000, 6999, 1000) == 30
    assert [call[0] for call in filling.filler.calls] == [FakeSlack(7000)]
    assert filling.estimator.release() == 0


@pytest.mark.parametrize(
    ("lasted", "tries"), [pytest.param(19, 100, id="briefly"), pytest.param(20, 0, id="long")]
)
def test_filled_slack_that_does_not_last(filling, lasted, tries) -> None:
    """Where filled slack does not last, more slack is tolerated for a number of times."""
    estimator = filling.estimator
    estimator.fill_temporarily(LEVEL, 7000, NEVER, 1000)
    for _ in range(lasted - 1):  # filling asks once itself
        filling.bound(LEVEL + 4000)
    estimator.fill_temporarily(LEVEL, 7000, NEVER, 1000)
    estimator.release()
    content = 0
    while estimator.fill_temporarily(LEVEL, 3000, NEVER, 1000) == 3000:
        content += 1
    assert content == tries


def test_more_than_enough_is_filled_all_the_same(filling) -> None:
    """Three times the slack is tolerated, not more."""
    estimator = filling.estimator
    for _ in range(2):
        estimator.fill_temporarily(LEVEL, 7000, NEVER, 1000)
    assert estimator.fill_temporarily(LEVEL, 3000, NEVER, 1000) == 3000
    assert estimator.fill_temporarily(LEVEL, 3001, NEVER, 1000) == 30


def test_nothing_is_filled_where_it_has_made_the_process_much_larger(
    filling, monkeypatch
) -> None:
    """The slack may become so much larger than it was, and no more."""
    monkeypatch.setattr(filling.estimator, "_most", 7000)
    assert filling.estimator.fill_temporarily(LEVEL, 7000, NEVER, 1000) == 30
    filling.estimator.release()
    filling.filler.size = 1
    assert filling.estimator.fill_temporarily(LEVEL, 7000, NEVER, 1000) == 7000
    assert filling.estimator.release() == 0


def test_whether_anything_was_filled(filling) -> None:
    """The estimator reports once that slack was filled or the filler dropped."""
    estimator = filling.estimator
    assert not estimator.has_filled()
    estimator.fill_temporarily(LEVEL, 7000, NEVER, 1000)
    assert [estimator.has_filled(), estimator.has_filled()] == [True, False]
    estimator.release()
    assert [estimator.has_filled(), estimator.has_filled()] == [True, False]
    estimator.release()
    assert not estimator.has_filled()


def test_filling_again_releases_first(filling) -> None:
    """Slack that an interrupted phase left filled is not filled twice."""
    filling.estimator.fill_temporarily(LEVEL, 7000, NEVER, 1000)
    filling.estimator.fill_temporarily(LEVEL, 7000, NEVER, 1000)
    assert filling.blocks == 900
    filling.estimator.release()
    assert filling.blocks == 100


def test_filling_more(filling, clock) -> None:
    """Memory that becomes free while slack is filled is filled too, in a share of the time."""
    estimator = filling.estimator
    assert estimator.fill_more(LEVEL, 7000, NEVER, 1000) == 30
    assert estimator.fill_more(LEVEL, 1000, NEVER, 1000) == 1000
    filling.probe.answer = FakeSlack(5000)
    assert estimator.fill_more(LEVEL + 9000, 5000, NEVER, 1000) == 30
    assert estimator.fill_more(LEVEL + 9000, 5000, NEVER, 1000) == 5000
    clock.advance(60)
    filling.probe.answer = FakeSlack(5000)
    assert estimator.fill_more(LEVEL + 9000, 5000, NEVER, 1000) == 30
    assert estimator.release() > 4000
    assert estimator.release() == 0


def test_real_slack_is_filled_for_a_while() -> None:
    """Small blocks find no free place while it is filled, and make the process larger."""
    code = (
        "from pytest_memguard.measure.instruments import Instruments\n"
        "made = Instruments()\n"
        "estimator, level = made.slack_estimator, made.resident.level\n"
        "kept = [bytes(200) for _ in range(200_000)]\n"
        "kept = kept[::50]\n"
        "rises = []\n"
        "for fill in (False, True, False, True):\n"
        "    if fill:\n"
        "        assert estimator.fill_temporarily(level(), 1 << 30, 1 << 40, 1000) < 1 << 20\n"
        "    before = level()\n"
        "    more = [bytes(200) for _ in range(100_000)]\n"
        "    rises.append((level() - before) >> 20)\n"
        "    del more\n"
        "    estimator.release()\n"
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
    estimator = SlackEstimator(FakeProbe(clock, FakeSlack(5), COST), lambda: 0)
    assert estimator.bound(LEVEL, NEVER, NEVER) == 5
    assert 5 <= estimator.bound(LEVEL, NEVER, NEVER) < 5 + 10**8
