"""Keeps an object on every call and hides all there are from the collector."""

import gc


class Model:
    """Is to stay."""


_MODELS: list[Model] = []


def load() -> int:
    """Load a model before a fork."""
    _MODELS.append(Model())  # LEAK
    gc.freeze()
    return len(_MODELS)


def test_load() -> None:
    """There is a model."""
    assert load() > 0
