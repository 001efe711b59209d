"""Finds out which keys of a dict are written in the source code: they name the same leak.

A dict of the project may have a list for each of its queues, and two leaks that add to two of
them are not one. But a key that is made while the tests run, such as a path or the id of an
object, would give a leak another name in the next run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.leak_lines import is_installed, is_named

_LONGEST: Final = 100
_UNQUOTED: Final = re.compile(r"[^\[\]'\"\\]+")
"""Keys that are written as they are, and can be taken out of a name again."""
_MOST_ASKED: Final = 256
_MOST_BYTES: Final = 1 << 25
"""The most bytes of source code that are read for one key."""
_WORKER: Final = ("PYTEST_XDIST_WORKER", "master")
"""The variable with what pytest-xdist calls a process, and what it calls the only one."""


def is_constant(key: object, name: str) -> bool:
    """Return whether a key is the same in every run, as far as the source code shows.

    A text has to be written in the project, or in the package of the holder, or be the name of
    a module. Numbers are written everywhere, so one has to be written as a key of the holder.

    Args:
        key: the key.
        name: the name of the dict: ``app.QUEUES``.
    """
    if raw.is_exactly(key, int):
        return _is_written(repr(key), name, as_text=False)
    if not raw.is_exactly(key, str):
        return False
    text = str(key)
    if len(text) > _LONGEST or not _UNQUOTED.fullmatch(text) or not text.isprintable():
        return False
    if text == os.environ.get(*_WORKER):
        return False
    return _is_written(text, name, as_text=True)


@lru_cache(maxsize=_MOST_ASKED)
def _is_written(key: str, name: str, *, as_text: bool) -> bool:
    package, container = name.partition(".")[0], re.search(r"\w+$", name)
    quoted = rf"(['\"]){re.escape(key)}\1" if as_text else f"(){re.escape(key)}"
    if as_text and re.search(r"[^\W\d]", key):
        if key in dict(raw.modules()):
            return True
        wanted = quoted
        if key.isidentifier():
            wanted += rf"|\b(?:class|def)\s+{key}\b"
    elif container is not None:
        called = r"(?:\.(?:get|setdefault)\(|\[)"
        wanted = rf"\b{container[0]}\s*{called}\s*{quoted}\s*[\]),]"
    else:
        return False
    plain, pattern = key.encode(), re.compile(wanted.encode())
    return any(plain in source and pattern.search(source) for source in _sources(package))


def _sources(package: str) -> Iterator[bytes]:
    """Yield the source code of the modules of the project, and of a package.

    Args:
        package: the package; its modules come first.
    """
    files = {
        name: raw.text((raw.instance_dict(module) or {}).get("__file__"))
        for name, module in raw.modules()
    }
    left = _MOST_BYTES
    for name, file in sorted(files.items(), key=lambda one: (_package(one[0]) != package, one)):
        is_its = _package(name) == package
        if (
            not file.endswith(".py")
            or not is_named(file)
            or not (is_its or not is_installed(file))
        ):
            continue
        try:
            source = Path(file).read_bytes()
        except OSError:
            continue
        left -= len(source)
        if left < 0:
            return
        yield source


def _package(name: str) -> str:
    return name.partition(".")[0]


def written_key(key: Any) -> str:
    """Return a constant key as a part of the name of a holder: ``['users']``."""
    return f"[{key!r}]"
