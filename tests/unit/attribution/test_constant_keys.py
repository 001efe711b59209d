"""Tests of keys that are the same in every run."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from pytest_memguard.attribution.constant_keys import is_constant

SOURCE = """
class Users: pass
QUEUES = {"high": [], 'low': []}
def add(item): QUEUES["app/json"].append(item); QUEUES.get(7, []).append(item)
SEEN = [11]
"""


@pytest.fixture
def _app(monkeypatch, tmp_path):
    """A module of the project."""
    module = ModuleType("app_with_queues")
    module.__file__ = str(tmp_path / "app_with_queues.py")
    (tmp_path / "app_with_queues.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.setitem(sys.modules, "app_with_queues", module)


@pytest.mark.usefixtures("_app")
@pytest.mark.parametrize(
    ("key", "constant"),
    [
        pytest.param("high", True, id="text"),
        pytest.param("low", True, id="other-quotes"),
        pytest.param("app/json", True, id="no-identifier"),
        pytest.param("Users", True, id="class"),
        pytest.param("app_with_queues", True, id="module"),
        pytest.param(7, True, id="number"),
        pytest.param(11, False, id="number-of-something-else"),
        pytest.param("7", False, id="number-as-text"),
        pytest.param("SEUEUQ"[::-1], False, id="variable"),
        pytest.param("gih"[::-1], False, id="part-of-a-text"),
        pytest.param("b2a1c0f5"[::-1], False, id="not-in-the-source"),
        pytest.param("nosj/ppa/"[::-1], False, id="path"),
        pytest.param("it's", False, id="quote"),
        pytest.param("x" * 101, False, id="long"),
        pytest.param(True, False, id="no-number"),
        pytest.param(("high",), False, id="tuple"),
    ],
)
def test_constant_keys(key, constant) -> None:
    """A text is constant if the source has it, a number if it is a key of the same dict.

    Texts that are in no source are not spelled out here: this module belongs to the project.
    """
    assert is_constant(key, "app_with_queues.QUEUES") is constant


@pytest.mark.usefixtures("_app")
def test_the_name_of_a_worker(monkeypatch) -> None:
    """The name that pytest-xdist gives to the process differs in another run."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "high")
    assert not is_constant("high", "app_with_queues.QUEUES")
