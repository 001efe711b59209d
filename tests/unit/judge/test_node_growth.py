"""The verdict on Node.js programs: what they keep decides, not garbage or reserved pages."""

from __future__ import annotations

import pytest

from pytest_memguard.judge.watch_growth import growth_of_watch
from pytest_memguard.sizes import MIB
from pytest_memguard.watches import Life, WatchTrace

COUNT = 48
FLAT = [50.0] * COUNT
RISING = [50 + n / 2 for n in range(COUNT)]
SLIGHT = [50 + n / 12 for n in range(COUNT)]
FULL = [50 + min(n, 10) for n in range(COUNT)]
SLOWING = [50 + 20 * min(1, n / 40) for n in range(COUNT)]
SAWTOOTH = [50 + n % 12 for n in range(COUNT)]
NONE = [None] * COUNT


def judged(*, is_node=True, **signals):
    """The verdict on a process, of which these signals were read, in MiB."""
    seconds = tuple(0.1 * n for n in range(COUNT))
    levels = {
        name: tuple(None if level is None else level * MIB for level in values)
        for name, values in signals.items()
    }
    trace = WatchTrace(
        seconds=seconds, lives=(0,) * COUNT, cpu=seconds, levels={"fds": (4,) * COUNT, **levels}
    )
    life = Life(pid=7, command="node", start=0.0, end=seconds[-1])
    return growth_of_watch(trace, [life], None, is_node=is_node)


def memory(rss, used, kept, external=FLAT, total=FLAT):
    """Signals of a Node.js program."""
    return {
        "rss": rss,
        "heap_total": total,
        "heap_used": used,
        "heap_kept": kept,
        "external": external,
        "external_kept": external if kept is not NONE else NONE,
    }


@pytest.mark.parametrize(
    ("signals", "state", "doubt", "growing"),
    [
        pytest.param(memory(FLAT, FLAT, FLAT), "flat", "", [], id="flat"),
        pytest.param(memory(FULL, FULL, FULL), "plateau", "", [], id="a-cache-is-full"),
        pytest.param(
            memory(FLAT, RISING, RISING), "growing", "", ["heap_used"], id="heap-alone"
        ),
        pytest.param(
            memory(RISING, FLAT, FLAT, RISING), "growing", "", ["rss", "external"], id="buffers"
        ),
        pytest.param(
            memory(RISING, FLAT, FLAT), "growing", "", ["rss"], id="native-memory-alone"
        ),
        pytest.param(
            memory(RISING, FLAT, FLAT, total=RISING), "flat", "", [], id="v8-takes-more-pages"
        ),
        pytest.param(
            memory(FLAT, SAWTOOTH, FLAT), "flat", "", [], id="garbage-between-collections"
        ),
        pytest.param(
            memory(FLAT, RISING, NONE), "undecided", "uncollected", [], id="never-collected"
        ),
        pytest.param(memory(SLOWING, FLAT, FLAT), "flat", "", [], id="uneven-resident-memory"),
        pytest.param(
            memory(FLAT, SLOWING, SLOWING), "undecided", "slowing", [], id="heap-slows"
        ),
        pytest.param(
            memory(SLIGHT, FLAT, NONE), "undecided", "uncollected", [], id="code-and-stacks"
        ),
        pytest.param(memory(SLIGHT, FLAT, FLAT), "flat", "", [], id="code-while-collected"),
        pytest.param(
            {**memory(FLAT, RISING, RISING), "uncollected": RISING},
            *("undecided", "uncollected", []),
            id="another-heap-is-not-collected",
        ),
        pytest.param(
            {**memory(FLAT, RISING, RISING), "uncollected": FLAT},
            *("growing", "", ["heap_used"]),
            id="another-heap-is-idle",
        ),
        pytest.param({"rss": FLAT}, "undecided", "unreported", [], id="no-report"),
        pytest.param({"rss": RISING}, "growing", "", ["rss"], id="no-report-and-growing"),
        pytest.param({}, "undecided", "short", [], id="nothing-read"),
    ],
)
def test_what_decides(signals, state, doubt, growing) -> None:
    """Heap and external memory after collections decide; resident memory if it grows alone."""
    found = judged(**signals)
    assert (state, doubt) == (found.state, found.doubt)
    assert growing == [one.signal for one in found.growing]


def test_without_the_option() -> None:
    """A program that is not asked to report is judged by its resident memory."""
    assert judged(is_node=False, rss=FLAT).state == "flat"
