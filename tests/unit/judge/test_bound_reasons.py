"""Tests of the words for why a peak may be higher than its value."""

from __future__ import annotations

from typing import get_args

import pytest

from pytest_memguard.judge.bound_reasons import REASONS, REMEDIES
from pytest_memguard.model.measurements import Bound


@pytest.mark.parametrize("bound", get_args(Bound))
def test_every_bound_has_words(bound) -> None:
    """Each reason can be part of a sentence, as can its remedy, without a full stop."""
    assert REASONS[bound]
    assert not REASONS[bound].endswith(".")
    assert not REMEDIES[bound] or REMEDIES[bound].startswith("; ")


def test_no_words_without_a_bound() -> None:
    """There are words for exactly the reasons that a peak can have."""
    assert set(REASONS) == set(REMEDIES) == set(get_args(Bound))
