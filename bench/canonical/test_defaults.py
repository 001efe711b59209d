"""Budgets from the command line, the config file, and markers on classes and modules."""

from __future__ import annotations

import pytest
from memory import OVER, WITHIN, block, medium_blocks


def test_default_over():
    """--mem-budget holds for a test without a marker."""
    block(24 * OVER)


def test_default_within():
    """--mem-budget lets a test pass that uses less."""
    block(24 * WITHIN)


def test_pattern_over():
    """A pattern of mem_budgets comes before --mem-budget."""
    medium_blocks(8 * OVER)


def test_pattern_within():
    """A test passes within the limit of its pattern."""
    medium_blocks(8 * WITHIN)


class TestPattern:
    """A class that a pattern names."""

    def test_over(self):
        """The pattern of a class covers its methods."""
        block(12 * OVER)

    def test_method_over(self):
        """The last pattern that matches wins."""
        block(18 * OVER)

    def test_method_within(self):
        """The last pattern that matches wins, also where it allows more."""
        block(18 * WITHIN)


@pytest.mark.mem_budget(10)
class TestMarked:
    """A class with a marker."""

    def test_over(self):
        """The marker of a class covers its methods."""
        block(10 * OVER)

    def test_within(self):
        """A method passes within the budget of its class."""
        block(10 * WITHIN)

    @pytest.mark.mem_budget(20)
    def test_own_marker_over(self):
        """The closest marker wins."""
        block(20 * OVER)

    @pytest.mark.mem_budget(20)
    def test_own_marker_within(self):
        """The closest marker wins, also where it allows more."""
        block(20 * WITHIN)

    @pytest.mark.mem_budget(5, metric="heap")
    def test_second_budget_over(self):
        """A budget on another metric holds besides that of the class."""
        block(5 * OVER)

    @pytest.mark.mem_budget(0)
    def test_none_within(self):
        """A limit of 0 takes the budget of the class away."""
        block(30)
