"""Idle: what the plugin costs where it is installed and no option requests it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import suites
from figures import Figure, Table, at_most, none_but_noise
from pairs import per_test, plain_per_test, startup
from runs import AGAIN, IDLE, PLAIN, Used, rounds, run, spawn
from scale import Scale

START_UP = 3
"""Milliseconds the plugin may add to a run that does not ask for it."""
PACKAGE = "pytest_memguard"
HEAVY = ("memray", "psutil", "tabulate", "sqlite3")


def tables(folder: Path, scale: Scale) -> Iterator[Table]:
    """Measure start-up, imports, and what is left per test."""
    one = suites.functions(folder, 1)
    single = rounds((PLAIN, AGAIN, IDLE), one, scale.startup_rounds)
    yield Table(
        "Idle: start-up, one test",
        [
            startup(single, AGAIN),
            startup(single, IDLE, target=at_most(START_UP)),
            _import_time(folder, scale.rounds),
            *_modules(suites.functions(folder, 1, watcher="modules")),
        ],
    )
    suite = suites.functions(folder, scale.tests, watcher="loop")
    many = rounds((PLAIN, AGAIN, IDLE), suite, scale.rounds)
    yield Table(
        f"Idle: {scale.tests:,} empty tests",
        [
            plain_per_test(many, scale.tests),
            per_test(many, AGAIN, scale.tests),
            per_test(many, IDLE, scale.tests, target=none_but_noise()),
            _calls(suites.functions(folder, scale.tests, watcher="calls")),
        ],
    )


def _import_time(folder: Path, count: int) -> Figure:
    command = (sys.executable, str(suites.INSIDE / "imports.py"))
    notes = [spawn(command, folder).notes for _ in range(count + 1)][1:]
    return Figure(
        name="imports and declaration of options, in the process, ms",
        values=[1e3 * note["cpu"] for note in notes],
        wall=[1e3 * note["wall"] for note in notes],
        target=at_most(START_UP),
    )


def _modules(suite: Path) -> list[Figure]:
    plain, idle = (_loaded(run(variant, suite)) for variant in (PLAIN, IDLE))
    because_of_us = idle - plain
    own = {name for name in because_of_us if name.partition(".")[0] == PACKAGE}
    heavy = because_of_us.intersection(HEAVY)
    return [
        Figure(
            name=f"{', '.join(HEAVY)}: loaded because of us",
            values=[len(heavy)],
            target=at_most(0),
        ),
        Figure(name="modules of the package loaded", values=[len(own)]),
        Figure(
            name="other modules loaded because of us",
            values=[len(because_of_us - own)],
        ),
    ]


def _loaded(used: Used) -> set[str]:
    return set(used.notes["modules"])


def _calls(suite: Path) -> Figure:
    return Figure(
        name="calls into the package while these tests run",
        values=[run(IDLE, suite).notes["calls"]],
        target=at_most(0),
    )
