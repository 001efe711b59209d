"""The idle plugin: where nothing is asked for, nothing of it runs and little is loaded."""

from __future__ import annotations

import json
from importlib.metadata import entry_points

import pytest

REPORT = """
    import json
    import sys

    import pytest

    AROUND_A_TEST = (
        "pytest_runtest_", "pytest_pyfunc_call", "pytest_fixture_", "pytest_report_teststatus"
    )

    def ours(implementation):
        function = implementation.function
        return getattr(function, "__module__", "").startswith("pytest_memguard")

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(config):
        hooks = [
            name
            for name, caller in vars(config.hook).items()
            if name.startswith(AROUND_A_TEST) and any(map(ours, caller.get_hookimpls()))
        ]
        with open("idle.json", "w") as file:
            json.dump({"modules": sorted(sys.modules), "hooks": hooks}, file)
"""
SUITE = """
    import pytest

    @pytest.fixture
    def fixture():
        pass

    @pytest.mark.parametrize("n", range(3))
    def test_it(fixture, n):
        pass
"""
# What a run in which every test keeps its budget has no use for.
NOT_QUIET = {
    "email.parser",
    "fractions",
    "memray",
    "pickle",
    "platform",
    "pytest_memguard.attribution",
    "pytest_memguard.forking.fork_server",
    "pytest_memguard.forking.isolation",
    "pytest_memguard.model.leaks",
    "pytest_memguard.plugin.ci",
    "pytest_memguard.plugin.fixture",
    "pytest_memguard.plugin.repeating.leakhooks",
    "pytest_memguard.measure.stream",
    "pytest_memguard.report",
    "pytest_memguard.storage.known_leaks",
    "pytest_memguard.codecs.run_codec",
    "sqlite3",
    "sysconfig",
    "tabulate",
    "tracemalloc",
    "wcwidth",
}
HEAVY = {
    "ctypes",
    "memray",
    "psutil",
    "psycopg",
    "resource",
    "sqlalchemy",
    "sqlite3",
    "tabulate",
    "tracemalloc",
}


@pytest.mark.parametrize(
    ("source", "flags"),
    [
        pytest.param(SUITE, (), id="nothing-asked"),
        pytest.param(
            f"{SUITE}\n    pytestmark = pytest.mark.mem_budget(9)", ("--no-mem",), id="off"
        ),
    ],
)
def test_idle(pytester, run, source, flags):
    """Nothing beyond the options is imported, and no hook of ours is called around a test."""
    pytester.makeconftest(REPORT)
    found = {}
    for without in (True, False):
        result = run(source, *(() if without else flags), without=without, subprocess=True)
        result.assert_outcomes(passed=3, warnings=int(without and bool(flags)) * 1)
        found[without] = json.loads((pytester.path / "idle.json").read_text())
    assert found[False]["hooks"] == []
    loaded = set(found[False]["modules"])
    added = loaded - set(found[True]["modules"])
    assert not added & HEAVY
    if not flags:
        assert {
            "pytest_memguard",
            "pytest_memguard.option_table",
            "pytest_memguard.plugin",
            "pytest_memguard.plugin.hooks",
            "pytest_memguard.plugin.hookspecs",
            "pytest_memguard.plugin.names",
            "pytest_memguard.plugin.options",
        } == added - {"_typing"}


@pytest.mark.parametrize(
    ("flags", "needed"),
    [
        pytest.param(("--mem-budget=500",), set(), id="budget"),
        pytest.param(
            ("--mem",),
            {"pytest_memguard.model.leaks", "pytest_memguard.report", "tabulate", "wcwidth"},
            id="report",
        ),
    ],
)
def test_quiet(pytester, run, monkeypatch, flags, needed):
    """A run in which every test keeps its budget loads what measures, and nothing else."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    pytester.makeconftest(REPORT)
    loaded = {}
    for without in (True, False):
        result = run(SUITE, *(() if without else flags), without=without, subprocess=True)
        result.assert_outcomes(passed=3)
        loaded[without] = set(json.loads((pytester.path / "idle.json").read_text())["modules"])
    assert (loaded[False] - loaded[True]) & NOT_QUIET <= needed


REWRITTEN = """
    import sys

    def pytest_unconfigure(config):
        hook = type(config.pluginmanager.rewrite_hook)
        names = [name for name in sys.modules if name.startswith("pytest_memguard")]
        found = [name for name in names if type(sys.modules[name].__loader__) is hook]
        with open("rewritten.txt", "w") as file:
            print(len(names), *sorted(found), file=file)
"""


def test_no_assertions_are_rewritten(pytester, monkeypatch):
    """Pytest rewrites what it loads before it can be kept from that, and no other module."""
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
    monkeypatch.delenv("PYTEST_PLUGINS", raising=False)
    pytester.makeconftest(REWRITTEN)
    pytester.makepyfile(SUITE)
    others = {point.name for point in entry_points(group="pytest11")} - {"memguard"}
    result = pytester.runpytest_subprocess("--mem", *(f"-pno:{name}" for name in others))
    result.assert_outcomes(passed=3)
    count, *found = (pytester.path / "rewritten.txt").read_text().split()
    assert found == ["pytest_memguard", "pytest_memguard.plugin"]
    assert int(count) > 100


def test_awake(pytester, run):
    """The check above sees hooks and modules once a marker asks for them."""
    pytester.makeconftest(REPORT)
    run(f"{SUITE}\n    pytestmark = pytest.mark.mem_budget(9)", subprocess=True)
    found = json.loads((pytester.path / "idle.json").read_text())
    assert {"pytest_runtest_setup", "pytest_runtest_call"} <= set(found["hooks"])
    assert "psutil" in found["modules"]


@pytest.mark.parametrize(
    ("flags", "reported"), [((), False), (("--mem-budget=500",), True), (("--mem",), True)]
)
def test_nothing_is_added_to_reports_unless_asked(pytester, run, flags, reported):
    """JUnit XML has properties of ours only where something is measured."""
    run(SUITE, "--junitxml=out.xml", *flags, subprocess=not flags)
    assert reported == ("memguard_peak_bytes" in (pytester.path / "out.xml").read_text())


NOTES = """
    import json
    import sys

    import pytest

    loaded = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup():
        loaded.append(set(sys.modules))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown():
        yield
        loaded.append(set(sys.modules))
        with open("late.json", "w") as file:
            json.dump(sorted(loaded[-1] - loaded[0]), file)
"""


@pytest.mark.parametrize(
    ("source", "flags"),
    [
        pytest.param(SUITE, ("--mem-budget=500",), id="budget"),
        pytest.param(
            "def test(): bytearray(30 << 20)",
            ("--mem-budget=20", "--mem-confirm=0"),
            id="breach",
        ),
        pytest.param(SUITE, ("--mem",), id="report"),
        pytest.param(
            """
            def test(memguard):
                with memguard.stage("a", budget=50), memguard.measure():
                    memguard.snapshot()
            """,
            (),
            id="fixture",
        ),
        pytest.param(
            """
            from pytest_memguard import stage

            def test():
                with stage("a"):
                    pass
            """,
            ("--mem",),
            id="stage",
        ),
        pytest.param(
            """
            import pytest

            @pytest.mark.mem_budget(50, metric="python")
            @pytest.mark.mem_budget(50, phase="all")
            def test():
                pass
            """,
            (),
            id="other-metrics",
        ),
    ],
)
def test_nothing_is_loaded_while_tests_are_measured(pytester, run, source, flags):
    """What measures a test is there before it: its memory would seem to be the test's."""
    pytester.makeconftest(NOTES)
    run(source, *flags, subprocess=True)
    late = json.loads((pytester.path / "late.json").read_text())
    # once a phase has ended
    reporting = ("pytest_memguard.report", "pytest_memguard.model.leaks")
    ours = {name for name in late if name.startswith("pytest_memguard.")}
    ours = {name for name in ours if not name.startswith(reporting)}
    assert set() == ours | {"psutil", "tracemalloc", "ctypes"} & set(late)
