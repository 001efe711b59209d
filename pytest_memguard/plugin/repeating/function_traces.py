"""Takes back what plugins set on a test's function for each call of it.

Hypothesis notes settings there that refer to those of the call before: a test that is called
again and again would keep one more with every call, though it does nothing of the kind itself.
What the test sets while it runs stays.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

_MISSING: Final = object()


class FunctionTraces:
    """The attributes that a test's function gets before it runs.

    Args:
        item: the test.
    """

    def __init__(self, item: pytest.Item) -> None:
        function = getattr(item, "obj", None) if isinstance(item, pytest.Function) else None
        function = getattr(function, "__func__", function)
        attributes = getattr(function, "__dict__", None)
        # what stands for a function may be a class, whose attributes are not to be written
        self._attributes: dict[str, Any] = attributes if isinstance(attributes, dict) else {}
        self._before: dict[str, Any] = {}
        self._set: dict[str, Any] = {}

    def begin(self) -> None:
        """Note the attributes before anything is done for a call."""
        self._before = dict(self._attributes)
        self._set = {}

    def is_called(self) -> None:
        """Note what was set meanwhile: the function itself is called now."""
        self._set = {
            name: value
            for name, value in self._attributes.items()
            if self._before.get(name, _MISSING) is not value
        }

    def drop(self) -> None:
        """Take back what was set, unless the test has set it to something else."""
        for name, value in self._set.items():
            if self._attributes.get(name, _MISSING) is not value:
                continue
            if name in self._before:
                self._attributes[name] = self._before[name]
            else:
                del self._attributes[name]
        self._before = self._set = {}
