"""Tests of values that another process can be sent."""

from __future__ import annotations

import enum
import marshal
import warnings
from pathlib import PurePosixPath

import pytest

from pytest_memguard.plugin.plain_values import plain, warning_from_plain, warning_to_plain


class Colour(enum.IntEnum):
    """A number that is no plain one."""

    RED = 1


class Named(UserWarning):
    """A warning that needs two arguments."""

    def __init__(self, first: str, second: str) -> None:
        """Keep both."""
        super().__init__(first, second)


class Odd(UserWarning):
    """A warning whose arguments do not show how it was made."""

    def __init__(self, *, text: str) -> None:
        """Keep the text."""
        super().__init__(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"a": [1, (2.5, None)]}, {"a": [1, (2.5, None)]}, id="plain"),
        pytest.param(PurePosixPath("a/b"), "a/b", id="path"),
        pytest.param([Colour.RED], [str(Colour.RED)], id="number-of-a-class"),
        pytest.param({"a": {1}}, {"a": [1]}, id="set"),
    ],
)
def test_plain(value, expected) -> None:
    """A value that is not plain becomes its text, as in a report of pytest-xdist."""
    result = plain(value)
    assert result == expected
    assert marshal.loads(marshal.dumps(result)) == expected  # noqa: S302  of our own


def recorded(message) -> warnings.WarningMessage:
    """A warning as it was recorded."""
    return warnings.WarningMessage(message, type(message), "t.py", 3, line="x = 1")


@pytest.mark.parametrize(
    ("message", "kind", "text"),
    [
        pytest.param(DeprecationWarning("old"), DeprecationWarning, "old", id="builtin"),
        pytest.param(Named("a", "b"), Named, "('a', 'b')", id="two-arguments"),
        pytest.param(Odd(text="odd"), UserWarning, "odd", id="cannot-be-made-again"),
    ],
)
def test_warnings(message, kind, text) -> None:
    """A warning arrives with its category where that can be made again, and with its place."""
    arrived = warning_from_plain(warning_to_plain(recorded(message)))
    assert (arrived.category, str(arrived.message)) == (kind, text)
    assert (arrived.filename, arrived.lineno, arrived.line) == ("t.py", 3, "x = 1")
