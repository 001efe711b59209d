"""Tests of what checked leaks may leave to the tests after them."""

from __future__ import annotations

import resource

import pytest

from pytest_memguard.recording.left_behind import LeftBehind
from pytest_memguard.recording.limits import Limits
from pytest_memguard.sizes import MIB

LIMITS = Limits()


@pytest.mark.parametrize(
    ("allowed", "opened", "expected"),
    [
        pytest.param(20_000, [70, 470, 700, 818, 900], [200, 200, 119, 1, 1], id="select"),
        pytest.param(256, [20, 100, 190], [184, 104, 14], id="few-are-allowed"),
        pytest.param(20_000, [900, 15_990], [200, 10], id="a-suite-that-opens-many"),
        pytest.param(resource.RLIM_INFINITY, [70, 800], [200, 19], id="all-that-there-are"),
    ],
)
def test_files(monkeypatch, allowed, opened, expected) -> None:
    """Checks may use up files until the process or `select` would run short of them."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (allowed, allowed))
    left = LeftBehind()
    assert [left.limited(LIMITS, lambda n=n: n).files for n in opened] == expected


def test_where_files_cannot_be_counted() -> None:
    """Where files cannot be counted, each check has its own limit."""
    assert LeftBehind().limited(LIMITS, None) == LIMITS


@pytest.mark.parametrize(
    ("left", "memory", "threads"),
    [
        ({}, 256, 50),
        ({"C heap": 700 * MIB, "Python threads": 940}, 256, 50),
        ({"C heap": 700 * MIB, "USS": 900 * MIB}, 124, 50),
        ({"native threads": 980}, 256, 20),
        ({"USS": 5_000 * MIB, "Python threads": 4_000}, 32, 12),
        ({"USS": -5 * MIB}, 256, 50),
    ],
)
def test_memory_and_threads(left, memory, threads) -> None:
    """A multiple of what one check may use up, and then an eighth of it for each."""
    behind = LeftBehind()
    behind.add(left)
    limited = behind.limited(LIMITS, None)
    assert (limited.memory // MIB, limited.threads) == (memory, threads)
