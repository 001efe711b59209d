"""Makes fingerprints: one for each leak, the same in every run, test and machine."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Final

from pytest_memguard.model.leaks import Diagnosis, LeakLine, without_keys

_SHARED: Final = ("parameters of a test",)
"""Holders of leaks that have nothing in common."""
_REGISTRIES: Final = ("context variables",)
"""Holders of leaks that a second part of the name distinguishes."""
_CACHE_OF: Final = "functools.lru_cache of "
_TEST_FILE: Final = re.compile(r"(test_.*|.*_test|conftest)\.py$")
_TEST_MODULE: Final = re.compile(r"(^|\.)(tests?|test_\w*|\w*_test|conftest)\.")
_TYPE: Final = re.compile(r"[\w.]+")
_TRACED: Final = "the test starts tracemalloc, so not all lines may be known"
"""Part of the fingerprint of a leak without lines; stored files have it."""
_INNERMOST: Final = 3
"""A line has so many C functions at most; the last one is the one that Python called."""
_UNEVEN: Final = 48
_WIDE: Final = 16
_OFTEN: Final = 0.5
_ALIKE: Final = 2
"""Lines that differ by less than this factor in size are alike."""
_OF_PYTEST: Final = ("pytest", "_pytest", "pluggy")


def fingerprint(diagnosis: Diagnosis) -> str:
    """Return a name for a leak without addresses, counts, line numbers or folders.

    The holder comes first: two tests that add to the same registry show the same leak, whatever
    lines they allocate on. A registry of the standard library is shared by leaks of all
    projects, so the type that is kept is part of the name, or the line that allocates it. If
    nothing holds the leak, the function, and type or size of the blocks distinguish it. The
    function is that of an extension module if it allocates them, however it was called.

    Args:
        diagnosis: the cause.

    Returns:
        Twelve characters; empty if nothing is known.
    """
    subject = _subject(diagnosis)
    return _hashed(subject) if subject else ""


def is_registry(holder: str) -> bool:
    """Return whether leaks of all projects may have a holder.

    Args:
        holder: its name.
    """
    holder = without_keys(holder)
    return _is_shared(holder.partition(", ")[0]) or holder.startswith(_REGISTRIES)


def former_fingerprint(diagnosis: Diagnosis) -> str:
    """Return the fingerprint that earlier versions gave a leak, if it differs.

    Args:
        diagnosis: the cause, with its present fingerprint.
    """
    if diagnosis.path is not None and diagnosis.path.holder:
        holder = without_keys(diagnosis.path.holder)
        if holder != diagnosis.path.holder:
            path = replace(diagnosis.path, holder=holder)
            name = _hashed(_subject(replace(diagnosis, path=path)))
        else:
            name = _hashed(f"held by {holder.partition(', thread ')[0]}")
    elif diagnosis.lines:
        line = diagnosis.lines[0]
        name = _hashed(f"{PurePath(line.file).name}:{line.function}")
    else:
        return ""
    return name if name != diagnosis.fingerprint else ""


def _hashed(subject: str) -> str:
    return hashlib.sha256(subject.encode()).hexdigest()[:12]


def _subject(diagnosis: Diagnosis) -> str:
    holder = diagnosis.path.holder if diagnosis.path is not None else ""
    line = _naming_line(diagnosis.lines)
    if holder and not _is_shared(holder):
        return f"held by {holder}"
    if holder:
        own = _own_type(diagnosis) or (_place(line) if line is not None else "")
        return f"held by {holder}, {own}" if own else f"held by {holder}"
    if line is not None:
        kept = _kept_type(diagnosis)
        if not kept and not (line.through_ffi and line.native):  # its sizes depend on the data
            kept = _size_class(line, diagnosis.calls)
        return "; ".join(part for part in (*_functions(line), kept) if part)
    return _TRACED if diagnosis.traced else ""


def _functions(line: LeakLine) -> tuple[str, ...]:
    """Return the C functions that allocate, or file and function if there are none.

    The one that Python called is left out if it only leads to others: a slot and a method may
    lead to the same ones. What ctypes calls is not at fault, but the code that calls it; which
    functions inside of a library allocate depends on the data.
    """
    if line.through_ffi or not line.native:
        return (_place(line), *line.native[-1:])
    return line.native[: max(1, min(len(line.native), _INNERMOST) - 1)]


def _is_shared(holder: str) -> bool:
    """Return whether leaks that have nothing in common may have this holder."""
    holder = without_keys(holder)
    if holder.startswith(_SHARED):
        return True
    parts = holder.removeprefix(_CACHE_OF).split(", ")
    names = [part.rpartition(" ")[2] for part in parts]
    return all(_is_of_library(name) for name in names)


def _is_of_library(name: str) -> bool:
    return re.split(r"[.\[]", name, maxsplit=1)[0] in sys.stdlib_module_names


def _own_type(diagnosis: Diagnosis) -> str:
    """Return a type that is not builtin, nor of the standard library or pytest.

    It is that of what the holder has one more of, if it is known: what that leads to may differ
    from test to test. Otherwise it is the first by name; none of a test's module, if a line
    outside of tests allocates.
    """
    item = diagnosis.path.steps[-1] if diagnosis.path is not None else ""
    if _TYPE.fullmatch(item) and _is_own(item):
        return item
    names = (growth.type for growth in diagnosis.types if _is_own(growth.type))
    line = _naming_line(diagnosis.lines)
    if line is not None and not _is_of_test(line):  # each test may have types of its own
        names = (name for name in names if not _TEST_MODULE.search(name))
    return min(names, default="")


def _kept_type(diagnosis: Diagnosis) -> str:
    """Return the type that a leak is named after, if types are known.

    It is the first by name: the number of objects of each differs a little from run to run.
    """
    names = (growth.type for growth in diagnosis.types)
    return min(names, key=lambda name: (not _is_own(name), "." not in name, name), default="")


def _is_own(name: str) -> bool:
    module, dot, _ = name.partition(".")
    return bool(dot) and module not in sys.stdlib_module_names and module not in _OF_PYTEST


def _naming_line(lines: Sequence[LeakLine]) -> LeakLine | None:
    """Return the line that a leak is named after: not that of the test, if possible.

    A table that happened to grow does not decide which line is the largest. Which of two lines
    is larger may differ from run to run if they are alike, so the first by name is taken then.
    """
    if not lines or lines[0].left:
        return lines[0] if lines else None

    def rank(line: LeakLine) -> tuple[bool, bool]:
        return _is_of_test(line), not line.native

    def size(line: LeakLine) -> int:
        return line.count * line.typical

    best = min(map(rank, lines))
    first = [line for line in lines if rank(line) == best]
    least = max(map(size, first)) / _ALIKE
    alike = [line for line in first if size(line) >= least]
    return min(alike, key=lambda line: (_functions(line), -size(line)))


def _is_of_test(line: LeakLine) -> bool:
    return _TEST_FILE.match(PurePath(line.file).name) is not None


def _place(line: LeakLine) -> str:
    """Return file and function; only the file of a test that calls leaking C code itself."""
    file = PurePath(line.file).name
    return file if line.native and _is_of_test(line) else f"{file}:{line.function}"


def _size_class(line: LeakLine, calls: int) -> str:
    """Return about how large the blocks are, so coarsely that it is the same the next time."""
    if line.count < max(1, _OFTEN * calls):
        return ""  # it grows in place, or now and then
    if line.block:
        return f"blocks of up to {1 << (line.block - 1).bit_length()} bytes"
    most, size = _UNEVEN, line.typical or line.size / line.count
    while size > most:
        most *= _WIDE
    return f"blocks of about {most} bytes"
