"""Values to test with: one of each kind, with every field set, and short ways to more."""

from __future__ import annotations

from pytest_memguard.model.aborts import Abort, Part
from pytest_memguard.model.admission import ExceededNeed, Need, ParallelRun, WaitedTest
from pytest_memguard.model.alerts import Alert
from pytest_memguard.model.baselines import BaselineValue, FailRule, Fill
from pytest_memguard.model.deaths import Death
from pytest_memguard.model.flights import Ending, LostWorker, Neighbour, RunAlone, Span
from pytest_memguard.model.leaks import (
    Diagnosis,
    LeakLine,
    LeakReading,
    Rate,
    RetentionPath,
    Round,
    TypeGrowth,
    Verdict,
)
from pytest_memguard.model.measurements import (
    Budget,
    CallSite,
    Finding,
    Peak,
    PhaseReading,
    StageReading,
    Stop,
)
from pytest_memguard.model.results import Environment, Gap, Outcome, Run, Totals
from pytest_memguard.model.watch_readings import WatchedSignal, WatchedStage, WatchReading
from pytest_memguard.sizes import MIB


def rss(mib: float, high: float | None = None) -> Peak:
    """A peak of resident memory by the kernel's mark, in MiB."""
    top = mib if high is None else high
    return Peak(metric="rss", value=int(mib * MIB), high=int(top * MIB), method="kernel mark")


def heap(mib: float) -> Peak:
    """A peak of the heap by memray, in MiB."""
    return Peak(metric="heap", value=int(mib * MIB), high=int(mib * MIB), method="memray")


BUDGET = Budget(
    limit=200 * MIB,
    where="the marker",
    metric="heap",
    phase="all",
    stage="load",
    warn=0.8,
    threads="current",
    baseline_value=BaselineValue(
        before=150 * MIB,
        low=140 * MIB,
        cold=170 * MIB,
        rule=FailRule(
            kind="stage",
            share=0.1,
            floor=2 * MIB,
            stage="load",
            where="the marker",
            text="stage:load:10%+2MB",
        ),
        imports=3,
    ),
)
STOP = Stop(
    by="watchdog",
    used=190 * MIB,
    caught=True,
    file="src/load.py",
    line=12,
    function="load",
    test_line=7,
    stage="load/parse",
    thread="worker",
    words="Unable to allocate 100. MiB",
)
SITE = CallSite(
    file="src/rows.py", line=41, function="load_rows", size=96 * MIB, count=12_000, kept=5
)
PEAK = Peak(metric="rss", value=120 * MIB, high=130 * MIB, method="memray estimate")
FINDING = Finding(
    rule="over-budget",
    budget=BUDGET,
    peak=heap(212.5),
    text="peak heap 212.5 MiB is 12.5 MiB over the budget of 200.0 MiB set by the marker",
    sites=(SITE,),
    advice="The lines are those of this run.",
    raised=True,
)
PHASE = PhaseReading(
    name="call", seconds=1.25, level=50 * MIB, growth=-3, peaks=(PEAK, heap(1))
)
STAGE = StageReading(
    path="load/parse",
    count=2,
    delta=4 * MIB,
    cumul=-5,
    seconds=0.5,
    peaks=(rss(7),),
    lines=(SITE,),
)
LEAK = LeakReading(
    verdict=Verdict(
        state="leaking",
        calls=24,
        rates=(Rate(signal="blocks", per_call=3.0, low=2.9, high=3.1),),
        reason="rising",
        rounds=(Round(calls=3, growth=(("blocks", 9), ("C heap", 96))),),
    ),
    diagnosis=Diagnosis(
        calls=16,
        lines=(
            LeakLine(
                file="app/cache.py",
                line=17,
                function="put",
                count=48,
                size=3456,
                native=("f",),
                left=(("open files", 16),),
            ),
        ),
        types=(TypeGrowth(type="app.cache.Request", count=16, size=768),),
        path=RetentionPath(
            steps=("module app.cache", "_REGISTRY (dict)", "key 'req-17'", "app.cache.Request"),
            holder="app.cache._REGISTRY",
            bounded="functools.lru_cache(maxsize=128)",
            remark="held by the value of its own weak key",
            limit=128,
            enforced=True,
            owner="plugin syrupy",
        ),
        notes=("a note",),
        fingerprint="0123456789ab",
    ),
    accepted="known leak",
    calls=1234,
    seconds=0.5,
)
OUTCOME = Outcome(
    nodeid="tests/test_rows.py::test_load[a-1]",
    file="tests/test_rows.py",
    line=7,
    result="failed",
    worker="gw1",
    phases=(PHASE,),
    stages=(STAGE,),
    budgets=(BUDGET,),
    findings=(FINDING,),
    notes=("setup rose 3.0 MiB",),
    overhead=0.0625,
    leak=LEAK,
    leak_skipped="known to be odd",
    imports=12,
    cold=PEAK,
    fills=(Fill(holder="data.table", size=28 * MIB),),
)
DEATH = Death(
    cause="crashed",
    phase="teardown",
    ending=Ending(
        signal=11, exit_code=None, highest=90 * MIB, oom_kills=2, oom_source="cgroup v2"
    ),
    seconds=0.75,
    level=60 * MIB,
    used=30 * MIB,
    limit=200 * MIB,
    timeout=2.5,
    where="the marker",
    stack=("test_rows.py:7 in test_load",),
)
RUN = Run(
    environment=Environment(
        python="3.12.1",
        implementation="CPython",
        platform="Linux x86_64",
        pytest="9.2.0",
        memguard="0.1.0",
        allocator="pymalloc",
    ),
    settings=(("budget", "200.0 MiB (--mem-budget)"), ("top", "3 (--mem-top)")),
    gaps=(Gap(subject="kernel's mark", reason="there is none"),),
    outcomes=(OUTCOME, Outcome(nodeid="tests/test_rows.py::test_nothing")),
    totals=(
        Totals(
            worker="gw1",
            tests=2,
            start=40 * MIB,
            end=60 * MIB,
            highest=180 * MIB,
            overhead=0.125,
        ),
    ),
)
LOST = LostWorker(
    worker="gw0",
    cause="out-of-memory",
    ending=Ending(signal=9, highest=400 * MIB, oom_kills=1, oom_source="cgroup v2"),
    driver="earlier",
    driver_test="tests/test_rows.py::test_cache",
    driver_size=250 * MIB,
    running="tests/test_rows.py::test_next",
    running_seconds=1.25,
    named="tests/test_rows.py::test_other",
    level=350 * MIB,
    rise=50 * MIB,
    rise_is_bound=True,
    raised=(
        Span(low=0, high=250 * MIB, nodeid="tests/test_rows.py::test_cache"),
        Span(low=0, high=2 * MIB, nodeid="tests/test_rows.py::test_load"),
    ),
    more_tests=7,
    more_size=3 * MIB,
    before=95 * MIB,
    tests=12,
    neighbours=(Neighbour(worker="gw1", level=80 * MIB, running="test_a", rise=10 * MIB),),
    problems=("the last line of gw0.flight is torn: '[\"st'",),
    record=".pytest_cache/memguard-flight/1/gw0.flight",
    time=1_796_011_200.5,
    alone=RunAlone(
        nodeid="tests/test_rows.py::test_next",
        result="not-run",
        workers=8,
        highest=3000 * MIB,
        reason="the run was stopped",
    ),
)
ABORT = Abort(
    reason="the run was stopped: it used 4.1 GiB, and --mem-abort-at allows 4.0 GiB",
    used=4200 * MIB,
    parts=(
        Part(
            nodeid="tests/test_rows.py::test_load[a b]",
            worker="gw1",
            size=2100 * MIB,
            running=True,
            children=100 * MIB,
        ),
        Part(nodeid="", worker="gw2", size=1000 * MIB, running=False),
        Part(nodeid="tests/test_rows.py::test_cache", worker="", size=600 * MIB, running=False),
    ),
    more_tests=7,
    more_size=200 * MIB,
    rest=300 * MIB,
    problems=("what gw3 had: its record is gone",),
    time=1_796_011_200.5,
)
ALERT = Alert(
    signal="worker rss",
    severity="critical",
    limit=1024 * MIB,
    highest=1200 * MIB,
    worker="gw1",
    nodeid="tests/test_rows.py::test_load[a b]",
    phase="call",
)

WAITED = WaitedTest(
    nodeid="test_a.py::test_waited",
    worker="gw1",
    need=Need(size=300 * MIB, source="the baseline"),
    seconds=2.5,
)
EXCEEDED = ExceededNeed(
    nodeid="test_a.py::test_large",
    need=Need(size=20 * MIB, source="the median of this run"),
    used=310 * MIB,
)
PARALLEL = ParallelRun(
    size=1000 * MIB,
    source="--mem-parallel",
    reason="1.03 GiB free (cgroup v2), less a reserve of 52.6 MiB",
    admitted=3,
    waited=(WAITED,),
    exceeded=(EXCEEDED,),
    needs=600 * MIB,
    levels=240 * MIB,
    elsewhere=90 * MIB,
    real=800 * MIB,
    real_is="PSS",
)


WATCHED = WatchReading(
    command="python server.py",
    pid=7,
    seconds=12.5,
    samples=125,
    restarts=1,
    verdict="undecided",
    doubt="short",
    signals=(
        WatchedSignal(
            signal="rss",
            verdict="growing",
            first=20 * MIB,
            last=30 * MIB,
            peak=31 * MIB,
            per_hour=1.5,
            low=1.0,
            high=2.0,
        ),
        WatchedSignal(signal="fds", verdict="", first=None, last=None, peak=None),
    ),
    stages=(
        WatchedStage(
            name="load", seconds=9.5, verdict="flat", before=20 * MIB, after=None, peak=31 * MIB
        ),
    ),
)
