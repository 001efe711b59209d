"""A test that resets the mark itself, and a budget that comes too late, are reported."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("measured_once")

RESET = """
    import pytest
    from pytest_memguard import stage

    def reset():
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")

    @pytest.fixture
    def resets():
        reset()
        yield
        reset()

    @pytest.mark.mem_budget(20)
    def test_before():
        pass

    {marker}
    def test_resets():
        with stage("parse"{budget}):
            bytearray(50 << 20)
            reset()

    @pytest.mark.mem_budget(20)
    def test_after():
        pass

    @pytest.mark.mem_budget(20)
    def test_in_a_fixture(resets):
        bytearray(10 << 20)
"""
LATE = """
    import pytest

    {other}
    def test_other():
        pass

    {own}
    def test_late(request):
        request.node.add_marker(pytest.mark.mem_budget({limit}))
        {then}
"""


@pytest.mark.parametrize(
    ("marker", "budget"),
    [
        pytest.param("@pytest.mark.mem_budget(20)", "", id="call"),
        pytest.param("@pytest.mark.mem_budget(20, phase='all')", "", id="all"),
        pytest.param("@pytest.mark.mem_budget(20, stage='parse')", "", id="stage"),
        pytest.param("", ", budget=20", id="inline-stage"),
    ],
)
def test_reset_in_a_test(run, marker, budget):
    """The budget of a test that resets the mark is not measured; those of others are."""
    result = run(RESET.format(marker=marker, budget=budget))
    result.assert_outcomes(passed=4)
    lines = {line.split(": ")[0] for line in result.outlines if "(not-measured)" in line}
    assert lines == {"test_it.py::test_resets"}
    result.stdout.fnmatch_lines(["*::test_resets: * opened /proc/<pid>/clear_refs *"])


def test_reset_in_a_test_that_is_only_reported(run):
    """Without a budget the report says that the peak may have been higher."""
    result = run(RESET.format(marker="", budget=""), "--mem")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        [" *>= * *::test_resets", "*::test_resets: its peak RSS may have been higher: *"]
    )


def test_breach_before_the_mark_is_reset(run):
    """A test fails if what it uses after resetting the mark is over its budget."""
    source = """
        import pytest

        @pytest.mark.mem_budget(20)
        def test_over():
            open("/proc/self/clear_refs", "w").write("5")
            bytearray(50 << 20)
    """
    result = run(source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["peak RSS [45]?.? MiB or more is *"])


@pytest.mark.parametrize("workers", [[], ["-p", "xdist.plugin", "-n", "2"]], ids=["", "xdist"])
@pytest.mark.parametrize(
    "own", ["", "@pytest.mark.mem_budget(50)"], ids=["no-budget", "budget"]
)
@pytest.mark.parametrize("other", ["", "@pytest.mark.mem_budget(50)"], ids=["idle", "in-use"])
def test_marker_that_comes_too_late(run, other, own, workers):
    """A budget that a test sets during its call is reported as not checked."""
    result = run(LATE.format(other=other, own=own, limit=10, then=""), *workers)
    result.assert_outcomes(passed=2)
    idle = not (other or own)
    said = "mem_budget was *" if idle else "the budget of 10.0 MiB on * was *"
    result.stdout.fnmatch_lines([f"test_it.py::test_late: {said}not checked: *(not-measured)"])


@pytest.mark.parametrize(
    ("failed", "then", "shown"),
    [
        pytest.param(1, "", "*test_late: mem_budget: 'x' is not a size: *", id="passes"),
        pytest.param(1, "assert not 'its own'", "*its own*", id="fails"),
    ],
)
def test_late_marker_that_makes_no_sense(run, failed, then, shown):
    """Nonsense that a test sets during its call fails it, unless it fails by itself."""
    source = LATE.format(other="@pytest.mark.mem_budget(50)", own="", limit="'x'", then=then)
    result = run(source)
    result.assert_outcomes(passed=1, failed=failed)
    result.stdout.fnmatch_lines([shown])


def test_many_markers_that_come_too_late(run):
    """Ten of them are listed, and the others are counted."""
    result = run(
        """
        import pytest

        @pytest.fixture
        def budget(request):
            request.node.add_marker(pytest.mark.mem_budget(10))

        @pytest.mark.parametrize("number", range(12))
        def test_late(budget, number):
            pass
        """
    )
    result.assert_outcomes(passed=12)
    assert result.stdout.str().count("(not-measured)") == 10
    result.stdout.fnmatch_lines(["... and 2 more"])


def test_idle_run_without_markers(run):
    """A run that has nothing to do with memguard prints nothing of it."""
    result = run("def test_plain(): pass")
    result.stdout.no_fnmatch_line("*memory*")


def test_no_inotify(pytester, run):
    """Where nothing can tell who resets the mark, the header says so."""
    pytester.makeconftest(
        """
        from pytest_memguard.probes.mark_resets import ResetWatch

        def refuse(self):
            raise OSError(24, "Too many open files")

        ResetWatch._open = refuse
        """
    )
    result = run("def test_it(): pass", "--mem")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["*: tests that reset the kernel's high-water mark: there is no inotify *"]
    )


def test_no_callbacks(pytester, run):
    """Where the interpreter does not tell of collections, the header says so."""
    pytester.makeconftest("import gc\n\ndel gc.callbacks")
    result = run("def test_it(): pass", "--mem")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*: garbage collections during tests: * no gc.callbacks; *"])
