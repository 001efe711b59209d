"""Results of tests that ran in another process, and what runs without one are spared."""

from __future__ import annotations

import json
import os

import pytest

FORKS = """
    import os
    import pickle

    import pytest
    from _pytest.runner import runtestprotocol

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(item, nextitem):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            reports = runtestprotocol(item, log=False, nextitem=nextitem)
            plain = [report._to_json() for report in reports]
            os.write(writing, pickle.dumps(plain))
            os._exit(0)
        os.close(writing)
        with open(reading, "rb") as file:
            plain = pickle.load(file)
        os.waitpid(child, 0)
        for data in plain:
            report = pytest.TestReport._from_json(data)
            item.ihook.pytest_runtest_logreport(report=report)
        return True
"""
LISTENS = """
    import pytest

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(report):
        pass

    def pytest_sessionfinish(session):
        hooks = session.config.hook.pytest_runtest_logreport.get_hookimpls()
        with open("hooks.txt", "w") as file:
            print(*(one.plugin_name for one in hooks), file=file)
"""
SUITE = "def test_a(): pass\ndef test_b(): pass"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the suite forks")
def test_tests_in_forked_children(pytester, run) -> None:
    """What a test used is known although another plugin ran it in a child of its own."""
    pytester.makeconftest(FORKS)
    run(SUITE, "--mem-json=out.json").assert_outcomes(passed=2)
    tests = json.loads((pytester.path / "out.json").read_text())["tests"]
    assert [test["nodeid"] for test in tests] == ["test_it.py::test_a", "test_it.py::test_b"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param(["--mem"], False, id="one-process"),
        pytest.param(["--mem", "-n1"], True, id="workers"),
    ],
)
def test_no_hook_without_another_process(pytester, run, flags, expected) -> None:
    """Where no report can come from elsewhere, none is looked at."""
    pytester.makeconftest(LISTENS)
    run(SUITE, *flags, plugins=["xdist.plugin"]).assert_outcomes(passed=2)
    hooks = (pytester.path / "hooks.txt").read_text().split()
    assert expected == ("memguard-foreign-reports" in hooks)
