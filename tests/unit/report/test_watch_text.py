"""Tables and verdicts of a watch, from plain values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.codecs.watch_codecs import WATCH_CODEC, watch_from_json
from pytest_memguard.errors import ConfigError
from pytest_memguard.report.watch_tables import (
    duration_text,
    event_text,
    process_table,
    recording_table,
    signal_table,
)
from pytest_memguard.report.watch_verdict import growth_sentence, verdict_lines, watch_report
from pytest_memguard.sizes import MIB
from pytest_memguard.watch_levels import Levels, levels_of
from pytest_memguard.watches import (
    Life,
    SignalGrowth,
    WatchedProcess,
    WatchEvent,
    WatchGrowth,
    WatchRecord,
    WatchTrace,
)


def signal(name="rss", state="growing", rate=36.0 * MIB, **more) -> SignalGrowth:
    """The growth of a signal."""
    return SignalGrowth(
        signal=name,
        state=state,
        per_hour=rate,
        low=rate * 0.9,
        high=rate * 1.1,
        **{"before": 60 * MIB, "after": 90 * MIB, **more},
    )


GROWING = WatchGrowth(
    state="growing",
    signals=(signal(), signal("fds", "flat", 0, before=4, after=4)),
    seconds=2400.0,
    warm_up=1200.0,
    samples=2400,
    cpu_seconds=300.0,
    pid=7,
)
RECORD = WatchRecord(
    target="python server.py",
    started="2026-11-21T13:25:26Z",
    interval=1.0,
    kept_interval=1.0,
    seconds=3600.0,
    samples=3600,
    with_children=True,
    lives=(Life(pid=7, command="python server.py", start=0.0, end=3600.0),),
    trace=WatchTrace(
        seconds=(0.0, 1800.0, 3600.0),
        lives=(0, 0, 0),
        cpu=(0.0, 200.0, 400.0),
        levels={"rss": (50.0 * MIB, 70.0 * MIB, 90.0 * MIB), "fds": (4.0, None, 5.0)},
    ),
    first=levels_of({"rss": 50 * MIB, "fds": 4}),
    last=levels_of({"rss": 90 * MIB, "fds": 4}),
    peak=levels_of({"rss": 91 * MIB, "fds": 5}),
    growth=GROWING,
)


def with_state(state, doubt="", **more) -> WatchRecord:
    """The same with another verdict."""
    rss = signal(state=state, rate=0.0, doubt=doubt)
    growth = replace(GROWING, state=state, signals=(rss,), doubt=doubt, **more)
    return replace(RECORD, growth=growth)


def test_four_parts() -> None:
    """A verdict of growing has evidence, what grew, where to look, and what to do next."""
    assert verdict_lines(RECORD, "_-^", "out/recording.json") == [
        "Verdict: growing",
        (
            "Evidence: 3,600 samples in 1:00:00; judged over 40:00 after a warm-up of 20:00, "
            "300.0 s of processor time"
        ),
        "  rss: _-^ (50.0 to 90.0 MiB)",
        "What grew: rss +36.0 MiB per hour (95 %: +32.4 to +39.6)",
        (
            "Where to look next: what is kept: of a Python program, memray attach 7 shows the "
            "lines that allocate it, and pytest --mem-leak-check of its code what keeps it"
        ),
        "After a fix: memguard watch --against out/recording.json -- python server.py",
    ]


def test_heap_snapshots_of_resident_memory_that_grows() -> None:
    """A pair of heap snapshots is named whatever memory grows: it may show what keeps it."""
    record = replace(RECORD, snapshots=("first.heapsnapshot", "last.heapsnapshot"))
    pair = "what is kept: memguard heapdiff first.heapsnapshot last.heapsnapshot"
    assert f"Where to look next: {pair}" in verdict_lines(record)
    files = replace(GROWING, signals=(replace(GROWING.signals[0], signal="fds"),))
    assert pair not in "".join(verdict_lines(replace(record, growth=files)))


@pytest.mark.parametrize(
    ("record", "what"),
    [
        pytest.param(with_state("flat"), "nothing", id="flat"),
        pytest.param(
            with_state("plateau"),
            "nothing after the warm-up; rss rose by 10.0 MiB before, and stays",
            id="plateau",
        ),
        pytest.param(
            with_state("undecided", "short"),
            "undecided: too few samples for a verdict; watch longer, or at a shorter interval",
            id="short",
        ),
        pytest.param(
            with_state("undecided", "slowing"),
            "undecided: it grows, and more and more slowly; watch longer",
            id="slowing",
        ),
    ],
)
def test_other_verdicts(record, what) -> None:
    """Every verdict says what grew; only doubts about growth say what to examine."""
    lines = verdict_lines(record, "_-^")
    assert f"What grew: {what}" in lines
    advice = [line for line in lines if line.startswith("Where to look next")]
    assert bool(advice) == (record.growth.doubt == "slowing")


def test_an_idle_program() -> None:
    """The verdict on a program without load comes with a warning."""
    idle = "  the program was idle: a verdict means something only under load"
    assert idle in verdict_lines(with_state("flat", cpu_seconds=0.5))
    assert idle not in verdict_lines(with_state("flat"))


def test_processes() -> None:
    """The process that grew most is where to look; the others are in a table."""
    processes = tuple(
        WatchedProcess(pid=pid, name="worker", first=MIB, last=pid * MIB, highest=pid * MIB)
        for pid in (9, 8)
    )
    record = replace(RECORD, processes=processes, begun=3, gone=2)
    lines = verdict_lines(record)
    assert any("memray attach 9 " in line for line in lines)
    assert any(line.split() == ["9", "worker", "1.0", "9.0", "9.0"] for line in lines)
    assert "  descendants: 3 began and 2 ended meanwhile" in lines
    assert process_table(RECORD) == ""


def test_the_table_names_what_is_missing() -> None:
    """A signal that was not read is there, and the reason below."""
    record = replace(RECORD, gaps=(("threads", "the system hides it"),))
    text = recording_table(record)
    assert "threads      not read" in text
    assert text.endswith("threads: the system hides it")
    assert "children" not in signal_table(replace(RECORD, with_children=False))


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (WatchEvent(seconds=1, kind="ended", pid=5), "1.0 s: process 5 ended"),
        (
            WatchEvent(seconds=61, kind="restarted", pid=6, former=5),
            "1:01: restarted: process 6 has taken the place of 5",
        ),
        (
            WatchEvent(seconds=3661, kind="followed", pid=6, former=5),
            "1:01:01: process 6 is watched in place of 5",
        ),
        (
            WatchEvent(seconds=2, kind="replaced", pid=5, former=5),
            "2.0 s: process 5 runs another program (exec); its memory began anew",
        ),
        (
            WatchEvent(seconds=2, kind="threshold", pid=5, severity="warn", threshold="fds=9"),
            "2.0 s: warn: fds=9 was reached",
        ),
    ],
)
def test_events(event, text) -> None:
    """Each event is a sentence with its time."""
    assert event_text(event) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0.0 s"), (59.9, "59.9 s"), (60, "1:00"), (86_400, "24:00:00")]
)
def test_long_and_short_times(seconds, text) -> None:
    """Times read as seconds, minutes or hours."""
    assert duration_text(seconds) == text


def test_hostile_names() -> None:
    """A command line cannot print control characters, or commands to a CI service."""
    life = replace(RECORD.lives[0], command="::error::x\x1b[2J\nnew")
    record = replace(RECORD, lives=(life,), target="\x1b[2J\n::error::x")
    for line in [growth_sentence(record), *watch_report(record)]:
        assert "\x1b" not in line
        assert not line.startswith("::")
    assert len(watch_report(record)[0].splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"kind": "other"}, "is not a recording", id="kind"),
        pytest.param({"format": 2}, "a newer pytest-memguard wrote it", id="newer"),
        pytest.param({"format": "1"}, "this version reads format 1", id="format"),
        pytest.param({"verdict": None}, "has a value that makes no sense", id="verdict"),
        pytest.param({"lives": [{"pid": 1}]}, "has a value that makes no sense", id="life"),
        pytest.param({"peak": {"rss": "x"}}, "has a value that makes no sense", id="level"),
    ],
)
def test_broken_recordings(change, words) -> None:
    """A file that was edited by hand is refused with what is wrong."""
    data = {**WATCH_CODEC.write(RECORD), **change}
    with pytest.raises(ConfigError, match=f"^old.json .*{words}"):
        watch_from_json(data, "old.json")
    assert watch_from_json(WATCH_CODEC.write(RECORD), "x") == RECORD
    assert Levels() == levels_of({})
