"""Tests of the sampler's marks and of what it answers, with a tree and a clock of the tests."""

from __future__ import annotations

import io
import json
from queue import SimpleQueue
from types import SimpleNamespace

import pytest

from pytest_memguard.probes.tree_linux import TreeSample
from pytest_memguard.probes.tree_sampler import Sampler, serve

INTERVAL = 0.02
MIB = 1 << 20


class FakeTree:
    """A tree that uses what a test says."""

    def __init__(self) -> None:
        """Begin with one process."""
        self.least, self.most = 100 * MIB, 100 * MIB
        self.below = (0, 0)
        self.seen = self.waited = 0
        self.living: list[SimpleNamespace] = []
        self.ended: list[SimpleNamespace] = []
        self.forgets_children = False
        self.asked: list[bool] = []
        self.is_gone = False
        self.living_faults: int | None = None

    def faults(self) -> int | None:
        """Faults of the living."""
        return self.living_faults

    def hide(self, pids) -> None:
        """Note what is hidden."""
        self.hidden = list(pids)

    def sample(self, *, exact: bool) -> TreeSample:
        """What it uses now."""
        if self.is_gone:
            raise ProcessLookupError
        self.asked.append(exact)
        return TreeSample(self.least, self.most, *self.below, exact=exact)

    def waited_faults(self) -> int:
        """Faults of what has ended."""
        return self.waited

    def marks(self) -> dict[int, int]:
        """Marks of the living."""
        return {process.pid: process.mark for process in self.living}

    def spikes(self, processes, before) -> int:
        """What their marks are above what was seen."""
        return sum(p.spike for p in processes if p.mark > before.get(p.pid, 0))

    def close(self) -> None:
        """Do nothing."""


class Setting:
    """A sampler with its tree and clock."""

    def __init__(self) -> None:
        """Begin at 0."""
        self.tree = FakeTree()
        self.time = 0.0
        self.sampler = Sampler(self.tree, INTERVAL, lambda: self.time)

    def ask(self, what: str, name: str = "one", *, always: bool = True):
        """What it answers."""
        return self.sampler.answer({"ask": what, "name": name, "always": always})

    def sample(self, seconds: float = INTERVAL) -> None:
        """Let time pass, and the sample that is due be taken."""
        self.time += seconds
        self.sampler.sample()
        self.tree.ended = []


@pytest.fixture
def setting():
    """A sampler of a tree of one process."""
    return Setting()


def process(pid: int = 1, *, mark: int = 0, spike: int = 0, faults: int = 0) -> SimpleNamespace:
    """A descendant."""
    return SimpleNamespace(pid=pid, mark=mark, spike=spike, faults=faults)


def test_it_waits_while_nothing_asks(setting):
    """Without a mark no sample is due; with one, the next is due after the interval."""
    assert setting.sampler.wait_seconds() is None
    setting.ask("mark")
    assert setting.sampler.wait_seconds() == INTERVAL
    setting.ask("drop")
    assert setting.sampler.wait_seconds() is None


def test_the_highest_since_a_mark(setting):
    """Memory of the tree counts from the mark on, at least and at most."""
    setting.tree.least = setting.tree.most = 500 * MIB
    setting.ask("mark")
    setting.tree.least = setting.tree.most = 100 * MIB
    setting.ask("mark", "two")
    setting.tree.least, setting.tree.most = 300 * MIB, 310 * MIB
    setting.ask("read", "two")
    setting.tree.least = setting.tree.most = 100 * MIB
    one, two = setting.ask("read"), setting.ask("read", "two")
    assert 500 * MIB == one["least"] == one["most"]
    assert (two["least"], two["most"]) == (300 * MIB, 310 * MIB)
    assert two["level"] == 100 * MIB


def test_read_and_begin_again(setting):
    """The answer to next covers the time since the mark, and the next one only what follows."""
    setting.ask("mark")
    setting.tree.least = setting.tree.most = 300 * MIB
    setting.sample()
    setting.tree.least = setting.tree.most = 100 * MIB
    assert setting.ask("next")["least"] == 300 * MIB
    assert setting.ask("next")["least"] == 100 * MIB


def test_descendants_count_above_what_they_used_at_the_mark(setting):
    """Of a server that runs already, only what it grows by counts."""
    setting.tree.living, setting.tree.seen = [process()], 1
    setting.tree.below = 50 * MIB, 50 * MIB
    setting.ask("mark")
    setting.tree.below = 70 * MIB, 80 * MIB
    since = setting.ask("read")
    assert (since["below"], since["below_most"]) == (20 * MIB, 30 * MIB)
    assert (since["at_start"], since["seen"], since["living"]) == (1, 1, 1)


def test_descendants_that_have_come_and_gone_were_seen(setting):
    """A descendant that a sample saw counts as seen, also when it has ended."""
    setting.ask("mark")
    setting.tree.living, setting.tree.seen = [process()], 1
    setting.sample()
    setting.tree.ended, setting.tree.living = setting.tree.living, []
    since = setting.ask("read")
    assert (since["at_start"], since["seen"], since["living"]) == (0, 1, 0)


@pytest.mark.parametrize(
    ("seen", "ended", "unseen"),
    [
        pytest.param(0, 700, 700, id="never-seen"),
        pytest.param(700, 700, 0, id="seen"),
        pytest.param(600, 700, 100, id="seen-before-its-end"),
        pytest.param(700, 0, 0, id="never-waited-for"),
    ],
)
def test_page_faults_that_no_sample_has_seen(setting, seen, ended, unseen):
    """Page faults of ended descendants are unseen as far as samples have not counted them."""
    setting.tree.waited = 1000
    setting.ask("mark")
    setting.tree.waited += ended
    setting.tree.ended = [process(faults=seen)]
    setting.sample()
    assert unseen == setting.ask("read")["unseen_faults"]


def test_spikes_of_the_living_and_of_the_ended(setting):
    """Own marks above what was seen add up, unless they were there before."""
    old = process(1, mark=900, spike=300)
    setting.tree.living = [old]
    setting.ask("mark")
    setting.tree.living = [old, process(2, mark=500, spike=20)]
    setting.sample()
    assert setting.ask("read")["spikes"] == 20
    setting.tree.living, setting.tree.ended = [old], [process(2, mark=600, spike=70)]
    setting.sample()
    assert setting.ask("read")["spikes"] == 70


def test_hidden_processes(setting):
    """A request names processes that do not count before it is answered."""
    request = {"ask": "mark", "name": "one", "hidden": [7]}
    setting.sampler.answer(request)
    assert setting.tree.hidden == [7]


def test_the_longest_gap(setting):
    """The longest time between two samples is known."""
    setting.ask("mark")
    setting.sample()
    setting.sample(0.3)
    setting.time += 0.01
    since = setting.ask("read")
    assert pytest.approx(since["gap"]) == 0.3
    assert since["interval"] == INTERVAL


def test_exact_samples_only_for_what_may_be_the_highest(setting):
    """Sharing is read only with descendants, only for a new high, and not all the time."""
    setting.ask("mark")
    setting.tree.asked.clear()
    setting.tree.most = 200 * MIB
    setting.sample()
    assert setting.tree.asked == [False]
    setting.tree.living = [process()]
    setting.sample()
    assert setting.tree.asked == [False, False, True]
    setting.tree.least = 200 * MIB
    setting.sample()
    assert setting.tree.asked == [False] * 2 + [True, False]


def test_exact_samples_only_after_page_faults(setting):
    """Of processes that have touched nothing since, sharing is not read again."""
    setting.ask("mark")
    setting.tree.living, setting.tree.most = [process()], 200 * MIB
    exact = []
    for faults in (1000, 1000, 1020, 1100, 90):
        setting.tree.asked.clear()
        setting.tree.living_faults = faults
        setting.sample()
        exact.append(sum(setting.tree.asked))
    assert exact == [1, 0, 0, 1, 1]


def test_exact_samples_take_a_quarter_of_the_time(setting):
    """After an exact sample there is none for three times as long as it took."""
    setting.tree.living = [process()]
    setting.ask("mark")
    real = setting.tree.sample

    def slow(*, exact: bool) -> TreeSample:
        setting.time += 0.1 * exact
        return real(exact=exact)

    setting.tree.sample = slow
    setting.tree.most = 200 * MIB
    setting.sample()
    setting.tree.asked.clear()
    for _ in range(14):
        setting.sample()
    assert sum(setting.tree.asked) == 0
    setting.sample(0.05)
    assert sum(setting.tree.asked) == 1


def test_a_quick_mark_reads_no_sharing_without_descendants(setting):
    """Where only descendants matter, a mark costs nothing while there are none."""
    setting.ask("mark", always=False)
    setting.ask("next", always=False)
    assert setting.tree.asked == [False, False]
    setting.tree.living = [process()]
    setting.ask("next", always=False)
    assert setting.tree.asked == [False, False, False, True]


def test_upper_numbers_of_quick_samples_mean_nothing(setting):
    """The upper number of a quick sample is no bound: it may count shared memory twice."""
    setting.ask("mark")
    setting.tree.most, setting.tree.living = 900 * MIB, []
    setting.sample()
    setting.tree.most = 100 * MIB
    assert setting.ask("read")["most"] == 100 * MIB


def served(setting, *lines: str) -> list[dict]:
    """What is answered to some lines."""
    requests: SimpleQueue[str] = SimpleQueue()
    for line in (*lines, ""):
        requests.put(line)
    answers = io.StringIO()
    serve(setting.sampler, requests, answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def test_requests_are_lines_of_json():
    """Each line is answered with one, but for a drop; an empty one is the end."""
    setting = Setting()
    mark, read, drop = (
        json.dumps({"ask": what, "name": "one", "always": True})
        for what in ("mark", "read", "drop")
    )
    assert len(served(setting, mark, read, drop)) == 2
    assert setting.sampler.wait_seconds() is None


def test_it_ends_with_the_process():
    """When the process has ended, the sampler ends as well."""
    setting = Setting()
    mark = json.dumps({"ask": "mark", "name": "one", "always": True})
    setting.tree.is_gone = True
    assert served(setting, mark, mark) == []


def test_it_samples_when_nothing_is_asked():
    """A sample that is due is taken before the next request is waited for."""
    setting = Setting()
    setting.ask("mark")
    setting.time = 1.0
    requests: SimpleQueue[str] = SimpleQueue()
    real = setting.sampler.sample

    def sample() -> None:
        real()
        requests.put("")

    setting.sampler.sample = sample
    setting.tree.asked.clear()
    serve(setting.sampler, requests, io.StringIO())
    assert setting.tree.asked == [False]
