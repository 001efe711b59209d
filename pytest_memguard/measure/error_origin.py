"""Finds the failed allocation behind an exception, and the line it comes from."""

from __future__ import annotations

import dis
import errno
from collections.abc import Iterator
from types import TracebackType
from typing import Final, NamedTuple

_RAISE: Final = dis.opmap["RAISE_VARARGS"]
_NO_THREAD: Final = "can't start new thread"
_ADDRESSES: Final = 1 << 47
"""Bytes that a process can address."""
_SEEN: Final = "_memguard_seen"


class Origin(NamedTuple):
    """A line."""

    file: str
    """Path as the interpreter knows it."""
    line: int
    """Its number, from 1."""
    function: str
    """Its function."""
    test_line: int
    """Line of the test's file that led there; 0 if the line is in that file."""


def failed_allocation(
    error: BaseException, cause: type[MemoryError] = MemoryError
) -> BaseException | None:
    """Return the error of an allocation that failed and led to an exception.

    One that Python code has raised by itself, as a mock does, is none; neither is one that was
    returned before.

    Args:
        error: the exception.
        cause: the class of what is looked for; with the most general one, errors of other
            classes that say the same count, too.
    """
    for each in _chain(error):
        if isinstance(each, cause):
            own = _was_raised_by_python(each) or is_beyond_reason(each)
            if cause is MemoryError and own:
                continue
        elif not (each is error and cause is MemoryError and _is_for_want_of_memory(each)):
            continue
        if getattr(each, _SEEN, False):
            continue
        each.__dict__[_SEEN] = True  # a fixture's error is raised again for the next test
        return each
    return None


def is_beyond_reason(error: BaseException) -> bool:
    """Return whether no machine has as much as was asked for, as far as the error says that."""
    return getattr(error, "_total_size", 0) >= _ADDRESSES  # numpy's says it


def raises_memory_error(error: BaseException | None) -> bool:
    """Return whether an exception is a MemoryError, or comes from one, whosever it is."""
    return error is not None and any(isinstance(each, MemoryError) for each in _chain(error))


def origin_of(error: BaseException, test_file: str) -> Origin | None:
    """Return the line an exception was raised in; ``None`` if it has no traceback.

    Args:
        error: the exception.
        test_file: path of the test's file.
    """
    last, in_test = None, 0
    for step in _steps(error):
        last = step
        if step.tb_frame.f_code.co_filename == test_file:
            in_test = step.tb_lineno
    if last is None:
        return None
    code = last.tb_frame.f_code
    in_test = 0 if code.co_filename == test_file else in_test
    return Origin(code.co_filename, last.tb_lineno, code.co_qualname, in_test)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, and those that it was raised from, holds or replaces."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        inner = getattr(each, "exc_info", None)  # a doctest's
        if isinstance(inner, tuple):
            waiting += [part for part in inner if isinstance(part, BaseException)]
        waiting += [each.__cause__, each.__context__]


def _is_for_want_of_memory(error: BaseException) -> bool:
    """Whether an error of another class says that there was no memory."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and str(error) == _NO_THREAD


def _was_raised_by_python(error: BaseException) -> bool:
    last = next(iter([*_steps(error)][-1:]), None)
    return last is None or last.tb_frame.f_code.co_code[last.tb_lasti] == _RAISE


def _steps(error: BaseException) -> Iterator[TracebackType]:
    step = error.__traceback__
    while step is not None:
        yield step
        step = step.tb_next
