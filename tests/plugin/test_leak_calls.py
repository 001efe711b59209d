"""What a repetition repeats: all phases of a test, or its call where that is all it does."""

from __future__ import annotations

import json
import logging
from typing import Final

import pytest

CHECK: Final = ("--mem-leak-check", "--mem-leak-blame=none")
COUNTS: Final = """
    import json
    import pytest
    from _pytest.runner import SetupState

    COUNTS = {}
    set_up = SetupState.setup

    def setup(self, item):
        COUNTS[item.name] = COUNTS.get(item.name, 0) + 1
        set_up(self, item)

    SetupState.setup = setup

    def pytest_sessionfinish():
        with open("counts.json", "w") as file:
            json.dump(COUNTS, file)
"""
SUITE: Final = """
    import unittest
    import pytest

    @pytest.fixture(scope="module")
    def shared():
        yield [1]

    @pytest.fixture
    def own():
        return [2]

    def test_alone():
        pass

    def test_shared(shared):
        assert shared == [1]

    @pytest.mark.parametrize("number", [3])
    def test_number(number):
        assert number == 3

    @pytest.mark.parametrize("values", [[7]])
    def test_values(values):
        assert values == [7]

    class TestClass:
        def test_method(self):
            assert not vars(self)
            self.mine = 4

    def test_own(own):
        pass

    @pytest.mark.usefixtures("own")
    def test_used():
        pass

    def test_folder(tmp_path):
        assert not list(tmp_path.iterdir())
        (tmp_path / "file").touch()

    def test_request(request):
        request.addfinalizer(list)

    class TestSetUp:
        def setup_method(self):
            self.mine = 5

        def test_set_up(self):
            assert self.mine == 5

    class TestUnit(unittest.TestCase):
        def setUp(self):
            self.mine = 6

        def test_unit(self):
            assert self.mine == 6
"""
ONCE: Final = {"test_alone", "test_shared", "test_number[3]", "test_method"}
"""Tests of that suite whose call is all that they do."""


def counts(pytester) -> dict[str, int]:
    """Return how often each test was set up."""
    found: dict[str, int] = json.loads((pytester.path / "counts.json").read_text("utf-8"))
    return found


def test_what_is_set_up_again(run, pytester) -> None:
    """Tests are set up for each call, but for those that have nothing to set up."""
    pytester.makeconftest(COUNTS)
    result = run(SUITE, *CHECK)
    result.assert_outcomes(passed=11)
    result.stdout.fnmatch_lines(["11 tests checked for leaks: 11 clean, *"])
    found = counts(pytester)
    assert {name for name, count in found.items() if count == 1} == ONCE
    assert all(count > 8 for name, count in found.items() if name not in ONCE)


@pytest.mark.parametrize("name", ["setup", "teardown"])
def test_hooks_of_others(run, pytester, name) -> None:
    """Where a plugin takes part in the setup or teardown, each call of a test has both."""
    hook = f"""
    def pytest_runtest_{name}(item):
        item.config.stash
    """
    pytester.makeconftest(COUNTS + hook)
    run(SUITE, *CHECK).assert_outcomes(passed=11)
    assert all(count > 8 for count in counts(pytester).values())


def test_a_leak_is_seen_and_its_output_is_that_of_one_run(run) -> None:
    """A test without a setup is repeated as any other, unseen."""
    result = run(
        """
        import logging

        KEPT = []

        class TestIt:
            def test_it(self):
                print("printed")
                logging.getLogger().warning("logged")
                KEPT.append([self])
        """,
        *CHECK,
        "-v",
    )
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    assert text.count("printed") == 1
    assert text.count(f"{logging.getLevelName(logging.WARNING)}  root") == 1
    assert "test_it.py::TestIt::test_it" in text


def test_a_call_that_goes_wrong(run) -> None:
    """Where a repetition fails, the test is undecided, and it is torn down once."""
    result = run(
        """
        CALLS = []

        def test_it():
            CALLS.append(1)
            assert len(CALLS) < 5

        def test_after():
            pass
        """,
        *CHECK,
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["*1 clean*1 undecided*", "*call 4 of the repetition went wrong*"]
    )
