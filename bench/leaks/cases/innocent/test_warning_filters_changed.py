"""Adds filters for warnings of a class that is new each time; pytest takes them out."""

import warnings

import pytest


def test_filters() -> None:
    """A warning is an error now."""

    class SlowWarning(UserWarning):
        pass

    warnings.simplefilter("error", SlowWarning)
    warnings.filterwarnings("ignore", message="shop", category=SlowWarning)
    with pytest.raises(SlowWarning):
        warnings.warn("slow", SlowWarning, stacklevel=1)
