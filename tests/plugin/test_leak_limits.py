"""The leak check does no harm: it ends in time, before the damage, and beside other checks."""

from __future__ import annotations

import json
import os
import re

import pytest

from tests.plugin.leaky import CHECK, IMPATIENT, JSON, KEEP, states

SUITE = (
    KEEP
    + """
    import warnings

    def test_leak():
        keep()

    def test_clean(tmp_path):
        pass

    @pytest.mark.mem_no_leak_check("odd")
    def test_left_out():
        keep()

    TIMES = []

    def test_undecided():
        TIMES.append(1)
        assert len(TIMES) < 3, "worn out"
"""
)


def section(result: pytest.RunResult) -> list[str]:
    """The lines of the section ``leaks``, without times and numbers of calls."""
    lines = result.outlines
    start = next(n for n, line in enumerate(lines) if re.fullmatch("=+ leaks =+", line))
    end = next(n for n in range(start + 1, len(lines)) if lines[n].startswith("===="))
    cut = (re.sub(r"; [\d,]+ calls in .*", "", line) for line in lines[start + 1 : end])
    cut = (re.sub(r"grew in [\d,]+( to [\d,]+)? calls", "grew", line) for line in cut)
    return [re.sub(r"keeps .*? per call, in each of \d+ calls", "keeps it", c) for c in cut]


def test_xdist(pytester, run, written):
    """Section and JSON are the same from two processes as from one."""
    flags = ("--mem-leak-check", "--mem-leak-calls=120", JSON)
    alone = run(SUITE, *flags)
    tests = written()
    spread = run(SUITE, *flags, "-n2", plugins=["xdist.plugin"])
    assert section(spread) == section(alone)
    assert len(section(alone)) > 3
    counts = {"passed": 3, "failed": 1, "undecided": 1}
    assert alone.parseoutcomes() == spread.parseoutcomes() == counts
    assert states(written()) == states(tests)
    for name, test in written().items():
        assert test["worker"] in {"gw0", "gw1"}
        assert test["leak_skipped"] == tests[name]["leak_skipped"]
    blames = [t["test_leak"]["leak"]["blame"] for t in (tests, written())]
    assert blames[0]["fingerprint"] == blames[1]["fingerprint"] != ""
    assert json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))["gaps"] == []


def test_xdist_with_markers_alone(run):
    """A marker without any flag has its test checked in a worker, too."""
    result = run(
        SUITE.replace("def test_leak", "@pytest.mark.mem_leak_check\n    def test_leak"),
        "-n2",
        "--mem-leak-calls=120",
        "--mem-leak-blame=none",
        plugins=["xdist.plugin"],
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        ["1 test checked for leaks: 0 clean, 1 leaking, 1 left out; *", "leaking: *"]
    )


def test_xdist_refuses_bad_markers(run):
    """A marker that makes no sense stops a run in several processes before the first test."""
    result = run(
        """
        import pytest

        @pytest.mark.mem_leak_check(calls=0)
        def test_it():
            open("ran", "w")
        """,
        "-n2",
        plugins=["xdist.plugin"],
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = result.stdout.str() + result.stderr.str()
    assert "test_it.py:4: test_it.py::test_it: mem_leak_check: calls 0 is not a whole" in said


@pytest.mark.parametrize("leaks", [False, True], ids=["clean", "leaking"])
def test_peaks_are_those_of_the_one_run(run, written, leaks):
    """Budgets, peaks and growth know nothing of the repetitions."""
    result = run(
        f"""
        import pytest

        TIMES = []
        KEPT = []

        @pytest.fixture
        def block():
            yield bytearray(4 << 20)

        def test_it(block):
            TIMES.append(1)
            bytearray((8 if len(TIMES) == 1 else 20) << 20)
            if {leaks}:
                KEPT.append([object() for _ in range(20)])
            else:
                del TIMES[1:]
                TIMES.append(1)

        def test_next():
            pass
        """,
        "--mem-budget=15",
        "--mem",
        *CHECK,
        "--mem-leak-calls=70",  # they take their time: each fills 20 MiB
        JSON,
        "-p",
        "no:randomly",
    )
    result.assert_outcomes(passed=1 if leaks else 2, failed=1 if leaks else 0)
    test = written()["test_it"]
    assert states({"test_it": test}) == {"test_it": "leaking" if leaks else "clean"}
    assert test["findings"] == []
    peaks = {p["name"]: p["peaks"][0]["bytes"] / (1 << 20) for p in test["phases"]}
    assert pytest.approx(4, abs=1.5) == peaks["setup"]
    assert pytest.approx(8, abs=1.5) == peaks["call"]
    assert peaks["teardown"] < 1
    # pytest itself holds the fixture's value until the teardown has ended
    assert pytest.approx(4, abs=1.5) == test["growth_bytes"] / (1 << 20)
    following = written()["test_next"]
    assert following["growth_bytes"] < 1 << 20
    assert following["phases"][1]["peaks"][0]["bytes"] < 1 << 20


def test_a_breach_comes_first(run, written):
    """A test that is over its budget has failed and is not repeated."""
    result = run(
        KEEP
        + """
    @pytest.mark.mem_budget(20)
    def test_call():
        keep()
        bytearray(30 << 20)

    @pytest.fixture
    def greedy():
        yield
        bytearray(30 << 20)

    @pytest.mark.mem_budget(20, phase="teardown")
    def test_teardown(greedy):
        pass
    """,
        *CHECK,
        JSON,
        "-rfE",
    )
    outcomes = result.parseoutcomes()
    assert (outcomes["failed"], outcomes["errors"]) == (1, 1)
    result.stdout.fnmatch_lines_random(
        ["FAILED *test_call - * > *: *", "ERROR *test_teardown - * > *: *"]
    )
    assert states(written()) == {"test_teardown": "clean"}


def test_stages_are_those_of_the_one_run(run, written):
    """A stage is entered once, however often its test is repeated."""
    run(
        """
        from pytest_memguard import stage

        def test_fixture(memguard):
            with memguard.stage("load"):
                bytearray(5 << 20)

        def test_function():
            with stage("load"):
                bytearray(5 << 20)

        def test_measure(memguard):
            with memguard.measure() as measured:
                bytearray(5 << 20)
            assert measured.peak > "4 MiB"
        """,
        *CHECK,
        JSON,
    ).assert_outcomes(passed=3)
    tests = written()
    assert set(states(tests).values()) == {"clean"}
    for name in ("test_fixture", "test_function"):
        assert [(s["path"], s["count"]) for s in tests[name]["stages"]] == [("load", 1)]


def test_a_timeout_where_threads_stay(run, written):
    """Threads are not waited for beyond the time that pytest-timeout leaves a test."""
    source = """
        import threading
        import time

        def test_it():
            threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
    """
    flags = ("--mem-leak-check", "--timeout=2", JSON)
    result = run(source, *flags, plugins=["pytest_timeout"])
    result.stdout.no_fnmatch_line("*Timeout*")
    assert written()["test_it"]["leak"]["verdict"]["state"] in {"leaking", "undecided"}


@pytest.mark.parametrize("how", ["--timeout=2", "marker", "ini"])
def test_pytest_timeout_is_not_triggered(pytester, run, written, how):
    """A check ends well before pytest-timeout would end its test."""
    if how == "ini":
        pytester.makeini("[pytest]\ntimeout = 2\n")
    marker = "@pytest.mark.timeout(2)" if how == "marker" else ""
    result = run(
        f"""
        import time
        import pytest

        {marker}
        def test_it():
            time.sleep(0.05)
            KEPT.append(object())

        KEPT = []
        """,
        "--mem-leak-check",
        "--mem-leak-blame=none",
        JSON,
        *([how] if how.startswith("--") else []),
        plugins=["pytest_timeout"],
    )
    assert "Timeout" not in result.stdout.str() + result.stderr.str()
    leak = written()["test_it"]["leak"]
    assert leak["seconds"] < 1.9
    assert leak["calls"] >= 5


def test_no_explanation_short_of_a_timeout(run):
    """Where a timeout leaves too little time to explain a leak, the report says so."""
    source = "KEPT = []\ndef test_it(): KEPT.append(object())"
    flags = ("--mem-leak-check", "--timeout=1.5")
    result = run(source, *flags, plugins=["pytest_timeout"])
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*Timeout*")
    result.stdout.fnmatch_lines(["*not explained: the timeout of the test left 1.* s for it*"])


def test_a_slow_test_is_not_called_2000_times(run, written):
    """The time for one test has an end, and the verdict says how many calls it rests on."""
    result = run(
        """
        import time

        def test_it():
            time.sleep(0.05)
            KEPT.append([object() for _ in range(len(KEPT) % 7 * 9)])

        KEPT = []
        """,
        "--mem-leak-check",
        "--mem-leak-seconds=1",
        "--mem-leak-blame=none",
        JSON,
    )
    leak = written()["test_it"]["leak"]
    assert 10 <= leak["calls"] <= 30
    assert leak["seconds"] < 1.6
    verdict = leak["verdict"]
    assert verdict["state"] == "undecided"
    assert "the 1 s it may take" in verdict["reason"]
    result.stdout.fnmatch_lines([f"undecided: test_it.py::test_it: {verdict['reason']}"])


def test_a_slow_clean_test_is_called_a_few_times(run, written):
    """A clean test is known to be one after a few calls."""
    run("import time\ndef test_it(): time.sleep(0.05)", "--mem-leak-check", JSON)
    assert states(written()) == {"test_it": "clean"}
    # ten, and some more in a process in which everything happens for the first time
    assert 8 <= written()["test_it"]["leak"]["calls"] <= 60


CYCLES = """
    import gc
    import pytest

    class Node:
        pass

    def cycle():
        nodes = [Node() for _ in range(20)]
        for node in nodes:
            node.me = node
"""


def test_a_disabled_collector(run, written):
    """Cycles leak where the test has switched the collector off, and nowhere else."""
    run(
        CYCLES
        + """
    def test_enabled():
        cycle()

    @pytest.fixture
    def disabled():
        gc.disable()
        yield
        gc.enable()

    def test_disabled_by_fixture(disabled):
        cycle()

    def test_disabled_meanwhile():
        gc.disable()
        try:
            cycle()
        finally:
            gc.enable()

    def test_disabled():
        gc.disable()
        cycle()

    def test_last():
        gc.enable()
    """,
        *CHECK,
        JSON,
        "-p",
        "no:randomly",
    )
    found = states(written())
    assert found.pop("test_disabled") == "leaking"
    assert set(found.values()) == {"clean"}


def test_a_collector_that_was_off_before(run, written):
    """Where the collector is off for the whole run, cycles are no leak of a test."""
    run(
        CYCLES
        + """
    @pytest.fixture(scope="session", autouse=True)
    def off():
        gc.disable()
        yield
        gc.enable()

    def test_first():
        cycle()

    def test_second():
        cycle()
    """,
        *CHECK,
        JSON,
        "-p",
        "no:randomly",
    )
    assert states(written()) == {"test_first": "clean", "test_second": "clean"}


DAMAGE = """
    import os
    import pytest
    import threading
    import time

    KEPT = []
    STOP = threading.Event()

    def test_files():
        KEPT.append(os.open("/dev/null", os.O_RDONLY))

    def test_threads():
        thread = threading.Thread(target=STOP.wait, daemon=True)
        thread.start()

    def test_memory():
        KEPT.append(bytearray(b"x") * 1_000_000)

    @pytest.mark.mem_no_leak_check("mends")
    def test_last():
        while KEPT:
            item = KEPT.pop()
            if isinstance(item, int):
                os.close(item)
        STOP.set()
        while threading.active_count() > BEFORE:
            time.sleep(0.01)

    BEFORE = threading.active_count()
"""


def test_damage_is_limited(pytester, run, written):
    """A leak of descriptors, threads or memory is known before it has eaten all there is."""
    pytester.makeini("[pytest]\nmem_leak_stop_at = 40 MB, 30 files, 25 threads\n")
    pytester.makeconftest(IMPATIENT)
    result = run(DAMAGE, "--mem-leak-check", "--mem-leak-blame=none", JSON, "-p", "no:randomly")
    result.assert_outcomes(passed=1, failed=3)
    tests = written()
    for name, most in (("test_files", 40), ("test_threads", 35), ("test_memory", 60)):
        leak = tests[name]["leak"]
        assert leak["verdict"]["state"] == "leaking", name
        assert leak["calls"] <= most, name
    signals = {
        name: {rate["signal"] for rate in tests[name]["leak"]["verdict"]["rates"]}
        for name in ("test_files", "test_threads", "test_memory")
    }
    assert "open files" in signals["test_files"]
    assert {"Python threads", "native threads"} <= signals["test_threads"]
    assert "C heap" in signals["test_memory"]


def test_too_few_calls_before_the_damage(pytester, run, written):
    """A leak that would eat too much before anything is certain is undecided, and says why."""
    pytester.makeini("[pytest]\nmem_leak_stop_at = 20\n")
    run(
        """
        KEPT = []

        def test_it():
            KEPT.append(bytearray(b"x") * 10_000_000)
        """,
        "--mem-leak-check",
        "--mem-leak-blame=none",
        JSON,
    )
    leak = written()["test_it"]["leak"]
    assert leak["calls"] <= 8
    assert leak["verdict"]["state"] == "undecided"
    assert "MiB are lost already" in leak["verdict"]["reason"]


RESOURCES = """
    import asyncio
    import ctypes
    import gc
    import os
    import socket
    import pytest

    KEPT = []
    LOOP = asyncio.new_event_loop()
    LIBC = ctypes.CDLL(None)
    LIBC.malloc.restype = ctypes.c_void_p

    def test_sockets():
        KEPT.append(socket.socket())

    def test_tasks():
        async def spawn():
            KEPT.append(LOOP.create_task(asyncio.sleep(1000)))
        LOOP.run_until_complete(spawn())

    def test_malloc():
        LIBC.malloc(3000)

    def test_garbage():
        gc.garbage.append([1])

    def test_every_third():
        TIMES[0] = (TIMES[0] + 1) % 3
        if not TIMES[0]:
            KEPT.append([object() for _ in range(20)])

    TIMES = [0]

    @pytest.mark.mem_no_leak_check("mends")
    def test_last():
        for item in KEPT:
            if isinstance(item, socket.socket):
                item.close()
        tasks = [item for item in KEPT if isinstance(item, asyncio.Task)]
        for task in tasks:
            task.cancel()
        LOOP.run_until_complete(asyncio.wait(tasks))
        LOOP.close()
        KEPT.clear()
        gc.garbage.clear()
"""


def test_every_signal(pytester, run, written):
    """Sockets, tasks, C memory, garbage, and what leaks now and then are found."""
    pytester.makeconftest(IMPATIENT)
    run(
        RESOURCES,
        "--mem-leak-check",
        "--mem-leak-calls=400",
        "--mem-leak-blame=none",
        JSON,
        "-p",
        "no:randomly",
    )
    tests = written()
    expected = {
        "test_sockets": "open files",
        "test_tasks": "asyncio tasks",
        "test_malloc": "C heap",
        "test_garbage": "uncollectable objects",
        "test_every_third": "blocks",
    }
    for name, signal in expected.items():
        verdict = tests[name]["leak"]["verdict"]
        assert verdict["state"] == "leaking", (name, verdict)
        assert signal in {rate["signal"] for rate in verdict["rates"]}, name


def test_child_processes(pytester, run, written):
    """A child process that is left behind by each call is found."""
    pytester.makeconftest(IMPATIENT)
    run(
        """
        import os
        import pytest
        import time

        def test_it():
            if not os.fork():
                time.sleep(60)
                os._exit(0)

        @pytest.mark.mem_no_leak_check("mends")
        def test_last():
            while True:
                pids = open(f"/proc/self/task/{os.getpid()}/children").read().split()
                if not pids:
                    break
                for pid in pids:
                    os.kill(int(pid), 9)
                    os.waitpid(int(pid), 0)
        """,
        "--mem-leak-check",
        "--mem-leak-blame=none",
        "--mem-leak-calls=40",
        JSON,
        "-p",
        "no:randomly",
    )
    verdict = written()["test_it"]["leak"]["verdict"]
    assert verdict["state"] == "leaking"
    assert "child processes" in {rate["signal"] for rate in verdict["rates"]}


def test_innocent_caches_and_pools(run, written):
    """What is filled once, comes and goes, or knows its bound is no leak."""
    result = run(
        """
        import collections
        import functools
        import queue
        import threading
        import time
        import pytest
        from concurrent.futures import ThreadPoolExecutor

        POOL = []
        NUMBERS = iter(range(10**9))
        RING = collections.deque(maxlen=100)

        def test_pool():
            if not POOL:
                POOL.append(ThreadPoolExecutor(2))
            list(POOL[0].map(abs, [1, 2]))

        @functools.lru_cache(maxsize=5000)
        def cached(number):
            return [number]

        def test_lru_cache():
            cached(next(NUMBERS))

        def test_ring():
            RING.append([next(NUMBERS)])

        def test_a_thread_that_ends_a_moment_later():
            threading.Thread(target=time.sleep, args=[0.002]).start()

        def test_cycle():
            loop = []
            loop.append(loop)

        @pytest.mark.mem_no_leak_check("mends")
        def test_last():
            POOL[0].shutdown()
        """,
        "--mem-leak-check",
        "--mem-leak-calls=400",
        JSON,
        "-p",
        "no:randomly",
    )
    result.assert_outcomes(passed=6)
    tests = written()
    found = states(tests)
    assert found.pop("test_a_thread_that_ends_a_moment_later") != "leaking"
    assert set(found.values()) == {"clean"}, found
    verdict = tests["test_lru_cache"]["leak"]["verdict"]
    assert verdict["state"] == "settling"
    assert "functools.lru_cache(maxsize=5000)" in verdict["reason"]


@pytest.mark.parametrize("where", ["fork", "none"])
def test_where_a_leak_is_looked_into(run, written, where):
    """The search for who did it happens in a child, or not at all."""
    result = run(
        KEEP
        + """
    def test_leak():
        keep()
    """,
        "--mem-leak-check",
        "--mem-leak-calls=120",
        f"--mem-leak-blame={where}",
        JSON,
    )
    result.assert_outcomes(failed=1)
    diagnosis = written()["test_leak"]["leak"]["blame"]
    if where == "none":
        assert diagnosis is None
        result.stdout.no_fnmatch_line("Held by: *")
    else:
        assert diagnosis["path"]["holder"] == "test_it.KEPT"
        assert diagnosis["lines"][0]["file"] == "test_it.py"
        result.stdout.fnmatch_lines(["Held by: module test_it -> KEPT *"])


def test_a_child_that_dies_costs_the_explanation_alone(run, written):
    """Where the search in a child crashes, the test fails for its leak all the same."""
    result = run(
        KEEP
        + """
    import os

    PID = os.getpid()

    def test_leak():
        if os.getpid() != PID:
            os.abort()
        keep()
    """,
        "--mem-leak-check",
        "--mem-leak-calls=120",
        "--mem-leak-blame=fork",
        JSON,
    )
    result.assert_outcomes(failed=1)
    leak = written()["test_leak"]["leak"]
    assert leak["verdict"]["state"] == "leaking"
    assert (
        "no answer from the forked child: the child died (signal 6)" in leak["blame"]["notes"]
    )


def test_one_leak_in_many_tests_is_explained_once(run, written):
    """Tests that show a leak explained before say under which test, and end early."""
    result = run(
        KEEP
        + """
    @pytest.mark.parametrize("n", range(4))
    def test_it(n):
        keep()
    """,
        "--mem-leak-check",
        "--mem-leak-calls=120",
        JSON,
        "-p",
        "no:randomly",
    )
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(
        [
            *["This leak is explained under test_it.py::test_it[[]0]."] * 3,
            "4 tests checked for leaks: 0 clean, 4 leaking; *",
            "leaking: *, 4 tests: keeps *",
            "  test_it.py::test_it[[]0]",
            "  test_it.py::test_it[[]3]",
        ]
    )
    assert result.stdout.str().count("Held by: ") == 1
    calls = [test["leak"]["calls"] for test in written().values()]
    assert all(later < calls[0] for later in calls[1:])
    assert len({test["leak"]["blame"]["fingerprint"] for test in written().values()}) == 1


def test_a_slow_test_that_fills_a_cache(run, written):
    """Where there is no time to see whether more grows beside a cache, that is told."""
    source = """
        import functools
        import itertools
        import time

        NUMBERS = itertools.count()

        @functools.lru_cache(maxsize=50_000)
        def make(number):
            return [str(number) for _ in range(100)]

        def test_it():
            time.sleep(0.04)
            make(next(NUMBERS))
    """
    run(source, "--mem-leak-check", "--mem-leak-seconds=2", JSON).assert_outcomes(passed=1)
    verdict = written()["test_it"]["leak"]["verdict"]
    assert verdict["state"] in {"settling", "undecided"}  # as far as the blocks were followed
    assert "a cache is filling: functools.lru_cache(maxsize=50000)" in verdict["reason"]


def test_threads_of_many_leaks(pytester, run, written):
    """Threads of one kind are one leak: explained once, and told by few calls after that."""
    pytester.makeconftest(IMPATIENT)
    source = """
        import threading
        import pytest

        STOP = threading.Event()

        class Poller(threading.Thread):
            def run(self):
                STOP.wait()

        @pytest.mark.parametrize("n", range(2))
        def test_polls(n):
            Poller(daemon=True).start()
    """
    ini = ("-o", "mem_leak_stop_at=256 MB, 200 files, 30 threads")
    result = run(source, "--mem-leak-check", JSON, "-p", "no:randomly", *ini)
    result.assert_outcomes(failed=2)
    leaks = [test["leak"] for test in written().values()]
    assert len({leak["blame"]["fingerprint"] for leak in leaks}) == 1
    assert all(leak["calls"] < 60 for leak in leaks[1:])
    result.stdout.fnmatch_lines(
        ["leaking: *, 2 tests: *; held by threading._active, thread test_it.Poller (leaking)"]
    )


OPENS = """
    import os
    import pytest
    import select
    import socket

    KEPT = [[] for _ in range(8)]

    @pytest.mark.parametrize("n", range(8))
    def test_keeps(n):
        KEPT[n].append(open(os.devnull))
        KEPT[n].append(open(os.devnull))

    def test_select():
        for one in socket.socketpair():
            with one:
                select.select([one], [], [], 0)
"""


def test_descriptors_of_many_leaks(run, written):
    """Leaks of many tests leave a later one enough descriptors, as `select` knows them."""
    flags = ("--mem-leak-check", "--mem-leak-blame=none", JSON, "-p", "no:randomly")
    result = run(OPENS, *flags, subprocess=True)
    tests = written()
    assert tests["test_select"]["result"] == "passed"
    found = {name: test["leak"]["verdict"] for name, test in tests.items()}
    assert found["test_keeps[0]"]["state"] == "leaking"
    assert found["test_keeps[7]"]["state"] == "undecided"
    assert "files are open by now" in found["test_keeps[7]"]["reason"]
    assert "files are open by now" in result.stdout.str()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_dies_under_the_trackers(run, pytester):
    """What ends the child is not tried in the process of the tests."""
    pytester.makeconftest(
        """
        from pytest_memguard.recording import causes

        def causes_of(*_):
            raise AssertionError("calls under memray in the process of the tests")

        causes.causes_of = causes_of
        """
    )
    result = run(
        """
        import os

        KEPT, PID = [], os.getpid()

        def test_it():
            if os.getpid() != PID:
                os.kill(os.getpid(), 9)
            KEPT.append([1])
        """,
        "--mem-leak-check",
        "--mem-leak-calls=120",
        "--mem-leak-blame=fork",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Note: no answer from the forked child: the child died *"])
    assert "calls under memray" not in result.stdout.str()
