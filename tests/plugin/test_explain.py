"""Explaining a breach: in the next run, at once in a forked child, or never."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import pytest_memguard.plugin.fresh.rerun

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork")

BREACH = """
    import pytest

    def load():
        return bytearray({size} << 20)

    @pytest.mark.mem_budget(10)
    def test_it():
        rows = load()

    @pytest.mark.mem_budget(10)
    def test_other():
        pass
"""
NEXT = "Allocation lines: run this test again; the next run measures it under memray *"
LINES = [
    "Largest allocations at the peak:",
    "*MiB*Blocks*Function*Line*",
    "*15.? *load *test_it.py:5",
]


def remembered(pytester: pytest.Pytester) -> list[str]:
    """The tests that the next run is to measure under memray."""
    path = pytester.path / ".pytest_cache/v/memguard/suspects"
    return list(json.loads(path.read_text())["tests"]) if path.exists() else []


def test_the_next_run_names_the_lines(pytester, run):
    """A breach says the next run will name its lines; that does, until the test is mended."""
    result = run(BREACH.format(size=15), cache=True)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["peak RSS 1[4567].* the marker (over-budget)", "", NEXT])
    result.stdout.no_fnmatch_line("Largest allocations*")
    assert remembered(pytester) == ["test_it.py::test_it"]

    result = run(BREACH.format(size=15), "-k", "test_other", cache=True)
    result.assert_outcomes(passed=1, deselected=1)
    assert remembered(pytester) == ["test_it.py::test_it"]

    result = run(BREACH.format(size=15), cache=True)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "peak RSS 1[4567].* the marker; largest: load, test_it.py:5, 15.? MiB (*",
            *LINES,
        ]
    )
    result.stdout.no_fnmatch_line("Allocation lines:*")

    result = run(BREACH.format(size=5), cache=True)
    result.assert_outcomes(passed=2)
    assert remembered(pytester) == []

    result = run(BREACH.format(size=15), cache=True)
    result.stdout.fnmatch_lines([NEXT])


MANY = """
    import pytest

    @pytest.mark.parametrize("size", {sizes}, ids=str)
    def test_it(size):
        rows = bytearray(size << 10)
"""
OTHERS = "Allocation lines: this run traces 10 tests at most, one for each suspected cause, *"


@pytest.mark.parametrize(
    ("flags", "sizes", "traced"),
    [
        pytest.param(
            ["--mem-budget=3"],
            [12_000, 12_100, 12_200],
            "1 test is",
            id="flag-one-cause",
        ),
        pytest.param(
            ["-o", "mem_budgets=* = 3 MB"],
            [int(4096 * 1.25**n) for n in range(11)],
            "10 tests are",
            id="ini-many-causes",
        ),
    ],
)
def test_few_tests_are_traced(run, flags, sizes, traced):
    """The next run traces one test for each suspected cause, ten at most, and says so."""
    source = MANY.format(sizes=sizes)
    run(source, *flags, cache=True).assert_outcomes(failed=len(sizes))
    result = run(source, *flags, cache=True)
    result.assert_outcomes(failed=len(sizes))
    line = (
        f"memguard: {traced} traced in this run, because of the last one (--mem-explain=next)"
    )
    result.stdout.fnmatch_lines([line])
    count = int(traced.split()[0])
    text = result.stdout.str()
    assert count == text.count("Largest allocations at the peak:")
    assert len(sizes) - count == sum(line.startswith(OTHERS[:-1]) for line in result.outlines)
    last = f"test_it.py::test_it[{sizes[-1]}]"
    result = run(source, *flags, last, cache=True)  # it was not among them
    assert "Largest allocations" in result.stdout.str()


def test_runs_without_limits_are_not_slowed(run, written):
    """A run that prints no allocation lines traces nothing."""
    source = MANY.format(sizes=[15 << 10])
    run(source, "--mem-budget=3", cache=True).assert_outcomes(failed=1)
    result = run(source, "--mem-json=out.json", cache=True)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*traced in this run*")
    (call,) = (p for p in written()["test_it[15360]"]["phases"] if p["name"] == "call")
    assert [peak["metric"] for peak in call["peaks"]] == ["rss"]


STAGES = """
    import pytest
    from pytest_memguard import stage

    def load():
        with stage("load", budget=3):
            return bytearray(15 << 20)

    @pytest.fixture
    def before():
        load()

    @pytest.fixture
    def after():
        yield
        load()

    {marker}
    def test_before(before):
        pass

    {marker}
    def test_after(after):
        pass
"""


@pytest.mark.parametrize("marker", ["", "@pytest.mark.mem_budget(10)"])
@pytest.mark.parametrize(
    ("test", "how"),
    [("test_before", "next"), ("test_before", "rerun"), ("test_after", "next")],
)
def test_lines_of_stages_in_fixtures(run, marker, test, how):
    """A stage that was too large in setup or teardown gets its lines there."""
    flags = ["-k", test, f"--mem-explain={how}"]
    result = run(STAGES.format(marker=marker), *flags, cache=True)
    if how == "next":
        result.stdout.fnmatch_lines([NEXT])
        result = run(STAGES.format(marker=marker), *flags, cache=True)
    assert result.parseoutcomes()["errors"] == 1
    result.stdout.fnmatch_lines(
        ["peak RSS of stage 'load' *; largest: load, *", "*15.? *load *"]
    )


def test_nothing_is_remembered_of_heap_breaches(pytester, run):
    """A breach on the heap has its lines already, so the next run need not find them."""
    result = run(BREACH.format(size=15).replace("10)", "10, metric='heap')"), cache=True)
    result.stdout.fnmatch_lines(LINES)
    result.stdout.no_fnmatch_line("Allocation lines*")
    assert remembered(pytester) == []


def test_python_breaches_are_explained_too(run):
    """Lines of a breach on Python memory come from the next run as well."""
    source = BREACH.format(size=15).replace("10)", "10, metric='python')")
    run(source, cache=True).stdout.fnmatch_lines(["peak Python memory 15.*", "", NEXT])
    run(source, cache=True).stdout.fnmatch_lines(["peak Python memory 15.*", *LINES])


def test_without_a_cache(run):
    """Where pytest has no cache, the failure says why there will be no lines and what helps."""
    result = run(BREACH.format(size=15))
    result.stdout.fnmatch_lines(
        [
            "peak RSS 1[4567].*",
            (
                "Allocation lines need pytest's cache, which is switched off (-p no:*), "
                "or --mem-explain=rerun."
            ),
        ]
    )


def test_a_cache_that_makes_no_sense(pytester, run):
    """What somebody else left in the cache under our name changes nothing."""
    path = pytester.path / ".pytest_cache/v/memguard/suspects"
    path.parent.mkdir(parents=True)
    for content in (
        "[1, 2",
        "[1, 2]",
        '{"format": 99, "tests": 3}',
        '{"format": 1, "tests": 3}',
    ):
        path.write_text(content)
        result = run(BREACH.format(size=5), cache=True)
        result.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("ini", "flags"),
    [("", ("--mem-explain=never",)), ("mem_explain = never", ())],
    ids=["flag", "ini"],
)
def test_never(pytester, run, ini, flags):
    """With "never" no lines are looked for, and the failure says so."""
    pytester.makeini(f"[pytest]\n{ini}")
    for _ in range(2):
        result = run(BREACH.format(size=15), *flags, cache=True)
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines(
            [
                "peak RSS 1[4567].*",
                "Allocation lines were not recorded: --mem-explain=never.",
            ]
        )
        result.stdout.no_fnmatch_line("Largest allocations*")
    assert remembered(pytester) == []


def test_rerun_names_the_lines(run):
    """With "rerun" the lines come from a second run in a child, and the failure says so."""
    result = run(BREACH.format(size=15), "--mem-explain=rerun")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "peak RSS 1[4567].* the marker; largest: load, test_it.py:5, 15.? MiB (*",
            *LINES,
            (
                "The lines are those of a second run in a forked child (--mem-explain=rerun), "
                "which peaked at 1[4567].? MiB."
            ),
        ]
    )


@pytest.mark.parametrize("capture", ["--capture=fd", "--capture=sys"])
def test_rerun_leaves_the_output_alone(run, capture):
    """What the first run has printed is shown once, and nothing of the second."""
    result = run(
        """
        import logging
        import os
        import sys
        import warnings
        import pytest

        @pytest.fixture
        def noisy():
            print("in setup")
            yield
            print("in teardown")

        @pytest.mark.mem_budget(10)
        def test_it(noisy):
            print("to stdout")
            print("to stderr", file=sys.stderr)
            logging.getLogger().warning("to the log")
            warnings.warn("a warning", stacklevel=1)
            bytearray(15 << 20)
            print("at the end")
        """,
        "--mem-explain=rerun",
        "-v",
        capture,
    )
    result.assert_outcomes(failed=1, warnings=1)
    result.stdout.fnmatch_lines(["The lines are those of a second run*"])
    shown = [line.strip() for line in result.stdout.lines]
    for line in ("in setup", "in teardown", "to stdout", "to stderr", "at the end"):
        assert shown.count(line) == 1
    assert sum("to the log" in line for line in shown) == 1


def test_rerun_leaves_wider_fixtures_alone(pytester, run):
    """The child has function fixtures of its own, uses the others, and tears none down."""
    result = run(
        """
        import os
        import pytest

        PARENT = os.getpid()

        def write(word):
            with open("calls.txt", "a") as file:
                file.write(f"{word} {os.getpid() == PARENT}\\n")

        @pytest.fixture(scope="session")
        def session():
            write("session up")
            yield []
            write("session down")

        @pytest.fixture(scope="module", autouse=True)
        def module():
            write("module up")
            yield
            write("module down")

        @pytest.fixture
        def function(session):
            write("function up")
            yield
            write("function down")

        @pytest.mark.mem_budget(10)
        def test_it(function, session):
            session.append(1)
            bytearray(15 << 20)

        def test_after(session):
            assert session == [1]
        """,
        "--mem-explain=rerun",
        "--mem-confirm=0",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["The lines are those of a second run*"])
    calls = (pytester.path / "calls.txt").read_text().splitlines()
    here = [call.split()[:2] for call in calls if call.endswith("True")]
    for name in ("session", "module", "function"):
        assert [[name, "up"], [name, "down"]] == [call for call in here if call[0] == name]
    assert [call for call in calls if call.endswith("False")] == ["function up False"]


SECOND = """
    import os
    import time
    import pytest

    PARENT = os.getpid()

    @pytest.mark.mem_budget(10)
    def test_it():
        if os.getpid() == PARENT:
            bytearray(15 << 20)
        else:
            {second}
"""


def test_rerun_that_does_not_reproduce(run):
    """When the second run stays within the budget the failure says so, with its peak."""
    result = run(
        SECOND.format(second="bytearray(5 << 20)"), "--mem-explain=rerun", "--mem-confirm=0"
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "peak RSS 1[4567].* (over-budget)",
            (
                "Run once more in a forked child (*rerun), it stayed within the budget: "
                "*.? MiB; the breach did not reproduce."
            ),
        ]
    )


def test_rerun_that_hangs(run, monkeypatch):
    """A second run that takes too long is stopped, and the failure says so."""
    monkeypatch.setattr(pytest_memguard.plugin.fresh.rerun, "RERUN_SECONDS", 1.0)
    result = run(SECOND.format(second="time.sleep(600)"), "--mem-explain=rerun", here=True)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "peak RSS 1[4567].* (over-budget)",
            (
                "Run once more in a forked child (*rerun), without an answer: it was "
                "stopped after * second*"
            ),
        ]
    )


@pytest.mark.parametrize(
    ("second", "how"),
    [("os._exit(3)", "exit status 3"), ("os.kill(os.getpid(), 9)", "signal 9")],
)
def test_rerun_whose_child_dies(run, second, how):
    """A child that dies leaves the failure as it is, with a word about how it died."""
    result = run(SECOND.format(second=second), "--mem-explain=rerun")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["peak RSS 1[4567].* (over-budget)", f"*without an answer: the child died ({how})."]
    )


def test_rerun_of_any_phase_and_kind(run):
    """Breaches of setup, of stages, of all phases and of methods are run again as well."""
    result = run(
        """
        import unittest
        import pytest

        def load():
            bytearray(15 << 20)

        @pytest.fixture
        def large():
            load()

        @pytest.mark.mem_budget(10, phase="setup")
        def test_setup(large):
            pass

        @pytest.mark.mem_budget(10, phase="all")
        def test_all(large):
            pass

        @pytest.mark.mem_budget(10, metric="python")
        def test_python():
            load()

        @pytest.mark.mem_budget(10, stage="load")
        def test_stage(memguard):
            with memguard.stage("load"):
                load()

        class TestUnit(unittest.TestCase):
            @pytest.mark.mem_budget(10)
            def test_unit(self):
                load()
        """,
        "--mem-explain=rerun",
    )
    result.assert_outcomes(failed=3, errors=2)
    largest = r"largest: load, test_it\.py:6, 15\.\d MiB \(over-budget\)\n"
    assert len(re.findall(largest, result.stdout.str())) == 5


ASYNC = """
    import unittest
    import pytest

    class TestAsync(unittest.IsolatedAsyncioTestCase):
        @pytest.mark.mem_budget(10)
        async def test_it(self):
            bytearray(15 << 20)
"""
PLUGIN_ASYNC = """
    import pytest

    @pytest.fixture
    def anyio_backend():
        return "asyncio"

    @pytest.mark.{plugin}
    @pytest.mark.mem_budget(10)
    async def test_it():
        bytearray(15 << 20)
"""


@pytest.mark.parametrize(
    ("source", "plugins"),
    [
        pytest.param(
            ASYNC,
            (),
            id="unittest",
        ),
        pytest.param(
            PLUGIN_ASYNC.format(plugin="asyncio"), ["pytest_asyncio.plugin"], id="asyncio"
        ),
        pytest.param(PLUGIN_ASYNC.format(plugin="anyio"), ["anyio.pytest_plugin"], id="anyio"),
    ],
)
def test_rerun_of_asynchronous_tests(run, source, plugins):
    """Coroutines are run again as well."""
    flags = ["-o", "asyncio_default_fixture_loop_scope=function"] if "asyncio" in source else []
    result = run(source, "--mem-explain=rerun", *flags, plugins=plugins)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["peak RSS *; largest: test_it, test_it.py:*", *LINES[:2]])


def test_rerun_only_where_it_is_sound(run):
    """A test is not run again in its teardown, nor when it fails by itself; that is told."""
    result = run(
        """
        import os
        import pytest

        @pytest.fixture
        def late():
            yield
            with open("runs.txt", "a") as file:
                file.write("teardown ")
            bytearray(15 << 20)

        @pytest.mark.mem_budget(10, phase="teardown")
        def test_teardown(late):
            pass

        @pytest.mark.mem_budget(10)
        def test_own():
            with open("runs.txt", "a") as file:
                file.write("own ")
            bytearray(15 << 20)
            raise ValueError("my own failure")
        """,
        "--mem-explain=rerun",
    )
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(["A test is not run once more in its teardown."])
    result.stdout.fnmatch_lines(["E *ValueError: my own failure"])
    assert sorted(Path("runs.txt").read_text().split()) == ["own", "teardown"]


@pytest.mark.parametrize("flag", ["--mem-explain=never", "--mem-explain=rerun"])
def test_no_file_is_left_behind(pytester, run, monkeypatch, flag):
    """What memray has written is gone when the run is over."""
    folder = pytester.path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    source = f"""{BREACH.format(size=15)}
    @pytest.mark.mem_budget(10, metric="heap")
    def test_heap():
        load()

    def test_drill(memguard):
        with memguard.stage("load"):
            load()
    """
    run(source, flag, "--mem-drill").assert_outcomes(passed=2, failed=2)
    assert [
        path.name for path in Path(folder).iterdir() if path.name.startswith("memguard")
    ] == []
