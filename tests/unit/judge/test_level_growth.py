"""Tests of which tests raised the level of a run for good."""

from __future__ import annotations

from pytest_memguard.judge.level_growth import level_growth
from pytest_memguard.model.levels import LevelGrowth
from pytest_memguard.model.measurements import PhaseReading
from pytest_memguard.model.results import Outcome
from pytest_memguard.report.growth_lines import growth_lines
from pytest_memguard.sizes import MIB
from tests.support.sample_values import rss


def outcome(name, *phases, worker="") -> Outcome:
    """A test with phases of so many MiB of level and growth."""
    readings = tuple(
        PhaseReading(name=name, seconds=0.0, level=a * MIB, growth=b * MIB, peaks=(rss(1),))
        for name, a, b in phases
    )
    return Outcome(nodeid=name, phases=readings, worker=worker)


RUN = [
    outcome("a.py::one", ("setup", 80, 5), ("call", 85, 40)),
    outcome("a.py::two", ("call", 125, -30)),  # it gives back 30 of the 40
    outcome("b.py::three", ("call", 97, 20)),  # 2 were raised in between
    outcome("b.py::other", ("call", 50, 7), worker="gw1"),
]


def test_raised_for_good() -> None:
    """A test has what the level never fell below again; the rest is between tests."""
    assert level_growth(RUN) == LevelGrowth(
        start=130 * MIB,
        end=174 * MIB,
        tests=(("b.py::three", 20 * MIB), ("a.py::one", 10 * MIB), ("b.py::other", 7 * MIB)),
        setups=(("a.py::one", 5 * MIB),),
        files=(("b.py", 27 * MIB), ("a.py", 15 * MIB)),
        between=2 * MIB,
    )


def test_not_measured() -> None:
    """Where resident memory cannot be read, nothing is reported."""
    assert level_growth([Outcome(nodeid="a")]) is None


def test_lines() -> None:
    """Tests, their setups and what is between come first, then the files."""
    growth = level_growth(RUN)
    assert growth is not None
    assert growth_lines(growth, 3) == [
        "RSS was 130.0 MiB before the first test and 174.0 MiB after the last one",
        "  MiB  Raised it for good",
        "-----  ------------------",
        "+20.0  b.py::three",
        "+10.0  a.py::one",
        " +7.0  b.py::other",
        "(+7.0 MiB by 2 more; --mem-growth N shows more)",
        "",
        "  MiB  Files",
        "-----  -----",
        "+27.0  b.py",
        "+15.0  a.py",
    ]
