"""Values of a report or a warning as plain ones, which another process can be sent."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any


def plain(value: Any) -> Any:
    """Return a value that consists of plain ones; the text of anything else.

    pytest-xdist refuses anything else.
    """
    kind = type(value)
    if value is None or kind in {bool, int, float, str, bytes}:
        return value
    if isinstance(value, Mapping):
        return {plain(key): plain(content) for key, content in value.items()}
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if isinstance(value, (list, AbstractSet)):
        return list(map(plain, value))
    return str(value)


def warning_to_plain(recorded: warnings.WarningMessage) -> dict[str, Any]:
    """Return a recorded warning as plain values."""
    message = recorded.message
    kind = type(message) if isinstance(message, Warning) else recorded.category
    return {
        "module": kind.__module__,
        "name": kind.__qualname__,
        "arguments": plain(getattr(message, "args", (message,))),
        "text": str(message),
        "filename": recorded.filename,
        "lineno": recorded.lineno,
        "line": recorded.line,
    }


def warning_from_plain(data: Mapping[str, Any]) -> warnings.WarningMessage:
    """Return a recorded warning; of the nearest category if its own is not known here."""
    kind = getattr(sys.modules.get(data["module"]), data["name"], None)
    message: Warning = UserWarning(data["text"])
    if isinstance(kind, type) and issubclass(kind, Warning):
        try:
            message = kind(*data["arguments"])
        except Exception:  # noqa: BLE001  its constructor may do anything
            message = UserWarning(data["text"])
    return warnings.WarningMessage(
        message=message,
        category=type(message),
        filename=data["filename"],
        lineno=data["lineno"],
        line=data["line"],
    )
