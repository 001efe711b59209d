"""Tests of budgets that are put into config files."""

from __future__ import annotations

import configparser
import tomllib

import pytest

from pytest_memguard.errors import ConfigError
from pytest_memguard.storage.config_files import config_file, with_budgets

LINES = ["** = 4 MiB", "tests/test_a.py::test_x[a-b] = 20 MiB"]
INI = "[pytest]"
TOML = "[tool.pytest.ini_options]"


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        pytest.param("", {}, id="new"),
        pytest.param("[pytest]\naddopts = -q\n", {"addopts": "-q"}, id="section"),
        pytest.param(
            "[tox]\nenv = a\n\n[pytest]\nmem_budgets =\n    a = 1\n    b = 2\naddopts = -q\n"
            "\n[other]\nx = 1\n",
            {"addopts": "-q"},
            id="in-place-of-others",
        ),
    ],
)
def test_ini(before, kept) -> None:
    """A parser reads the new budgets, and everything else as before."""
    text = with_budgets(before, INI, LINES)
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.read_string(text)
    read = dict(parser["pytest"])
    assert read.pop("mem_budgets").strip().splitlines() == LINES
    assert kept == read
    assert text == with_budgets(text, INI, LINES)
    others = [name for name in ("tox", "other") if f"[{name}]" in before]
    assert others == [name for name in parser.sections() if name != "pytest"]


@pytest.mark.parametrize(
    "before",
    [
        "",
        '[project]\nname = "a"\n',
        f'[project]\nname = "a"\n\n{TOML}\nmem_budgets = ["a = 1"]\naddopts = "-q"\n',
        f'{TOML}\nmem_budgets = [\n    "a = 1",\n]\n\n[tool.ruff]\nline-length = 90\n',
    ],
    ids=["new", "no-section", "one-line", "several-lines"],
)
def test_toml(before) -> None:
    """A TOML file has them as a list, and everything else as before."""
    text = with_budgets(before, TOML, LINES)
    read, old = tomllib.loads(text), tomllib.loads(before)
    assert read["tool"]["pytest"]["ini_options"].pop("mem_budgets") == LINES
    old.setdefault("tool", {}).setdefault("pytest", {}).setdefault("ini_options", {})
    old["tool"]["pytest"]["ini_options"].pop("mem_budgets", None)
    assert old == read
    assert text == with_budgets(text, TOML, LINES)


@pytest.mark.parametrize(
    ("files", "name", "section"),
    [
        pytest.param({}, "pytest.ini", INI, id="none"),
        pytest.param({"pyproject.toml": ""}, "pyproject.toml", TOML, id="no-section"),
        pytest.param({"pyproject.toml": "", "tox.ini": "[pytest]\n"}, "tox.ini", INI, id="tox"),
        pytest.param({"setup.cfg": "[tool:pytest]\n"}, "setup.cfg", "[tool:pytest]", id="cfg"),
        pytest.param(
            {"pytest.ini": "[pytest]\n", "pyproject.toml": f"{TOML}\n"},
            "pytest.ini",
            INI,
            id="the-first",
        ),
    ],
)
def test_file(tmp_path, files, name, section) -> None:
    """The file is the one that pytest reads."""
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    path, found, _ = config_file(tmp_path)
    assert (name, section) == (path.name, found)


@pytest.mark.parametrize(
    ("name", "text"), [("pytest.toml", "[pytest]\n"), ("pyproject.toml", "[tool.pytest]\n")]
)
def test_files_that_are_not_edited(tmp_path, name, text) -> None:
    """A file of another form is left alone."""
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match="cannot be edited"):
        config_file(tmp_path)
