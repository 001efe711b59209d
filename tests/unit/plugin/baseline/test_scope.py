"""Tests of which tests a run could have seen: what was left out, and what a path covers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_memguard.plugin.baseline.scope import PART, Scope, is_whole_suite

ROOT = Path("/project")


def config(*, args=(), here=ROOT, workers=False, output=None, source="", **options) -> Any:
    """As much of pytest's configuration as is read."""
    made = SimpleNamespace(
        rootpath=ROOT,
        args=list(args) or [str(here)],
        args_source=SimpleNamespace(name=source),
        invocation_params=SimpleNamespace(dir=here),
        pluginmanager=SimpleNamespace(hasplugin=lambda name: workers and name == "dsession"),
        getoption=lambda name, default=None: options.get(name, default),
    )
    if output is not None:
        made.workeroutput = output
    return made


def session(*nodeids) -> Any:
    """A session that has collected these tests."""
    return SimpleNamespace(items=[SimpleNamespace(nodeid=nodeid) for nodeid in nodeids])


def collected(*nodeids, **more) -> Scope:
    """A scope that has seen these tests collected."""
    scope = Scope(config(**more))
    scope.pytest_collection_finish(session(*nodeids))
    return scope


def report(nodeid, *, failed) -> Any:
    """The report of a collector."""
    return SimpleNamespace(nodeid=nodeid, failed=failed)


def test_everything_was_seen() -> None:
    """Where no test was left out, missing tests can be reported as gone."""
    scope = collected("a", "b")
    assert (scope.partial(), scope.present) == ("", {"a", "b"})


def test_workers_that_see_the_same_are_kept_once() -> None:
    """Many workers with the same tests take no more memory than one."""
    scope = Scope(config(workers=True))
    for ids in (["a", "b"], ["b", "a"]):
        scope.pytest_xdist_node_collection_finished(ids)
    present = scope.present
    assert {"a", "b"} == present
    assert present is scope.present
    assert scope.partial() == ""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"keyword": "large"}, "-k was given", id="-k"),
        pytest.param({"markexpr": "slow"}, "-m was given", id="-m"),
        pytest.param({"lf": True}, "--lf was given", id="--lf"),
        pytest.param({"stepwise": True}, "--sw was given", id="--sw"),
        pytest.param({"ignore": ["a.py"]}, "--ignore was given", id="--ignore"),
        pytest.param({"ignore_glob": ["*a"]}, "--ignore-glob was given", id="--ignore-glob"),
        pytest.param({"deselect": ["a.py::a"]}, "--deselect was given", id="--deselect"),
        pytest.param({"pyargs": True}, "--pyargs was given", id="--pyargs"),
        pytest.param({"keyword": "", "lf": False, "ignore": None}, "", id="none"),
        pytest.param({"verbose": 2, "maxfail": 1}, "", id="others"),
    ],
)
def test_options_that_pick(options, expected) -> None:
    """An option that picks tests is named."""
    assert expected == collected("a", **options).partial()


def test_deselected() -> None:
    """Deselected tests make a run partial; a plugin that deselects none does not."""
    scope = collected("a")
    scope.pytest_deselected([])
    assert scope.partial() == ""
    scope.pytest_deselected(session("b").items)
    assert scope.partial() == "tests were deselected"


@pytest.mark.parametrize(
    ("nodeid", "expected"),
    [
        pytest.param("a.py", "a.py could not be collected", id="file"),
        pytest.param("", "the collection could not be collected", id="no-name"),
    ],
)
def test_what_could_not_be_collected(nodeid, expected) -> None:
    """A file that cannot be imported may have had any test."""
    scope = collected("a")
    scope.pytest_collectreport(report("b.py", failed=False))
    assert scope.partial() == ""
    scope.pytest_collectreport(report(nodeid, failed=True))
    assert expected == scope.partial()


def test_nothing_was_collected() -> None:
    """Before the collection no statement is possible."""
    assert Scope(config()).partial() == "no test was collected"


def test_a_worker_reports_to_the_controller() -> None:
    """A worker keeps nothing; it sends what it left out with its output."""
    output: dict[str, Any] = {}
    worker = Scope(config(output=output))
    worker.pytest_deselected(session("b").items)
    worker.pytest_collection_finish(session("a"))
    assert output == {PART: "tests were deselected"}
    assert worker.present == frozenset()

    controller = Scope(config(workers=True))
    controller.pytest_collection_finish(session())  # it collects nothing itself
    assert controller.partial() == "no test was collected"
    controller.pytest_xdist_node_collection_finished(["a"])
    controller.pytest_testnodedown(SimpleNamespace(workeroutput=output))
    controller.pytest_testnodedown(SimpleNamespace(workeroutput={PART: ""}))  # another one
    assert controller.partial() == "tests were deselected"
    assert controller.present == {"a"}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param((["a", "b"], ["b", "a"]), "", id="alike"),
        pytest.param(
            (["a"], ["a", "b"]),
            "the workers of xdist have collected different tests",
            id="different",
        ),
    ],
)
def test_workers(seen, expected) -> None:
    """Workers must have collected the same; a test that one of them has is there."""
    controller = Scope(config(workers=True))
    for ids in seen:
        controller.pytest_xdist_node_collection_finished(ids)
        controller.pytest_testnodedown(SimpleNamespace())  # a worker that died has no output
    assert expected == controller.partial()
    assert controller.present == {"a", "b"}


@pytest.mark.parametrize(
    ("args", "here", "expected"),
    [
        pytest.param(["."], "", True, id="root"),
        pytest.param([str(ROOT)], "tests", True, id="root-as-a-whole-path"),
        pytest.param([".."], "tests", True, id="root-from-below"),
        pytest.param(["tests"], "", True, id="folder"),
        pytest.param(["tests/"], "", True, id="folder-with-a-slash"),
        pytest.param(["test"], "", False, id="beginning-of-a-folder's-name"),
        pytest.param(["unit"], "tests", True, id="folder-from-below"),
        pytest.param(["unit"], "", False, id="folder-of-that-name-elsewhere"),
        pytest.param(["tests/unit/test_a.py"], "", True, id="file"),
        pytest.param(["tests/unit/test_a"], "", False, id="beginning-of-a-file's-name"),
        pytest.param(["tests/unit/test_b.py"], "", False, id="other-file"),
        pytest.param(["other", "tests"], "", True, id="second-of-two"),
        pytest.param(["tests/unit/test_a.py::TestA"], "", True, id="class"),
        pytest.param(["tests/unit/test_a.py::Test"], "", False, id="beginning-of-a-class"),
        pytest.param(["tests/unit/test_a.py::TestA::test_a"], "", True, id="function"),
        pytest.param(["tests/unit/test_a.py::TestA::test_a[1]"], "", True, id="itself"),
        pytest.param(["tests/unit/test_a.py::TestA::test_a[2]"], "", False, id="other-case"),
        pytest.param(["tests/unit/test_a.py::TestA::test_b"], "", False, id="other-test"),
    ],
)
def test_covers(args, here, expected) -> None:
    """A path of the command line covers what would have been collected under it."""
    scope = Scope(config(args=args, here=ROOT / here))
    assert scope.covers("tests/unit/test_a.py::TestA::test_a[1]") is expected


@pytest.mark.parametrize(
    ("options", "source", "expected"),
    [
        pytest.param({}, "INVOCATION_DIR", True, id="everything"),
        pytest.param({}, "TESTPATHS", True, id="testpaths"),
        pytest.param({}, "ARGS", False, id="paths"),
        pytest.param({"keyword": "a"}, "TESTPATHS", False, id="-k"),
        pytest.param({"markexpr": "a"}, "INVOCATION_DIR", False, id="-m"),
    ],
)
def test_whole_suite(options, source, expected) -> None:
    """A run without paths, -k and -m is one of the whole suite."""
    assert is_whole_suite(config(source=source, **options)) is expected
