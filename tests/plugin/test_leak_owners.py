"""What pytest and its plugins keep of every test is no leak of it; a line decides nothing."""

from __future__ import annotations

import sys

import pytest

from tests.plugin.leaky import JSON

CHECK = ("--mem-leak-check", "--mem-leak-calls=120")

LOSE = """
    import collections, ctypes, functools, itertools, pytest, warnings

    LOSE = ctypes.pythonapi.Py_IncRef
    LOSE.argtypes = [ctypes.py_object]

    def lost():
        return map(LOSE, zip("abc", "def"))
"""
CALLED_BY_PYTEST = {
    "finalizer": """
    def test_it(request):
        request.addfinalizer(functools.partial(collections.deque, lost(), 0))
""",
    "raises": """
    def test_it():
        pytest.raises(TypeError, sum, lost(), [])
""",
    "warns": """
    def test_it():
        told = itertools.chain(map(warnings.warn, ["a"]), lost())
        pytest.warns(UserWarning, collections.deque, told, 0)
""",
}


@pytest.mark.parametrize("source", CALLED_BY_PYTEST.values(), ids=CALLED_BY_PYTEST)
def test_c_code_that_pytest_calls(run, written, source):
    """A leak in C code that pytest itself calls is the test's: nothing of pytest holds it."""
    run(LOSE + source, *CHECK, JSON).assert_outcomes(failed=1)
    leak = written()["test_it"]["leak"]
    assert leak["verdict"]["state"] == "leaking"


KEEPER = """
    import pytest

    class Keeper:
        def __init__(self):
            self.seen = []

        def pytest_runtest_teardown(self, item):
            self.seen.append([item.nodeid + str(len(self.seen))])

    REGISTRY = []

    def pytest_configure(config):
        config.pluginmanager.register(Keeper(), "keeper")
"""


def test_what_a_plugin_keeps(pytester, run, written):
    """It is left out, and the section says so; a leak beside it is found."""
    pytester.makeconftest(KEEPER)
    result = run(
        """
        import conftest

        def test_clean():
            pass

        def test_leak():
            conftest.REGISTRY.append(object())
        """,
        *CHECK,
        JSON,
    )
    result.assert_outcomes(passed=1, failed=1)
    tests = written()
    assert tests["test_clean"]["leak"]["verdict"]["state"] == "clean"
    (kept,) = tests["test_clean"]["leak"]["kept"]
    assert kept["owner"] == "plugin keeper"
    diagnosis = tests["test_leak"]["leak"]["blame"]
    assert diagnosis["path"]["holder"] == "conftest.REGISTRY"
    result.stdout.fnmatch_lines(["kept by plugin keeper: 3 blocks per call, not counted (*"])


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 12), reason="CPython 3.12 keeps the name of every import itself"
)
def test_what_pytest_keeps(run, written):
    """The names of modules that assertion rewriting remembers are pytest's own."""
    result = run(
        """
        import importlib
        import itertools
        import sys

        N = itertools.count()

        def test_it(tmp_path):
            name = f"made_{next(N)}"
            (tmp_path / f"{name}.py").write_text("x = 1")
            sys.path.insert(0, str(tmp_path))
            importlib.invalidate_caches()
            assert importlib.import_module(name).x == 1
            sys.path.remove(str(tmp_path))
            del sys.modules[name]
        """,
        *CHECK,
        JSON,
    )
    assert written()["test_it"]["leak"]["verdict"]["state"] in {"clean", "settling"}
    result.stdout.fnmatch_lines(["kept by pytest: 1 block per call, not counted (1 test)"])


def test_a_conftest_is_the_projects_own(pytester, run):
    """What a fixture of the session keeps for the project is a leak of the test that adds."""
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def registry():
            return []
        """
    )
    result = run("def test_it(registry): registry.append(object())", *CHECK, "-rf")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["FAILED *held by fixture registry*"])
