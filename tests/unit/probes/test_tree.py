"""Tests of the metric tree: what its probe makes of samples and of the kernel's counters."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.model.metrics import TREE
from pytest_memguard.probes import tree as module
from pytest_memguard.probes.ended_children import EndedChildren
from pytest_memguard.probes.tree import TreeProbe
from pytest_memguard.probes.tree_marks import Since

MIB = 1 << 20
START = 60 * MIB
"""What the tree uses at the start."""
OWN = 70 * MIB
"""Resident memory of the process itself then, with what it shares with strangers."""


def since(**values) -> Since:
    """What a sampler answers."""
    quiet = {
        "level": START,
        "least": START,
        "most": START,
        "below": 0,
        "below_most": 0,
        "at_start": 0,
        "living": 0,
        "seen": 0,
        "unseen_faults": 0,
        "spikes": 0,
        "forgets": False,
        "gap": 0.02,
        "interval": 0.02,
    }
    return Since(**{**quiet, **values})


class Setting:
    """A probe whose counters a test sets."""

    def __init__(self, monkeypatch) -> None:
        """Begin without descendants."""
        self.since = since()
        self.ended = EndedChildren(10 * MIB, 500, 0)
        self.own = (OWN, OWN)
        self.dropped: list[str] = []
        self.touched: int | None = None
        client = SimpleNamespace(
            mark=lambda _: self.answer(),
            read=lambda _: self.answer(),
            drop=self.dropped.append,
        )
        monkeypatch.setattr(module, "tree_client", lambda: client)
        monkeypatch.setattr(module, "ended_children", lambda: self.ended)
        monkeypatch.setattr(module, "own_memory", lambda: self.own)
        monkeypatch.setattr(module, "most_touched", self.most_touched)
        self.probe = TreeProbe()
        self.problem = ""

    def answer(self) -> Since:
        """What the client returns."""
        if self.problem:
            raise Unmeasurable(self.problem)
        return self.since

    def most_touched(self, faults: int) -> int | None:
        """4 KiB for each fault, unless huge pages make it unknown."""
        return faults * 4096 if self.touched is None or not faults else None

    def begin(self) -> None:
        """Begin a phase."""
        self.probe.start()
        assert self.probe.restart() == START

    def end(self) -> tuple[int, int | None]:
        """MiB above the start, and above that what may have been missed."""
        _, high = self.probe.read()
        missed = self.probe.missed(START, high)
        return (high - START) // MIB, None if missed is None else missed // MIB


@pytest.fixture
def setting(monkeypatch):
    """A probe of a process without descendants."""
    return Setting(monkeypatch)


def test_without_descendants_the_kernel_knows_the_peak(setting):
    """Where there was no descendant, the process's own mark has what samples have missed."""
    setting.begin()
    setting.own = (OWN + 300 * MIB, OWN)
    assert setting.end() == (300, 0)
    assert setting.probe.method == "kernel mark"
    assert setting.probe.metric is TREE


def test_an_older_mark_is_only_a_bound(setting):
    """A mark that was not reset and has not moved bounds the peak, and does not show it."""
    setting.own = (OWN + 100 * MIB, OWN)
    setting.begin()
    assert setting.end() == (0, 100)
    setting.own = (OWN + 200 * MIB, OWN)
    assert setting.end() == (200, 0)


def test_descendants_are_sampled(setting):
    """With descendants the highest sample is the peak, and all that is known bounds it."""
    setting.begin()
    setting.since = since(least=START + 250 * MIB, most=START + 255 * MIB, seen=2)
    assert setting.end() == (250, 5)
    assert setting.probe.method == "sampled"
    setting.since = setting.since._replace(below_most=240 * MIB, spikes=30 * MIB)
    setting.own = (OWN + 10 * MIB, OWN)
    assert setting.end() == (250, 30)


def test_faults_bound_what_no_sample_has_seen(setting):
    """Children that ended unseen have touched no more than their page faults allow."""
    setting.begin()
    setting.ended = EndedChildren(10 * MIB, 500 + 256 * 20, 0)
    setting.since = since(unseen_faults=256 * 20)
    assert setting.end() == (0, 20)
    assert setting.probe.method == "sampled"


def test_with_huge_pages_the_largest_child_is_the_bound(setting):
    """Where a fault may map 2 MiB, what the kernel keeps of the largest child is the bound."""
    setting.touched = 0
    setting.begin()
    setting.ended = EndedChildren(40 * MIB, 600, 0)
    setting.since = since(unseen_faults=100)
    assert setting.end() == (0, 40)


@pytest.mark.parametrize(
    ("peak", "at_start", "own", "rise"),
    [
        pytest.param(400, 0, 70, 340, id="the-largest-so-far"),
        pytest.param(70, 0, 70, 0, id="as-large-as-this-process"),
        pytest.param(400, 1, 70, 0, id="started-earlier"),
        pytest.param(400, 0, 450, 0, id="inherited"),
    ],
)
def test_the_exact_peak_of_a_child_that_has_ended(setting, peak, at_start, own, rise):
    """A child's own peak counts if it cannot have inherited it, and no earlier was as large."""
    setting.begin()
    setting.own = (own * MIB, OWN)
    setting.ended = EndedChildren(peak * MIB, 501, 0)
    setting.since = since(seen=1 + at_start, at_start=at_start)
    assert rise == setting.end()[0]


def test_an_earlier_child_does_not_count(setting):
    """The largest child of an earlier test does not count for this one."""
    setting.ended = EndedChildren(400 * MIB, 500, 0)
    setting.begin()
    setting.ended = EndedChildren(400 * MIB, 501, 0)
    assert setting.end()[0] == 0


def test_ignored_children_are_not_bounded(setting):
    """Where children end without a trace, nothing bounds what was missed, until the end."""
    setting.begin()
    setting.since = since(seen=1, forgets=True)
    assert setting.end() == (0, None)
    setting.since = since(seen=1)
    assert setting.end() == (0, None)
    setting.begin()
    assert setting.end() == (0, 0)


def test_ignored_children_that_no_sample_has_seen(setting):
    """A child may have ended between two samples; what this process used itself counts."""
    setting.begin()
    setting.own = (OWN + 30 * MIB, OWN)
    setting.since = since(forgets=True)
    assert setting.end() == (30, None)


def test_phases_without_a_limit_cost_nothing(setting):
    """A probe that was not started sends no requests."""
    setting.problem = "must not be asked"
    assert setting.probe.restart() == 0
    assert setting.probe.read() == (0, 0)
    assert setting.probe.level() == 0
    setting.probe.stop()
    assert setting.probe.lost == ""


def test_it_stops(setting):
    """A probe that is stopped has nothing sampled any more."""
    setting.begin()
    setting.probe.stop()
    setting.probe.stop()
    assert len(setting.dropped) == 1


def test_a_sampler_that_does_not_start_or_has_ended(setting):
    """The reason why nothing is measured is known, and the last level stays."""
    setting.begin()
    setting.problem = "it has ended"
    assert setting.probe.read() == (START, START)
    assert setting.probe.lost == "it has ended"
    setting.probe = TreeProbe()
    setting.probe.start()
    assert setting.probe.restart() == 0
    assert setting.probe.lost == "it has ended"


def test_the_report_names_the_interval():
    """The note on sampling names the interval."""
    interval = f"{module.INTERVAL_SECONDS * 1000:.0f} ms"
    assert all(interval in text for text in module.sampling_in_words())


def test_the_sampler_may_be_started_early(monkeypatch):
    """Before the first test the sampler is started; a problem is left to the probe."""
    started = []

    def refuse() -> None:
        started.append(1)
        msg = "no process"
        raise Unmeasurable(msg)

    monkeypatch.setattr(module, "tree_client", refuse)
    module.start_sampler()
    assert started == [1]
