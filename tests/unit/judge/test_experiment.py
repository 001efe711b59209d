"""Tests of the rule for experiments: a table of readings and what to do with them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.judge.experiment import Decision, decide
from pytest_memguard.model.baselines import BaselineEntry
from pytest_memguard.sizes import MIB


def entry(mib, *, ceiling=0.0, spread=0.0, readings=5, leak=None, imports=0) -> BaselineEntry:
    """A reading; sizes in MiB."""
    return BaselineEntry(
        peak=int(mib * MIB),
        growth=0,
        ceiling=int(ceiling * MIB),
        spread=int(spread * MIB),
        readings=readings,
        leak=leak,
        imports=imports,
    )


BEFORE = entry(50)


def less_by(size: int, **fields) -> BaselineEntry:
    """A reading so many bytes below the baseline value."""
    return replace(entry(50, **fields), peak=50 * MIB - size)


def said(before, now, *, failed=0, keep=5 * MIB, metric="heap") -> tuple[str, str]:
    """The word and the reason."""
    decision = decide(before, now, metric=metric, failed=failed, keep=keep)
    return decision.status, decision.reason


@pytest.mark.parametrize(
    ("now", "status", "reason"),
    [
        pytest.param(entry(30), "KEEP", "20.0 MiB less than 50.0 MiB on record", id="less"),
        pytest.param(entry(45), "KEEP", "5.0 MiB less than 50.0 MiB on record", id="just"),
        pytest.param(
            entry(45.1),
            "RE-RUN",
            "4.9 MiB less than 50.0 MiB on record, which is under 5.0 MiB: confirm it",
            id="little-less",
        ),
        pytest.param(entry(50), "DISCARD", "no less than 50.0 MiB on record", id="same"),
        pytest.param(entry(62), "DISCARD", "12.0 MiB more than 50.0 MiB on record", id="more"),
        pytest.param(
            less_by(-1), "DISCARD", "1 B more than 50.0 MiB on record", id="a-byte-more"
        ),
        pytest.param(
            less_by(1),
            "RE-RUN",
            "1 B less than 50.0 MiB on record, which is under 5.0 MiB: confirm it",
            id="a-byte-less",
        ),
        pytest.param(
            less_by(20 * MIB, ceiling=45),
            "KEEP",
            "20.0 MiB less than 50.0 MiB on record",
            id="enough-even-if-hidden",
        ),
        pytest.param(
            None, "DISCARD", "the target did not pass, or was not measured", id="no-number"
        ),
        pytest.param(
            entry(30, ceiling=48),
            "RE-RUN",
            "20.0 MiB less than 50.0 MiB on record, but slack inside the process may hide "
            "18.0 MiB: confirm it",
            id="may-be-hidden",
        ),
        pytest.param(
            entry(30, ceiling=31),
            "KEEP",
            "20.0 MiB less than 50.0 MiB on record",
            id="hardly-hidden",
        ),
    ],
)
def test_peak(now, status, reason) -> None:
    """At least 5 MiB less is kept, less than that is to be confirmed, no less is discarded."""
    assert (status, reason) == said(BEFORE, now)


def test_noise() -> None:
    """A saving that readings of the same code may differ by is to be confirmed."""
    status, reason = said(entry(50, spread=20, readings=3), entry(40))
    assert status == "RE-RUN"
    assert "readings of the same code may lie 25.4 MiB apart" in reason


@pytest.mark.parametrize(
    ("saved", "status"),
    [
        pytest.param(6 * MIB, "RE-RUN", id="as-much-as-noise"),
        pytest.param(6 * MIB + 1, "KEEP", id="a-byte-more"),
    ],
)
def test_noise_to_the_byte(saved, status) -> None:
    """A saving as large as the noise may be noise, and a larger one is none."""
    before = entry(600, readings=1)
    now = replace(before, peak=before.peak - saved)
    assert said(before, now)[0] == status


def test_one_reading_of_resident_memory() -> None:
    """With one reading in the baseline a twentieth of a large peak may be noise."""
    assert said(entry(200, readings=1), entry(193), metric="rss")[0] == "RE-RUN"
    assert said(entry(200, readings=1), entry(160), metric="rss")[0] == "KEEP"


def test_imports_on_record() -> None:
    """A saving that imports in the baseline account for is to be confirmed."""
    status, reason = said(entry(50, imports=3), entry(40))
    assert status == "RE-RUN"
    assert "imported modules that it did not import now" in reason
    assert said(entry(50, imports=3), entry(20))[0] == "KEEP"


@pytest.mark.parametrize(
    ("before", "now", "status", "reason"),
    [
        pytest.param(
            entry(50, leak=216.0),
            entry(50, leak=0.0),
            "KEEP",
            "the leak of 216 B per call is gone",
            id="gone",
        ),
        pytest.param(
            entry(50, leak=216.0),
            entry(60, leak=0.0),
            "KEEP",
            "the leak of 216 B per call is gone, though its peak is 10.0 MiB higher",
            id="gone-at-a-price",
        ),
        pytest.param(
            entry(50, leak=216.0),
            less_by(-1, leak=0.0),
            "KEEP",
            "the leak of 216 B per call is gone, though its peak is 1 B higher",
            id="gone-at-the-price-of-a-byte",
        ),
        pytest.param(
            entry(50, leak=216.0),
            entry(30, leak=0.0),
            "KEEP",
            "the leak of 216 B per call is gone",
            id="gone-and-less",
        ),
        pytest.param(
            entry(50, leak=0.0),
            entry(30, leak=64.0),
            "DISCARD",
            "it leaks 64 B per call, and did not before",
            id="new",
        ),
        pytest.param(
            entry(50),
            entry(30, leak=64.0),
            "DISCARD",
            "it leaks 64 B per call; on record it was not checked",
            id="not-checked-before",
        ),
        pytest.param(
            entry(50, leak=216.0),
            entry(30, leak=216.0),
            "KEEP",
            "20.0 MiB less than 50.0 MiB on record",
            id="still-there",
        ),
    ],
)
def test_leaks(before, now, status, reason) -> None:
    """A leak that is gone is kept, and one that came is not."""
    assert (status, reason) == said(before, now)


@pytest.mark.parametrize(
    ("failed", "reason"),
    [
        pytest.param(1, "1 test failed", id="one"),
        pytest.param(2000, "2,000 tests failed", id="2000"),
    ],
)
def test_failed_tests(failed, reason) -> None:
    """An attempt that breaks tests is discarded, however much memory it saves."""
    assert ("DISCARD", reason) == said(BEFORE, entry(1), failed=failed)


def test_threshold() -> None:
    """How much must be saved can be set, down to anything at all."""
    now = entry(48)
    assert said(BEFORE, now)[0] == "RE-RUN"
    assert said(BEFORE, now, keep=2 * MIB)[0] == "KEEP"


def test_default_threshold() -> None:
    """The default is that 5 MiB must be saved."""
    reason = "5.0 MiB less than 50.0 MiB on record"
    assert decide(BEFORE, entry(45), metric="heap", failed=0).reason == reason
    now = less_by(5 * MIB - 1)
    assert decide(BEFORE, now, metric="heap", failed=0).status == "RE-RUN"
    assert said(BEFORE, now, keep=0)[0] == "KEEP"
    assert Decision(status="DISCARD", reason="no less than 50.0 MiB on record") == decide(
        BEFORE, BEFORE, metric="heap", failed=0, keep=0
    )
