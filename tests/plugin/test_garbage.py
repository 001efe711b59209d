"""Garbage that earlier tests left behind hides no memory of the test that frees it."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.usefixtures("measured_once")

START = """
    import gc
    import pytest

    MB = 1 << 20

    class Node:
        def __init__(self):
            self.data = bytearray(20 * MB)
            self.me = self

    class Loud(Node):
        def __del__(self):
            self.data.append(1)

    CACHE = {}

    @pytest.mark.mem_budget(200)
    def test_first():
        pass
"""
END = """
    @pytest.mark.mem_budget(17)
    def test_over():
        gc.collect()
        bytearray(20 * MB)

    @pytest.mark.mem_budget(23)
    def test_within():
        bytearray(20 * MB)
"""
CLASS_FIXTURE = """
    @pytest.fixture(scope="class")
    def node():
        return Node()

    class TestNode:
        @pytest.mark.mem_budget(18)
        def test_node(self, node):
            pass
"""
MODULE_FIXTURE = """
    @pytest.fixture(scope="module", params=[1, 2])
    def node(request):
        return Node()

    def test_node(node):
        pass
"""
CACHE = """
    def test_fills():
        CACHE["node"] = Node()
        gc.collect()

    def test_clears():
        CACHE.clear()
"""
FAILED = """
    def test_fails():
        rows = [bytearray(20 * MB)]
        rows.append(rows)
        gc.collect()
        assert 0
"""
CHAINED = """
    def test_fails():
        rows = [bytearray(20 * MB)]
        gc.collect()
        try:
            raise ValueError
        except ValueError as error:
            kept = error
            raise KeyError from error
"""
PASSED = """
    def test_passes():
        node = Node()
        gc.collect()
"""
FINALIZER = """
    def test_passes():
        node = Loud()
        gc.collect()
"""
SOURCES = [
    pytest.param(CLASS_FIXTURE, id="class-fixture"),
    pytest.param(MODULE_FIXTURE, id="module-fixture"),
    pytest.param(CACHE, id="cache-that-was-cleared"),
    pytest.param(FAILED, id="frames-of-a-failed-test"),
    pytest.param(CHAINED, id="frames-of-a-chained-error"),
    pytest.param(PASSED, id="cycle-of-a-test-that-passed"),
    pytest.param(FINALIZER, id="finalizer"),
]


@pytest.mark.parametrize("flags", [[], ["--mem"]], ids=["markers", "report"])
@pytest.mark.parametrize("source", SOURCES)
def test_old_garbage_hides_nothing(run, source, flags):
    """A test that collects 20 MiB of old garbage and uses 20 MiB fails its budget of 17."""
    result = run(START + source + END, *flags)
    lines = [line for line in result.outlines if line.startswith("FAILED")]
    assert [
        line.partition("::")[2].partition(" ")[0] for line in lines if "over-budget" in line
    ] == ["test_over"]
    result.stdout.no_fnmatch_line("*test_within*undecided*")


def test_exact_number(run, written):
    """The peak of a test that collects old garbage is what it uses itself."""
    run(START + CLASS_FIXTURE + END, "--mem-json=out.json")
    call = next(p for p in written()["test_over"]["phases"] if p["name"] == "call")
    peak = call["peaks"][0]
    assert pytest.approx(20, abs=1.5) == peak["bytes"] / 2**20
    assert pytest.approx(20, abs=2) == peak["upper_bound_bytes"] / 2**20


AUTOMATIC = """
    import gc
    import pytest

    class Node:
        def __init__(self):
            self.data = bytearray(40 << 20)
            self.me = self

    CACHE = []

    def test_fills():
        CACHE.append(Node())
        gc.collect()

    def test_clears():
        CACHE.clear()

    @pytest.mark.mem_budget({limit})
    def test_automatic():
        before = gc.get_stats()[2]["collections"]
        kept = []
        while gc.get_stats()[2]["collections"] == before:
            kept.append([[] for _ in range(1000)])
        del kept
        bytearray(30 << 20)
"""


def test_collection_that_comes_by_itself(run):
    """A full collection that Python begins hides nothing of what comes after it."""
    result = run(AUTOMATIC.format(limit=25))
    failed = result.parseoutcomes().get("failed", 0)
    assert failed or "test_automatic: peak RSS lies between" in result.stdout.str()


OWN = """
    import gc
    import pytest

    class Node:
        def __init__(self):
            self.data = bytearray(20 << 20)
            self.me = self

    @pytest.mark.mem_budget(25)
    def test_collects_at_the_end():
        Node()
        gc.collect()

    @pytest.mark.mem_budget(25)
    def test_collects_often():
        for _ in range(5):
            gc.collect()
            Node()
        gc.collect()

    @pytest.mark.mem_budget(25)
    def test_collects_what_it_was_given(node):
        node.clear()
        gc.collect()

    @pytest.fixture
    def node():
        return [Node()]
"""


def test_own_garbage_is_no_doubt(run):
    """Garbage of the test itself is part of its peak, and no reason for doubt."""
    result = run(OWN)
    result.assert_outcomes(passed=3)
    result.stdout.no_fnmatch_line("*undecided*")


FREED = """
    import gc
    import pytest

    def test_large():
        bytearray(30 << 20)  # from now on glibc takes blocks of 8 MiB from its heap

    @pytest.mark.mem_budget(15)
    def test_frees_then_collects():
        node = []
        node.append(node)
        del node
        bytearray(8 << 20)
        gc.collect()
        bytearray(10 << 20)
"""


def test_freed_blocks_are_no_garbage(run):
    """What the test itself has freed before a collection is not taken for older garbage."""
    result = run(FREED)
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*undecided*")


WHOLE = """
    import gc
    import pytest
    from pytest_memguard import stage

    class Node:
        def __init__(self):
            self.data = bytearray(20 << 20)
            self.me = self

    @pytest.fixture(scope="class")
    def node():
        return Node()

    class TestNode:
        @pytest.mark.mem_budget(200)
        def test_node(self, node):
            pass

    @pytest.fixture
    def clean():
        gc.collect()

    {test}
"""
COVERED = [
    pytest.param(
        """
    @pytest.mark.mem_budget(17, phase="all")
    def test_over(clean):
        bytearray(20 << 20)
""",
        id="setup-collects-and-the-call-uses",
    ),
    pytest.param(
        """
    @pytest.fixture
    def heavy():
        gc.collect()
        bytearray(20 << 20)

    @pytest.mark.mem_budget(17, phase="setup")
    def test_over(heavy):
        pass
""",
        id="setup",
    ),
    pytest.param(
        """
    def test_over():
        with stage("parse", budget=17):
            gc.collect()
            bytearray(20 << 20)
""",
        id="stage",
    ),
    pytest.param(
        """
    def test_over(memguard):
        gc.disable()
        with memguard.measure() as measured:
            gc.collect()
            bytearray(20 << 20)
        assert measured.upper_bound < 19 << 20
""",
        id="measure",
    ),
]


@pytest.mark.parametrize("test", COVERED)
def test_other_spans(run, test):
    """Budgets on setup, on the whole test and on stages see as much as those on the call."""
    result = run(WHOLE.format(test=test))
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) == 1


def test_baseline_calls_nothing_an_improvement(run, written):
    """The peak that is stored is the test's own, whatever it collected."""
    run(START + CLASS_FIXTURE + END, "--mem-save", "-k", "over")
    run(START + CLASS_FIXTURE + END, "--mem-compare", "--mem-json=out.json")
    call = next(p for p in written()["test_over"]["phases"] if p["name"] == "call")
    assert pytest.approx(20, abs=1.5) == call["peaks"][0]["bytes"] / 2**20


DROPPED = """
    import pytest

    KEPT = []

    def test_keeps():
        KEPT.append(bytearray(20 << 20))

    @pytest.mark.mem_budget(17)
    def test_drops():
        KEPT.clear()
        bytearray(20 << 20)
"""


def test_memory_of_others_that_is_dropped(run):
    """A test that drops what an earlier one kept is judged where there is nothing to drop.

    Without a fresh process it is undecided, since that may hide its peak.
    """
    run(DROPPED, "--mem-confirm=1").assert_outcomes(passed=1, failed=1)
    result = run(DROPPED, "--mem-confirm=0")
    result.stdout.fnmatch_lines(
        ["*::test_drops: peak RSS lies between * memory of earlier tests was released *"]
    )


@pytest.mark.parametrize("flags", [(), ("--mem",)])
@pytest.mark.skipif(sys.platform != "linux", reason="glibc keeps the end of its heap")
def test_memory_that_is_dropped_before_the_heap_grows(pytester, monkeypatch, run, flags):
    """The end of the heap is given back before what was dropped is told from it.

    It is given back elsewhere than by the one call for it where that call takes long.
    """
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", str(64 << 20))
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", str(32 << 20))
    pytester.makeconftest(
        "from pytest_memguard.allocator import trim\ntrim._CHEAP_SECONDS = 0.0"
    )
    result = run(
        """
        from mmap import mmap
        import pytest

        KEPT = []

        def test_keeps():
            KEPT.append(mmap(-1, 8 << 20))
            KEPT[0].write(bytes(8 << 20))

        @pytest.mark.mem_budget(10)
        def test_drops():
            KEPT.pop().close()
            bytearray(13 << 20)
        """,
        *flags,
        subprocess=True,
    )
    result.stdout.fnmatch_lines(
        ["*::test_drops: peak RSS lies between * memory of earlier tests was released *"]
    )


def test_callbacks_that_are_taken_away(run):
    """A test that empties gc.callbacks is undecided: what it collected was not seen."""
    result = run(
        """
        import gc
        import pytest

        @pytest.mark.mem_budget(17)
        def test_empties():
            gc.callbacks.clear()

        @pytest.mark.mem_budget(17)
        def test_next():
            assert len(gc.callbacks) == 1
        """,
        "--mem-confirm=0",
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*::test_empties: * the test emptied gc.callbacks, *"])
    result.stdout.no_fnmatch_line("*::test_next: *")


def test_errors_of_ours_are_no_warnings(pytester, run):
    """Where a collection cannot be measured, the test is undecided and warns of nothing."""
    pytester.makeconftest(
        """
        from pytest_memguard.probes.in_use import InUseProbe

        def read(self, *, whole, again=False):
            raise OSError("no more descriptors")

        InUseProbe.read = read
        """
    )
    source = """
        import gc
        import pytest

        @pytest.mark.mem_budget(17)
        def test_collects():
            gc.collect()
    """
    result = run(source, "-W", "error", "--mem-confirm=0")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*::test_collects: peak RSS lies between *(undecided)"])


LET_GO = """
    import gc
    import pytest

    MB = 1 << 20
    OLD = {{}}

    class Node:
        def __init__(self):
            self.data = {data}
            self.me = self

    @pytest.mark.mem_budget(200)
    def test_keeps():
        OLD["node"] = Node()
        gc.collect()

    @pytest.mark.mem_budget(10)
    def test_over():
        gc.collect()
        OLD.clear()
        gc.collect()
        Node()

    @pytest.mark.mem_budget(60)
    def test_own_garbage():
        for _ in range(6):
            Node()
            gc.collect()
"""
DATA = {
    "large": "bytearray(14 * MB)",
    "small": "[[] for _ in range(200_000)]",
    "fragmented": "[bytes(700) for _ in range(20_000)]; PINNED.append(self.data[::40])",
}


@pytest.mark.parametrize("data", DATA)
def test_memory_let_go_between_two_collections(run, data):
    """The second collection frees older memory too, if the test has let go of it meanwhile."""
    source = LET_GO.format(data=DATA[data]).replace("OLD =", "PINNED = []; OLD =")
    result = run(source)
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] == 1 or "test_over: peak RSS lies between" in str(result.stdout)
    result.stdout.no_fnmatch_line("*test_own_garbage: *")
