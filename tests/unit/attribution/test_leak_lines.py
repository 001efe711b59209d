"""Tests of the lines whose blocks stay in step with the calls."""

from __future__ import annotations

import json
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

import pytest_memguard
from pytest_memguard.attribution.leak_lines import (
    c_functions,
    leak_lines,
    line_of,
    unnamed_blocks,
)

Frame = tuple[str, str, int]
OURS = str(Path(pytest_memguard.__file__).parent / "recording" / "repeat.py")
STDLIB = json.__file__
SITE = f"{sysconfig.get_paths()['stdlib']}/site-packages/numpy/core.py"
PYTEST = f"{Path(pytest.__file__).parent.parent}/_pytest/fixtures.py"


@dataclass(frozen=True)
class Block:
    """Blocks from one place."""

    stack: tuple[Frame, ...]
    count: int
    size: int = 0
    native: tuple[str, ...] = ()
    of_python: bool = True
    block: int = 0
    tables: int = 0

    @property
    def small(self) -> int:
        """Bytes of blocks that lie in arenas."""
        return self.size if self.size <= 512 * self.count else 0


def at(line: int, count: int, size: int | None = None, native: tuple[str, ...] = ()) -> Block:
    """Blocks from a line of app.py."""
    return Block(
        (("put", "app.py", line),), count, 16 * count if size is None else size, native
    )


@pytest.mark.parametrize(
    ("counts", "calls", "per_call", "lines"),
    [
        pytest.param([16], 16, 1, [0], id="one-per-call"),
        pytest.param([15], 16, 1, [0], id="a-free-list-hides-one"),
        pytest.param([1, 2, 16], 16, 1, [2], id="once-is-no-leak"),
        pytest.param([48, 16], 16, 4, [0, 1], id="largest-first"),
        pytest.param([16, 48], 16, 4, [1, 0], id="largest-first-whatever-the-order"),
        pytest.param([8], 24, 1 / 3, [0], id="every-third-call"),
        pytest.param([7], 24, 1 / 3, [0], id="every-third-call-one-less"),
        pytest.param([2, 8], 24, 1 / 3, [1], id="every-third-call-and-twice"),
        pytest.param([], 16, 1, [], id="nothing"),
    ],
)
def test_steady_lines(counts, calls, per_call, lines) -> None:
    """A line counts if its blocks follow the calls."""
    blocks = [at(number, count) for number, count in enumerate(counts)]
    found = leak_lines(blocks, calls, per_call)
    assert [line.line for line in found] == lines
    assert [line.count for line in found] == [counts[line] for line in lines]


def test_blocks_of_a_line_are_added_up() -> None:
    """A line is reached on several ways; its C functions are those of the largest part."""
    blocks = [
        at(3, 8, 100, ("small_function",)),
        at(3, 8, 900, ("large_function", "malloc")),
    ]
    (line,) = leak_lines(blocks, 16, 1)
    assert (line.count, line.size, line.native) == (16, 1000, ("large_function",))
    assert (line.file, line.function) == ("app.py", "put")


SET = ("add_to_environ", "putenv", "cfunction_vectorcall_O")
FIND = ("search", *SET)
OTHER = ("open_it", "connect", "cfunction_vectorcall_O")


@pytest.mark.parametrize(
    ("blocks", "native", "typical"),
    [
        pytest.param([at(3, 16, 640, SET)], ("add_to_environ", "putenv"), 40, id="one-group"),
        pytest.param(
            [at(3, 16, 640, SET), at(3, 16, 384, FIND)],
            ("add_to_environ", "putenv"),
            32,
            id="in-common",
        ),
        pytest.param(
            [at(3, 16, 640, SET), at(3, 16, 896, FIND)],
            ("add_to_environ", "putenv"),
            48,
            id="in-common-whichever-is-the-larger",
        ),
        pytest.param(
            [at(3, 16, 640, SET), at(3, 1, 2_200)],
            ("add_to_environ", "putenv"),
            40,
            id="a-table-that-grew-once",
        ),
        pytest.param(
            [at(3, 16, 640, SET), at(3, 1, 2_200, OTHER)],
            ("add_to_environ", "putenv"),
            40,
            id="another-c-function-once",
        ),
        pytest.param(
            [at(3, 16, 640, SET), at(3, 16, 900, OTHER)],
            ("open_it", "connect"),
            48,
            id="nothing-in-common",
        ),
        pytest.param([at(3, 16, 640), at(3, 16, 384, SET)], (), 32, id="objects-above-all"),
        pytest.param(
            [*[at(3, 1, 40, SET)] * 8, *[at(3, 1, 24, FIND)] * 8],
            ("add_to_environ", "putenv"),
            32,
            id="no-group-is-steady-alone",
        ),
    ],
)
def test_c_functions_of_a_line(blocks, native, typical) -> None:
    """The C functions named are those of the blocks that every call leaves, in any order."""
    for several in (blocks, blocks[::-1]):
        (line,) = leak_lines(several, 16, 1)
        assert (line.native, line.typical) == (native, typical)
        assert line.size == sum(block.size for block in blocks)


def test_one_block_that_grows_in_place() -> None:
    """Where no line's blocks become more, one that holds most of the bytes is named."""
    found = leak_lines([at(1, 1, 9000), at(2, 1, 100)], 16, 1)
    assert [line.line for line in found] == [1]
    found = leak_lines([at(n, 1, 100) for n in range(5)], 16, 1)
    assert found == ()


@pytest.mark.parametrize(
    ("size", "blocks", "lines"),
    [
        pytest.param(160, 0.0, [], id="too-small"),
        pytest.param(1600, 0.0, [1], id="large-enough"),
        pytest.param(160, 0.25, [1], id="other-blocks-grow"),
    ],
)
def test_one_block_that_is_too_small_to_grow_in_place(size, blocks, lines) -> None:
    """A block of 160 bytes is not why the C heap grew by 288 bytes in each of 16 calls."""
    found = leak_lines([at(1, 1, size)], 16, 288, blocks, 288.0)
    assert [line.line for line in found] == lines


def tables(line: int, count: int, size: int) -> Block:
    """Tables that were there before and have grown, at a line of app.py."""
    return Block((("put", "app.py", line),), 0, size, tables=count)


@pytest.mark.parametrize(
    ("blocks", "lines"),
    [
        pytest.param([at(1, 16), tables(2, 16, 999)], [(2, 0), (1, 16)], id="of-every-call"),
        pytest.param([at(1, 16), tables(2, 4, 999)], [(2, 0), (1, 16)], id="long-ones"),
        pytest.param([at(1, 16), tables(2, 3, 999)], [(1, 16)], id="a-few-by-chance"),
        pytest.param([at(1, 16), tables(2, 15, 99)], [(1, 16), (2, 0)], id="the-smaller-part"),
        pytest.param([at(1, 16), tables(2, 14, 99)], [(1, 16)], id="too-few-and-small"),
        pytest.param([at(1, 16), tables(1, 300, 9)], [(1, 16)], id="on-one-line"),
    ],
)
def test_tables_that_were_there(blocks, lines) -> None:
    """Tables are not blocks; a line of tables counts if there are enough, or it has most."""
    found = leak_lines(blocks, 16, 1, 1)
    assert [(line.line, line.count) for line in found] == lines


@pytest.mark.parametrize(
    ("counts", "blocks", "lines"),
    [
        pytest.param([16, 20_000], 1, [0], id="a-cache-is-renewed"),
        pytest.param([17, 26], 1, [0, 1], id="in-the-few-calls-it-was-some-more"),
        pytest.param([16, 27], 1, [0], id="too-much-more"),
        pytest.param([20_000], 1, [0], id="nothing-else-explains-it"),
        pytest.param([16, 20_000], 2.1, [0, 1], id="nor-does-the-rest"),
        pytest.param([624], 0, [], id="no-blocks-stay"),
        pytest.param([624], None, [0], id="blocks-are-not-counted"),
    ],
)
def test_lines_that_replace_what_they_kept(counts, blocks, lines) -> None:
    """A line that leaves more blocks than stay is left out, if there is another."""
    survivors = [at(number, count) for number, count in enumerate(counts)]
    found = leak_lines(survivors, 16, 1, blocks)
    assert sorted(line.line for line in found) == lines


def test_blocks_of_others_are_not_counted_against_a_line() -> None:
    """The rate that is known is that of Python's blocks."""
    found = leak_lines([Block((("put", "app.py", 3),), 64, 640, of_python=False)], 16, 1, 0)
    (line,) = found
    assert (line.count, line.of_python, line.small) == (64, 0, 640)


def test_what_lines_show_of_blocks() -> None:
    """How many are Python's, and the bytes of those in arenas."""
    large = at(3, 16, 16_000)
    others = Block((("put", "app.py", 3),), 16, 640, of_python=False)
    (line,) = leak_lines([at(3, 16), large, others], 16, 2)
    assert (line.count, line.size, line.of_python) == (48, 256 + 16_000 + 640, 32)


@pytest.mark.parametrize(
    ("sizes", "size"),
    [
        pytest.param([41, 41, 41], 41, id="one-size"),
        pytest.param([41, 47, 47], 47, id="texts-of-several-lengths"),
        pytest.param([41, 47, 90], 0, id="small-and-large"),
        pytest.param([0, 0, 41], 0, id="most-are-unknown"),
        pytest.param([64, 64, 64, 65], 64, id="one-of-four-is-larger"),
    ],
)
def test_how_large_most_blocks_are(sizes, size) -> None:
    """The size of a name is that of its object, whichever texts the function was given."""
    stack = (("put", "app.py", 3),)
    (line,) = leak_lines([Block(stack, 16, 16 * one, block=one) for one in sizes], 16, 3)
    assert line.block == size


@pytest.mark.parametrize(("heap", "lines"), [(512, [3]), (100, [])])
def test_memory_that_the_interpreter_does_not_count(heap, lines) -> None:
    """Memory that Python takes from the C library itself shows in the C heap alone."""
    found = leak_lines([at(3, 16, 16 * 500)], 16, 1, 0.0, heap)
    assert [line.line for line in found] == lines


@pytest.mark.parametrize(
    ("size", "lines"),
    [pytest.param(9_000, [3], id="most-of-it"), pytest.param(3_000, [], id="a-part-of-it")],
)
def test_one_block_and_the_growth_of_the_heap(size, lines) -> None:
    """One block has a line if it grows in place, not if the C heap grows by much more."""
    found = leak_lines([at(3, 1, size)], 16, 1, 0.0, 1_000)
    assert [line.line for line in found] == lines


@pytest.mark.parametrize(
    ("size", "chunk"),
    [
        pytest.param(5, 32, id="least"),
        pytest.param(24, 32, id="all-of-it"),
        pytest.param(25, 48, id="one-byte-more"),
        pytest.param(1000, 1008, id="large"),
    ],
)
def test_chunks_of_the_heap(size, chunk) -> None:
    """Memory in the C heap takes whole chunks of it, and what is in arenas takes none."""
    native = [SimpleNamespace(**vars(at(3, 16, 16 * size)), small=0)]
    (line,) = leak_lines(native, 16, 1)
    assert line.chunks == 16 * chunk
    (line,) = leak_lines([at(3, 16)], 16, 1)
    assert line.chunks == 0


def test_blocks_without_a_line_worth_naming() -> None:
    """A frame keeps blocks of pytest and of this package, none of which has a line."""
    of_pytest = Block((("call", PYTEST, 3),), 32, 32 * 50)
    of_this_package = Block((), 16, 16 * 200)
    rare = Block((("call", PYTEST, 9),), 1, 50)
    blocks = [at(1, 16), of_pytest, rare]
    lines = leak_lines(blocks, 16, 4)
    assert unnamed_blocks([*blocks, of_this_package], lines, 16, 4) == (48, 32 * 50 + 16 * 200)


def test_lines_of_pytest() -> None:
    """A line of pytest is named only where there is no other: it may have called C code."""
    pytests = Block((("finish", PYTEST, 3),), 16, 160)
    found = leak_lines([pytests, at(5, 16)], 16, 1)
    assert [line.line for line in found] == [5]
    (line,) = leak_lines([pytests], 16, 1)
    assert (line.file, line.line) == (PYTEST, 3)
    # what grows in place has a line, and pytest's is none that says something
    once = Block(pytests.stack, 1, 9000)
    assert leak_lines([once, at(5, 1, 100)], 16, 1) == ()


@pytest.mark.parametrize(
    ("stack", "line"),
    [
        pytest.param(
            [("put", "app.py", 3), ("test", "test.py", 9)], ("app.py", 3, "put"), id="innermost"
        ),
        pytest.param(
            [("loads", STDLIB, 3), ("put", "app.py", 9)], ("app.py", 9, "put"), id="stdlib"
        ),
        pytest.param(
            [("f", "<frozen x>", 3), ("g", "<string>", 1), ("put", "app.py", 9)],
            ("app.py", 9, "put"),
            id="generated",
        ),
        pytest.param(
            [("ones", SITE, 3), ("put", "app.py", 9)], (SITE, 3, "ones"), id="site-packages"
        ),
        pytest.param(
            [("call", OURS, 3), ("put", "app.py", 9)], ("app.py", 9, "put"), id="our-own"
        ),
        pytest.param(
            [("call", OURS, 3), ("loads", STDLIB, 9), ("load", STDLIB, 5)],
            (STDLIB, 9, "loads"),
            id="stdlib-alone",
        ),
        pytest.param(
            [("raises", PYTEST, 3), ("test", "test.py", 9), ("call", PYTEST, 5)],
            ("test.py", 9, "test"),
            id="c-function-called-by-pytest",
        ),
        pytest.param(
            [("finish", PYTEST, 3), ("call", OURS, 3), ("main", "run.py", 9)],
            (PYTEST, 3, "finish"),
            id="outside-the-call",
        ),
        pytest.param(
            [("make", STDLIB, 3), ("patched", STDLIB, 9), ("pytest_pyfunc_call", PYTEST, 5)],
            (STDLIB, 9, "patched"),
            id="decorator-of-a-test",
        ),
        pytest.param(
            [("make", STDLIB, 3), ("finish", PYTEST, 9), ("pytest_pyfunc_call", PYTEST, 5)],
            (PYTEST, 9, "finish"),
            id="stdlib-called-by-pytest",
        ),
        pytest.param(
            [("pytest_pyfunc_call", PYTEST, 5)], (PYTEST, 5, "pytest_pyfunc_call"), id="caller"
        ),
        pytest.param([], ("<no Python frame>", 0, "native code"), id="no-frame"),
        pytest.param(
            [("call", OURS, 3)], ("<no Python frame>", 0, "native code"), id="ours-alone"
        ),
    ],
)
def test_the_line_to_name(stack, line) -> None:
    """The line is the innermost one outside the standard library and this package."""
    assert line_of(stack) == line


@pytest.mark.parametrize(
    ("stack", "caller"),
    [
        pytest.param([("f", "app.py", 3), ("t", "test_app.py", 9)], "", id="own-line"),
        pytest.param(
            [("dumps", STDLIB, 3), ("make", SITE, 5), ("f", "app.py", 3), ("t", "test.py", 9)],
            "app.py:3",
            id="installed",
        ),
        pytest.param([("make", SITE, 5), ("call", PYTEST, 3)], "", id="nobody-of-ours"),
        pytest.param(
            [("make", SITE, 5), ("run", PYTEST, 3), ("f", "app.py", 3)],
            "app.py:3",
            id="past-pytest",
        ),
        pytest.param([], "", id="no-frames"),
    ],
)
def test_who_came_to_an_installed_package(stack, caller) -> None:
    """Below a line of an installed package stands the innermost one of the tested project."""
    (line,) = leak_lines([Block(tuple(stack), 16, 160)], 16, 1)
    assert line.caller == caller


def test_wrappers(tmp_path) -> None:
    """A line that passes a call on is named only if nothing else is there to name."""
    file = str(tmp_path / "calls.py")
    Path(file).write_text("def call(f, *a):\n    return f(*a)\n", encoding="utf-8")
    wrapper = ("call", file, 2)
    stack = (wrapper, wrapper, ("put", "app.py", 9), ("test", "test_app.py", 3))
    (line,) = leak_lines([Block(stack, 16, 160)], 16, 1)
    assert (line.file, line.line, line.function) == ("app.py", 9, "put")
    assert line.through == f"{file}:2"
    (line,) = leak_lines([Block((wrapper, ("run", PYTEST, 3)), 16, 160)], 16, 1)
    assert (line.file, line.line, line.through) == (file, 2, "")


def test_the_c_function_that_python_called() -> None:
    """It stands after the innermost ones, however many are in between."""
    native = ("a_4", "a_3", "a_2", "a_1", "_PyEval_EvalFrameDefault", "b_1")
    (line,) = leak_lines([Block((("put", "app.py", 9),), 16, 160, native)], 16, 1)
    assert line.native == ("a_4", "a_3", "a_1")


@pytest.mark.parametrize(
    ("native", "own"),
    [
        ((), ()),
        (("malloc",), ()),
        (("mylib_parse", "mylib_open", "PyObject_Call"), ("mylib_parse", "mylib_open")),
        (("malloc", "mylib_parse", "_PyEval_EvalFrame", "mylib_x"), ("mylib_parse",)),
        (("operator new(unsigned long)", "Parser::parse()"), ("Parser::parse()",)),
        (("PyObject_Malloc", "_PyLong_New"), ()),
        (("a_1", "a_2", "a_3", "a_4"), ("a_1", "a_2", "a_3")),
        (("", "mylib_parse"), ("mylib_parse",)),
    ],
)
def test_c_functions(native, own) -> None:
    """Functions of extensions are named, those of allocators and the interpreter are not."""
    assert c_functions(native) == own


@pytest.mark.parametrize(
    ("native", "own"),
    [
        (("PyTuple_New", "va_build_value", "parse_row", "cfunction_vectorcall_O"), "parse_row"),
        (("do_mktuple", "Py_BuildValue", "info", "_PyEval_EvalFrameDefault"), "info"),
        (("clone_combined_dict_keys", "PyDict_Copy", "method_vectorcall_NOARGS"), ""),
        (("insertdict", "PyDict_SetItem", "_PyEval_EvalFrameDefault", "outer"), ""),
        (("make_gen", "_Py_MakeCoro", "_PyEval_EvalFrameDefault"), ""),
        (("PyObject_Call", "before_it"), ""),
        (("<unknown>", "ffi_call", "_call_function_pointer", "_ctypes_callproc"), ""),
    ],
)
def test_c_functions_behind_those_of_the_interpreter(native, own) -> None:
    """An extension makes objects by the interpreter's functions; its own comes after them."""
    assert c_functions(native) == ((own,) if own else ())


@pytest.mark.parametrize(
    ("frames", "named"),
    [
        pytest.param([("read", OURS, 3)], False, id="that-the-check-calls"),
        pytest.param([("put", "app.py", 3), ("_call", OURS, 3)], True, id="of-the-test"),
    ],
)
def test_generated_code(frames, named) -> None:
    """A named tuple that the check makes for itself has no line that is named."""
    stack = (("__new__", "<string>", 1), *frames, ("call", PYTEST, 9))
    found = leak_lines([Block(stack, 1, 9000), Block(stack, 1, 9000)], 16, 1)
    assert [line.function for line in found] == ["put"] * named
