"""pytest itself calls C functions that fail and lose nothing."""

import pytest


def test_numbers() -> None:
    """Words are no numbers."""
    pytest.raises(ValueError, int, "seven")
    pytest.raises(TypeError, sum, [1, "two"])
    pytest.raises(KeyError, {}.pop, "three")
