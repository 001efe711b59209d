"""Tests of the lifetime high-water mark: trusted once it is seen to follow memory."""

from __future__ import annotations

import sys

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes import lifetime_peak
from pytest_memguard.probes.lifetime_peak import DRIFT, lifetime_peak_reader
from pytest_memguard.probes.resident import resident_reader
from pytest_memguard.sizes import MIB
from tests.support.fresh_process import alone

unix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")


def touch(size: int) -> None:
    """Use a block, and give it back."""
    bytearray(size)


@unix_only
@pytest.mark.parametrize("knows_level", [True, False])
@alone
def test_rises_and_stays(knows_level: bool) -> None:  # noqa: FBT001  a parameter of the test
    """The mark rises with the largest block, and no smaller one puts it back."""
    level = resident_reader()
    mark = lifetime_peak_reader(level if knows_level else None)
    before = level()
    touch(200 * MIB)
    high = mark()
    touch(10 * MIB)
    assert high == mark()
    assert 200 * MIB - DRIFT <= high - before <= 210 * MIB + DRIFT


@pytest.mark.parametrize(
    ("mark", "level", "problem"),
    [
        pytest.param(0, 50 * MIB, "keeps no high-water mark", id="none"),
        pytest.param(40 * MIB, 50 * MIB, "below its level", id="below-the-level"),
        pytest.param(50 * MIB, 50 * MIB, "did not follow", id="stuck-at-the-level"),
        pytest.param(50 * MIB, None, "did not follow", id="stuck-and-no-level"),
    ],
)
def test_a_mark_that_cannot_be_trusted(monkeypatch, mark, level, problem) -> None:
    """A mark that does not follow memory is not used, and the reason says so."""
    monkeypatch.setattr(lifetime_peak, "_reader", lambda: lambda: mark)
    read = None if level is None else lambda: level
    with pytest.raises(Unmeasurable, match=problem):
        lifetime_peak_reader(read)


def test_a_mark_far_above_the_level(monkeypatch) -> None:
    """A mark inherited from a much larger process is a bound, and is not tried out."""
    monkeypatch.setattr(lifetime_peak, "_reader", lambda: lambda: 900 * MIB)
    monkeypatch.setattr(lifetime_peak, "_follows", lambda *_: pytest.fail("tried out"))
    assert lifetime_peak_reader(lambda: 50 * MIB)() == 900 * MIB


@pytest.mark.parametrize(
    ("available", "size"),
    [
        pytest.param(0, 64 * MIB, id="not-known"),
        pytest.param(40 * MIB, 10 * MIB, id="little"),
        pytest.param(900 * MIB, 64 * MIB, id="plenty"),
    ],
)
def test_what_may_be_touched(monkeypatch, available, size) -> None:
    """Trying it out takes a quarter of what the container allows, and never much."""
    monkeypatch.setattr(lifetime_peak, "available_memory", lambda: available)
    assert size == lifetime_peak._affordable()
