"""Slack inside the process: a test cannot hide its memory in what others have freed."""

from __future__ import annotations

import pytest

# All in processes of their own, whose heaps no other test has touched before.

LISTS = """
    import gc
    import pytest

    pinned = []

    def small_lists(count):
        return [[] for _ in range(count)]

    def blocks(count):
        return [bytes(667) for _ in range(count)]

    def test_neighbour():
        gc.disable()
        pinned.extend(small_lists(350_000)[::50])
        pinned.extend(blocks(30_000)[::50])

    @pytest.mark.mem_budget({limit})
    def test_lists_over():
        small_lists(200_000)  # 12 MiB and more

    @pytest.mark.mem_budget({limit})
    def test_lists_within():
        small_lists(20_000)

    @pytest.mark.mem_budget({limit})
    def test_blocks_over():
        blocks(20_000)  # 13 MiB and more

    @pytest.mark.mem_budget({limit})
    def test_blocks_within():
        blocks(2_000)
"""
NO_FILLER = """
    import pytest_memguard.allocator.slack_estimator

    pytest_memguard.allocator.slack_estimator.available_memory = lambda: 0
"""
NO_MEMRAY = """
    import sys

    sys.modules["memray"] = None
"""


@pytest.mark.parametrize("conftest", ["", NO_FILLER], ids=["as-it-is", "no-memory-to-spare"])
def test_slack_left_by_a_neighbour(pytester, run, written, conftest):
    """A test that reuses what a neighbour left free is measured as if the neighbour had not."""
    pytester.makeconftest(conftest)
    result = run(LISTS.format(limit=8), "--mem-json=out.json", "-rfp")
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines_random(
        [
            "FAILED test_it.py::test_lists_over - * > *: peak RSS *",
            "FAILED test_it.py::test_blocks_over - * > *: peak RSS *",
            "PASSED test_it.py::test_lists_within",
            "PASSED test_it.py::test_blocks_within",
        ]
    )
    true = {"test_lists_over": 13, "test_blocks_over": 14}
    for name, size in true.items():
        call = next(phase for phase in written()[name]["phases"] if phase["name"] == "call")
        peak = call["peaks"][0]
        assert peak["method"] == "kernel mark"
        if not conftest:  # or only its bounds are known
            assert pytest.approx(size, abs=3) == peak["bytes"] / 2**20
        assert peak["upper_bound_bytes"] >= (size - 1) << 20


def test_peak_that_cannot_be_decided_is_told(pytester, run):
    """Where neither filler nor memray helps, the report gives both bounds and fails none."""
    pytester.makeconftest(f"{NO_FILLER}\n{NO_MEMRAY}")
    result = run(LISTS.format(limit=8), "-k", "neighbour or lists", "--mem-confirm=0")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=3, deselected=2)
    result.stdout.fnmatch_lines(
        [
            "*= memory =*",
            (
                "test_it.py::test_lists_over: peak RSS lies between * and *, the budget of "
                "8.0 MiB set by the marker in between: *(undecided)"
            ),
        ]
    )


INLINE = """
    import gc
    import pytest

    pinned = []

    def small_lists(count):
        return [[] for _ in range(count)]

    def test_neighbour():
        gc.disable()
        pinned.extend(small_lists(90_000)[::50])  # leaves some 5 MiB free

    def test_within(memguard):
        for number in range(2):
            with memguard.stage(f"part {number}", budget="8 MB"):
                kept = small_lists(55_000)[::50]

    @pytest.mark.mem_budget(30)
    def test_whole_test_has_a_budget(memguard):
        with memguard.stage("part", budget="8 MB"):
            small_lists(55_000)

    @pytest.mark.mem_budget(4, metric="heap")
    def test_filling_is_no_memory_of_the_test(memguard):
        with memguard.stage("part", budget="30 MB"):
            small_lists(1_000)

    def test_over(memguard):
        with memguard.stage("part", budget="4 MB"):
            small_lists(90_000)
"""


def test_slack_that_a_stage_with_a_budget_of_its_own_finds(run, written):
    """It is filled when the stage begins, since its budget was not known before."""
    result = run(INLINE, "--mem-json=out.json", "-rf")
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.no_fnmatch_line("*undecided*")
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_over - * > *: *"])
    call = written()["test_filling_is_no_memory_of_the_test"]["phases"][1]
    assert call["peaks"][0]["bytes"] < 2**20


HOOKED = """
    import gc
    import pytest

    pinned = []

    def small_lists(count):
        return [[] for _ in range(count)]

    @pytest.mark.mem_budget(100)
    def test_first():
        pass

    def test_neighbour():
        gc.disable()
        pinned.extend(small_lists(350_000)[::50])

    {marks}
    def test_hooks_pymalloc(memguard):
        with memguard.stage("part", budget="8 MB"):
            pass

    @pytest.mark.mem_budget(8)
    def test_over():
        small_lists(200_000)
"""
HOOKS = {
    "memray": '@pytest.mark.mem_budget(100, metric="heap")',
    "tracemalloc": '@pytest.mark.mem_budget(100, metric="python")',
}


@pytest.mark.parametrize("hook", HOOKS)
def test_slack_asked_for_while_pymalloc_is_hooked(run, hook):
    """An answer that knows nothing of pymalloc's pools does not mean that none is free."""
    result = run(HOOKED.format(marks=HOOKS[hook]))
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*FAILED test_it.py::test_over - * > *: *"])


WHOLE = """
    import gc
    import pytest

    pinned = []

    def small_lists(count):
        return [[] for _ in range(count)]

    def test_neighbour():
        gc.disable()
        pinned.extend(small_lists(350_000)[::50])  # leaves some 20 MiB free

    @pytest.mark.mem_budget(60, metric={metric!r}, phase="all")
    @pytest.mark.mem_budget(24)
    def test_within():
        small_lists(20_000)

    @pytest.mark.mem_budget(60, metric={metric!r}, phase="all")
    @pytest.mark.mem_budget(6)
    def test_over():
        small_lists(130_000)
"""


@pytest.mark.parametrize("metric", ["heap", "python"])
def test_slack_stays_filled_while_pymalloc_is_hooked(run, metric):
    """What was filled before the first phase stays so until a budget of all phases is over."""
    result = run(WHOLE.format(metric=metric), "-rfp")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.no_fnmatch_line("*undecided*")
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_over - * > *: peak RSS *"])


RECORDED = """
    import gc
    import json
    import pytest
    from pathlib import Path

    MORE = json.loads(Path(__file__).with_name("more.json").read_text())
    pinned = []

    def small_lists(count):
        return [[] for _ in range(count)]

    def test_neighbour():
        gc.disable()
        pinned.extend(small_lists(350_000)[::50])

    @pytest.mark.parametrize("turn", range(3))
    def test_lists(turn):
        small_lists(60_000 + MORE * (turn == 1))
"""


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["plain", "worker"])
def test_slack_left_by_a_neighbour_hides_no_regression(pytester, run, written, workers):
    """Peaks that are stored or compared are near to exact in slack, and growth is none."""
    more = pytester.path / "more.json"
    flags = ("--mem-json=out.json", *workers)
    more.write_text("0", encoding="utf-8")
    how = {"plugins": ["xdist.plugin"] if workers else []}
    run(RECORDED, "--mem-save", *flags, **how).assert_outcomes(passed=4)
    lists = {name: test for name, test in written().items() if name.startswith("test_lists")}
    for test in lists.values():
        (peak,) = next(phase for phase in test["phases"] if phase["name"] == "call")["peaks"]
        assert peak["method"] == "kernel mark"
        assert 3.0 <= peak["bytes"] / 2**20 <= 5.0  # 56 bytes each, and the list of them
        assert peak["upper_bound_bytes"] - peak["bytes"] < 1 << 20
        assert abs(test["growth_bytes"]) <= 4 << 20  # a few arenas that some object keeps
    more.write_text("50000", encoding="utf-8")
    result = run(RECORDED, "--mem-compare", *flags, **how)
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        ["compared with .memguard/baseline.json: 1 regression, 3 as before"]
    )
    assert written()["test_lists[1]"]["result"] == "failed"


def test_heap_needs_no_slack(run):
    """A budget on the heap is exact wherever the blocks come from."""
    result = run(LISTS.format(limit="8, metric='heap'"))
    result.assert_outcomes(passed=3, failed=2)


def test_large_block_used_again(run):
    """A block that the process has freed is seen when a later test takes it again."""
    result = run(
        """
        import pytest

        @pytest.mark.parametrize("turn", range(3))
        @pytest.mark.mem_budget(12)
        def test_over(turn):
            bytearray(20 << 20)

        @pytest.mark.mem_budget(24)
        def test_within():
            bytearray(20 << 20)
        """,
        "--mem",
    )
    result.assert_outcomes(passed=1, failed=3)
    for line in result.stdout.lines:
        if line.startswith("peak RSS"):
            assert 19 < float(line.split()[2]) < 21


THREADS = """
    import threading
    import pytest

    def in_thread():
        thread = threading.Thread(target=bytearray, args=(30 << 20,))
        thread.start()
        thread.join()

    def test_neighbour():
        bytearray(31 << 20)  # the C library takes this as a sign to keep large blocks
        for _ in range(3):
            in_thread()

    @pytest.mark.parametrize("turn", range(3))
    @pytest.mark.mem_budget(20)
    def test_over(turn):
        in_thread()
"""


def test_block_of_a_thread_used_again(run):
    """Threads use the arena of the process, whose free end is given back before a test.

    Other plugins start threads with arenas of their own before this one is asked.
    """
    result = run(THREADS, "-p", "no:rerunfailures", subprocess=True)
    result.assert_outcomes(passed=1, failed=3)


def test_block_of_a_thread_used_again_in_an_arena_of_its_own(run, monkeypatch):
    """What the arena of a thread keeps may hide a block: the test is undecided by itself."""
    monkeypatch.setenv("MALLOC_ARENA_MAX", "8")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", str(64 << 20))
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", str(32 << 20))
    result = run(THREADS, "--mem-confirm=0", subprocess=True)
    counts = result.parseoutcomes()
    undecided = result.stdout.str().count("(undecided)")
    assert counts["passed"] + counts.get("failed", 0) == 4
    assert counts.get("failed", 0) + undecided == 3
    assert undecided > 0


def test_garbage_of_a_neighbour(run):
    """A test does not win slack by collecting the garbage that a neighbour left behind."""
    result = run(
        """
        import gc
        import pytest

        def test_neighbour():
            cycle = [bytearray(40 << 20)]
            cycle.append(cycle)

        @pytest.mark.mem_budget(20)
        def test_over():
            gc.collect()
            bytearray(30 << 20)
        """,
    )
    result.assert_outcomes(passed=1, failed=1)


def test_failure_before_hides_nothing(run):
    """What a failed test held does not hide the next test's memory when pytest lets it go."""
    result = run(
        """
        import pytest

        def test_fails():
            rows = bytearray(30 << 20)
            assert not rows

        @pytest.mark.mem_budget(20)
        def test_over():
            bytearray(30 << 20)
        """,
        "--tb=no",
    )
    result.assert_outcomes(failed=2)
    result.stdout.re_match_lines([r".*test_over.*peak RSS (29\.[5-9]|30\.\d) MiB"])


def test_free_chunk_of_a_neighbour_is_no_regression(run):
    """A block that grows takes no more beside a free chunk that a neighbour left."""
    suite = """
        from array import array

        pins = []

        def test_neighbour():
            blocks = [bytearray(100 * 1024) for _ in range({count})]
            pins.append(bytearray(100 * 1024))

        def test_array():
            array("d", range(4 << 17))

        def test_list():
            grown = []
            for _ in range(4 << 17):
                grown.append(None)
        """
    run(suite.format(count=1), "--mem-save").assert_outcomes(passed=3)
    result = run(suite.format(count=30), "--mem-compare", "--mem-fail-on=peak:1MB")
    result.stdout.no_fnmatch_line("*test_[al]*above the baseline*")
    result.stdout.no_fnmatch_line("*FAILED test_it.py::test_[al]*")


STAGES = """
    import threading
    import pytest
    from pytest_memguard import stage

    def test_large():
        bytearray(30 << 20)  # from now on glibc takes blocks of 25 MiB from its arenas

    def test_thread():
        thread = threading.Thread(target=bytearray, args=(25 << 20,))
        thread.start()
        thread.join()

    @pytest.mark.parametrize("size", [13, 7], ids=["over", "within"])
    @pytest.mark.mem_budget(10, stage="load")
    def test_stage(size):
        with stage("load"):
            kept = bytearray(size << 20)

    @pytest.fixture
    def loaded(request):
        with stage("load"):
            return bytearray(request.param << 20)

    @pytest.mark.parametrize("loaded", [13, 7], ids=["over", "within"], indirect=True)
    @pytest.mark.mem_budget(10, stage="load")
    def test_stage_in_setup(loaded):
        pass
"""


def test_stages_beside_the_arena_of_a_thread(run):
    """A stage is decided by memray where much is free that its thread may have reused."""
    result = run(STAGES, "--mem-explain=never", "-rfE")
    result.assert_outcomes(passed=4, failed=1, errors=1)
    result.stdout.fnmatch_lines_random(
        [
            "FAILED test_it.py::test_stage?over? - * > *: *",
            "ERROR test_it.py::test_stage_in_setup?over? - * > *: *",
        ]
    )
    result.stdout.no_fnmatch_line("*undecided*")


SLOW_COUNT = """
    import sys
    import time
    from pytest_memguard.allocator.slack_estimator import SlackEstimator

    def count():
        time.sleep(0.002)  # a machine with other work, or a large heap
        return sys.getallocatedblocks()

    SlackEstimator.__init__.__defaults__ = (count, None)
"""
CLEARED = """
    import pytest

    PINNED, CACHE = [], {}

    def lists(mebibytes):
        return [[number] for number in range(int(mebibytes * 2**20 / 120))]

    @pytest.mark.mem_budget(8)
    def test_before():
        pass

    def test_fills():
        CACHE["lists"] = lists(12)
        PINNED.extend(CACHE["lists"][::40])

    @pytest.mark.mem_budget(8)
    def test_between():
        pass

    def test_clears():
        CACHE.clear()

    @pytest.mark.mem_budget(8)
    def test_over():
        lists(11)
"""


@pytest.mark.parametrize("conftest", ["", SLOW_COUNT], ids=["as-it-is", "slow-count"])
def test_slack_that_appeared_a_moment_ago(pytester, run, conftest):
    """A cache that was cleared just before hides nothing, however quick the tests are."""
    pytester.makeconftest(conftest)
    result = run(CLEARED, "--mem-explain=never", "-rf")
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_over - * > *: peak RSS *"])


def test_instruments_are_no_part_of_a_whole_test(run):
    """A budget on all phases leaves out what memray takes between two of them."""
    result = run(
        """
        import threading
        import pytest

        def test_raises_the_mmap_threshold():
            bytearray(30 << 20)

        def test_thread():
            thread = threading.Thread(target=bytearray, args=(25 << 20,))
            thread.start()
            thread.join()

        @pytest.fixture
        def given():
            return bytearray(7 << 20)

        @pytest.mark.parametrize("turn", range(2))
        @pytest.mark.mem_budget(10, phase="all")
        def test_within(given, turn):
            pass

        @pytest.mark.mem_budget(6, phase="all")
        def test_over(given):
            pass
        """
    )
    result.assert_outcomes(passed=4, errors=1)


def test_a_comparison_lets_slack_stay(run, pytester):
    """Tests that use what others have freed are as before, and the process does not grow."""
    suite = """
        import pytest

        KEPT = []

        @pytest.mark.parametrize("number", range(40))
        def test_it(number):
            freed = [str(i) for i in range(60_000)]
            del freed
            used = [str(i) for i in range(6_000)]
            KEPT.append(used[5_990:])

        def test_last():
            line = [line for line in open("/proc/self/status") if line.startswith("VmRSS")]
            with open("resident", "a") as file:
                file.write(line[0].split()[1] + "\\n")
    """
    run(suite, "--mem-save").assert_outcomes(passed=41)
    (pytester.path / "resident").unlink()
    result = run(suite, "--mem-compare")
    result.stdout.fnmatch_lines(["compared with *: 41 as before"])
    result.stdout.no_fnmatch_line("measured again*")
    run(suite).assert_outcomes(passed=41)
    compared, plain = map(int, (pytester.path / "resident").read_text().split())
    assert compared - plain < 16 << 10  # in KiB
