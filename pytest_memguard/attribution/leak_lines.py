"""Lines that allocate blocks which stay, in step with the number of calls."""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Protocol

from pytest_memguard.leaks import LeakLine

LINES: Final = 10
_SHARE: Final = 0.9
_NATIVE: Final = 3
_INSTALLED: Final = ("site-packages", "dist-packages")
_INTERPRETER = re.compile(
    r"_?Py|_io_|<unknown>|(method|cfunction|function|object|type|slot|builtin|vgetargs|gc|list"
    r"|dict|set|tuple|unicode|bytes|bytearray|long|float|new|frame|gen|code|insert|resize|call"
    r"|do|array|deque|odict|weakref|context|member|getset|wrap|descr|super|property|intern)_"
)
_INSTRUMENT = re.compile(r"call_trace$|trace_function_entry$|call_profile_func$|sys_profile_")
"""What the interpreter calls for memray's sake; it makes frames into objects."""
_ALLOCATORS = re.compile(r"malloc|calloc|realloc|mmap|memray|operator new|aligned_alloc|posix")

Stack = Sequence[tuple[str, str, int]]
Line = tuple[str, int, str]


class Blocks(Protocol):
    """Blocks from one place, as `probes.survivors.Survivors` tells them."""

    @property
    def stack(self) -> tuple[tuple[str, str, int], ...]:
        """Function, file and line, innermost first."""

    @property
    def native(self) -> tuple[str, ...]:
        """C functions, innermost first."""

    @property
    def count(self) -> int:
        """How many."""

    @property
    def size(self) -> int:
        """Their bytes."""


def leak_lines(
    survivors: Iterable[Blocks], calls: int, per_call: float
) -> tuple[tuple[LeakLine, ...], int]:
    """The lines whose surviving blocks follow the number of calls, the largest first.

    A line is the innermost one outside the standard library. Where no line's blocks become
    more, one that holds more than half of all bytes is named.

    Args:
        survivors: what the calls left behind.
        calls: how many there were.
        per_call: blocks known to stay with each; less than one where not every call leaks.

    Returns:
        The lines, and how many blocks were left by lines of pytest itself.
    """
    sums: dict[Line, list[int]] = {}
    largest: dict[Line, Blocks] = {}
    for blocks in survivors:
        if any(map(_INSTRUMENT.match, blocks.native)):
            continue
        line = line_of(blocks.stack)
        entry = sums.setdefault(line, [0, 0])
        entry[0] += blocks.count
        entry[1] += blocks.size
        if line not in largest or blocks.size >= largest[line].size:
            largest[line] = blocks
    least = _SHARE * calls * min(1.0, per_call or 1.0) - (per_call < 1)
    steady = {line: numbers for line, numbers in sums.items() if numbers[0] >= max(2, least)}
    if not steady:  # one block that grows in place
        whole = sum(size for _, size in sums.values())
        steady = {line: numbers for line, numbers in sums.items() if 2 * numbers[1] > whole}
    own = {line: numbers for line, numbers in steady.items() if not is_pytest(line[0])}
    ranked = sorted(own.items(), key=lambda item: (-item[1][1], item[0]))
    lines = tuple(
        LeakLine(
            file=file,
            line=number,
            function=function,
            count=count,
            size=size,
            native=c_functions(largest[file, number, function].native),
            caller=caller_of(largest[file, number, function].stack),
        )
        for (file, number, function), (count, size) in ranked[:LINES]
    )
    of_pytest = sum(count for line, (count, _) in steady.items() if is_pytest(line[0]))
    return lines, of_pytest


def line_of(stack: Stack) -> Line:
    """The line to name: the innermost outside the standard library and our own code."""
    frames = [frame for frame in stack if not frame[1].startswith(_OURS)]
    for function, file, line in frames:
        if is_named(file):
            return (file, line, function)
    if frames:
        function, file, line = frames[0]
        return (file, line, function)
    return ("<no Python frame>", 0, "native code")


def caller_of(stack: Stack) -> str:
    """File and line of the tested project, where the line to name is an installed package's."""
    if not _is_installed(line_of(stack)[0]):
        return ""
    for _, file, line in stack:
        if is_named(file) and not _is_installed(file) and not is_pytest(file):
            return f"{file}:{line}"
    return ""


def _is_installed(file: str) -> bool:
    return any(f"{os.sep}{folder}{os.sep}" in file for folder in _INSTALLED)


def c_functions(native: Sequence[str]) -> tuple[str, ...]:
    """C functions of extensions, without those of allocators and the interpreter."""
    own = []
    for name in native:
        if not name or _ALLOCATORS.search(name):
            continue
        if _INTERPRETER.match(name):
            break
        own.append(name)
    return tuple(own[:_NATIVE])


_STDLIB: Final = tuple(
    f"{folder}{os.sep}"
    for folder in {sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["platstdlib"]}
)


_OURS: Final = f"{Path(__file__).parent.parent}{os.sep}"


def is_named(file: str) -> bool:
    """Whether a line of this file is one to name, and not the one that called it."""
    if file.startswith(("<", _OURS)):
        return False  # frozen modules and generated code: who called it says more
    return not file.startswith(_STDLIB) or f"{os.sep}site-packages{os.sep}" in file


def is_pytest(file: str) -> bool:
    """Whether a file is pytest's own, or its plugin manager's."""
    return file.startswith(_PYTEST)


def _folders(*packages: str) -> tuple[str, ...]:
    found = []
    for package in packages:
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            found.append(f"{Path(spec.origin).parent}{os.sep}")
    return tuple(found)


_PYTEST: Final = _folders("_pytest", "pluggy")
