"""Stages: their names, what each added, their budgets, and where they are shown."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from textwrap import dedent
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("measured_once")

MIB = 1 << 20


def mib(test: Mapping[str, Any]) -> dict[str, tuple[int, int, int, int]]:
    """Count, and delta, cumulated delta and peak in MiB of every stage of a test, in order."""
    return {
        stage["path"]: (
            stage["count"],
            round(stage["delta_bytes"] / MIB),
            round(stage["cumulative_bytes"] / MIB),
            round(stage["peaks"][0]["bytes"] / MIB),
        )
        for stage in test["stages"]
    }


def near(expected: dict[str, tuple[int, int, int, int]]) -> dict[str, Any]:
    """The same, with 2 MiB of tolerance on every number of bytes."""
    return {
        path: (count, *(pytest.approx(number, abs=2) for number in numbers))
        for path, (count, *numbers) in expected.items()
    }


def test_nested_and_sibling_stages(run, written):
    """Every stage has its own delta and peak, and a parent's peak covers its children's."""
    result = run(
        """
        def test_it(memguard):
            kept = []
            with memguard.stage("load"):
                kept.append(bytearray(10 << 20))
                with memguard.stage("parse"):
                    bytearray(25 << 20)
                    kept.append(bytearray(5 << 20))
                with memguard.stage("check"):
                    bytearray(15 << 20)
                bytearray(8 << 20)
            with memguard.stage("use"):
                bytearray(12 << 20)
            with memguard.stage("drop"):
                kept.clear()
        """,
        "--mem-json=out.json",
    )
    result.assert_outcomes(passed=1)
    test = written()["test_it"]
    assert near(
        {
            "load": (1, 15, 15, 35),
            "load/parse": (1, 5, 15, 25),
            "load/check": (1, 0, 15, 15),
            "use": (1, 0, 15, 12),
            "drop": (1, -15, 0, 0),
        }
    ) == mib(test)
    assert [stage["path"] for stage in test["stages"]] == [
        "load",
        "load/parse",
        "load/check",
        "use",
        "drop",
    ]
    call = next(phase for phase in test["phases"] if phase["name"] == "call")
    assert pytest.approx(35, abs=2) == call["peaks"][0]["bytes"] / MIB


def test_a_parent_keeps_its_own_peak(run, written):
    """What a parent used before, between and after its children counts for it alone."""
    run(
        """
        def test_it(memguard):
            for before, inside, after in ((30, 10, 10), (10, 30, 10), (10, 10, 30)):
                with memguard.stage(f"outer-{before}-{inside}-{after}"):
                    bytearray(before << 20)
                    with memguard.stage("inner"):
                        bytearray(inside << 20)
                    bytearray(after << 20)
        """,
        "--mem-json=out.json",
    )
    assert near(
        {
            "outer-30-10-10": (1, 0, 0, 30),
            "outer-30-10-10/inner": (1, 0, 0, 10),
            "outer-10-30-10": (1, 0, 0, 30),
            "outer-10-30-10/inner": (1, 0, 0, 30),
            "outer-10-10-30": (1, 0, 0, 30),
            "outer-10-10-30/inner": (1, 0, 0, 10),
        }
    ) == mib(written()["test_it"])


def test_the_same_name_again_adds_up(run, written):
    """Runs of one stage are counted, their deltas added, and the largest peak is kept."""
    run(
        """
        def test_it(memguard):
            kept = []
            for size in (5, 20, 10):
                with memguard.stage("again"):
                    kept.append(bytearray(size << 20))
                    with memguard.stage("inner"):
                        pass
            with memguard.stage("inner"):
                pass
            again = memguard.stage("reused")
            for size in (20, 10):
                with again:
                    bytearray(size << 20)
        """,
        "--mem-json=out.json",
    )
    assert near(
        {
            "again": (3, 35, 35, 20),
            "again/inner": (3, 0, 35, 0),
            "inner": (1, 0, 35, 0),
            "reused": (2, 0, 35, 20),
        }
    ) == mib(written()["test_it"])


def test_garbage_does_not_count(run, written):
    """Garbage is collected before a stage's levels are read, even if it is cyclic."""
    run(
        """
        def make_garbage():
            cycle = [bytearray(20 << 20)]
            cycle.append(cycle)

        def test_it(memguard):
            with memguard.stage("within"):
                make_garbage()
            make_garbage()
            with memguard.stage("after"):
                pass
        """,
        "--mem-json=out.json",
    )
    assert near({"within": (1, 0, 0, 20), "after": (1, 0, 0, 0)}) == mib(written()["test_it"])


def test_decorators(run, written):
    """A stage decorates functions, methods, coroutines and generators, and changes nothing."""
    result = run(
        """
        import asyncio
        import inspect

        import pytest

        from pytest_memguard import ConfigError, stage

        @stage("function")
        def load(size, *, extra=0):
            "Load something."
            return bytearray((size + extra) << 20)

        class Loader:
            @stage("method")
            def load(self, size):
                return bytearray(size << 20)

            @staticmethod
            @stage("static")
            def load_static(size):
                return bytearray(size << 20)

        @stage("coroutine")
        async def load_later(size):
            await asyncio.sleep(0)
            return bytearray(size << 20)

        @stage("generator")
        def load_many(*sizes):
            for size in sizes:
                sent = yield bytearray(size << 20)
                assert sent is None or sent == "sent"
            return "done"

        def test_it(memguard):
            assert load.__name__ == "load" and load.__doc__ == "Load something."
            assert inspect.iscoroutinefunction(load_later)
            assert inspect.isgeneratorfunction(load_many)
            assert len(load(10, extra=5)) == 15 << 20
            load(5)
            assert len(Loader().load(10)) == 10 << 20
            assert len(Loader.load_static(10)) == 10 << 20
            assert len(asyncio.run(load_later(10))) == 10 << 20
            many = load_many(10, 20)
            first = next(many)
            second = many.send("sent")
            assert (len(first), len(second)) == (10 << 20, 20 << 20)
            with pytest.raises(StopIteration, match="done"):
                next(many)

            @memguard.stage("fixture")
            def local(size):
                return bytearray(size << 20)

            assert len(local(10)) == 10 << 20

        def test_refused(memguard):
            for a_stage in (memguard.stage("rows"), stage("rows")):
                with pytest.raises(ConfigError, match="asynchronous .*rows.*with stage"):
                    @a_stage
                    async def rows():
                        yield 1
        """,
        "--mem-json=out.json",
    )
    result.assert_outcomes(passed=2)
    found = {
        path: (count, peak) for path, (count, _, _, peak) in mib(written()["test_it"]).items()
    }
    assert {
        "function": (2, pytest.approx(15, abs=2)),
        "method": (1, pytest.approx(10, abs=2)),
        "static": (1, pytest.approx(10, abs=2)),
        "coroutine": (1, pytest.approx(10, abs=2)),
        "generator": (1, pytest.approx(30, abs=2)),
        "fixture": (1, pytest.approx(10, abs=2)),
    } == found


LIBRARY = """
    import pytest_memguard

    def load():
        with pytest_memguard.stage("load"):
            rows = bytearray(10 << 20)
            with pytest_memguard.stage("parse", budget="18 MB"):
                bytearray(PARSE << 20)
        return rows
"""


def test_library_code_names_stages(pytester, run):
    """Stages of code that knows no fixture nest with the test's own, and keep their budgets."""
    pytester.syspathinsert()
    pytester.makepyfile(library=LIBRARY.replace("PARSE", "30"))
    result = run("""
        import pytest
        import library

        @pytest.mark.mem_budget(500)
        def test_marked():
            library.load()

        def test_fixture(memguard):
            with memguard.stage("outer"):
                library.load()
    """)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*test_marked*",
            "peak RSS of stage 'load/parse' [23][0129].* set by stage('parse', budget=...)*",
            "*test_fixture*",
            "peak RSS of stage 'outer/load/parse' [23][0129].* over the budget of 18.0 MiB *",
        ]
    )


@pytest.mark.parametrize(
    "loaded",
    ["import pytest_memguard", "from pytest_memguard import stage"],
    ids=["package", "stage"],
)
def test_budgets_in_library_code_need_no_flag(pytester, run, loaded):
    """The budget of a stage in library code holds though no test mentions memory at all."""
    stage = "stage" if loaded.endswith(" stage") else "pytest_memguard.stage"
    pytester.makepyfile(
        library=f"""
        {loaded}

        def load(size):
            with {stage}("load", budget="18 MB"):
                bytearray(size << 20)
        """
    )
    result = run(
        """
        import sys
        sys.path.insert(0, ".")
        import library

        def test_over():
            library.load(30)

        def test_within():
            library.load(10)
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["FAILED test_it.py::test_over - * > *: peak RSS of stage 'load' *"]
    )


@pytest.mark.parametrize("metric", ["rss", "heap", "python"])
def test_budgets_of_stages(run, metric):
    """A budget on a stage by marker or inline fails the test for that stage alone."""
    result = run(
        f"""
        import pytest

        def work(memguard):
            bytearray(30 << 20)
            with memguard.stage("load"):
                with memguard.stage("parse"):
                    bytearray(25 << 20)
            with memguard.stage("other"):
                bytearray(30 << 20)

        @pytest.mark.mem_budget(20, stage="parse", metric={metric!r})
        def test_short_name(memguard):
            work(memguard)

        @pytest.mark.mem_budget(20, stage="load/parse", metric={metric!r})
        def test_whole_name(memguard):
            work(memguard)

        @pytest.mark.mem_budget(32, stage="parse", metric={metric!r})
        def test_within(memguard):
            work(memguard)

        @pytest.mark.mem_budget(40, stage="parse", metric={metric!r})
        @pytest.mark.mem_budget(20, stage="load", metric={metric!r})
        def test_another(memguard):
            work(memguard)
        """,
        "-rfp",
    )
    result.assert_outcomes(passed=1, failed=3)
    said = "peak * of stage '{}' 2[45].* over the budget of 20.0 MiB set by the marker*"
    result.stdout.fnmatch_lines(
        [
            "*test_short_name*",
            said.format("load/parse"),
            "*test_whole_name*",
            said.format("load/parse"),
            "*test_another*",
            said.format("load"),
            "PASSED test_it.py::test_within",
        ]
    )


def test_inline_budgets(run):
    """A stage's own budget holds in every run of it, and 0 or None mean there is none."""
    result = run("""
        def test_over(memguard):
            for size in (10, 30, 5):
                with memguard.stage("load", budget="20 MB"):
                    bytearray(size << 20)

        def test_within(memguard):
            with memguard.stage("load", budget=40):
                bytearray(30 << 20)
            with memguard.stage("none", budget=None), memguard.stage("zero", budget=0):
                bytearray(30 << 20)
    """)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            (
                "peak RSS of stage 'load' [23][0129].* over the budget of 20.0 MiB set by "
                "stage('load', budget=...)*(over-budget)"
            )
        ]
    )


def test_stage_that_never_ran_is_told(run):
    """A budget for a stage never entered is told, unless the test did not get that far."""
    result = run("""
        import pytest

        @pytest.mark.mem_budget(20, stage="lode")
        def test_typo(memguard):
            with memguard.stage("load"):
                pass

        @pytest.mark.mem_budget(20, stage="load", metric="heap")
        def test_heap():
            pass

        @pytest.mark.mem_budget(20, stage="load")
        def test_fails():
            assert False

        @pytest.mark.mem_budget(20, stage="load")
        def test_skips():
            pytest.skip()
    """)
    result.assert_outcomes(passed=2, failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*= memory =*",
            (
                "test_it.py::test_typo: the budget of 20.0 MiB for stage 'lode' set by the "
                "marker was not checked: the test entered no stage of that name (stage-not-run)"
            ),
            "test_it.py::test_heap: the budget of 20.0 MiB for stage 'load' *(stage-not-run)",
        ]
    )
    assert result.stdout.str().count("(stage-not-run)") == 2


def test_stages_of_threads_and_tasks(run, written):
    """Stages in a thread stand for themselves; those of tasks belong to who started them."""
    result = run(
        """
        import asyncio
        import threading

        from pytest_memguard import stage

        def test_thread(memguard):
            kept = []

            def work():
                with stage("thread"):
                    kept.append(bytearray(10 << 20))
                    with stage("inner"):
                        bytearray(40 << 20)

            with memguard.stage("main"):
                thread = threading.Thread(target=work)
                thread.start()
                thread.join()

        def test_tasks(memguard):
            kept = []

            async def work(name, turns):
                with stage(name):
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    with stage("inner"):
                        kept.append(bytearray(10 << 20))
                        await asyncio.sleep(0)

            async def main():
                with stage("outer"):
                    await asyncio.gather(work("a", 1), work("b", 3), work("b", 5))
                with stage("after"):
                    pass

            asyncio.run(main())
        """,
        "--mem-json=out.json",
    )
    result.assert_outcomes(passed=2)
    assert near(
        {
            "main": (1, 10, 10, 50),
            "thread": (1, 10, 10, 50),
            "thread/inner": (1, 0, 10, 40),
        }
    ) == mib(written()["test_thread"])
    tasks = mib(written()["test_tasks"])
    assert {path: count for path, (count, *_) in tasks.items()} == {
        "outer": 1,
        "outer/a": 1,
        "outer/b": 2,
        "outer/a/inner": 1,
        "outer/b/inner": 2,
        "after": 1,
    }
    assert pytest.approx(30, abs=2) == tasks["outer"][1]
    assert pytest.approx(30, abs=2) == tasks["outer"][3]
    assert pytest.approx(0, abs=2) == tasks["after"][1]


def test_exception_in_a_stage(run, written):
    """An exception leaves its stage counted and closed, and goes its way."""
    result = run(
        """
        import pytest

        def test_caught(memguard):
            kept = []
            with pytest.raises(ZeroDivisionError):
                with memguard.stage("outer"), memguard.stage("inner"):
                    kept.append(bytearray(10 << 20))
                    1 / 0
            with memguard.stage("after"):
                pass

        def test_fails(memguard):
            with memguard.stage("load"):
                block = bytearray(30 << 20)
                raise ValueError(f"a block of {len(block)}")
        """,
        "--mem-json=out.json",
    )
    result.assert_outcomes(passed=1, failed=1)
    assert near(
        {"outer": (1, 10, 10, 10), "outer/inner": (1, 10, 10, 10), "after": (1, 0, 10, 0)}
    ) == mib(written()["test_caught"])
    assert mib(written()["test_fails"])["load"][0] == 1
    result.stdout.fnmatch_lines(
        [
            "E *ValueError: a block of 31457280",
            "*- Memory stages -*",
            "Stage*Delta MiB*Cumul MiB*Peak MiB*Time",
            "load * 30.? *",
        ]
    )


def test_stage_around_a_test(run, written):
    """A stage from setup to teardown of a fixture covers the call; the test's nest in it."""
    result = run(
        """
        import pytest

        @pytest.fixture
        def service(memguard):
            with memguard.stage("service"):
                block = bytearray(10 << 20)
                yield block
                del block

        def test_it(service, memguard):
            with memguard.stage("load"):
                bytearray(20 << 20)

        def test_after(memguard):
            with memguard.stage("load"):
                bytearray(20 << 20)
        """,
        "--mem-json=out.json",
    )
    result.assert_outcomes(passed=2)
    found = mib(written()["test_it"])
    assert found["service"][0] == 1
    assert pytest.approx(30, abs=2) == found["service"][3]
    assert pytest.approx(20, abs=2) == found["service/load"][3]
    assert near({"load": (1, 0, 0, 20)}) == mib(written()["test_after"])


def test_stage_left_open_is_told(run):
    """A stage that is never left harms no later test, and the report mentions it."""
    result = run(
        """
        def test_open(memguard):
            memguard.stage("open").__enter__()

        def test_after(memguard):
            with memguard.stage("load"):
                pass
        """,
        "--mem",
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["test_it.py::test_open: a stage was entered and never left; it is not in the table"]
    )


def test_stage_left_open_does_not_rename_later_ones(run, written):
    """The stages of later tests have their own names though one was left open before."""
    run(
        """
        def test_open(memguard):
            memguard.stage("open").__enter__()

        def test_after(memguard):
            with memguard.stage("load"):
                pass
        """,
        "--mem-json=out.json",
    )
    assert list(mib(written()["test_after"])) == ["load"]


def test_nothing_happens_where_nothing_is_measured(run):
    """Under --no-mem a stage is an empty block, costs next to nothing and has no budget."""
    result = run(
        """
        import time
        from pytest_memguard import stage

        def test_it():
            with stage("load", budget=5):
                bytearray(30 << 20)
            start = time.process_time()
            for _ in range(10_000):
                with stage("load"):
                    pass
            assert time.process_time() - start < 0.2  # twenty microseconds each

        def test_fixture(memguard):
            with memguard.stage("load", budget=5):
                bytearray(30 << 20)
        """,
        "--no-mem",
        "--mem",
    )
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*memory*")
    result.stdout.no_fnmatch_line("*Stage*")


def test_stages_outside_pytest():
    """Library code with stages runs in a program that has never heard of pytest."""
    program = dedent("""
        import sys
        from pytest_memguard import stage

        @stage("load")
        def load():
            with stage("parse", budget="1 KB"):
                return bytearray(5 << 20)

        assert len(load()) == 5 << 20
        assert not {"pytest", "memray", "psutil"} & set(sys.modules)
    """)
    subprocess.run([sys.executable, "-c", program], check=True)


STAGES = """
    import pytest

    def load():
        return bytearray(25 << 20)

    def test_{name}(memguard):
        with memguard.stage("load"):
            with memguard.stage("parse"):
                rows = load()
        with memguard.stage("use"):
            bytearray(5 << 20)
        {end}
"""


def test_table_of_stages(run):
    """Failing tests show their stages, passing ones only with --mem, and then every one."""
    passing = STAGES.format(name="pass", end="")
    failing = STAGES.format(name="fail", end="raise ValueError(len(rows))")
    table = [
        "Stage * Delta MiB *Cumul MiB *Peak MiB * Time",
        "-----*",
        "load * +2[45].? * +2[45].? * 2[456].? * *s",
        "load/parse * +2[45].? * +2[45].? * 2[456].? * *s",
        "use * [+-]0.? * +2[456].? * [456].? * *s",
        "(whole test) * [23][0129].? * *s",
    ]
    result = run(passing)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("Stage *")

    result = run(failing)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*- Memory stages -*", *table], consecutive=True)

    result = run(passing, "--mem")
    result.stdout.fnmatch_lines(["*= memory =*", "Stages of test_it.py::test_pass:"])
    result.stdout.fnmatch_lines(["Stages of test_it.py::test_pass:", *table], consecutive=True)

    result = run(STAGES.format(name="over", end="").replace("def test", MARK + "def test"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["peak RSS *(over-budget)", "", *table], consecutive=True)
    assert result.stdout.str().count("load/parse") == 1


MARK = "@pytest.mark.mem_budget(20)\n    "


def test_drill_names_the_lines(run):
    """--mem-drill lists the lines that grew most in the deepest stage near the peak."""
    result = run(STAGES.format(name="pass", end=""), "--mem", "--mem-drill")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "Stages of test_it.py::test_pass:",
            "Lines that grew most in stage 'load/parse', at its peak:",
            "*MiB*Kept MiB*Blocks*Function*Line*",
            "* 25.0 * 25.0 *load *test_it.py:5",
        ]
    )
    result = run(STAGES.format(name="fail", end="raise ValueError(len(rows))"), "--mem-drill")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*- Memory stages -*",
            "Lines that grew most in stage 'load/parse', *",
            "*test_it.py:5",
        ]
    )


@pytest.mark.parametrize(
    "metric",
    [
        "rss",
        "python",
        "heap",
    ],
)
def test_drill_changes_no_verdict(run, metric):
    """A test with stages that is over its budget fails under --mem-drill too."""
    result = run(
        STAGES.format(name="over", end="").replace(
            "def test", f"@pytest.mark.mem_budget(20, metric={metric!r})\n    def test"
        ),
        "--mem-drill",
    )
    result.assert_outcomes(failed=1)


def test_warn_share_of_a_stage(pytester, run):
    """mem_warn warns of a stage that comes close to the budget it brings along."""
    pytester.makeini("[pytest]\nmem_warn = 60%")
    result = run(
        """
        import pytest_memguard

        def test_it():
            with pytest_memguard.stage("load", budget=40):
                bytearray(30 << 20)
        """
    )
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(
        ["*MemoryBudgetWarning: peak RSS of stage 'load' * is 7?% of the budget of 40.0 MiB *"]
    )
