"""The functions that rewritten assertions call, which pytest keeps in a module of its own."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def quiet_assertions() -> Iterator[None]:
    """Report no assertions that hold; pytest has fetched that hook already."""
    util: Any = _module()
    original = getattr(util, "_assertion_pass", None)
    if original is None:
        yield
        return
    util._assertion_pass = None
    try:
        yield
    finally:
        util._assertion_pass = original


def assertion_hooks() -> tuple[Any, Any]:
    """What explains a comparison, and what gets each assertion that holds."""
    util = _module()
    return getattr(util, "_reprcompare", None), getattr(util, "_assertion_pass", None)


def set_assertion_hooks(hooks: tuple[Any, Any]) -> None:
    """Put back what `assertion_hooks` has returned."""
    util = _module()
    if util is not None:
        util._reprcompare, util._assertion_pass = hooks


def _module() -> Any:
    return sys.modules.get("_pytest.assertion.util")
