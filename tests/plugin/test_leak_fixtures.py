"""The leak check and fixtures: what belongs to the test is new each time, the rest stays up."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.plugin.leaky import CHECK, JSON, KEEP, states

LOG = """
    import pytest

    def log(text):
        with open("log", "a") as file:
            file.write(text + " ")
"""


@pytest.fixture
def logged(pytester):
    """The words the tests have logged, in order."""
    return lambda: (pytester.path / "log").read_text(encoding="utf-8").split()


def test_function_scoped_fixtures_are_new_each_time(run, written, logged):
    """Every repetition sets the test's own fixtures up and tears them down, inside out."""
    result = run(
        LOG
        + """
    @pytest.fixture
    def outer():
        log("+outer")
        yield []
        log("-outer")

    @pytest.fixture
    def inner(outer, request):
        log("+inner")
        request.addfinalizer(lambda: log("-second"))
        request.addfinalizer(lambda: log("-first"))
        return outer

    @pytest.fixture(autouse=True)
    def around():
        log("+around")
        yield
        log("-around")

    def test_it(inner):
        log("test")
        inner.append(1)
        assert inner == [1]
    """,
        *CHECK,
        JSON,
    )
    result.assert_outcomes(passed=1)
    assert states(written()) == {"test_it": "clean"}
    once = ["+around", "+outer", "+inner", "test", "-first", "-second", "-outer", "-around"]
    at_last = [word for word in once if word != "test"]  # for the teardown that pytest makes
    assert once * (1 + written()["test_it"]["leak"]["calls"]) + at_last == logged()


WIDE = (
    LOG
    + """
    def make(scope):
        @pytest.fixture(scope=scope, name=scope + "_wide")
        def wide():
            log("+" + scope)
            yield [scope]
            log("-" + scope)
        return wide

    class_wide = make("class")
    module_wide = make("module")
    package_wide = make("package")
    session_wide = make("session")

    @pytest.fixture
    def lazy(request):
        return request.getfixturevalue("module_wide")

    class TestFirst:
        def test_one(self, class_wide, module_wide, package_wide, session_wide):
            log("one")

        def test_two(self, class_wide):
            log("two")

    class TestSecond:
        def test_three(self, request):
            assert request.getfixturevalue("class_wide") == ["class"]
            assert request.getfixturevalue("session_wide") == ["session"]
            log("three")

    def test_four(lazy):
        assert lazy == ["module"]
        log("four")

    def test_five():
        log("five")
"""
)


def test_wider_fixtures_stay_up(run, written, logged):
    """Fixtures of classes, modules, packages and the session are set up and torn down once."""
    run(WIDE, *CHECK, JSON, "-p", "no:randomly").assert_outcomes(passed=5)
    tests = written()
    assert set(states(tests).values()) == {"clean"}
    calls = {name: 1 + test["leak"]["calls"] for name, test in tests.items()}
    words = logged()
    assert Counter(words) == {
        **dict.fromkeys(("+class", "-class"), 2),
        **dict.fromkeys(("+module", "-module", "+package", "-package"), 1),
        **dict.fromkeys(("+session", "-session"), 1),
        **{name.removeprefix("test_"): times for name, times in calls.items()},
    }
    order = [word for n, word in enumerate(words) if n == 0 or words[n - 1] != word]
    assert order == [
        *("+session", "+package", "+module", "+class", "one", "two", "-class"),
        *("+class", "three", "-class", "four", "five", "-module", "-package", "-session"),
    ]


@pytest.mark.parametrize("scope", ["class", "module", "package", "session"])
def test_a_wide_fixture_first_asked_for_by_a_repeated_test(run, written, logged, scope):
    """A wide fixture that only one test asks for, late, is torn down once, at its time."""
    run(
        LOG
        + f"""
    @pytest.fixture(scope={scope!r})
    def wide():
        log("+")
        yield
        log("-")

    class TestIt:
        def test_late(self, request):
            request.getfixturevalue("wide")

        def test_last(self):
            log("last")
    """,
        *CHECK,
        JSON,
        "-p",
        "no:randomly",
    ).assert_outcomes(passed=2)
    assert states(written()) == {"test_last": "clean", "test_late": "clean"}
    words = logged()
    assert [w for n, w in enumerate(words) if words[n - 1] != w] == ["+", "last", "-"]


def test_wide_fixtures_asked_for_in_repetitions_alone(run, logged):
    """A wide fixture that is first asked for in a repetition lives as long as any other."""
    run(
        LOG
        + """
    CALLS = []

    @pytest.fixture(scope="module")
    def wide():
        log("+")
        yield
        log("-")

    def test_late(request):
        CALLS.append(1)
        if len(CALLS) == 4:
            request.getfixturevalue("wide")
        del CALLS[5:]

    def test_last(wide):
        log("last")
    """,
        *CHECK,
        JSON,
        "-p",
        "no:randomly",
    ).assert_outcomes(passed=2)
    words = logged()
    assert [w for n, w in enumerate(words) if words[n - 1] != w] == ["+", "last", "-"]


def test_parametrised_wide_fixtures(run, written, logged):
    """A wide fixture with parameters is set up once for each of them."""
    run(
        LOG
        + """
    @pytest.fixture(scope="module", params=["a", "b"])
    def letter(request):
        log("+" + request.param)
        yield request.param
        log("-" + request.param)

    @pytest.mark.parametrize("n", [1, 2])
    def test_it(letter, n):
        pass
    """,
        *CHECK,
        JSON,
        "-p",
        "no:randomly",
    ).assert_outcomes(passed=4)
    assert set(states(written()).values()) == {"clean"}
    assert logged() == ["+a", "-a", "+b", "-b"]


def test_a_leaking_fixture(run, written):
    """What a test's own fixture keeps is a leak of the test; a wide one's is not."""
    result = run(
        KEEP
        + """
    @pytest.fixture
    def leaks():
        keep()

    @pytest.fixture
    def leaks_late():
        yield
        keep()

    @pytest.fixture(scope="module")
    def keeps():
        keep()
        yield KEPT

    def test_setup(leaks):
        pass

    def test_teardown(leaks_late):
        pass

    def test_wide(keeps):
        pass
    """,
        *CHECK,
        JSON,
    )
    result.assert_outcomes(failed=2, passed=1)
    assert states(written()) == {
        "test_setup": "leaking",
        "test_teardown": "leaking",
        "test_wide": "clean",
    }


def test_a_failing_teardown_is_an_error_of_the_teardown(run, written):
    """A teardown that fails the first time is an error, once, and nothing is repeated."""
    result = run(
        LOG
        + """
    @pytest.fixture
    def bad():
        yield
        log("torn")
        raise ValueError("cannot tear down")

    @pytest.fixture
    def good():
        yield
        log("good")

    def test_it(good, bad):
        log("test")
    """,
        *CHECK,
        JSON,
        "-ra",
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*ERROR at teardown of test_it*", "*ValueError: cannot tear down", "ERROR test_it.py*"]
    )
    assert states(written()) == {}


def test_each_part_of_a_failing_teardown_is_run_once(run, logged):
    """The finalizers beside the one that fails are run, and none of them twice."""
    run(
        LOG
        + """
    @pytest.fixture(scope="module")
    def wide():
        yield
        log("wide")

    @pytest.fixture
    def good():
        yield
        log("good")

    @pytest.fixture
    def bad():
        yield
        log("torn")
        raise ValueError

    def test_it(wide, good, bad):
        log("test")

    def test_next(wide):
        pass
    """,
        *CHECK,
        "-p",
        "no:randomly",
    ).assert_outcomes(passed=2, errors=1)
    assert logged() == ["test", "torn", "good", "wide"]


def test_a_teardown_that_fails_later_is_undecided(run, written):
    """A teardown that fails in a repetition makes the verdict undecided, with the error."""
    result = run(
        """
        import pytest

        TIMES = []

        @pytest.fixture
        def bad():
            yield
            TIMES.append(1)
            assert len(TIMES) < 3, "worn out"

        def test_it(bad):
            pass
        """,
        *CHECK,
        JSON,
    )
    result.assert_outcomes(passed=1)
    verdict = written()["test_it"]["leak"]["verdict"]
    assert verdict["state"] == "undecided"
    assert verdict["reason"].startswith(
        "call 2 of the repetition went wrong: AssertionError: worn out"
    )


def test_a_setup_that_fails_later_is_undecided(run, written):
    """A fixture that can be made once only makes the verdict undecided."""
    run(
        """
        import os
        import pytest

        @pytest.fixture
        def folder():
            os.mkdir("only-once")

        def test_it(folder):
            pass
        """,
        *CHECK,
        JSON,
    ).assert_outcomes(passed=1)
    reason = written()["test_it"]["leak"]["verdict"]["reason"]
    assert reason.startswith("call 1 of the repetition went wrong: FileExistsError: ")


BUILT_IN = """
    import logging
    import os
    import sys
    import warnings

    def test_tmp_path(tmp_path):
        (tmp_path / "file").write_text("text")
        assert ["file"] == os.listdir(tmp_path)

    def test_tmpdir(tmpdir):
        tmpdir.join("file").write("text")

    def test_factory(tmp_path_factory):
        tmp_path_factory.getbasetemp()

    def test_caplog(caplog):
        caplog.set_level("INFO")
        logging.getLogger("name").info("said")
        assert caplog.messages == ["said"]

    def test_capsys(capsys):
        print("said")
        assert capsys.readouterr() == ("said\\n", "")

    def test_capfd(capfd):
        os.write(1, b"said")
        assert capfd.readouterr() == ("said", "")

    def test_monkeypatch(monkeypatch):
        monkeypatch.setenv("SAID", "so")
        monkeypatch.setattr(sys, "said", "so", raising=False)
        monkeypatch.chdir("/")

    def test_recwarn(recwarn):
        warnings.warn("said")
        assert len(recwarn) == 1

    def test_warns():
        import pytest
        with pytest.warns(UserWarning, match="said"):
            warnings.warn("said")

    def test_raises():
        import pytest
        with pytest.raises(ZeroDivisionError) as caught:
            1 / 0
        assert caught.match("division")

    def test_property(record_property, request):
        record_property("key", "value")
        request.node.add_report_section("call", "extra", "text")

    def test_warning():
        warnings.warn("said")

    def test_print():
        print("said", "x" * 1000)
        print("said", file=sys.stderr)

    def test_log():
        logging.getLogger("name").warning("said")
"""


@pytest.mark.parametrize("capture", ["fd", "sys", "no", "tee-sys"])
def test_users_of_pytests_own_fixtures_are_clean(run, written, capture):
    """What pytest keeps of every run of a test is not held against it."""
    # in a process of its own: the run around this one keeps what is logged
    result = run(BUILT_IN, "--mem-leak-check", f"--capture={capture}", JSON)
    found = states(written())
    assert set(found.values()) == {"clean"}, found
    assert result.ret == pytest.ExitCode.OK


def test_temporary_folders_of_repetitions_are_removed(pytester, run, written):
    """Of a test's temporary folders that of its first run is there afterwards, and no other."""
    run(
        """
        def test_it(tmp_path):
            (tmp_path / "file").write_text("text")
        """,
        "--mem-leak-check",
        "--basetemp=kept",
        "-o",
        "tmp_path_retention_policy=all",
        JSON,
    )
    assert states(written()) == {"test_it": "clean"}
    kept = pytester.path / "kept"
    assert [path.name for path in kept.iterdir() if not path.is_symlink()] == ["test_it0"]
    assert (kept / "test_it0" / "file").read_text(encoding="utf-8") == "text"
    assert (kept / "test_itcurrent").resolve() == kept / "test_it0"


def test_temporary_folders_have_one_name(run, written):
    """What the C library keeps of each folder's name in the environment is no leak."""
    run(
        """
        NAMES = set()

        def test_it_2(tmp_path, monkeypatch):
            NAMES.add(tmp_path)
            assert len(NAMES) <= 2
            monkeypatch.setenv("MEMGUARD_FOLDER", f"{tmp_path}/{'x' * 200}")
        """,
        "--mem-leak-check",
        JSON,
    )
    assert states(written()) == {"test_it_2": "clean"}


def test_a_cache_by_path(run, written):
    """It grows with folders that the test makes itself, as their names differ."""
    run(
        """
        CACHE = {}

        def test_same(tmp_path):
            CACHE[str(tmp_path)] = bytes(3000)

        def test_new(tmp_path_factory):
            CACHE[str(tmp_path_factory.mktemp("data"))] = bytes(3000)
        """,
        "--mem-leak-check",
        "--mem-leak-blame=none",
        "--mem-leak-calls=60",
        JSON,
    )
    assert states(written()) == {"test_same": "clean", "test_new": "leaking"}


def test_retention_of_temporary_folders(pytester, run):
    """Pytest's own policy holds for the folder of the one run."""
    run(
        """
        def test_pass(tmp_path):
            pass

        def test_fail(tmp_path):
            assert False
        """,
        "--mem-leak-check",
        "--basetemp=kept",
        "-o",
        "tmp_path_retention_policy=failed",
    )
    kept = (pytester.path / "kept").iterdir()
    assert [path.name for path in kept if not path.is_symlink()] == ["test_fail0"]


def test_fixtures_that_a_plugin_defines_for_the_test(pytester, run):
    """What pytest-bdd registers with pytest in every run of a scenario is no leak."""
    pytester.path.joinpath("f.feature").write_text(
        "Feature: F\nScenario: S\nGiven a thing\nWhen it works\nThen it is fine\n",
        encoding="utf-8",
    )
    result = run(
        """
        from pytest_bdd import given, scenarios, then, when

        scenarios("f.feature")

        @given("a thing", target_fixture="thing")
        def make_thing():
            return {}

        @when("it works")
        def work(thing):
            thing["works"] = True

        @then("it is fine")
        def check(thing):
            assert thing["works"]
        """,
        "--mem-leak-check",
        plugins=["pytest_bdd.plugin"],
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 test checked for leaks: 1 clean*"])


def test_folders_with_a_conftest_each(run, pytester, written):
    """Where folders have hooks of their own, pytest makes them anew each time; no leak."""
    for name in ("one", "two", "three"):
        folder = pytester.mkpydir(name)
        (folder / "conftest.py").write_text("", encoding="utf-8")
        (folder / f"test_{name}.py").write_text(f"def test_{name}(): pass", encoding="utf-8")
    result = run(None, *CHECK, JSON)
    result.assert_outcomes(passed=3)
    assert states(written()) == {
        "test_one": "clean",
        "test_three": "clean",
        "test_two": "clean",
    }


@pytest.mark.parametrize(
    ("given", "holder"),
    [
        pytest.param(
            "def pytest_generate_tests(metafunc): metafunc.parametrize",
            "parameters of a test.params['graph']['edges']",
            id="by-a-hook",
        ),
        pytest.param("@pytest.mark.parametrize", "test_it.test_it.pytestmark", id="by-a-mark"),
    ],
)
def test_a_parameter_that_grows_is_named_as_one(run, written, given, holder):
    """What a test adds to its own parameter is held by that, not by pytest.

    A mark says which test it is, however deep the parameter lies in it.
    """
    run(
        f"""
        import pytest

        {given}("graph", [{{"edges": []}}])
        def test_it(graph):
            graph["edges"].append(object())
        """,
        "--mem-leak-check",
        "--mem-leak-calls=120",
        JSON,
    ).assert_outcomes(failed=1)
    (leak,) = (test["leak"] for test in written().values())
    assert leak["blame"]["path"]["holder"].startswith(holder)
