"""Values in pytest's cache, which is not there before pytest is configured."""

from __future__ import annotations

import json

import pytest
from _pytest.cacheprovider import Cache


def cached_value(config: pytest.Config, key: str) -> object:
    """Return a value that an earlier run has stored; ``None`` if there is none.

    Args:
        config: the configuration of pytest.
        key: name of the value.
    """
    if config.getoption("cacheclear", default=True):  # or there is no cache
        return None
    folder = Cache.cache_dir_from_config(config, _ispytest=True)
    try:
        text = folder.joinpath("v", *key.split("/")).read_text("utf-8")
        value: object = json.loads(text)
    except (OSError, ValueError):
        return None
    return value
