"""The failed allocation behind an exception, and its line."""

from __future__ import annotations

import errno
from collections.abc import Callable
from unittest import mock

import pytest

from pytest_memguard.measure.error_origin import failed_allocation, origin_of

HUGE = 1 << 60


def _allocates() -> None:
    bytearray(HUGE)


def _raises() -> None:
    raise MemoryError


def _chains() -> None:
    try:
        bytearray(HUGE)
    except MemoryError as error:
        raise ValueError from error


def _hides() -> None:
    try:
        bytearray(HUGE)
    except MemoryError:
        raise ValueError from None


def _groups() -> None:
    try:
        bytearray(HUGE)
    except MemoryError as error:
        msg = "some"
        raise ExceptionGroup(msg, [ValueError(), error]) from None


def _raises_again() -> None:
    try:
        bytearray(HUGE)
    except MemoryError as error:
        error.add_note("raised again")
        raise


def _no_descriptor() -> None:
    raise OSError(errno.EMFILE, "too many")


def _no_mapping() -> None:
    raise OSError(errno.ENOMEM, "no memory")


def _no_thread() -> None:
    msg = "can't start new thread"
    raise RuntimeError(msg)


def _caught(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except Exception as error:  # noqa: BLE001  any
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        pytest.param(_allocates, True, id="allocation"),
        pytest.param(_chains, True, id="cause"),
        pytest.param(_hides, True, id="hidden-context"),
        pytest.param(_groups, True, id="group"),
        pytest.param(_raises_again, True, id="raised-again"),
        pytest.param(_no_mapping, True, id="mapping"),
        pytest.param(_no_thread, True, id="thread"),
        pytest.param(_raises, False, id="raised-by-python"),
        pytest.param(mock.Mock(side_effect=MemoryError), False, id="mock"),
        pytest.param(_no_descriptor, False, id="other-os-error"),
    ],
)
def test_failed_allocation(function: Callable[[], object], *, expected: bool) -> None:
    """An allocation that failed in C is found behind what became of it; others are not."""
    assert (failed_allocation(_caught(function)) is not None) == expected


def test_one_error_is_found_once() -> None:
    """An error that is raised again for another test, as a fixture's is, counts once."""
    error = _caught(_allocates)
    assert failed_allocation(error) is error
    assert failed_allocation(error) is None


def test_requests_beyond_reason_are_the_tests_own() -> None:
    """An array that no process can address fails with or without a limit."""
    numpy = pytest.importorskip("numpy")
    assert failed_allocation(_caught(lambda: numpy.ones(HUGE, "u1"))) is None


def test_origin() -> None:
    """The innermost line is named, and the test's own line that led there."""
    error = _caught(_allocates)
    here = origin_of(error, __file__)
    assert here is not None
    assert (here.file, here.function, here.test_line) == (__file__, "_allocates", 0)
    assert here.line == _allocates.__code__.co_firstlineno + 1
    assert origin_of(MemoryError(), __file__) is None
