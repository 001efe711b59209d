"""Measures the leak rule on growth in steps: ``python bench/leak_steps.py``."""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

if __name__ == "__main__":  # what is measured is the rule beside this file
    sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.leak_rule import Level, Series, at_most, check, show
from pytest_memguard.judge.rounds import FLOORS
from pytest_memguard.judge.stepped_growth import LEAST_STEPS, NOISE_FACTOR, steps_of
from pytest_memguard.model.leaks import Signal
from pytest_memguard.recording.limits import Limits

CAPS = (2000, 350, 120)
"""Calls a check may make; with fewer, growth in steps is not recognised."""
LARGEST = 1 << 20
MOST = Limits().memory
"""What a leak may use up before no further calls are made."""
FACTORS = (1.0625, 1.125, 1.25, 1.5, 2, 3, 4)
"""How many times as much as they need buffers take when they are full."""
CLEARLY_ABOVE = 1.2
"""Times the floor of its signal that growth is which has to be found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stairs:
    """A level that goes up in steps."""

    signal: Signal
    level: Level
    per_call: float
    """What is used by each call, on average."""


Builder = Callable[[Random, int], Stairs]
"""Makes one for a cap."""


def over_allocated(rng: Random, _cap: int) -> Stairs:
    """A buffer that gets as much with every call, and takes more than it needs once full."""
    size, factor = _size(rng), rng.choice(FACTORS)
    return _bytes(_buffer(lambda: size, factor, _start(rng, size)), size)


def over_allocated_by_chance(rng: Random, _cap: int) -> Stairs:
    """The same with another amount in every call."""
    size, factor = _size(rng), rng.choice(FACTORS)
    return _bytes(_buffer(lambda: rng.randint(0, 2 * size), factor, _start(rng, size)), size)


def arena(rng: Random, cap: int) -> Stairs:
    """A block of any size in one of so many calls."""
    size, every = _size(rng), int(_between(rng, 2, cap / 4))
    phase = rng.randrange(every)
    return _bytes(lambda calls: size * ((calls + phase) // every), size / every)


def arena_by_chance(rng: Random, _cap: int) -> Stairs:
    """A block whenever the latest is full, of which each call takes another amount."""
    size = int(_between(rng, 1024, LARGEST))
    use = int(_between(rng, 16, size / 4))
    taken = _buffer(lambda: rng.randint(0, 2 * use), 1, 0)
    return _bytes(lambda calls: size * math.ceil(taken(calls) / size), use)


def after_a_jump(rng: Random, cap: int) -> Stairs:
    """Any of the others, and something else that is kept once, early on."""
    stairs = rng.choice((over_allocated, arena))(rng, cap)
    at, size = rng.randint(8, 20), _between(rng, 1, 100 * max(1, stairs.per_call))
    return _bytes(lambda calls: stairs.level(calls) + size * (calls > at), stairs.per_call)


def over_noise(rng: Random, cap: int) -> Stairs:
    """Any of the others, in a level that goes up and down a little."""
    stairs = rng.choice((over_allocated, arena))(rng, cap)
    noise = _between(rng, 16, 512)
    return _bytes(lambda calls: stairs.level(calls) + rng.gauss(0, noise), stairs.per_call)


def filled(rng: Random, cap: int) -> Stairs:
    """A buffer that grows no more, and would have been full again well before the end."""
    factor = rng.choice(FACTORS)
    full = int(_between(rng, 2, cap * 2 / 3 / factor))
    size = _harmless(rng, full)
    buffer = _buffer(lambda: size, factor, 0)
    return _bytes(lambda calls: buffer(min(calls, full)), 0)


def cut_back(rng: Random, cap: int) -> Stairs:
    """A buffer that is emptied again and again, within the calls there are."""
    period, factor = int(_between(rng, 2, cap / 3)), rng.choice(FACTORS)
    size = _harmless(rng, period)
    phase = rng.randrange(period)
    return _bytes(lambda calls: _room(size * ((calls + phase) % period), factor), 0)


def cut_in_half(rng: Random, cap: int) -> Stairs:
    """A list that loses its older half when it is full, within the calls there are."""
    most, factor = int(_between(rng, 2, cap / 3)), rng.choice(FACTORS)
    size = _harmless(rng, most)

    def level(calls: int) -> float:
        over = max(0, calls - most)
        kept = calls if not over else most - most // 2 + over % max(1, most // 2)
        return _room(size * min(calls, kept), factor)

    return _bytes(level, 0)


def slowing(rng: Random, cap: int) -> Stairs:
    """A table of what has not been seen before, of which there is less and less."""
    span, factor = _between(rng, 2, cap / 6), rng.choice(FACTORS)
    size = _harmless(rng, span)
    return _bytes(lambda calls: _room(size * span * (1 - math.exp(-calls / span)), factor), 0)


GROWING: Sequence[tuple[str, Builder]] = (
    ("over-allocated buffers", over_allocated),
    ("the same, by chance", over_allocated_by_chance),
    ("blocks in one of many calls", arena),
    ("the same, by chance", arena_by_chance),
    ("after a jump", after_a_jump),
    ("over noise", over_noise),
)
REGULAR = (over_allocated, arena)
"""Of these fewer than one in 100 may be missed."""
ENDING: Sequence[tuple[str, Builder]] = (
    ("buffers that are filled", filled),
    ("buffers that are emptied", cut_back),
    ("lists that lose their older half", cut_in_half),
    ("tables that grow by less and less", slowing),
)
"""Of these one in 10,000 at most may be called leaking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misses:
    """What became of growth in steps."""

    shown: int
    """Series of which the calls that were made showed steps enough, clearly above the floor."""
    states: Counter[str]
    """What these were called."""

    @property
    def missed(self) -> int:
        """How many were not called leaking."""
        return self.shown - self.states["leaking"]


def misses(build: Builder, cap: int, count: int) -> Misses:
    """Judge so many series, the same ones every time."""
    states: Counter[str] = Counter()
    for number in range(count):
        stairs = build(_rng(build, cap, number), cap)
        series = Series(stairs.signal, stairs.level)
        verdict, _ = check(series, cap)
        noise = max((-(r.of(stairs.signal) or 0) for r in verdict.rounds), default=0)
        steps = steps_of(verdict.rounds, stairs.signal, max(0, NOISE_FACTOR * noise))
        floor = CLEARLY_ABOVE * FLOORS[stairs.signal]
        if len(steps) >= LEAST_STEPS and stairs.per_call >= floor:
            states[verdict.state] += 1
    return Misses(shown=states.total(), states=states)


def alarms(build: Builder, cap: int, count: int) -> int:
    """Judge so many series that do not leak; how many are called leaking."""
    found = 0
    for number in range(count):
        stairs = build(_rng(build, cap, number), cap)
        verdict, _ = check(Series(stairs.signal, stairs.level), cap)
        found += verdict.state == "leaking"
    return found


def _rng(build: Builder, cap: int, number: int) -> Random:
    return random.Random(f"{build.__name__}/{cap}/{number}")  # noqa: S311  a simulation


def _buffer(draw: Callable[[], float], factor: float, start: float) -> Level:
    """The room of a buffer into which each call puts something; asked in the order of calls."""
    at, used = 0, start
    room = _full(start, factor)

    def level(calls: int) -> float:
        nonlocal at, used, room
        for _ in range(at, calls):
            used += draw()
            if used > room:
                room = _full(used, factor)
        at = max(at, calls)
        return room

    return level


def _room(used: float, factor: float) -> float:
    """The room of a buffer that has come to this by itself, from nothing."""
    room = 16.0
    while room < used:
        room = max(room * factor, room + 16)
    return room


def _full(used: float, factor: float) -> float:
    return 16 * math.ceil((used * factor + 6) / 16)


def _bytes(level: Level, per_call: float) -> Stairs:
    return Stairs(signal="C heap", level=level, per_call=per_call)


def _size(rng: Random) -> int:
    return int(_between(rng, 1, LARGEST))


def _harmless(rng: Random, calls: float) -> int:
    """A size per call that stays below the limit of a leak, with over-allocation."""
    return int(_between(rng, 1, min(LARGEST, MOST / max(FACTORS) / max(1, calls))))


def _start(rng: Random, size: int) -> float:
    """What a buffer holds before the first call: nothing, or as much as some calls add."""
    return rng.choice((0.0, _between(rng, 1, 100 * size)))


def _between(rng: Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(max(low, high))))


def print_misses(count: int) -> bool:
    """Print what is missed of growth; whether it is few enough."""
    rows = []
    shown = missed = 0
    for name, build in GROWING:
        for cap in CAPS:
            found = misses(build, cap, count)
            share = found.missed / max(1, found.shown)
            if build in REGULAR:
                shown, missed = shown + found.shown, missed + found.missed
            others = ", ".join(
                f"{n} {state}" for state, n in found.states.items() if state != "leaking"
            )
            rows.append((name, cap, found.shown, found.missed, f"{100 * share:.2g}", others))
    headers = ("growth in steps", "cap", "shown", "missed", "%", "called")
    aim = "aim: below 1 % of the regular ones"
    show(f"Sizes of 1 byte to 1 MB a call or block, {count:,} per row; {aim}", headers, rows)
    print(f"\n{missed} of {shown:,} regular ones were missed")
    return missed < 0.01 * shown


def print_alarms(count: int) -> bool:
    """Print what is called leaking of what ends; whether it is few enough."""
    rows = []
    wrong = series = 0
    for name, build in ENDING:
        for cap in CAPS:
            found = alarms(build, cap, count)
            wrong, series = wrong + found, series + count
            rows.append((name, cap, found, f"{1e4 * at_most(found, count):.3g}"))
    headers = ("steps that end", "cap", "leaking", "per 10,000, at most")
    show(f"Steps that end ({count:,} per row); aim: 1 in 10,000", headers, rows)
    print(f"\n{wrong} of {series:,} were called leaking")
    return wrong <= math.ceil(series / 1e4)


def main() -> int:
    """Print both tables.

    Returns:
        1 if the rule misses its aim.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--series", type=int, default=2000, help="per kind and cap (default: %(default)s)"
    )
    count = parser.parse_args().series
    start = time.process_time()
    met = print_misses(count)
    met &= print_alarms(count)
    print(f"\n{time.process_time() - start:.0f} s; the aims are {'met' if met else 'NOT met'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
