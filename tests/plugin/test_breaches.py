"""Breaches of budgets are measured again, in a process in which no other test has run."""

from __future__ import annotations

import pytest

SUITE = """
    import pytest

    KEPT = []

    def noted():
        with open("ran.txt", "a") as file:
            file.write("x")

    def test_neighbour():
        KEPT.append(1)

    {test}
"""
LESS = """
    @pytest.mark.mem_budget(8)
    def test_it():
        noted()
        bytearray((20 if KEPT else 2) << 20)
"""
OTHER = """
    @pytest.mark.mem_budget(8)
    def test_it():
        bytearray((20 if KEPT else 12) << 20)
"""
SAME = """
    @pytest.mark.mem_budget(8)
    def test_it():
        bytearray(12 << 20)
"""
NEEDS = """
    @pytest.mark.mem_budget(8)
    def test_it():
        assert KEPT
        bytearray(12 << 20)
"""
ONCE = "    @pytest.mark.mem_once" + LESS
STAGE = """
    @pytest.mark.mem_budget(8, stage="build")
    def test_it(memguard):
        with memguard.stage("build"):
            bytearray((20 if KEPT else 2) << 20)
"""
MORE_AT_THE_END = """
    @pytest.fixture
    def stages(memguard):
        yield memguard
        with memguard.stage("build"):
            bytearray(30 << 20)

    @pytest.mark.mem_budget(8, stage="build")
    def test_it(stages):
        with stages.stage("build"):
            bytearray((20 if KEPT else 2) << 20)
"""
NUMBERED = """
    @pytest.mark.mem_budget(1)
    @pytest.mark.parametrize("n", range(22))
    def test_numbered(n):
        bytearray(3 << 20)
"""
DOUBTED = (
    "*test_it: peak RSS* MiB is 1?.? MiB over the budget of 8.0 MiB set by the marker; "
    "measured again in a fresh process, it used only ?.? MiB, so the rest depends on earlier "
    "tests (--mem-confirm) (undecided)"
)
OVER = "peak RSS* MiB is * MiB over the budget of 8.0 MiB set by the marker"


def suite(test: str) -> str:
    """The neighbour, and one test."""
    return SUITE.replace("    {test}", test)


@pytest.mark.parametrize(
    "test", [pytest.param(LESS, id="call"), pytest.param(STAGE, id="stage")]
)
@pytest.mark.parametrize(
    "flags",
    [
        pytest.param((), id="plain"),
        pytest.param(("--mem-isolate=module",), id="isolated"),
        pytest.param(("-n1",), id="in-a-worker"),
        pytest.param(("--mem",), id="all-peaks"),
    ],
)
def test_less_in_a_fresh_process(run, test, flags):
    """A test that is within its budget by itself passes, undecided, with both numbers."""
    plugins = ["xdist.plugin"] if "-n1" in flags else []
    result = run(suite(test), *flags, plugins=plugins)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([DOUBTED])
    result.stdout.fnmatch_lines(["*1 undecided*"])
    result.stdout.no_fnmatch_line("*over-budget*")
    result.stdout.no_fnmatch_line("* again *: * above the budget*")


def test_not_traced_in_the_next_run(run):
    """Memray has nothing to add: the next run is as quick as any other."""
    run(suite(LESS)).assert_outcomes(passed=2)
    result = run(suite(LESS))
    result.stdout.no_fnmatch_line("*traced in this run*")


def test_strict(run):
    """Where undecided tests fail, both numbers are in the failure."""
    result = run(suite(LESS), "--mem-strict")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([DOUBTED.removeprefix("*test_it: ")])


def test_a_warning_needs_as_much(run):
    """Where breaches only warn, the same tests do."""
    result = run(suite(LESS + SAME.replace("_it", "_warned")), "--mem-budget-mode=warn")
    result.assert_outcomes(passed=3, warnings=1)


@pytest.mark.parametrize(
    ("test", "flags", "end"),
    [
        pytest.param(SAME, (), "", id="as-much"),
        pytest.param(
            OTHER, (), "; measured again in a fresh process: 1?.? MiB", id="other-number"
        ),
        pytest.param(
            NEEDS,
            (),
            "; it could not be measured again in a fresh process: it did not pass there",
            id="needs-others",
        ),
        pytest.param(NEEDS, ("--pdb",), "; it could not be *: it did not pass there", id="pdb"),
        pytest.param(ONCE, (), "", id="must-not-run-twice"),
        pytest.param(LESS, ("--mem-confirm=0",), "", id="not-asked-for"),
        pytest.param(MORE_AT_THE_END, (), "*", id="teardown"),
    ],
)
def test_fails(pytester, run, test, flags, end):
    """It fails where a fresh process agrees, or cannot tell; numbers that differ are named."""
    result = run(suite(test), *flags)
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) + outcomes.get("error", 0) == 1
    result.stdout.fnmatch_lines([f"{OVER}{end} (over-budget)"])
    if "noted()" in test:
        assert (pytester.path / "ran.txt").read_text() == "x"


def test_many_share_the_time(run):
    """Tens are measured again; of more of them, as many as fit into the share of the time."""
    result = run(suite(NUMBERED), "--mem-confirm-share=1%", "-k", "numbered")
    result.assert_outcomes(failed=22)
    result.stdout.fnmatch_lines(
        ["not measured again: 2 tests above the budget, for which there was no time left *"]
    )


def test_a_test_that_fails_by_itself(run):
    """It is not run again: there is a failure in any case."""
    source = LESS.replace("<< 20)", "<< 20)\n        assert not KEPT")
    result = run(suite(source))
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*measured again*")


FREED = """
    import pytest

    KEPT = []

    def test_neighbour():
        rows = [bytearray(300_000) for _ in range(80)]
        KEPT.append(rows[::2])

    @pytest.mark.mem_budget(8.5)
    def test_it():
        assert [bytes(250_000) for _ in range(40)]
"""


@pytest.mark.parametrize("flags", [(), ("--mem",)], ids=["plain", "all-peaks"])
def test_zeros_where_an_earlier_test_has_freed(run, flags):
    """What a test does not touch is not in its peak, wherever there is room for it."""
    result = run(FREED, *flags)
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*undecided*")
    result.stdout.no_fnmatch_line("*measured again*")
