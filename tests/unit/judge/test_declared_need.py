"""Tests of what a test may use that declares a need."""

from __future__ import annotations

import pytest

from pytest_memguard.judge.declared_need import is_too_large, is_too_small, sentence
from pytest_memguard.sizes import MIB


@pytest.mark.parametrize(
    ("declared", "used", "small", "large"),
    [
        pytest.param(400, 400, False, False, id="right"),
        pytest.param(400, 600, False, False, id="half-more"),
        pytest.param(400, 601, True, False, id="more-than-half-more"),
        pytest.param(400, 200, False, False, id="half"),
        pytest.param(400, 199, False, True, id="less-than-half"),
        pytest.param(20, 4, False, False, id="small-and-less"),
        pytest.param(20, 36, False, False, id="small-and-more"),
        pytest.param(20, 37, True, False, id="small-and-much-more"),
    ],
)
def test_off_by_half(declared, used, small, large) -> None:
    """A need may differ from the use by half, or by 16 MiB."""
    assert small == is_too_small(declared * MIB, used * MIB)
    assert large == is_too_large(declared * MIB, used * MIB)


@pytest.mark.parametrize(
    ("at_most", "text"),
    [
        pytest.param(False, "mem_needs declares 4.0 MiB, and the test used 9.0 MiB", id="used"),
        pytest.param(
            True, "mem_needs declares 4.0 MiB, and the test used 9.0 MiB at most", id="at-most"
        ),
    ],
)
def test_sentence(at_most, text) -> None:
    """The sentence has both sizes, and says if the second is a bound."""
    assert text == sentence(4 * MIB, 9 * MIB, at_most=at_most)
