"""What tests fail with: our public errors, printed as text alone, as pytest.fail does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest

from pytest_memguard.errors import (
    BudgetExceeded,
    CheckFailed,
    LeakDetected,
    LeakUndecided,
    MemoryRegression,
    TestDied,
    WrongNeed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_memguard.checks.protocol import CheckError
    from pytest_memguard.model.measurements import Finding

Error = TypeVar("Error", bound=AssertionError)


class TextAlone(pytest.fail.Exception):  # type: ignore[misc, name-defined]
    """Printed without a traceback."""


def _printed_alone(error: type[Error]) -> type[Error]:
    """A class of the same name, which pytest prints without a traceback.

    Args:
        error: takes a message, and what it is about.
    """

    def make(self: Any, message: str, about: Any) -> None:
        error.__init__(self, message, about)
        self.msg = message
        self.pytrace = False

    members = {"__init__": make, "__module__": "builtins", "__doc__": error.__doc__}
    return type(error.__name__, (error, TextAlone), members)


Breach = _printed_alone(BudgetExceeded)
Died = _printed_alone(TestDied)
Leak = _printed_alone(LeakDetected)
Regressed = _printed_alone(MemoryRegression)
Undecided = _printed_alone(LeakUndecided)
Violated = _printed_alone(CheckFailed)
Misdeclared = _printed_alone(WrongNeed)

_PRINTED: Final[dict[CheckError, type[AssertionError]]] = {
    BudgetExceeded: Breach,
    CheckFailed: Violated,
    MemoryRegression: Regressed,
    WrongNeed: Misdeclared,
}


def printed(error: CheckError) -> Callable[[str, Sequence[Finding]], AssertionError]:
    """The class that a test fails with, in place of a public error."""
    return _PRINTED[error]
