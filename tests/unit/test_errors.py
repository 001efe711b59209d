"""Tests of what the package raises and warns."""

from __future__ import annotations

import pickle

import pytest

import pytest_memguard
from pytest_memguard.errors import BudgetExceeded, ConfigError, Unmeasurable, quoted
from pytest_memguard.model.measurements import Budget, Finding

FINDING = Finding(rule="over-budget", budget=Budget(limit=1, where="the marker"))


def test_config_error_joins_its_problems() -> None:
    """All problems are kept apart, and read as one text."""
    error = ConfigError("size is wrong", "metric is wrong")
    assert error.problems == ("size is wrong", "metric is wrong")
    assert str(error) == "size is wrong; metric is wrong"


class Table:
    """A value that prints as several lines."""

    def __repr__(self) -> str:
        return "a  b\n1  2"


class Broken:
    """A value that cannot be printed."""

    def __repr__(self) -> str:
        raise AttributeError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("20  MBs", "'20  MBs'", id="text"),
        pytest.param("x" * 198, f"'{'x' * 198}'", id="longest"),
        pytest.param("x" * 199, f"'{'x' * 59}... (201 characters)", id="longer"),
        pytest.param(Table(), "a b 1 2", id="several-lines"),
        pytest.param(10**5000, "a value of type int", id="int-python-does-not-print"),
        pytest.param(Broken(), "a value of type Broken", id="value-that-cannot-be-printed"),
    ],
)
def test_quoted(value, text) -> None:
    """A message quotes any value within one line."""
    assert text == quoted(value)


def test_budget_exceeded_keeps_its_findings() -> None:
    """The failure is the text it was given; the findings stay with it."""
    error = BudgetExceeded("too much\nof it", [FINDING])
    assert str(error) == "too much\nof it"
    assert error.findings == (FINDING,)
    assert BudgetExceeded("too much").findings == ()


@pytest.mark.parametrize(
    ("kind", "parent"),
    [
        pytest.param(BudgetExceeded, AssertionError, id="a-breach-is-a-test-failure"),
        pytest.param(ConfigError, ValueError, id="a-bad-setting-is-a-bad-value"),
        pytest.param(Unmeasurable, RuntimeError, id="unmeasurable-is-no-failure"),
    ],
)
def test_errors_can_be_caught_as_usual(kind, parent) -> None:
    """Each error is one of the standard errors that code expects."""
    assert parent in kind.__mro__


@pytest.mark.parametrize(
    ("kind", "slug"),
    [
        pytest.param(BudgetExceeded, "over-budget", id="breach"),
        pytest.param(ConfigError, "bad-setting", id="setting"),
        pytest.param(Unmeasurable, "not-measured", id="unmeasurable"),
    ],
)
def test_errors_have_a_slug(kind, slug) -> None:
    """Each error names the paragraph of the docs about it."""
    assert slug == kind.slug


@pytest.mark.parametrize("name", sorted(pytest_memguard.__all__))
def test_public_names(name) -> None:
    """Every public name is exported, and an error's module is the public package."""
    value = getattr(pytest_memguard, name)
    assert name == value.__name__
    if isinstance(value, type) and issubclass(value, Exception):
        assert value.__module__ == "pytest_memguard"


def test_public_errors_survive_pickling() -> None:
    """An error that is raised in a worker process can be handed to its parent."""
    error = pickle.loads(pickle.dumps(ConfigError("one", "two")))  # noqa: S301
    assert error.problems == ("one", "two")


def test_version() -> None:
    """The version is the one of the installed distribution."""
    major, minor, *_ = pytest_memguard.__version__.split(".")
    assert (major + minor).isdecimal()


def test_unknown_public_name() -> None:
    """A name that does not exist is an AttributeError, as everywhere."""
    with pytest.raises(AttributeError, match="has no attribute 'stages'"):
        _ = pytest_memguard.stages
