"""Tests of the words for why a peak may be higher than its value."""

from __future__ import annotations

from typing import get_args

import pytest

from pytest_memguard.judge.bound_reasons import REASONS, REMEDIES
from pytest_memguard.model.measurements import Bound


@pytest.mark.parametrize("bound", get_args(Bound))
def test_every_bound_has_words(bound) -> None:
    """A sentence can name each reason, and what helps, without a full stop."""
    assert REASONS[bound]
    assert not REASONS[bound].endswith(".")
    assert not REMEDIES[bound] or REMEDIES[bound].startswith("; ")


def test_no_words_without_a_bound() -> None:
    """Nothing has words that no peak can have as its reason."""
    assert set(REASONS) == set(REMEDIES) == set(get_args(Bound))
