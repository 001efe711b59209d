"""Budgets beside an allocator that an extension brings along, of which nothing is known."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux says what is anonymous")

# What the pool maps with a system call is its own: neither glibc nor memray sees it.
POOL = """
    import ctypes
    import pytest

    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        ctypes.c_void_p, ctypes.c_size_t, *3 * [ctypes.c_int], ctypes.c_long
    ]
    POOL = {"address": None, "size": 0}

    def use(mebibytes):
        size = mebibytes << 20
        if POOL["size"] < size:
            POOL.update(address=libc.mmap(None, size, 3, 0x22, -1, 0), size=size)
        ctypes.memset(POOL["address"], 7, size)

    def test_before():
        use(60)
"""
TESTS = """
    @pytest.mark.mem_budget(30)
    def test_over():
        use(60)

    @pytest.mark.mem_budget(30)
    def test_within():
        use(1)

    @pytest.mark.mem_budget(100)
    def test_generous():
        use(60)

    @pytest.mark.mem_budget(30, phase="all")
    def test_whole():
        use(60)

    @pytest.mark.mem_budget(30, metric="heap")
    def test_heap():
        use(60)

    def test_stage(memguard):
        with memguard.stage("part", budget="30 MB"):
            use(60)
"""
HIDDEN = "*: an allocator that an extension brings along may hold free memory *(undecided)"


@pytest.mark.parametrize(
    ("options", "failed"),
    [
        pytest.param([], 1, id="as-it-is"),
        pytest.param(["--mem-confirm=0"], 0, id="without-a-fresh-process"),
    ],
)
def test_memory_that_a_pool_has_kept(run, options, failed):
    """A test that uses it again is judged in a fresh process or undecided, and never passes."""
    result = run(POOL + TESTS, "--mem-explain=never", "-rf", *options)
    result.assert_outcomes(passed=7 - failed, failed=failed)
    result.stdout.fnmatch_lines_random(
        [
            f"test_it.py::test_whole: peak RSS of setup, call and teardown {HIDDEN}",
            f"test_it.py::test_heap: peak heap lies between {HIDDEN}",
            "test_it.py::test_stage: peak RSS of stage 'part' lies between *(undecided)",
            (
                "FAILED test_it.py::test_over - [56][09].* > 30.0 MiB: *"  # or a few pages less
                if failed
                else f"test_it.py::test_over: peak RSS lies between {HIDDEN}"
            ),
        ]
    )
    result.stdout.no_fnmatch_line("*test_generous*")
    if failed:
        result.stdout.no_fnmatch_line("*test_within:*")


COMPARED = """
    def test_small():
        use(1)
"""


def test_comparisons_do_not_count_it(run):
    """A baseline value was measured beside the same pool, so there is no question."""
    run(POOL + COMPARED, "--mem-save")
    result = run(POOL + COMPARED, "--mem-compare")
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*undecided*")


ARROW = """
    import pytest
    pa = pytest.importorskip("pyarrow")

    def work(mebibytes):
        return [pa.nulls(1 << 17, pa.int64()).fill_null(7) for _ in range(mebibytes)]

    def test_before():
        work(60)

    @pytest.mark.mem_budget(30)
    def test_over():
        work(60)

    @pytest.mark.mem_budget(30)
    def test_within():
        work(5)

    @pytest.mark.mem_budget(30, metric="heap")
    def test_heap():
        work(60)
"""


def test_pyarrow_gives_back_what_its_pool_holds(run):
    """The pool is emptied before a test, so its peak is as exact as any other."""
    pytest.importorskip("pyarrow")
    result = run(ARROW, "--mem-explain=never", "-rf", "--mem-confirm=0")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_over - * > 30.0 MiB: peak RSS *"])
    result.stdout.fnmatch_lines(["test_it.py::test_heap: peak heap lies between *(undecided)"])
    result.stdout.no_fnmatch_line("*test_within*")
