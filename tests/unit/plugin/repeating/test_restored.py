"""What is done so that repetitions of a test begin alike."""

from __future__ import annotations

import os
import sys

import pytest

from pytest_memguard.plugin.repeating.restored import enlarge_environ


@pytest.mark.parametrize("count", [0, 1, 10, 30, 43, 60, 85, 86, 200])
def test_environ_keeps_its_size_afterwards(count, monkeypatch):
    """A key that is added and removed makes the dict of variables larger only before."""
    encode = os.environ.encodekey
    variables = {encode(f"V{number}"): encode("x") for number in range(count)}
    expected = dict(variables)
    monkeypatch.setattr(os.environ, "_data", variables)
    enlarge_environ()
    size = sys.getsizeof(variables)
    for _ in range(1000):
        variables[encode("PYTEST_CURRENT_TEST")] = encode("y")
        del variables[encode("PYTEST_CURRENT_TEST")]
    assert sys.getsizeof(variables) == size
    assert variables == expected


def test_environ_that_has_changed_is_enlarged_again(monkeypatch):
    """Variables that come or go between two tests count as much as those before the first."""
    encode = os.environ.encodekey
    variables = {encode(f"V{number}"): encode("x") for number in range(60)}
    monkeypatch.setattr(os.environ, "_data", variables)
    enlarge_environ()
    for number in range(60, 86):
        variables[encode(f"V{number}")] = encode("x")
    enlarge_environ()
    size = sys.getsizeof(variables)
    for _ in range(1000):
        variables[encode("PYTEST_CURRENT_TEST")] = encode("y")
        del variables[encode("PYTEST_CURRENT_TEST")]
    assert sys.getsizeof(variables) == size
