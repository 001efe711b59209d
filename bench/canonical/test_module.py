"""Budgets of a module on the whole of each test."""

from __future__ import annotations

import pytest
from memory import OVER, WITHIN, block

pytestmark = pytest.mark.mem_budget(15, phase="all")


@pytest.fixture
def half():
    """Keep half of the budget until the test has ended."""
    return block(7.5)


def test_over(half):
    """The marker of a module adds up what setup keeps and the call uses."""
    block(15 * OVER - 7.5)


def test_within(half):
    """A test passes within the budget of its module."""
    block(15 * WITHIN - 7.5)


class TestClass:
    """A class in the module."""

    def test_over(self, half):
        """The marker of a module covers the methods of its classes."""
        block(15 * OVER - 7.5)

    @pytest.mark.mem_budget(24, phase="all")
    def test_own_marker_within(self, half):
        """The closest marker wins."""
        block(24 * WITHIN - 7.5)
