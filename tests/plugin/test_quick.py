"""Tests with a budget on their call alone, whatever happens around them."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is sampled")

MIB = 1 << 20


def properties(pytester: pytest.Pytester) -> dict[str, dict[str, int]]:
    """What a run with --junit-xml=out.xml told of every test, in bytes."""
    told: dict[str, dict[str, int]] = {}
    for case in ET.parse(pytester.path / "out.xml").iter("testcase"):  # noqa: S314  we have just written it
        numbers = told.setdefault(case.get("name", ""), {})
        for known in case.iter("property"):
            kind = known.get("name", "").removeprefix("memguard_").removesuffix("_bytes")
            numbers[kind] = int(known.get("value", ""))
    return told


ENDS = """
    import unittest
    import pytest

    KEPT = []

    def test_passes():
        bytearray(30 << 20)

    def test_keeps():
        KEPT.append(bytearray(20 << 20))

    def test_breach():
        bytearray(80 << 20)

    def test_fails():
        bytearray(40 << 20)
        assert False

    def test_skips():
        bytearray(25 << 20)
        pytest.skip("in the call")

    @pytest.mark.skip
    def test_skipped():
        pass

    @pytest.fixture
    def heavy():
        bytearray(45 << 20)
        raise OSError

    def test_setup_fails(heavy):
        pass

    @pytest.fixture
    def ending():
        yield
        raise OSError

    def test_teardown_fails(ending):
        bytearray(35 << 20)

    class TestUnit(unittest.TestCase):
        def test_unit(self):
            bytearray(32 << 20)
"""


@pytest.mark.parametrize("larger", [0, 300 * MIB], ids=["", "started-by-a-larger-process"])
def test_every_end(pytester, run, larger):
    """However a test ends, its peak and what stays of it are told."""
    large = bytearray(larger)
    result = run(ENDS, "--mem-budget=60", "--junit-xml=out.xml", subprocess=bool(large))
    result.assert_outcomes(passed=4, failed=2, skipped=2, errors=2)
    told = properties(pytester)
    peaks = {name: round(numbers["peak"] / MIB) for name, numbers in told.items()}
    assert peaks == {
        "test_passes": 30,
        "test_keeps": 20,
        "test_breach": 80,
        "test_fails": 40,
        "test_skips": 25,
        "test_skipped": 0,
        "test_setup_fails": 45,
        "test_teardown_fails": 35,
        "test_unit": 32,
    }
    stays = {name for name, numbers in told.items() if numbers["delta"] > 10 * MIB}
    assert stays == {"test_keeps"}
    assert {numbers["budget"] for numbers in told.values()} == {60 * MIB}


BETWEEN = """
    import pytest

    KEPT = []

    def test_before():
        KEPT.append(bytearray(50 << 20))

    @pytest.mark.mem_budget(40)
    def test_marked():
        bytearray(10 << 20)

    def test_after():
        KEPT.append(bytearray(50 << 20))

    @pytest.mark.mem_budget(40)
    def test_again():
        KEPT.clear()
"""


def test_tests_without_a_budget_are_no_part_of_the_next_one(pytester, run):
    """A test starts from where the one before ended, though nobody has measured that one."""
    result = run(BETWEEN, "--junit-xml=out.xml")
    result.assert_outcomes(passed=4)
    result.stdout.no_fnmatch_line("*setup rose*")
    told = properties(pytester)
    assert not told["test_before"]
    assert 9 * MIB < told["test_marked"]["peak"] < 12 * MIB
    assert abs(told["test_marked"]["delta"]) < 2 * MIB
    assert told["test_again"]["delta"] < -90 * MIB


DESCRIPTORS = """
    import os
    import pytest

    def ours():
        names = {{}}
        for number in os.listdir("/proc/self/fd"):
            try:
                names[int(number)] = os.readlink(f"/proc/self/fd/{{number}}")
            except OSError:
                pass
        return [n for n, name in names.items() if name.endswith(("clear_refs", "statm"))]

    @pytest.fixture
    def lost():
        if {in_setup}:
            lose()

    def lose():
        assert ours()
        for number in ours():
            os.close(number)
            if {taken}:
                file = os.open("mine", os.O_RDWR | os.O_CREAT)
                os.dup2(file, number)
                os.close(file)

    def test_first():  # garbage is collected before it, so it is measured with more care
        pass

    def test_close(lost):
        if not {in_setup}:
            lose()

    def test_breach():
        bytearray(80 << 20)

    def test_passes():
        assert not os.path.exists("mine") or not os.path.getsize("mine")
        bytearray(30 << 20)
"""


@pytest.mark.parametrize(
    ("in_setup", "taken"),
    [
        pytest.param(False, False, id="closed-in-the-call"),
        pytest.param(True, False, id="closed-in-setup"),
        pytest.param(False, True, id="another-file-in-its-place"),
        pytest.param(True, True, id="another-file-in-its-place-in-setup"),
    ],
)
def test_what_we_keep_open_is_closed(pytester, run, in_setup, taken):
    """A test that closes our descriptors changes nothing, and no file of its own is written."""
    source = DESCRIPTORS.format(in_setup=in_setup, taken=taken)
    result = run(source, "--mem-budget=60", "--junit-xml=out.xml")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_breach - * > *: peak RSS *"])
    assert round(properties(pytester)["test_passes"]["peak"] / MIB) == 30


GARBAGE = """
    import gc
    import pytest

    class Node:
        def __init__(self):
            self.me = self
            self.data = [0] * 1000

    def test_leaves_garbage():
        gc.disable()
        for _ in range(4000):
            Node()

    @pytest.mark.parametrize("n", range(3))
    def test_light(n):
        pass

    def test_breach():
        gc.collect()
        kept = [[0] * 1000 for _ in range(9000)]
        gc.enable()
"""


def test_garbage_of_tests_before_hides_nothing(run):
    """What a test frees by collecting the garbage of others is no slack for it to hide in."""
    result = run(GARBAGE, "--mem-budget=50")
    result.assert_outcomes(passed=4, failed=1)


MIXED = """
    import pytest
    from pytest_memguard import stage

    def test_default():
        bytearray(30 << 20)

    @pytest.mark.mem_budget(20, phase="setup")
    def test_setup(heavy):
        pass

    @pytest.fixture
    def heavy():
        bytearray(30 << 20)

    @pytest.mark.mem_budget(1, metric="heap")
    def test_heap():
        bytearray(3 << 20)

    def test_stage():
        with stage("parse", budget=10):
            bytearray(20 << 20)

    @pytest.fixture
    def staged():
        with stage("load", budget=10):
            bytearray(20 << 20)

    def test_stage_in_setup(staged):
        pass

    @pytest.fixture
    def ends_staged():
        yield
        with stage("save", budget=10):
            bytearray(20 << 20)

    def test_stage_in_teardown(ends_staged):
        pass

    def test_uncovered(heavier):
        pass

    @pytest.fixture
    def heavier():
        bytearray(80 << 20)
"""


def test_quick_looks_beside_others(pytester, run):
    """Tests that need more get more, and the others are measured as ever."""
    result = run(MIXED, "--mem-budget=60", "--junit-xml=out.xml")
    result.assert_outcomes(passed=3, failed=2, errors=3)
    result.stdout.fnmatch_lines(
        [
            "ERROR test_it.py::test_setup - *",
            "ERROR test_it.py::test_stage_in_setup - *",
            "ERROR test_it.py::test_stage_in_teardown - *",
        ],
    )
    result.stdout.fnmatch_lines(
        ["*test_uncovered: setup rose [78][09].* MiB, above the budget of *"]
    )
    assert round(properties(pytester)["test_default"]["peak"] / MIB) == 30


HOOKS = """
    import pytest
    from pytest_memguard import stage

    def use(item):
        if item.name == "test_hook":
            with stage("hooked", budget=10):
                bytearray(20 << 20)

    def pytest_runtest_{phase}(item):
        use(item)
"""


@pytest.mark.parametrize("flags", [[], ["--mem-budget=60"]])
@pytest.mark.parametrize(
    ("phase", "outcome"), [("setup", "errors"), ("call", "failed"), ("teardown", "errors")]
)
def test_stages_in_hooks_of_the_suite(pytester, run, flags, phase, outcome):
    """A stage's budget holds in what a conftest does around a test, too."""
    pytester.makeconftest(HOOKS.format(phase=phase))
    result = run("def test_other(): pass\ndef test_hook(): pass", *flags)
    assert result.parseoutcomes()[outcome] == 1
    result.stdout.fnmatch_lines(["peak RSS of stage 'hooked' [12][09].* over *"])


LATE = """
    import pytest

    @pytest.fixture
    def late():
        from pytest_memguard import stage
        with stage("late", budget=10):
            bytearray(20 << 20)

    def test_late(late):
        pass
"""


def test_stages_that_nobody_knew_of(run):
    """A stage that is loaded in a fixture has its budget there."""
    run(LATE, "--mem-budget=60").assert_outcomes(errors=1)


def test_stages_of_tests_without_a_budget(run):
    """A stage's own budget holds where the test has none, in each of its phases."""
    result = run(MIXED.replace('@pytest.mark.mem_budget(20, phase="setup")', ""))
    result.assert_outcomes(passed=4, failed=2, errors=2)
