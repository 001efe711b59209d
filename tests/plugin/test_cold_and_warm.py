"""What the first call in a process fills for good is told from what each call uses."""

from __future__ import annotations

import json
import re

import pytest

TABLE = """
    import functools

    MIB = 12

    @functools.lru_cache(maxsize=None)
    def table():
        return [b"x" * 10_000 for _ in range(MIB * 100)]

    def names():
        return [b""] + [b"x" * 10_000 for _ in range({names} * 100)]
"""
TESTS = """
    import data

    def test_a():
        assert data.table()

    def test_b():
        assert data.table() and data.names()
"""
ONE = "test_it.py::test_b"


@pytest.fixture(autouse=True)
def fill(pytester):
    """Set how many MiB the table has, and how many each call of another function uses."""

    def fill(table=12, names=0):
        text = TABLE.format(names=names).replace("MIB = 12", f"MIB = {table}")
        pytester.makepyfile(data=text)

    fill()
    return fill


@pytest.fixture
def filled_before(saved):
    """Save a baseline in which the first test has filled the table."""
    saved(TESTS)


def entries(pytester):
    """What the baseline has of each test."""
    file = pytester.path / ".memguard" / "baseline.json"
    (environment,) = json.loads(file.read_text(encoding="utf-8"))["environments"]
    assert environment["measured_cold"] is True
    return {name.rpartition("::")[2]: entry for name, entry in environment["tests"].items()}


def test_saved(run, pytester):
    """The baseline has both peaks of the test that fills, and what it fills."""
    result = run(TESTS, "--mem-save")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "saved in *: 2 tests; entries: 2 new, 0 changed, 0 dropped; cold peak of 1 test",
            "measured again in a fresh process: * (--mem-confirm)",
        ]
    )
    found = entries(pytester)
    assert found["test_a"]["peak_kib"] <= 1024
    assert 11 << 10 <= found["test_a"]["cold_kib"] <= 15 << 10
    ((holder, size),) = found["test_a"]["fills"]
    assert holder == "functools.lru_cache of data.table"
    assert 11 << 10 <= size <= 15 << 10
    assert "cold_kib" not in found["test_b"]


@pytest.mark.usefixtures("filled_before")
@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(("--mem-strict", "--mem-fail-on=growth:5MB", ONE), id="alone"),
        pytest.param(("-k", "test_b"), id="by-keyword"),
    ],
)
def test_another_was_first(run, pytester, flags):
    """A test is no regression where it fills what another one had filled, and says so."""
    result = run(TESTS, "--mem-compare", "--mem-json=out.json", *flags)
    result.assert_outcomes(passed=1, deselected="-k" in flags)
    result.stdout.fnmatch_lines(
        [
            "compared with *: 1 fills what another test had filled",
            "measured again in a fresh process: once, * (--mem-confirm)",
        ]
    )
    result.stdout.no_fnmatch_line("*known-fill*")
    (test,) = json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))["tests"]
    (finding, *_) = test["findings"]
    assert "fills functools.lru_cache of data.table (" in finding["text"]
    assert finding["text"].endswith(
        "as on record: test_it.py::test_a filled it when it was saved"
    )


@pytest.mark.usefixtures("filled_before")
def test_in_workers(run):
    """Each worker has a first test of its own."""
    result = run(TESTS, "--mem-compare", "-n2", plugins=["xdist.plugin"])
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["compared with *: 1 fills what another test had filled, 1 as before"]
    )


@pytest.mark.usefixtures("filled_before")
def test_as_before(run):
    """The test that fills as it did is not measured again."""
    result = run(TESTS, "--mem-compare")
    result.stdout.fnmatch_lines(["compared with *: 2 as before"])
    result.stdout.no_fnmatch_line("measured again *")


@pytest.mark.usefixtures("filled_before")
@pytest.mark.parametrize("which", ["", ONE], ids=["whole", "alone"])
def test_fill_grew(run, fill, which):
    """More that is filled is a regression of the test that fills it, and of no other."""
    fill(table=18)
    result = run(TESTS, "--mem-compare", *filter(None, [which]))
    result.assert_outcomes(failed=1, passed=0 if which else 1)
    result.stdout.fnmatch_lines(
        ["*the first call in a process takes * and fills *data.table (*, the next one takes*"]
    )


@pytest.mark.usefixtures("filled_before")
@pytest.mark.parametrize("which", ["", ONE], ids=["whole", "alone"])
def test_use_grew(run, fill, which):
    """What each call uses is compared with what each call used, beside a fill or not."""
    fill(names=6)
    result = run(TESTS, "--mem-compare", *filter(None, [which]))
    result.assert_outcomes(failed=1, passed=0 if which else 1)
    largest = "largest: *, data.py:10, * MiB (regression)"
    result.stdout.fnmatch_lines([f"* MiB when it is called once more; {largest}"])


def test_another_metric(run):
    """A budget on the heap has its own numbers compared, cold and warm as well."""
    on_heap = TESTS.replace(
        "    def test_", "    @pytest.mark.mem_budget(100, metric='heap')\n    def test_"
    ).replace("import data", "import data\n    import pytest")
    run(on_heap, "--mem-save")
    result = run(on_heap, "--mem-compare", ONE)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["compared with *: 1 fills what another test had filled"])


def test_once_only(run, saved):
    """A test that passes only once is not held to what it may have filled."""
    once = """
    import data
    CALLED = []

    def test_a():
        data.table()

    def test_b():
        assert data.table() and not CALLED
        CALLED.append(1)
    """
    saved(once)
    result = run(once, "--mem-compare", ONE)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "*; it does not pass a second time there, *(undecided)",
            "compared with *: 1 undecided",
        ]
    )


@pytest.mark.usefixtures("filled_before")
def test_a_file_of_the_first_format(run, pytester):
    """A baseline of an earlier version says nothing of fills, so nothing is held against it."""
    file = pytester.path / ".memguard" / "baseline.json"
    text = file.read_text(encoding="utf-8")
    text = text.replace('"format": 2', '"format": 1')
    text = text.replace(', "measured_cold": true, "measured_together": true', "")
    text = re.sub(r'\n *"filled": .*?\]\],', "", text)
    cut = text[: text.index(', "cold_kib"')] + text[text.index("]]}") + 2 :]
    file.write_text(cut, encoding="utf-8")
    result = run(TESTS, "--mem-compare", ONE)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*the baseline does not say whether another test filled *"])
    run(TESTS, "--mem-save")
    assert json.loads(file.read_text(encoding="utf-8"))["format"] == 2
    run(TESTS, "--mem-compare", "--mem-strict", ONE).assert_outcomes(passed=1)


@pytest.mark.usefixtures("filled_before")
def test_accepted(run, fill, pytester):
    """What is accepted is stored cold as well."""
    before = entries(pytester)["test_a"]["cold_kib"]
    fill(table=18)
    run(TESTS, "--mem-compare", "--mem-accept=*test_a").assert_outcomes(passed=2)
    assert entries(pytester)["test_a"]["cold_kib"] > before + (4 << 10)
    run(TESTS, "--mem-compare").assert_outcomes(passed=2)


SHARED = """
    import functools

    @functools.lru_cache(maxsize=None)
    def table():
        return [b"x" * 10_000 for _ in range({table} * 100)]

    @functools.lru_cache(maxsize=None)
    def names():
        return [b"x" * 10_000 for _ in range({names} * 100)]
"""
BOTH = """
    import data

    def test_a():
        assert data.table()

    def test_b():
        assert data.table() and data.names()
"""


@pytest.fixture
def shared(saved, pytester):
    """Save a baseline of two tests that both need a table, and return what changes sizes."""

    def change(table=12, names=6):
        pytester.makepyfile(data=SHARED.format(table=table, names=names))

    change()
    saved(BOTH)
    return change


def test_a_shared_fill_grew(run, shared):
    """Growth of what several tests fill is a regression of the first one, and of no other."""
    shared(table=18)
    result = run(BOTH, "--mem-compare", "--mem-json=out.json")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        ["compared with *: 1 regression, 1 fills what another test had filled"]
    )
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_a*"])


def test_an_own_fill_grew_beside_a_shared_one(run, shared):
    """Growth that adds up to the cold peak is found where a part of that was filled before."""
    shared(names=18)
    result = run(BOTH, "--mem-compare")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_b*"])


PARTS = """
    PARTS = {{}}

    def part(name):
        if name not in PARTS:
            PARTS[name] = [b"x" * 10_000 for _ in range({many})]
        return PARTS[name]
"""
FILLERS = """
    import pytest
    import parts

    @pytest.mark.parametrize("name", range(4))
    def test_part(name):
        assert parts.part(name)

    def test_all():
        assert all(map(parts.part, range(4)))
"""


def environment_of(pytester):
    """What the baseline has of all tests."""
    file = pytester.path / ".memguard" / "baseline.json"
    (environment,) = json.loads(file.read_text(encoding="utf-8"))["environments"]
    return environment


@pytest.mark.parametrize("flags", [(), ("-n2",)], ids=["plain", "workers"])
def test_what_several_tests_fill(run, pytester, flags):
    """A test that fills alone what several had filled is no regression, unless it grew."""
    pytester.makepyfile(parts=PARTS.format(many=150))
    saved = run(FILLERS, "--mem-save", *flags, plugins=["xdist.plugin"] if flags else [])
    saved.stdout.fnmatch_lines(
        ["measured again in a fresh process: * tests once more, together, * (--mem-confirm)"]
    )
    environment = environment_of(pytester)
    ((holder, size),) = environment["filled"]
    assert holder == "parts.PARTS"
    assert 5.5 * 1024 <= size <= 13 * 1024  # twice where both workers fill all of it
    assert environment["measured_together"] is True
    result = run(FILLERS, "--mem-compare", "-k", "all")
    result.assert_outcomes(passed=1, deselected=4)
    if not flags:  # a worker may have had it as its first
        result.stdout.fnmatch_lines(["compared with *: 1 fills what another test had filled"])
        pytester.makepyfile(parts=PARTS.format(many=300))
        grown = run(FILLERS, "--mem-compare", "-k", "all")
        grown.assert_outcomes(failed=1, deselected=4)
        grown.stdout.fnmatch_lines(
            ["*and fills parts.PARTS (*no test on record fills as much*"]
        )


def test_what_tests_fill_beside_a_peak(run, pytester):
    """A test whose peak is high, and which fills little, is among those that fill together."""
    pytester.makepyfile(parts=PARTS.format(many=150))
    high = FILLERS.replace("assert parts", "assert bytearray(9 << 20) and parts")
    run(high, "--mem-save").stdout.fnmatch_lines(
        ["measured again in a fresh process: 4 times, 4 tests once more, together, *"]
    )
    result = run(high, "--mem-compare", "-k", "all")
    result.assert_outcomes(passed=1, deselected=4)
    result.stdout.fnmatch_lines(["compared with *: 1 fills what another test had filled"])


def test_little_that_tests_fill(run, pytester):
    """Tests that leave less than a regression needs in all are not run once more."""
    pytester.makepyfile(parts=PARTS.format(many=20))
    run(FILLERS, "--mem-save").stdout.no_fnmatch_line("measured again *")
    environment = environment_of(pytester)
    assert environment["measured_together"] is True
    assert "filled" not in environment
    run(FILLERS, "--mem-compare", "-k", "all").assert_outcomes(passed=1, deselected=4)


def test_what_was_not_measured_together(run, pytester):
    """Where tests that fill were left out, one that fills all of it alone is undecided."""
    pytester.makepyfile(parts=PARTS.format(many=150))
    mark = "@pytest.mark.mem_once\n    @pytest"
    once = FILLERS.replace("@pytest", mark)
    run(once, "--mem-save").stdout.fnmatch_lines(
        ["what several tests fill together is not on record, *: some tests * must not run *"]
    )
    assert "measured_together" not in environment_of(pytester)
    result = run(once, "--mem-compare", "-k", "all")
    result.assert_outcomes(passed=1, deselected=4)
    result.stdout.fnmatch_lines(["*: several tests may have filled that, * (--mem-accept*"])
    result.stdout.fnmatch_lines(["compared with *: 1 undecided"])
    run(once, "--mem-accept=*all", "-k", "all")
    again = run(once, "--mem-compare", "-k", "all")
    again.stdout.fnmatch_lines(["compared with *: 1 as before"])


def test_modules_are_loaded_once(run, pytester):
    """What earlier tests have imported is loaded once for all that are measured again."""
    pytester.makepyfile(lazy="with open('loads.txt', 'a') as file: file.write('x')")
    pytester.makepyfile(rows="def rows():\n    return bytearray(1 << 20)\n")
    tests = """
        import pytest
        import rows

        def test_first():
            import lazy

        @pytest.mark.parametrize("number", range(3))
        def test_rows(number):
            assert rows.rows()
    """
    run(tests, "--mem-save").assert_outcomes(passed=4)
    (pytester.path / "loads.txt").unlink()
    pytester.makepyfile(rows="def rows():\n    return bytearray(6 << 20)\n")
    run(tests, "--mem-compare").assert_outcomes(passed=1, failed=3)
    assert (pytester.path / "loads.txt").read_text(encoding="utf-8") == "xx"
