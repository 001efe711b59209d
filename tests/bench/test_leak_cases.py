"""The cases of the leak benchmark: ordinary tests that pass, and a manifest that fits them."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

LEAKS = Path(__file__).parents[2] / "bench" / "leaks"


@pytest.fixture(scope="module")
def manifest() -> ModuleType:
    """The benchmark's manifest."""
    return load("manifest")


def load(name: str) -> ModuleType:
    """Import a module of the benchmark, which is a folder of scripts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(LEAKS)
        return importlib.import_module(name)


def test_enough_cases(manifest):
    """There are as many of each kind as the description says."""
    text = (LEAKS.parent / "README.md").read_text(encoding="utf-8")
    leaking, innocent = len(manifest.LEAKING), len(manifest.INNOCENT)
    assert f"{leaking} cases leak and {innocent} do not" in text


def test_files_and_manifest_agree(manifest):
    """Every file is in the manifest, and every case of the manifest has a file."""
    files = set(manifest.CASES.glob("*/test_*.py"))
    paths = [case.path for case in manifest.cases()]

    assert files == set(paths)
    assert len(files) == len(paths) == len({path.name for path in paths})


def test_one_test_each(manifest):
    """Every case has one test, a plain function."""
    for case in manifest.cases():
        tree = ast.parse(case.path.read_text())
        tests = [
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and node.name.lower().startswith("test")
        ]
        assert len(tests) == 1, case.name


def test_marked_lines(manifest):
    """Leaking cases mark the lines that allocate, innocent ones have nothing to mark."""
    for case in manifest.cases():
        assert case.leaks is bool(case.lines), case.name


def test_names_of_the_case(manifest):
    """Types and holders that are said to be the case's own are names of its module."""
    for case in manifest.LEAKING:
        tree = ast.parse(case.path.read_text())
        known = {node.name for node in tree.body if hasattr(node, "name")}
        for node in tree.body:
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            known |= {target.id for target in targets if isinstance(target, ast.Name)}
        own = {name for name in (*case.types, *case.holders) if name.startswith(".")}
        # of a name in a class, the class
        assert {name.split(".")[1].partition(",")[0] for name in own} <= known, case.name


def test_unknown_names(manifest):
    """A name that no case has is refused."""
    with pytest.raises(ValueError, match="no such case: nothing"):
        manifest.cases(frozenset({"nothing"}))


@pytest.mark.skipif(sys.platform == "win32", reason="pages, pipes and sleep are POSIX's")
def test_cases_pass(manifest, tmp_path):
    """Every case is a short test that passes; those in C where a compiler is."""
    missing = load("extension").build(tmp_path)
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-c", str(tmp_path / "pytest.ini"), "-vv"]
    plugins = ["-pno:cacheprovider", "-pno:memray", "-pno:randomly", "-pno:xdist"]
    reporting = ["--durations=0", "--durations-min=1", str(manifest.CASES)]
    done = subprocess.run(
        [*command, *plugins, *reporting],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    native = sum(case.native for case in manifest.cases())
    passed = len(list(manifest.cases())) - (native if missing else 0)
    assert f"{passed} passed" in done.stdout.splitlines()[-1]
    slow = [line for line in done.stdout.splitlines() if "s call  " in line]
    assert slow == [], "a case takes far more than 50 ms"
