"""Measures how often the leak rule is wrong: ``python bench/leak_rule.py``."""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median

if __name__ == "__main__":  # what is measured is the rule beside this file
    sys.path.insert(0, str(Path(__file__).parents[1]))

from tabulate import tabulate

from pytest_memguard.model.leaks import Signal, Verdict
from pytest_memguard.recording.limits import Limits
from pytest_memguard.recording.repeat import Repetition

CAPS = (2000, 350, 120, 40)
"""Calls a check may make, warm-up and all."""
ASIDE = 21
"""Calls of a short check that its verdict does not rest on: before and after the rounds."""
_MOST = 1 << 62
UNITS: dict[Signal, int] = {"blocks": 1, "C heap": 64, "USS": 4096, "open files": 1}
"""What one unit of noise is."""
NOISES = (0, 1, 3, 10, 30, 100)
"""Standard deviation of the level, in units, under planted growth."""

Level = Callable[[int], float]
"""How high a signal stands after so many calls; asked in the order of calls."""


@dataclass(frozen=True, slots=True)
class Series:
    """A signal, and how it goes."""

    signal: Signal
    level: Level


Maker = Callable[[Random, int], Series]
"""Makes a series for a cap."""


@dataclass(frozen=True, slots=True)
class Family:
    """Series that have something in common."""

    name: str
    make: Maker
    caps: Sequence[int] = CAPS


class Simulated:
    """A series in place of the process: what a check calls, and what it reads."""

    def __init__(self, series: Series) -> None:
        self.signals = (series.signal,)
        self.calls = 0
        self._level = series.level

    def call(self) -> None:
        """Make one call."""
        self.calls += 1

    def row(self) -> array[int]:
        """Room for one reading."""
        return array("q", [0])

    def read(self, row: array[int], **_: object) -> None:
        """Read the series where it is now."""
        row[0] = max(-_MOST, min(_MOST, round(self._level(self.calls))))

    def collect(self) -> None:
        """A series leaves no garbage."""

    def collect_frozen(self, **_: object) -> bool:
        """Nor does it leave any in the frozen heap."""
        return False

    def small_blocks(self) -> bytes:
        """Nor has it small blocks."""
        return b""

    def settle(self, *, types: bool = True) -> None:
        """Nor does it fill caches."""


def check(series: Series, cap: int) -> tuple[Verdict, int]:
    """Let the check of the product run on a series instead of a callable.

    Args:
        series: what is read.
        cap: calls at most.

    Returns:
        The verdict, and all calls made for it.
    """
    simulated = Simulated(series)
    limits = Limits(calls=cap, seconds=1e9)
    return Repetition(simulated.call, simulated, limits).verdict(), simulated.calls


# Series without growth


def flat(rng: Random, _cap: int) -> Series:
    """Always the same."""
    return Series(_signal(rng), lambda _calls: 0)


def gaussian(rng: Random, _cap: int) -> Series:
    """A level with Gaussian noise."""
    signal, amplitude = _signal(rng), _between(rng, 1, 1000)
    return _in_units(signal, lambda _calls: rng.gauss(0, amplitude))


def heavy(rng: Random, _cap: int) -> Series:
    """A level with rare large deviations, to both sides or upwards alone."""
    signal, amplitude = _signal(rng), _between(rng, 1, 1000)
    shape = _between(rng, 1, 3)
    upwards = rng.random() < 0.5

    def level(_calls: int) -> float:
        size = amplitude * (min(rng.paretovariate(shape), 1e6) - 1)
        return size if upwards or rng.random() < 0.5 else -size

    return _in_units(signal, level)


def state_noise(rng: Random, _cap: int) -> Series:
    """What is kept depends on the latest call: the same when it is read again."""
    signal, amplitude = _signal(rng), _between(rng, 1, 1000)
    at, value = -1, 0.0

    def level(calls: int) -> float:
        nonlocal at, value
        if calls != at:
            at, value = calls, rng.choice((rng.gauss(0, 1), rng.expovariate(1))) * amplitude
        return value

    return _in_units(signal, level)


def sawtooth(rng: Random, cap: int) -> Series:
    """Rises with every call and falls back to nought, within the calls there are."""
    return _sawtooth(rng, round(_between(rng, 2, min(700, cap - ASIDE))))


def one_step(rng: Random, cap: int) -> Series:
    """A single jump, sometimes over a little noise."""
    signal, noise = _signal(rng), _little(rng)
    at, height = rng.uniform(0, min(cap, _between(rng, 3, cap))), _between(rng, 1, 1000)
    return _in_units(signal, lambda calls: height * (calls > at) + rng.gauss(0, noise))


def several_steps(rng: Random, cap: int) -> Series:
    """Two to five jumps."""
    signal, noise = _signal(rng), _little(rng)
    steps = [
        (rng.uniform(0, cap), rng.choice((1, 1, 1, -1)) * _between(rng, 1, 1000))
        for _ in range(rng.randint(2, 5))
    ]
    return _in_units(
        signal, lambda calls: sum(h for at, h in steps if calls > at) + rng.gauss(0, noise)
    )


def exponential(rng: Random, cap: int) -> Series:
    """Grows by less and less: halved again and again within the calls there are."""
    return _fading(rng, _saturation(rng, _between(rng, 2, cap / 2)))


def logarithmic(rng: Random, cap: int) -> Series:
    """Grows by 1/n from early on."""
    return _fading(rng, _logarithm(rng, _between(rng, 0.5, min(20, cap / 20))))


def root(rng: Random, _cap: int) -> Series:
    """Grows by 1/sqrt(n)."""
    return _fading(rng, _root(rng))


def chance_exponential(rng: Random, cap: int) -> Series:
    """Grows by chance, more and more rarely."""
    return _by_chance(rng, _saturation(rng, _between(rng, 2, cap / 2)))


def chance_logarithmic(rng: Random, cap: int) -> Series:
    """Grows by chance, 1/n on the average."""
    return _by_chance(rng, _logarithm(rng, _between(rng, 0.5, min(20, cap / 20))))


def chance_root(rng: Random, _cap: int) -> Series:
    """Grows by chance, 1/sqrt(n) on the average."""
    return _by_chance(rng, _root(rng))


def records(rng: Random, _cap: int) -> Series:
    """Pages for calls on data made by chance: more when one needs more than all before it."""
    typical, spread_of_it = _between(rng, 1e5, 1e7), rng.choice((0.1, 0.3, 1.0))
    at, most = 0, 0.0

    def level(calls: int) -> float:
        nonlocal at, most
        for _ in range(at, calls):
            most = max(most, typical * rng.lognormvariate(0, spread_of_it))
        at = max(at, calls)
        return most / UNITS["USS"]

    return _in_units("USS", level)


def periodic(rng: Random, cap: int) -> Series:
    """Goes up and down as a sine, within the calls there are."""
    return _periodic(rng, _between(rng, 2, min(700, cap - ASIDE)))


def cache(rng: Random, cap: int) -> Series:
    """A cache that takes one entry per call, full after two thirds of the calls at most."""
    return _cache(rng, round(_between(rng, 2, min(1024, cap * 2 / 3))))


def walk(rng: Random, _cap: int) -> Series:
    """Every call adds or takes away by chance, as often the one as the other."""
    signal, step = _signal(rng), _between(rng, 1, 300)
    unit = rng.random() < 0.3
    at, value = 0, 0.0

    def level(calls: int) -> float:
        nonlocal at, value
        gone, at = calls - at, calls
        if unit:
            value += 2 * (rng.getrandbits(gone).bit_count() if gone else 0) - gone
        else:
            value += rng.gauss(0, step * math.sqrt(gone))
        return value

    return _in_units(signal, level)


def large_cache(rng: Random, cap: int) -> Series:
    """A cache that takes one entry per call and is larger than there are calls."""
    return _cache(rng, round(_between(rng, cap, 4 * cap)))


def late_cache(rng: Random, cap: int) -> Series:
    """A cache that becomes full in the last third of the calls."""
    return _cache(rng, round(rng.uniform(cap * 2 / 3, cap)))


def random_keys(rng: Random, cap: int) -> Series:
    """A cache asked for keys drawn from up to as many as there are calls."""
    return _random_keys(rng, round(_between(rng, 2, cap)))


def many_random_keys(rng: Random, cap: int) -> Series:
    """A cache asked for keys drawn from more than there are calls."""
    return _random_keys(rng, round(_between(rng, cap, 4 * cap)))


def long_sawtooth(rng: Random, cap: int) -> Series:
    """Falls back after more calls than there are."""
    return _sawtooth(rng, round(_between(rng, cap, 4 * cap)))


def chance_sawtooth(rng: Random, cap: int) -> Series:
    """Rises with every call and falls back to nought at random times, ten in all."""
    signal, height = _signal(rng), _between(rng, 1, 20)
    at = fell = 0

    def level(calls: int) -> float:
        nonlocal at, fell
        for call in range(at, calls):
            if rng.random() < 10 / cap:
                fell = call
        at = calls
        return height * (calls - fell)

    return _in_units(signal, level)


def long_period(rng: Random, cap: int) -> Series:
    """Goes up and down more slowly than there are calls."""
    return _periodic(rng, _between(rng, cap, 4 * cap))


def slow_logarithmic(rng: Random, cap: int) -> Series:
    """Grows by 1/n, but only later on."""
    return _fading(rng, _logarithm(rng, _between(rng, cap / 20, cap)))


def slow_exponential(rng: Random, cap: int) -> Series:
    """Grows by less and less, halved after more than a third of the calls."""
    return _fading(rng, _saturation(rng, _between(rng, cap / 2, 4 * cap)))


def _sawtooth(rng: Random, period: int) -> Series:
    signal, noise, phase = _signal(rng), _little(rng), rng.randrange(period)
    height = _between(rng, 1, 20)
    return _in_units(
        signal, lambda calls: height * ((calls + phase) % period) + rng.gauss(0, noise)
    )


def _periodic(rng: Random, period: float) -> Series:
    signal, noise, phase = _signal(rng), _little(rng), rng.uniform(0, math.tau)
    size = _between(rng, 1, 1000)
    return _in_units(
        signal,
        lambda calls: size * math.sin(phase + math.tau * calls / period) + rng.gauss(0, noise),
    )


def _saturation(rng: Random, span: float) -> Level:
    rate = _between(rng, 0.3, 100)
    return lambda calls: rate * span * (1 - math.exp(-calls / span))


def _logarithm(rng: Random, lag: float) -> Level:
    size = _between(rng, 1, 1000)
    return lambda calls: size * math.log(1 + calls / lag)


def _root(rng: Random) -> Level:
    size = _between(rng, 1, 300)
    return lambda calls: size * math.sqrt(calls)


def _fading(rng: Random, mean: Level) -> Series:
    """This level, sometimes with a little noise."""
    signal, noise = _signal(rng), _little(rng)
    return _in_units(signal, lambda calls: mean(calls) + rng.gauss(0, noise))


def _by_chance(rng: Random, mean: Level) -> Series:
    """A level that is this in the mean; each call adds by chance, as Poisson has it."""
    signal = _signal(rng)
    at, value = 0.0, 0.0

    def level(calls: int) -> float:
        nonlocal at, value
        to = mean(calls)
        value += _poisson(rng, to - at)
        at = to
        return value

    return _in_units(signal, level)


def _cache(rng: Random, size: int) -> Series:
    signal, noise, each = _signal(rng), _little(rng), rng.randint(1, 5)
    return _in_units(signal, lambda calls: each * min(calls, size) + rng.gauss(0, noise))


def _random_keys(rng: Random, keys: int) -> Series:
    signal, each = _signal(rng), rng.randint(1, 5)
    at, held = 0, 0

    def level(calls: int) -> float:
        nonlocal at, held
        for _ in range(at, calls):
            held += rng.random() * keys >= held
        at = calls
        return each * held

    return _in_units(signal, level)


def _signal(rng: Random) -> Signal:
    """One of which a call may keep any number."""
    return rng.choice(("blocks", "C heap", "USS"))


def _in_units(signal: Signal, level: Level) -> Series:
    unit = UNITS[signal]
    return Series(signal, lambda calls: unit * round(level(calls)))


def _between(rng: Random, low: float, high: float) -> float:
    """Anything between, small and large alike."""
    return math.exp(rng.uniform(math.log(low), math.log(max(low, high))))


def _little(rng: Random) -> float:
    """Half of the time nothing."""
    return rng.choice((0.0, 0.0, 0.5, 2.0))


def _poisson(rng: Random, mean: float) -> int:
    if mean > 50:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    count, left = 0, mean - rng.expovariate(1)
    while left > 0:
        count += 1
        left -= rng.expovariate(1)
    return count


# Planted growth


def steady(size: float, every: int = 1) -> Callable[[Random], Level]:
    """So much in one call of so many."""

    def plant(rng: Random) -> Level:
        phase = rng.randrange(every)
        return lambda calls: size * ((calls + phase) // every)

    return plant


def summed(draw: Callable[[Random], float]) -> Callable[[Random], Level]:
    """Something else on every call."""

    def plant(rng: Random) -> Level:
        at, value = 0, 0.0

        def level(calls: int) -> float:
            nonlocal at, value
            value += sum(draw(rng) for _ in range(at, calls))
            at = calls
            return value

        return level

    return plant


def in_place(_rng: Random) -> Level:
    """A list that gets 100 more items per call, and room for an eighth more now and then."""
    at = room = 0

    def level(calls: int) -> float:
        nonlocal at, room
        for items in range(100 * at, 100 * calls + 1, 100):
            if items > room:
                room = items + (items >> 3) + 6
        at = calls
        return 8 * room

    return level


def with_cache(_rng: Random) -> Level:
    """One object per call, and a cache of 64 that fills."""
    return lambda calls: calls + min(calls, 64)


def after_start(rng: Random) -> Level:
    """One object per call, and a burst or a release of up to 300 in one of the first calls."""
    at, size = rng.randint(4, 12), rng.randint(-300, 300)
    return lambda calls: calls + size * (calls > at)


@dataclass(frozen=True, slots=True)
class Plant:
    """Growth to be found."""

    name: str
    signal: Signal
    make: Callable[[Random], Level]
    unit: int = 1
    """Steps in which it is read."""

    def over(self, noise: float) -> Maker:
        """Makes series of it with noise in the level."""

        def make(rng: Random, _cap: int) -> Series:
            level, unit = self.make(rng), UNITS[self.signal]
            return Series(
                self.signal,
                lambda calls: (
                    self.unit * (level(calls) // self.unit) + unit * round(rng.gauss(0, noise))
                ),
            )

        return make


INNOCENT = (
    Family("flat", flat),
    Family("noisy, Gaussian", gaussian),
    Family("noisy, heavy-tailed", heavy),
    Family("noisy, by state", state_noise),
    Family("sawtooth", sawtooth),
    Family("one step", one_step),
    Family("fading, exponential", exponential),
    Family("fading, 1/n", logarithmic),
    Family("fading, 1/sqrt(n)", root, CAPS[:1]),
    Family("periodic", periodic),
    Family("records of random peaks", records),
)
"""Of these hardly any may be called leaking: the rule is made for that."""
OTHERS = (
    Family("several steps", several_steps),
    Family("cache, full in time", cache),
    Family("cache, random keys", random_keys),
    Family("random walk", walk),
    Family("exponential, by chance", chance_exponential),
    Family("1/n, by chance", chance_logarithmic),
    Family("1/sqrt(n), by chance", chance_root),
    Family("sawtooth, at random", chance_sawtooth),
)
"""Of these few."""
HOPELESS = (
    Family("cache, full late", late_cache),
    Family("cache, never full", large_cache),
    Family("cache, too many keys", many_random_keys),
    Family("sawtooth, too long", long_sawtooth),
    Family("periodic, too long", long_period),
    Family("exponential, too slow", slow_exponential),
    Family("1/sqrt(n), few calls", root, CAPS[1:]),
    Family("1/n, from later on", slow_logarithmic),
)
"""Series that resemble leaks as long as there are calls, in part or throughout."""
PLANTS = (
    Plant("an object per call", "blocks", steady(1)),
    Plant("an object every second call", "blocks", steady(1, 2)),
    Plant("an object every third call", "blocks", steady(1, 3)),
    Plant("32 bytes of C heap per call", "C heap", steady(32)),
    Plant("a descriptor per call", "open files", steady(1)),
    Plant("9.3 KB mapped per call", "USS", steady(9.3 * 1024), 4096),
)
"""Without noise all of these must be found."""
UNEVEN = (
    Plant("by chance every third call", "blocks", summed(lambda rng: rng.random() < 1 / 3)),
    Plant("0 to 4 objects per call", "blocks", summed(lambda rng: rng.randint(0, 4))),
    Plant(
        "random size, exponential, 200 bytes",
        "C heap",
        summed(lambda rng: 16 * math.ceil(rng.expovariate(1 / 200) / 16) + 16),
    ),
    Plant("a list that grows in place", "C heap", in_place),
    Plant("an object per call, 64 cached", "blocks", with_cache),
    Plant("an object per call, a jump first", "blocks", after_start),
)
"""Uneven by themselves."""


@dataclass(slots=True)
class Tally:
    """What became of some series."""

    states: Counter[str] = field(default_factory=Counter)
    calls: list[int] = field(default_factory=list)
    """All that were made, per series."""
    clean: list[int] = field(default_factory=list)
    """The same of the clean ones."""

    def share(self, state: str) -> str:
        """In percent."""
        return f"{100 * self.states[state] / len(self.calls):.4g}"


def tally(name: str, make: Maker, cap: int, count: int) -> Tally:
    """Judge so many series, the same ones every time."""
    found = Tally()
    for number in range(count):
        rng = random.Random(f"{name}/{cap}/{number}")  # noqa: S311  a simulation
        verdict, calls = check(make(rng, cap), cap)
        found.states[verdict.state] += 1
        found.calls.append(calls)
        if verdict.state == "clean":
            found.clean.append(calls)
    return found


def at_most(events: int, count: int) -> float:
    """Upper end of the one-sided 95 % interval for a rate (Clopper and Pearson)."""
    low, high = events / count, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        below = sum(
            math.exp(
                math.lgamma(count + 1)
                - math.lgamma(k + 1)
                - math.lgamma(count - k + 1)
                + k * math.log(middle)
                + (count - k) * math.log1p(-middle)
            )
            for k in range(events + 1)
        )
        low, high = (middle, high) if below > 0.05 else (low, middle)
    return high


def innocent(title: str, families: Sequence[Family], count: int) -> bool:
    """Print a row for every family and cap; whether 1 in 10,000 at most is called leaking."""
    rows = []
    wrong = series = 0
    for family in families:
        for cap in family.caps:
            found = tally(family.name, family.make, cap, count)
            alarms = found.states["leaking"]
            wrong, series = wrong + alarms, series + count
            rows.append(
                (
                    family.name,
                    cap,
                    alarms,
                    f"{1e4 * alarms / count:.3g}",
                    f"{1e4 * at_most(alarms, count):.3g}" if alarms < 100 else "",
                    *(found.share(state) for state in ("undecided", "settling", "clean")),
                    median(found.calls),
                    median(found.clean) if found.clean else "",
                )
            )
    headers = ("series", "cap", "leaking", "per 10,000", "at most")
    outcomes = ("undecided %", "settling %", "clean %", "calls", "calls if clean")
    show(f"{title} ({count:,} series per row)", headers + outcomes, rows)
    print(f"\n{wrong} of {series:,} were called leaking")
    return wrong <= math.ceil(series / 1e4)


def planted(title: str, plants: Sequence[Plant], count: int) -> bool:
    """Print a row for every plant and amplitude of noise; whether all without it are found."""
    rows = []
    met = True
    for plant in plants:
        for noise in NOISES:
            name = f"{plant.name}/{noise}"
            shares = [
                tally(name, plant.over(noise), cap, count).share("leaking") for cap in CAPS
            ]
            met &= noise > 0 or set(shares) == {"100"}
            rows.append((plant.name, noise, *shares))
    headers = ("growth", "noise", *(f"{cap:,} calls" for cap in CAPS))
    show(f"{title} ({count:,} series per figure)", headers, rows)
    return met


def show(title: str, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table."""
    print(f"\n{title}\n\n{tabulate(rows, headers, tablefmt='github')}", flush=True)


def main() -> int:
    """Print the tables, one by one.

    Returns:
        1 if the rule misses its aim.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--series", type=int, default=2000, help="per family and cap (default: %(default)s)"
    )
    count = parser.parse_args().series
    few = min(count, 1000)
    start = time.process_time()
    met = innocent("No growth; aim: leaking at most 1 in 10,000", INNOCENT, count)
    innocent("No growth that lasts, but hard to tell", OTHERS, few)
    innocent("Looks like a leak for as long as there are calls, or nearly", HOPELESS, few)
    met &= planted("Planted growth called leaking, %; aim: all without noise", PLANTS, few // 5)
    planted("Uneven growth called leaking, %", UNEVEN, few // 5)
    from bench.leak_steps import print_alarms, print_misses  # which makes series of this kind

    met &= print_misses(count)
    met &= print_alarms(count)
    print(f"\n{time.process_time() - start:.0f} s; the aims are {'met' if met else 'NOT met'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
