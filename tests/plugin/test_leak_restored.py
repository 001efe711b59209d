"""What pytest restores around each test is restored around each repetition of it."""

from __future__ import annotations

import pytest

from tests.plugin.leaky import CHECK, JSON, states

FILTERS = """
    import warnings

    def test_it():
        class LocalWarning(UserWarning):
            pass

        warnings.simplefilter("error", LocalWarning)
"""
SHOWN = """
    import warnings

    def test_it():
        before = warnings.showwarning
        warnings.showwarning = lambda *args, **named: before(*args, **named)
"""
ASSERTIONS = """
    from _pytest.assertion import util

    def test_it():
        before = util._reprcompare
        util._reprcompare = lambda *args: before(*args)
"""
LISTS = """
    import logging
    import pytest

    def test_it(request, record_property, caplog, capsys, monkeypatch, tmp_path):
        class Local:
            pass

        record_property("made", Local())
        request.node.add_marker(pytest.mark.skipif(False, reason="a" * 2))
        request.node.add_report_section("call", "stdout", "said")
        request.node.stash[pytest.StashKey()] = Local()
        request.addfinalizer(Local)
        caplog.set_level("DEBUG")
        logging.getLogger("made").debug("said")
        print("said")
        monkeypatch.setenv("MADE", "said")
        (tmp_path / "made").write_text("said")
"""


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(FILTERS, id="warning-filters"),
        pytest.param(SHOWN, id="what-shows-warnings"),
        pytest.param(ASSERTIONS, id="assertion-hooks"),
        pytest.param(LISTS, id="lists-of-the-item"),
    ],
)
def test_what_a_test_changes_is_undone(run, written, source):
    """A test that leaves it to pytest to tidy up is clean."""
    run(source, *CHECK, JSON).assert_outcomes(passed=1)
    assert states(written()) == {"test_it": "clean"}


def test_each_repetition_begins_as_the_test_did(run, written):
    """Filters that the test itself sets are not there when it is repeated."""
    run(
        """
        import pytest
        import warnings

        def test_it():
            with pytest.raises(UserWarning):
                warnings.warn("here")
            warnings.simplefilter("ignore")
        """,
        *CHECK,
        JSON,
        "-Werror",
    ).assert_outcomes(passed=1)
    assert states(written()) == {"test_it": "clean"}


def test_the_first_run_is_what_is_left(pytester, run):
    """After the check, filters are as the test's own run has left them."""
    pytester.makeconftest(
        """
        import pytest
        import warnings

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            if call.when == "call":
                first = warnings.filters[0]
                assert first[:3] == ("ignore", None, FutureWarning)
            return (yield)
        """
    )
    run(
        """
        import warnings

        def test_it():
            warnings.simplefilter("ignore", FutureWarning)
        """,
        *CHECK,
    ).assert_outcomes(passed=1)


def test_the_timer_of_faulthandler(pytester, run, written):
    """The timer that dumps the stacks of a test that hangs starts anew for each repetition."""
    pytester.makeconftest(
        """
        import faulthandler

        STARTED = [0]

        def start(*args, **named):
            STARTED[0] += 1

        faulthandler.dump_traceback_later = start
        """
    )
    run(
        """
        import conftest

        RUNS = [0]

        def test_it():
            RUNS[0] += 1
            assert conftest.STARTED == RUNS
        """,
        *CHECK,
        JSON,
        "-o",
        "faulthandler_timeout=60",
    ).assert_outcomes(passed=1)
    assert written()["test_it"]["leak"]["verdict"]["reason"] == ""


def test_hooks_of_setup_and_teardown_run_in_pairs(pytester, run, written):
    """What a hook of the suite starts in a setup is stopped in the next teardown."""
    pytester.makeconftest(
        """
        from unittest import mock

        import thing

        def pytest_runtest_setup(item):
            assert thing.value() == "real"
            item.patches = [mock.patch.object(thing, "value", return_value="fake")]
            for patch in item.patches:
                patch.start()

        def pytest_runtest_teardown(item, nextitem):
            assert thing.value() == "fake"
            for patch in item.patches:
                patch.stop()
        """
    )
    pytester.makepyfile(thing="def value(): return 'real'")
    result = run(
        """
        import thing

        def test_it():
            assert thing.value() == "fake"

        def test_next():
            assert thing.value() == "fake"
        """,
        *CHECK,
        JSON,
    )
    result.assert_outcomes(passed=2)
    assert states(written()) == {"test_it": "clean", "test_next": "clean"}


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(
            """
            import unittest

            class TestIt(unittest.TestCase):
                def test_it(self):
                    pass
            """,
            id="a-unittest-that-is-not-called",
        ),
        pytest.param(
            """
            import pytest

            CALLED = []

            @pytest.fixture
            def value():
                yield
                if not CALLED or not CALLED.pop():
                    pytest.fail("it was not called")

            def test_it(value):
                CALLED.append(True)
            """,
            id="a-fixture-that-asks-what-the-test-did",
        ),
    ],
)
def test_the_last_teardown_is_no_error(run, written, source):
    """A test is torn down that was set up once more, and not called."""
    run(source, *CHECK, JSON).assert_outcomes(passed=1)
    assert states(written()) == {"test_it": "clean"}


def test_what_a_plugin_notes_on_the_function(pytester, run, written):
    """It is taken back after each call, as a run calls each test once; hypothesis does so."""
    pytester.makeconftest(
        """
        import pytest

        class Settings:
            def __init__(self, parent):
                self.parent = parent

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_call(item):
            function = item.obj
            function.settings = Settings(getattr(function, "settings", None))
            function.calls = getattr(function, "calls", 0) + 1
            if "first" not in vars(function):
                function.first = function.settings
            assert function.calls == 1 + (function.first is not function.settings)
            return (yield)
        """
    )
    run("def test_it(): pass", *CHECK, JSON).assert_outcomes(passed=1)
    assert states(written()) == {"test_it": "clean"}


def test_what_a_test_notes_on_its_function(run, written):
    """It stays: a chain that a test itself makes longer is a leak of the test."""
    run(
        """
        class Settings:
            def __init__(self, parent):
                self.parent = parent

        def test_it():
            test_it.settings = Settings(getattr(test_it, "settings", None))
        """,
        *CHECK,
        JSON,
    ).assert_outcomes(failed=1)
    assert states(written()) == {"test_it": "leaking"}


def test_working_directory(run):
    """A test that moves to another folder and stays there does so once."""
    source = """
        import os
        from pathlib import Path

        def test_moves(tmp_path):
            os.chdir(tmp_path)

        def test_where():
            assert Path.cwd().name == "test_moves0"
    """
    flags = ("-p", "no:randomly")
    run(source, *flags).assert_outcomes(passed=2)
    run(source, "--mem-leak-check", *flags).assert_outcomes(passed=2)


LATE = """
    import os
    import warnings

    class Late:
        def __init__(self):
            self.me = self

        def __del__(self):
            warnings.warn("late")

    def test_warns():
        Late()

    async def nothing():
        pass

    def test_coroutine():
        kept = [nothing()]
        kept.append(kept)
"""


@pytest.mark.parametrize("flags", [(), ("-W", "default"), ("-W", "error")])
def test_finalizers_that_warn(run, written, flags):
    """What finalizers warn of between two repetitions is kept by no log, and no growth."""
    run(LATE, "--mem-leak-check", JSON, *flags)
    for name, test in written().items():
        assert test["leak"]["verdict"]["state"] in {"clean", "settling"}, name
