"""Does a number that is read between calls grow with them, how fast, and how sure is that?

The rule works on rounds of calls. A round is flat if no signal moved by more than its floor.

No further calls are needed once the latest two rounds are flat and every signal is hardly above
the lowest it has been over the latest third of the calls, 24 at least: clean if all rounds as
one are flat, settling if not.

A leak is a signal of which all this holds over the latest two thirds of the calls, or the
latest 30 if these are more (six rounds and 20 calls at least):

- it grew in every round (USS by more than a page), and by more than its floor per call;
- rounds as uneven as these would show so much growth once in 10,000 times if it went up and
  down by chance (Student's t); and if there are fewer than 60 calls, where chance looks regular
  too easily, the level never strays from a straight line by more than 0.4 of a round's growth;
- its rate does not fall: in the later half of these rounds it is at least 70 % of that in the
  earlier half, and surely 80 % (99.9 %) if it seems to fall from the first round of all to the
  last (Kendall's tau, 5 %);
- at least half of the growth is new ground: it lies above all earlier levels.

The first two conditions stop noise, the third what fades, the last what rises and falls. What
looks like a leak for as long as there are calls, such as a cache with more entries than that,
is called one: a rule on numbers cannot know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations
from math import hypot, inf, sqrt
from typing import Final

from pytest_memguard.leaks import Rate, Round, Signal, Verdict

FLOORS: Final[Mapping[Signal, float]] = {
    "blocks": 0.25,  # a leak on every third call must be seen
    "C heap": 12.0,  # bytes; the smallest chunk of malloc takes 24 or 32
    "USS": 400.0,  # bytes; pages come and go for many reasons
    "open files": 0.2,
    "Python threads": 0.2,
    "native threads": 0.2,
    "child processes": 0.2,
    "asyncio tasks": 0.2,
    "uncollectable objects": 0.2,
}
"""Growth per call up to which a signal counts as flat."""
GRAINS: Final[Mapping[Signal, int]] = {"USS": 4096}
"""Growth in one round up to which a signal counts as flat whatever the number of calls."""
LEAST_ROUNDS: Final = 6
"""Rounds a verdict of leaking rests on at least."""
LEAST_CALLS: Final = 20
"""Calls it rests on at least."""
TAIL: Final = 2 / 3
"""Share of the calls, the latest, that a verdict of leaking rests on."""
TAIL_CALLS: Final = 30
"""Calls it rests on, if there are so many, where that share is less."""
MANY_CALLS: Final = 60
"""Calls from which on a leak may be uneven."""
STRAIGHT: Final = 0.4
"""How far the level may be off a straight line below that, in growth per round."""
NOT_FALLING: Final = 0.7
"""The rate of the later half over that of the earlier must not be less."""
STEADY: Final = 0.8
"""Nor surely less than this, where the rate seems to fall from the first round on."""
NEW_GROUND: Final = 0.5
"""Share of the growth that must lie above all earlier levels."""
QUIET: Final = 1 / 3
"""Share of the calls, the latest, over which nothing may grow for the check to end early."""
_FEW: Final[Mapping[Signal, float]] = {"C heap": 6.0}
"""Growth per call that the first look lets pass; of what is counted it is none."""
CONFIRMED: Final = 0.7
"""Share of the growth expected of a longer round that must be there."""
SHORT_ROUND: Final = 6
"""Rounds of more calls than this tell growth per call from growth per look by themselves."""
QUIET_CALLS: Final = 24
"""Calls at least over which nothing may."""
QUIET_FLOOR: Final = 0.5
"""Share of its floor by which a signal may be above its lowest level meanwhile."""
_T_975: Final = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Student's t for a two-sided interval of 95 %, from one degree of freedom on."""
_T_9999: Final = (3183.1, 70.7, 22.2, 13.03, 9.68, 8.02, 7.06, 6.44, 6.01, 5.69)
"""Student's t that chance exceeds once in 10,000 times, from one degree of freedom on."""
_T_999: Final = (318.3, 22.33, 10.21, 7.17, 5.89, 5.21, 4.79, 4.5, 4.3, 4.14)
"""The same for once in 1,000 times."""
_Z_95: Final = 1.64
"""The normal deviate that chance exceeds once in 20 times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How one signal moved over the rounds that count."""

    rate: Rate
    """Per call, with its interval."""
    error: float
    """Standard error of the rate."""
    rounds: int
    """How many rounds these are."""
    lowest: float
    """Lowest rate of any round."""
    highest: float
    """Highest rate of any round."""
    trend: float
    """The rate of the later half over that of the earlier."""

    @property
    def certain(self) -> bool:
        """Whether chance alone shows so much growth once in 10,000 times at most."""
        return self.rate.per_call > self.error * _quantile(_T_9999, self.rounds - 1)

    @property
    def steady(self) -> bool:
        """Whether it grew in every round, more than by chance, and not less and less."""
        grew = self.lowest > 0 and self.rate.per_call > FLOORS[self.rate.signal]
        return grew and self.certain and self.trend >= NOT_FALLING


def is_flat(a_round: Round) -> bool:
    """Whether no signal grew by more than its floor."""
    return all(moved <= _allowance(signal, a_round.calls) for signal, moved in a_round.growth)


def passes(rounds: Sequence[Round]) -> bool:
    """Whether the latest two rounds of a first look show nothing at all.

    glibc keeps up to seven freed blocks of a size aside for each thread and counts them as
    used; a leak of one small block per call shows in eight calls all the same, though
    not with all of its blocks.

    Args:
        rounds: so far, of four calls each.
    """
    latest_two = rounds[-2:]
    whole = _joined(latest_two)
    return (
        len(latest_two) == 2
        and all(is_flat(a_round) for a_round in latest_two)
        and all(
            moved <= max(_FEW.get(signal, 0.0) * whole.calls, GRAINS.get(signal, 0))
            for signal, moved in whole.growth
        )
    )


def conclude(rounds: Sequence[Round]) -> Verdict | None:
    """The verdict that needs no further calls, if there is one.

    Args:
        rounds: all so far, after the warm-up.
    """
    if len(rounds) < 2 or not (is_flat(rounds[-1]) and is_flat(rounds[-2])):
        return None
    calls = _calls(rounds)
    quiet = _last(rounds, max(QUIET_CALLS, QUIET * calls), 2)
    over = _calls(quiet)
    if over < QUIET_CALLS:
        return None
    for signal in _signals(quiet):
        levels = _levels(quiet, signal)
        if levels[-1] - min(levels) > _allowance(signal, over, QUIET_FLOOR):
            return None
    if is_flat(_joined(rounds)):
        return Verdict(state="clean", calls=calls, rounds=tuple(rounds))
    return Verdict(
        state="settling",
        calls=calls,
        rounds=tuple(rounds),
        reason=f"it grew at first and has stopped after {calls - over} calls at most",
    )


def suspects(rounds: Sequence[Round], least_calls: int = LEAST_CALLS) -> list[Growth]:
    """The signals that have grown steadily so far, the most telling first.

    Args:
        rounds: all so far, after the warm-up.
        least_calls: fewer than usual where every call does harm.
    """
    tail = latest(rounds)
    if not _enough(tail, least_calls):
        return []
    growths = [
        growth_of(tail, signal)
        for signal in _signals(rounds)
        if all(moved > GRAINS.get(signal, 0) for _, moved in _pairs(tail, signal))
    ]
    return [
        growth
        for growth in growths
        if growth.steady
        and (_calls(tail) >= MANY_CALLS or _is_straight(rounds, growth.rate.signal))
        and not _fades(rounds, growth)
        and _is_new_ground(rounds, growth)
    ]


def final(rounds: Sequence[Round], stopped: str, least_calls: int = LEAST_CALLS) -> Verdict:
    """The verdict when no further calls are made.

    Args:
        rounds: all there are, after the warm-up.
        stopped: why there are no more, in words that follow on a comma.
        least_calls: fewer than usual where so much is lost per call that more would do harm.
    """
    calls = _calls(rounds)
    tail = latest(rounds)
    over = _calls(tail)
    steady = suspects(rounds, least_calls)
    if steady:
        return Verdict(
            state="leaking",
            calls=over,
            rates=tuple(growth.rate for growth in steady),
            rounds=tuple(rounds),
        )
    if not _enough(tail, least_calls):
        reason = f"{calls} calls are too few to tell, {stopped}"
        return Verdict(state="unclear", calls=calls, rounds=tuple(rounds), reason=reason)
    grown = [
        growth_of(tail, signal)
        for signal in _signals(rounds)
        if _levels(tail, signal)[-1] > _allowance(signal, over)
    ]
    lasting = [g for g in grown if g.trend >= (STEADY if _fades(rounds, g) else NOT_FALLING)]
    if lasting:
        whole = growth_of(_evened(rounds), lasting[0].rate.signal)
        reason = (
            f"{whole.rate.signal} moved by {whole.lowest:.3g} to {whole.highest:.3g} a call, "
            f"too unevenly to tell, {stopped}"
        )
        return Verdict(
            state="unclear",
            calls=calls,
            rates=tuple(growth.rate for growth in lasting),
            rounds=tuple(rounds),
            reason=reason,
        )
    reason = (
        f"what it keeps becomes less and less, {stopped}"
        if grown
        else f"there is hardly more of it than {over} calls before, {stopped}"
    )
    return Verdict(state="settling", calls=calls, rounds=tuple(rounds), reason=reason)


def confirmed(verdict: Verdict, longer: Round) -> Verdict:
    """The verdict of leaking, or unclear if it does not hold for a round twice as long.

    What grows with the number of looks, and not with that of the calls, looks like a leak
    as long as all rounds are alike.

    Args:
        verdict: leaking, from rounds of a few calls each.
        longer: one more round.
    """
    rate = verdict.rates[0]
    moved = longer.of(rate.signal) or 0
    if moved >= CONFIRMED * rate.per_call * longer.calls:
        return verdict
    return Verdict(
        state="unclear",
        calls=verdict.calls + longer.calls,
        rates=verdict.rates,
        rounds=verdict.rounds,
        reason=f"{rate.signal} grew by {rate.per_call:.3g} a call, but by {moved} in "
        f"{longer.calls} calls without a look in between",
    )


def latest(rounds: Sequence[Round]) -> Sequence[Round]:
    """The rounds a verdict of leaking rests on; one cut short is part of the one before.

    Args:
        rounds: all so far, after the warm-up.
    """
    return _last(_evened(rounds), max(TAIL_CALLS, TAIL * _calls(rounds)), LEAST_ROUNDS)


def growth_of(rounds: Sequence[Round], signal: Signal) -> Growth:
    """How a signal moved: a ratio estimate with its interval (Cochran, Sampling Techniques).

    Args:
        rounds: at least one, each with a reading of this signal.
        signal: which.
    """
    pairs = _pairs(rounds, signal)
    calls = sum(n for n, _ in pairs)
    mean = sum(moved for _, moved in pairs) / calls
    freedom = len(pairs) - 1
    error = inf
    if freedom:
        spread = sum(n * (moved / n - mean) ** 2 for n, moved in pairs) / freedom
        error = sqrt(spread / calls)
    half = error * _quantile(_T_975, freedom)
    rates = [moved / n for n, moved in pairs]
    return Growth(
        rate=Rate(signal=signal, per_call=mean, low=mean - half, high=mean + half),
        error=error,
        rounds=len(pairs),
        lowest=min(rates),
        highest=max(rates),
        trend=_trend(pairs),
    )


def next_size(done: int) -> int:
    """Calls of the next round: a sixth of what has been done, by threes while it is short.

    A leak on every second or third call shows alike in every three calls. Longer rounds are of
    any length, so that what comes and goes by threes does not stand still in them.

    Args:
        done: calls so far, after the warm-up.
    """
    size = done // 6
    return size if size >= 12 else max(3, size // 3 * 3)


def _fades(rounds: Sequence[Round], growth: Growth) -> bool:
    """Whether the rate seems to fall since the first round, and has not surely stopped."""
    signal = growth.rate.signal
    rates = [moved / n for n, moved in _pairs(_evened(rounds), signal)]
    concordance = sum((b > a) - (b < a) for a, b in combinations(rates, 2))
    count = len(rates)
    deviation = sqrt(count * (count - 1) * (2 * count + 5) / 18)
    if concordance > -_Z_95 * deviation:
        return False
    tail = latest(rounds)
    half = len(tail) // 2
    earlier, later = growth_of(tail[:half], signal), growth_of(tail[half:], signal)
    above = later.rate.per_call - STEADY * earlier.rate.per_call
    error = hypot(later.error, STEADY * earlier.error)
    return above < error * _quantile(_T_999, len(tail) - 2)


def _is_straight(rounds: Sequence[Round], signal: Signal) -> bool:
    """Whether no level is far off a straight line; the last, which may be cut short, aside."""
    tail = latest(rounds)[:-1]
    levels = _levels(tail, signal)
    done = list(accumulate((r.calls for r in tail), initial=0))
    rate = levels[-1] / done[-1]
    most = STRAIGHT * levels[-1] / len(tail)
    return all(abs(level - rate * n) <= most for n, level in zip(done, levels, strict=True))


def _is_new_ground(rounds: Sequence[Round], growth: Growth) -> bool:
    """Whether most of the growth lies above all levels from before it."""
    tail = latest(rounds)
    levels = _levels(_evened(rounds), growth.rate.signal)
    before = levels[: len(levels) - len(tail)]
    return levels[-1] - max(before) >= NEW_GROUND * (levels[-1] - before[-1])


def _enough(tail: Sequence[Round], least_calls: int) -> bool:
    return len(tail) >= LEAST_ROUNDS and _calls(tail) >= least_calls


def _allowance(signal: Signal, calls: int, share: float = 1.0) -> float:
    """How far a signal may move over so many calls and still count as flat."""
    return max(share * FLOORS[signal] * calls, GRAINS.get(signal, 0))


def _last(rounds: Sequence[Round], least_calls: float, least_rounds: int) -> Sequence[Round]:
    """The latest rounds that have so many calls and are so many, or all."""
    calls = count = 0
    for a_round in reversed(rounds):
        if calls >= least_calls and count >= least_rounds:
            break
        calls += a_round.calls
        count += 1
    return rounds[len(rounds) - count :]


def _evened(rounds: Sequence[Round]) -> list[Round]:
    """The rounds, with each that was cut short joined to the one before."""
    evened: list[Round] = []
    for a_round in rounds:
        if evened and a_round.calls < evened[-1].calls:
            evened[-1] = _joined((evened[-1], a_round))
        else:
            evened.append(a_round)
    return evened


def _joined(rounds: Sequence[Round]) -> Round:
    """All as one round."""
    return Round(
        calls=_calls(rounds),
        growth=tuple((s, sum(r.of(s) or 0 for r in rounds)) for s in _signals(rounds)),
    )


def _signals(rounds: Sequence[Round]) -> list[Signal]:
    """What was read in every round, the most telling first."""
    read = {tuple(signal for signal, _ in r.growth) for r in rounds}  # mostly but one
    return [signal for signal in FLOORS if all(signal in signals for signals in read)]


def _pairs(rounds: Sequence[Round], signal: Signal) -> list[tuple[int, int]]:
    """Calls and growth of every round."""
    return [(r.calls, r.of(signal) or 0) for r in rounds]


def _levels(rounds: Sequence[Round], signal: Signal) -> list[int]:
    """How high a signal stood before and after every round, from nought."""
    return list(accumulate((moved for _, moved in _pairs(rounds, signal)), initial=0))


def _quantile(table: Sequence[float], freedom: int) -> float:
    return table[min(max(freedom, 1), len(table)) - 1]


def _trend(pairs: Sequence[tuple[int, int]]) -> float:
    half = len(pairs) // 2
    earlier, later = pairs[:half], pairs[half:]
    before = sum(m for _, m in earlier) / max(1, sum(n for n, _ in earlier))
    after = sum(m for _, m in later) / max(1, sum(n for n, _ in later))
    return after / before if before > 0 else inf


def _calls(rounds: Sequence[Round]) -> int:
    return sum(a_round.calls for a_round in rounds)
