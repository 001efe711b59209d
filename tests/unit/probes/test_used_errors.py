"""Whether there was a MemoryError, found out afterwards on Python 3.11."""

from __future__ import annotations

import sys

import pytest

from pytest_memguard.probes.used_errors import UsedErrors

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 12) or sys.platform != "linux", reason="sys.monitoring does it"
)


@pytest.fixture
def errors() -> UsedErrors:
    """The watch under test."""
    return UsedErrors()


@pytest.mark.parametrize("times", [1, 2, 40])
def test_each_one_is_noticed(errors: UsedErrors, times: int) -> None:
    """A MemoryError that was raised and is gone is noticed once, each time."""
    for _ in range(times):
        errors.begin()
        with pytest.raises(MemoryError):
            bytearray(1 << 60)
        assert errors.end()
        errors.begin()
        assert not errors.end()


def test_others_are_none(errors: UsedErrors) -> None:
    """Other exceptions leave no trace."""
    errors.begin()
    with pytest.raises(ValueError, match="invalid literal"):
        int("other")
    assert not errors.end()


def test_many_at_once(errors: UsedErrors) -> None:
    """More errors than the interpreter keeps are noticed, too, and do no harm."""
    for _ in range(3):
        errors.begin()
        many = [MemoryError() for _ in range(200)]
        del many
        assert errors.end()
    errors.begin()
    assert not errors.end()


def test_a_failed_allocation_differs_from_a_raised_error(errors: UsedErrors) -> None:
    """The C library's error number shows it until something else fails."""
    errors.begin()
    with pytest.raises(MemoryError):
        bytearray(1 << 60)
    assert errors.is_no_memory()
    errors.begin()
    with pytest.raises(MemoryError):
        raise MemoryError
    assert not errors.is_no_memory()
    assert errors.end()
