"""How a phase ends that met a hard budget: stopped, or in doubt."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pytest_memguard.model.measurements import Budget, Stop


class Stopped:
    """A test that was stopped, while its exception is known.

    Args:
        budget: which has stopped it.
        stop: where.
        error: what the test has ended with; ``None`` if it went on.
        found: the error of the allocation behind that.

    Attributes:
        budget: which has stopped it.
        stop: where.
        is_judged: whether there is a finding about it.
    """

    def __init__(
        self,
        budget: Budget,
        stop: Stop,
        error: BaseException | None = None,
        found: BaseException | None = None,
    ) -> None:
        self.budget = budget
        self.stop = stop
        self.is_judged = False
        self._error = error
        self._found = found

    def shown_by(self, failure: AssertionError) -> AssertionError:
        """Return a failure with the traceback of the allocation; let go of its error."""
        error, self._error = self._error, None
        found, self._found = self._found, None
        if found is None:
            return failure
        failure.pytrace = True  # type: ignore[attr-defined]
        if error is not found:
            failure.__cause__ = error
        return failure.with_traceback(found.__traceback__)


class Doubt(NamedTuple):
    """Why it is not known whether a hard budget was kept."""

    why: Literal["cause-not-known", "not-held"]
    """There was a MemoryError that may have been the test's own, or the limit was replaced."""
    budget: Budget
    """Which budget."""
