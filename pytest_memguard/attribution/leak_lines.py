"""Finds the lines whose allocations stay in proportion to the number of calls."""

from __future__ import annotations

import math
import os
import re
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path
from typing import Final, Protocol

from pytest_memguard.attribution.forwarders import is_forwarder
from pytest_memguard.attribution.pieces import chunk_size
from pytest_memguard.model.leaks import LeakLine
from pytest_memguard.values import dataclass

_MOST_STACKS: Final = 4096
_SHARE: Final = 0.9
_NATIVE: Final = 3
"""The most C functions of a line."""
_INSTALLED: Final = ("site-packages", "dist-packages")
_INTERPRETER = re.compile(
    r"_?Py|_io_|<unknown>|(method|cfunction|function|object|type|slot|builtin|vgetargs|gc|list"
    r"|dict|set|tuple|unicode|bytes|bytearray|long|float|new|frame|gen|code|insert|resize|call"
    r"|do|va|clone|array|deque|odict|weakref|context|member|getset|wrap|descr|super|property"
    r"|intern|ffi|_ctypes)_|_call_function_pointer|insertdict|insert_to_emptydict|dictresize"
    r"|lookdict|mkdict|make_gen$"
)
_CALLS_C: Final = re.compile(
    r"_?PyEval_|_PyFunction_Vectorcall|_?PyObject_(Call|Vectorcall|FastCall|MakeTpCall)"
    r"|_?PyVectorcall|(cfunction|method|methoddescr|builtin|slot|wrap|type|object)_"
    r"(vectorcall|call|tp_call|descriptor_call)|wrapper_call|descr_call"
)
"""How the interpreter calls C functions: what precedes them is its own."""
_FFI: Final = re.compile(r"_?ffi_call|_ctypes_|_?cdata_call|_call_function_pointer")
"""How ctypes and cffi call C functions that know nothing of Python."""
_ALIKE: Final = 0.75
"""Share of a line's blocks that must be about as large for all to be called alike."""
_REPLACED: Final = 1.5
"""How many times as many blocks as stay per call a line may have left in the few calls."""
_SOME: Final = 2
"""So many more blocks are allowed."""
_IN_PLACE: Final = 0.25
"""Share of the growth of the C heap that one block must have to be what grows in place."""
_SEVERAL_TABLES: Final = 4
"""So many tables that have moved are no chance, if they have grown by most of all bytes."""
_ALLOCATORS = re.compile(r"malloc|calloc|realloc|mmap|memray|operator new|aligned_alloc|posix")

Frame = tuple[str, str, int]
Stack = Sequence[Frame]
Line = tuple[str, int, str]

_NO_LINE: Final[Line] = ("<no Python frame>", 0, "native code")


class Blocks(Protocol):
    """Blocks from one stack, such as `probes.surviving_blocks.SurvivingBlocks`."""

    @property
    def stack(self) -> tuple[tuple[str, str, int], ...]:
        """Function, file and line, innermost first."""

    @property
    def native(self) -> tuple[str, ...]:
        """C functions, innermost first."""

    @property
    def count(self) -> int:
        """Number of blocks."""

    @property
    def size(self) -> int:
        """Their bytes."""

    @property
    def of_python(self) -> bool:
        """Whether they are known to be from Python's allocators."""

    @property
    def small(self) -> int:
        """Bytes of those in Python's arenas."""

    @property
    def block(self) -> int:
        """Bytes of each block, if they are known to be alike; otherwise 0."""

    @property
    def tables(self) -> int:
        """Number of tables that were there before, whose bytes alone have become more."""


def leak_lines(
    surviving: Iterable[Blocks],
    calls: int,
    per_call: float,
    blocks: float | None = None,
    heap: float = 0.0,
) -> tuple[LeakLine, ...]:
    """Return the lines whose surviving blocks follow the number of calls, the largest first.

    A line is the innermost one outside the standard library. If no line's blocks grow in
    number, one with more than half of all bytes is named, unless only the C heap grows and it
    has less than a quarter of that. A line that left more blocks than stay has replaced others
    and is left out, unless it is the only one. Lines of pytest are named if there are no
    others: pytest may have called a C function.

    Args:
        surviving: the blocks that the calls left behind.
        calls: the number of calls.
        per_call: blocks known to stay per call; less than one if not every call leaks.
        blocks: Python's blocks known to stay per call, if they are counted.
        heap: bytes of the C heap known to stay per call. Python's own code gets some memory
            there that is not counted among its blocks.
    """
    by_line = _by_line(surviving)
    sums = {line: _sum_of(several) for line, several in by_line.items()}
    least = _least(calls, per_call)
    whole = sum(one.size for one in sums.values())
    steady = {
        line: one
        for line, one in sums.items()
        if one.count + one.tables >= least or 2 * one.in_tables > whole
    }
    if blocks is not None:
        steady = _without_replaced(steady, blocks * calls, heap * calls)
    if not steady:  # one block that grows in place
        others = {line: one for line, one in sums.items() if not is_pytest(line[0])}
        steady = {line: one for line, one in others.items() if 2 * one.size > whole}
        steady = {line: one for line, one in steady.items() if one.count < least}
        if calls * (blocks or 0.0) < _SOME:  # the bytes of the C heap alone grow
            enough = _IN_PLACE * heap * calls
            steady = {line: one for line, one in steady.items() if one.size >= enough}
    own = {line: one for line, one in steady.items() if not is_pytest(line[0])}
    ranked = sorted((own or steady).items(), key=lambda item: (-item[1].size, item[0]))
    return tuple(_leak_line(line, one, by_line[line], least) for line, one in ranked)


def unnamed_blocks(
    surviving: Iterable[Blocks], lines: Iterable[LeakLine], calls: int, per_call: float
) -> tuple[int, int]:
    """Return Python's blocks that stay though no line is named for them, and their bytes.

    They are from lines of the test runner or from none: a traceback keeps its frames as well.

    Args:
        surviving: the blocks that the calls left behind.
        lines: the lines that are named.
        calls: the number of calls.
        per_call: blocks known to stay per call; less than one if not every call leaks.
    """
    named = {(line.file, line.line, line.function) for line in lines}
    sums = [
        _sum_of(several)
        for line, several in _by_line(surviving).items()
        if line not in named and (line == _NO_LINE or is_pytest(line[0]))
    ]
    steady = [one for one in sums if one.count >= _least(calls, per_call)]
    return (sum(one.of_python for one in steady), sum(one.small for one in steady))


def _by_line(surviving: Iterable[Blocks]) -> dict[Line, list[Blocks]]:
    by_line: dict[Line, list[Blocks]] = {}
    for found in surviving:
        by_line.setdefault(line_of_shared(found.stack), []).append(found)
    return by_line


def _least(calls: int, per_call: float) -> float:
    """Return the least number of blocks of a line that follow the number of calls."""
    return max(2, _SHARE * calls * min(1.0, per_call or 1.0) - (per_call < 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sum:
    """What one line left behind."""

    count: int
    size: int
    of_python: int
    small: int
    tables: int
    in_tables: int


def _sum_of(blocks: Sequence[Blocks]) -> _Sum:
    tables = sum(one.tables for one in blocks)
    large = sum(one.size - one.small for one in blocks if one.tables)
    return _Sum(
        count=sum(one.count for one in blocks),
        size=sum(one.size for one in blocks),
        of_python=sum(one.count for one in blocks if one.of_python),
        small=sum(one.small for one in blocks),
        tables=tables,
        in_tables=large if tables >= _SEVERAL_TABLES else 0,
    )


def _without_replaced(steady: dict[Line, _Sum], blocks: float, heap: float) -> dict[Line, _Sum]:
    """Return the lines without those that left more than stays, unless they are needed.

    Args:
        steady: the lines.
        blocks: Python's blocks that stay of these calls.
        heap: bytes of the C heap that stay of these calls.
    """
    most, bytes_most = _REPLACED * blocks + _SOME, _REPLACED * heap
    fit = {
        line: one
        for line, one in steady.items()
        if one.of_python <= most or one.size <= bytes_most
    }
    explained = sum(one.of_python for one in fit.values())
    return fit if explained >= blocks / 2 or blocks < _SOME else steady


def _leak_line(line: Line, one: _Sum, blocks: Sequence[Blocks], least: float) -> LeakLine:
    file, number, function = line
    groups = _steady_groups(blocks, least)
    main = max(groups, key=lambda native: (sum(b.size for b in groups[native]), native))
    several = [block for group in groups.values() for block in group]
    largest = max(groups[main], key=lambda block: block.size).stack
    return LeakLine(
        file=file,
        line=number,
        function=function,
        count=one.count,
        size=one.size,
        native=_ends(_in_common(main, groups)),
        caller=caller_of(largest),
        through=through_of(largest),
        of_python=one.of_python,
        small=one.small,
        tables=one.tables,
        in_tables=one.in_tables,
        chunks=sum(map(_chunks_of, blocks)),
        block=_block_size(blocks),
        typical=sum(b.size for b in several) // max(1, sum(b.count for b in several)),
        through_ffi=any(is_through_ffi(block.native) for block in groups[main]),
    )


def _chunks_of(blocks: Blocks) -> int:
    """Return the bytes of the chunks of the C heap that some blocks are in.

    A small request takes much more than it asks for.
    """
    size = blocks.size - blocks.small
    if blocks.small or blocks.tables or not blocks.count:
        return size
    return blocks.count * chunk_size(math.ceil(size / blocks.count))


def _steady_groups(
    blocks: Sequence[Blocks], least: float
) -> dict[tuple[str, ...], list[Blocks]]:
    """Return the blocks of a line by C functions, without those that only some calls left.

    A table that happens to grow during the calls may be larger than all that they leave. It
    must not give the leak another name.

    Args:
        blocks: all blocks of the line.
        least: the least number of blocks of a group.
    """
    names = {native: own_functions(native) for native in {one.native for one in blocks}}
    groups: dict[tuple[str, ...], list[Blocks]] = {}
    for block in blocks:
        groups.setdefault(names[block.native], []).append(block)
    steady = {
        native: several
        for native, several in groups.items()
        if sum(block.count for block in several) >= least
    }
    return steady or groups


def _in_common(main: tuple[str, ...], groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the C functions that those of the other groups come from as well.

    Which of several blocks of one C function is the largest depends on the data.

    Args:
        main: the C functions of the largest group, innermost first.
        groups: those of all groups; one that has none of them in common does not count.
    """
    common = main
    for other in groups:
        same = 0
        while same < min(len(common), len(other)) and common[-1 - same] == other[-1 - same]:
            same += 1
        common = common[len(common) - same :] if same else common
    return common


def _ends(native: tuple[str, ...]) -> tuple[str, ...]:
    """Return the innermost C functions and the one that Python called, if that is not all."""
    return native if len(native) <= _NATIVE else (*native[: _NATIVE - 1], native[-1])


def _block_size(blocks: Sequence[Blocks]) -> int:
    """Return the size of most blocks, if all are about as large; otherwise 0.

    Text that C code has lost differs by a few bytes from call to call. What counts is the least
    power of two that is not smaller.
    """
    counts: Counter[int] = Counter()
    for block in blocks:
        counts[block.block] += block.count
    widths: Counter[int] = Counter()
    for size, count in counts.items():
        widths[(size - 1).bit_length() if size else -1] += count
    width, count = max(widths.items(), key=itemgetter(1, 0))
    if width < 0 or count < _ALIKE * counts.total():
        return 0
    alike = {size: n for size, n in counts.items() if size and (size - 1).bit_length() == width}
    return max(alike.items(), key=itemgetter(1, 0))[0]


def line_of(stack: Stack) -> Line:
    """Return the line to name: the innermost outside the standard library, pytest and our code.

    A C function has no frame of its own. If pytest called it for a line of a test, as
    `pytest.raises` does, that line is returned; if it called it by itself, the line of pytest.
    So it is where a wrapper called it: its line is on the way of other calls as well.
    """
    named, frames = _named_frames(stack)
    passing = _passing(named)
    for function, file, line in (*named[passing:], *frames[:1]):
        return (file, line, function)
    return _NO_LINE


def through_of(stack: Stack) -> str:
    """Return the line that passed the call on, below the line to name; empty if none did."""
    named, _ = _named_frames(stack)
    return f"{named[0][1]}:{named[0][2]}" if _passing(named) else ""


def _named_frames(
    stack: Stack,
) -> tuple[list[tuple[str, str, int]], list[tuple[str, str, int]]]:
    """Return the frames that may be named, without pytest's if there are others, and all."""
    frames = _of_call(stack)
    named = [frame for frame in frames if is_named(frame[1])]
    others = [frame for frame in named if not is_pytest(frame[1])]
    return others or _called_test(named[:1], frames) or named, frames


def _called_test(
    named: Sequence[tuple[str, str, int]], frames: Sequence[tuple[str, str, int]]
) -> list[tuple[str, str, int]]:
    """Return the frame of a test function that the standard library has wrapped, if it is one.

    A decorator of `unittest.mock` makes objects before there is a frame of the test's own.

    Args:
        named: the innermost frame of pytest, if there is one.
        frames: all frames of the call, the innermost first.
    """
    for frame in named:
        inner = frames[: frames.index(frame)]
        if calls_test(frame[0]) and inner:
            return [inner[-1]]
    return []


def _passing(named: Stack) -> int:
    """Return how many of the innermost frames only pass a call on, unless all do."""
    for number, (_, file, line) in enumerate(named):
        if not is_forwarder(file, line):
            return number
    return 0


@lru_cache(maxsize=_MOST_STACKS)
def line_of_shared(stack: Stack) -> Line:
    """`line_of` for the stacks of blocks: most of them share one with others.

    The stacks are kept until `forget_stacks`.
    """
    return line_of(stack)


@lru_cache(maxsize=_MOST_STACKS)
def innermost(stack: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """Return the innermost frame that does not only pass a call on, as a stack; or none.

    The stacks are kept until `forget_stacks`.
    """
    passing = _passing(stack)
    return stack[passing : passing + 1]


def forget_stacks() -> None:
    """Let go of all stacks that `line_of_shared` and `innermost` were asked about."""
    line_of_shared.cache_clear()
    innermost.cache_clear()


def with_function(
    stack: Stack, name: Callable[[str, int], str]
) -> tuple[tuple[str, str, int], ...]:
    """Return a stack with the function of the line to name; others would take reading files.

    Args:
        stack: a stack without functions.
        name: returns the function of a file and line.
    """
    named = line_of(stack)[:2]
    return tuple(
        (name(file, line) if (file, line) == named else function, file, line)
        for function, file, line in stack
    )


def is_ours(stack: Stack) -> bool:
    """Return whether our own code has allocated a block."""
    return bool(stack) and is_our_file(stack[0][1])


def is_of_tracker(stack: Stack) -> bool:
    """Return whether the tracker's own code has allocated a block."""
    return bool(stack) and stack[0][1].startswith(_TRACKER)


def is_our_file(file: str) -> bool:
    """Return whether a file belongs to this package."""
    return file.startswith(_OURS)


def _of_call(stack: Stack) -> list[tuple[str, str, int]]:
    """Return the frames of the call, without those of the check that makes it.

    Generated code that the check itself calls, such as that of a named tuple, is none of it.
    """
    frames: list[tuple[str, str, int]] = []
    for frame in stack:
        if frame[1].startswith(_OURS):
            if not all(file.startswith("<") for _, file, _ in frames):
                break
            frames.clear()
            continue
        frames.append(frame)
    return frames


def caller_of(stack: Stack) -> str:
    """Return the calling line in the tested project, if the line to name is installed."""
    if not is_installed(line_of(stack)[0]):
        return ""
    for _, file, line in stack:
        if is_named(file) and not is_installed(file) and not is_pytest(file):
            return f"{file}:{line}"
    return ""


def is_installed(file: str) -> bool:
    """Return whether a file belongs to an installed package."""
    return any(f"{os.sep}{folder}{os.sep}" in file for folder in _INSTALLED)


def c_functions(native: Sequence[str]) -> tuple[str, ...]:
    """Return C functions of extensions, without those of allocators and the interpreter.

    Args:
        native: C functions called from the innermost Python frame, innermost first.
    """
    return own_functions(native)[:_NATIVE]


def is_through_ffi(native: Sequence[str]) -> bool:
    """Return whether ctypes or cffi has called one of some C functions."""
    return any(map(_FFI.match, native))


def own_functions(native: Sequence[str]) -> tuple[str, ...]:
    """Return all C functions of extensions; see `c_functions`."""
    own: list[str] = []
    for name in native:
        if _CALLS_C.match(name) or (own and _INTERPRETER.match(name)):
            break
        if name and not _ALLOCATORS.search(name) and not _INTERPRETER.match(name):
            own.append(name)
    return tuple(own)


_STDLIB: Final = tuple(
    f"{folder}{os.sep}"
    for folder in {sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["platstdlib"]}
)


_OURS: Final = f"{Path(__file__).parent.parent}{os.sep}"


def is_named(file: str) -> bool:
    """Return whether lines of this file are named, and not the lines that call them."""
    if is_example(file):
        return True
    if file.startswith(("<", _OURS, *_TRACKER)):
        return False  # frozen modules and generated code: who called it says more
    return not file.startswith(_STDLIB) or f"{os.sep}site-packages{os.sep}" in file


def is_example(file: str) -> bool:
    """Return whether a file is an example of a doctest, which is the code of a test."""
    return file.startswith(_EXAMPLE)


def calls_test(function: str) -> bool:
    """Return whether a function of pytest calls the function of a test, and nothing else."""
    return function == _CALLS_TEST


def is_pytest(file: str) -> bool:
    """Return whether a file belongs to pytest or its plugin manager."""
    return file.startswith(_PYTEST)


def _folders(*packages: str) -> tuple[str, ...]:
    found = []
    for package in packages:
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            found.append(f"{Path(spec.origin).parent}{os.sep}")
    return tuple(found)


_PYTEST: Final = _folders("_pytest", "pluggy")
_CALLS_TEST: Final = "pytest_pyfunc_call"
"""The function of pytest that calls the function of a test, and nothing else of its module."""
_EXAMPLE: Final = "<doctest "
"""How the names begin that `doctest` gives the code of its examples."""
_TRACKER: Final = _folders("memray")
"""Where the tracker runs in the calls: it sets the names of threads."""
