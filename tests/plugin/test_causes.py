"""Regressions with one cause are one finding: the first explains, the others refer to it."""

from __future__ import annotations

import json

import pytest

CART = """
    from pytest_memguard import stage

    class Cart:
        def __init__(self):
            self.rows = bytearray({cart} << 20)

    OTHER = {other}

    def other():
        return bytearray(OTHER << 20)

    def load():
        with stage("load"):
            return [bytearray({stage} << 19) for _ in range(2)]
"""
TESTS = """
    import pytest
    import shop

    @pytest.mark.parametrize("carts", [1, 2, 3])
    def test_carts(carts):
        assert [shop.Cart() for _ in range(carts)]

    def test_other():
        assert shop.other() is not None

    def test_plain():
        pass
"""
MORE = """
    import shop

    def test_more():
        assert [shop.Cart() for _ in range(5)]
"""


@pytest.fixture
def shop(pytester):
    """Set how many MiB a cart, another function and a stage take."""

    def shop(cart=0, other=0, stage=0):
        pytester.makepyfile(shop=CART.format(cart=cart, other=other, stage=stage))

    shop()
    return shop


@pytest.fixture
def saved(run, pytester, shop):
    """A baseline of five tests in two files, before carts have grown."""
    pytester.makepyfile(test_more=MORE)
    run(TESTS, "--mem-save").assert_outcomes(passed=6)
    shop(cart=4, other=9)


@pytest.mark.usefixtures("saved")
def test_one_line(run, pytester):
    """A line in a constructor is one cause of many sizes, and another line is another."""
    result = run(TESTS, "--mem-compare", "--mem-json=j.json", "--mem-markdown=m.md")
    result.assert_outcomes(failed=5, passed=1)
    result.stdout.fnmatch_lines(
        [
            "*largest: __init__, shop.py:5, 4.0 MiB (regression)",
            "The lines are those of a second call, under memray in a fresh process.",
            "*; shop.py:5 (__init__) grew, as in test_it.py::test_carts?1?, which explains it*",
            "compared with *: 5 regressions of 2 causes, 1 as before",
            "cause: shop.py:5 (__init__) grew: 4 tests, by * to *; explained in *test_carts?1?",
        ]
    )
    text = result.stdout.str()
    assert text.count("Largest allocations") == 2
    assert text.count("If it is meant to be so") == 2
    first, second = json.loads((pytester.path / "j.json").read_text(encoding="utf-8"))["causes"]
    assert (first["first"], len(first["tests"]), first["line"]) == (
        "test_it.py::test_carts[1]",
        4,
        "shop.py:5 (__init__)",
    )
    assert second["tests"] == ["test_it.py::test_other"]
    markdown = (pytester.path / "m.md").read_text(encoding="utf-8")
    assert markdown.startswith("## Memory: 6 tests, 0 over budget, 5 regressions of 2 causes, ")
    of_cart, of_other = [line for line in markdown.splitlines() if line.startswith("| 0 B | ")]
    assert " | 4 | `test_it.py::test_carts[1]` | shop.py:5 (" in of_cart
    assert of_other.endswith(
        " MiB | 1 | `test_it.py::test_other` | other, shop.py:10, 9.0 MiB |"
    )


@pytest.mark.usefixtures("saved")
def test_workers(run, pytester):
    """Workers that explain the same line report one cause, in files for CI as well."""
    flags = ("--mem-compare", "--mem-gitlab=gl.json", "-n2", "--dist=loadfile")
    result = run(TESTS, *flags, plugins=["xdist.plugin"])
    result.assert_outcomes(failed=5, passed=1)
    result.stdout.fnmatch_lines(
        [
            "compared with *: 5 regressions of 2 causes, 1 as before",
            "cause: shop.py:5 (__init__) grew: 4 tests, by *",
        ]
    )
    entries = json.loads((pytester.path / "gl.json").read_text(encoding="utf-8"))
    assert len(entries) == 2


def test_stage(run, shop):
    """Tests whose stage has grown are one cause, whatever else is different."""
    tests = """
        import pytest
        import shop

        @pytest.mark.parametrize("size", [1, 9])
        def test_load(size):
            kept = bytearray(size << 20)
            assert shop.load() and kept
    """
    run(tests, "--mem-save").assert_outcomes(passed=2)
    shop(stage=6)
    result = run(tests, "--mem-compare")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*; stage 'load' grew, as in test_it.py::test_load?1?, which explains it*",
            "cause: * grew: 2 tests, by *",
        ]
    )


@pytest.mark.usefixtures("saved")
def test_never(run):
    """Without lines, tests that grew as much belong together."""
    result = run(TESTS, "--mem-compare", "--mem-explain=never", "-k", "carts and 1 or other")
    result.stdout.fnmatch_lines(["compared with *: 2 regressions of 2 causes"])
    assert "Largest allocations" not in result.stdout.str()


def test_undecided(run, shop):
    """A test above its limit in the run alone is judged by the line, if it calls that."""
    tests = """
        import shop

        RAN = []

        def test_first():
            RAN.append(1)
            assert shop.Cart() and shop.Cart().rows is not None

        def test_two():
            assert [shop.Cart(), shop.Cart()]

        def test_calls_it():
            assert shop.Cart() and (shop.other() if RAN else True) is not None

        def test_does_not():
            held = bytearray(20 << 20) if shop.OTHER else None
            assert (shop.other() if RAN else True) is not None
            del held
    """
    run(tests, "--mem-save").assert_outcomes(passed=4)
    shop(cart=20, other=4)
    result = run(tests, "--mem-compare", "--mem-fail-on=peak:22MB")
    result.stdout.fnmatch_lines(
        [
            "*; shop.py:5 (__init__) grew, as in test_it.py::test_first, which explains it*",
            "test_it.py::test_does_not: *compare it by itself to decide (undecided)",
            "compared with *: 3 regressions of 1 cause, 1 undecided",
            "*3 failed, 1 passed, 1 undecided in *",
        ]
    )


def test_undecided_strict(run):
    """What is undecided or not measured fails with --mem-strict, and nothing else does."""
    tests = """
        import tracemalloc

        import pytest

        @pytest.mark.mem_budget(10, metric="python")
        def test_stops():
            tracemalloc.stop()

        @pytest.mark.mem_budget(10)
        def test_good():
            pass
    """
    run(tests).assert_outcomes(passed=2)
    result = run(tests, "--mem-strict")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*was not checked: *(not-measured)"])
    run(tests, "--mem-strict", "--mem-budget-mode=warn").assert_outcomes(passed=2)


def test_many_tests_of_one_cause(run, pytester):
    """Once ten tests have shown what grew, others that grew as much are not measured again."""
    pytester.makepyfile(rows="def rows():\n    return bytearray(1 << 20)\n")
    tests = """
        import pytest
        import rows

        @pytest.mark.parametrize("number", range(25))
        def test_rows(number):
            assert rows.rows()
    """
    run(tests, "--mem-save").assert_outcomes(passed=25)
    pytester.makepyfile(rows="def rows():\n    return bytearray(6 << 20)\n")
    result = run(tests, "--mem-compare")
    result.assert_outcomes(failed=25)
    result.stdout.fnmatch_lines(
        [
            "compared with *: 25 regressions of 1 cause",
            "cause: rows.py:2 (rows) grew: 25 tests, by *",
            "measured again in a fresh process: 1[01] times, *",
        ]
    )


def test_one_call_is_enough(run, pytester):
    """A peak that slack hides is measured by one call, where it is explained like others."""
    rows = "def rows():\n    return [f'{{n}}-row' for n in range({number})]\n"
    pytester.makepyfile(rows=rows.format(number=1))
    tests = """
        import pytest
        import rows

        KEPT = []

        @pytest.mark.parametrize("number", range(11))
        def test_rows(number):
            assert rows.rows()

        def test_keeps():
            KEPT.extend(map(str, range(300_000)))

        def test_hidden():
            with open("calls.txt", "a") as file:
                file.write("x")
            KEPT.clear()
            assert rows.rows()
    """
    run(tests, "--mem-save").assert_outcomes(passed=13)
    (pytester.path / "calls.txt").unlink()
    pytester.makepyfile(rows=rows.format(number=100_000))
    result = run(tests, "--mem-compare")
    result.assert_outcomes(failed=12, passed=1)
    hidden = "*in a fresh process (here it reused freed memory); as much as *test_rows?0?, *"
    result.stdout.fnmatch_lines(
        [hidden, "compared with *: 12 regressions of 1 cause, 1 as before"]
    )
    assert (pytester.path / "calls.txt").read_text(encoding="utf-8") == "xx"
