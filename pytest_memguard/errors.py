"""Everything this package raises or warns, each with a slug that docs/messages.md explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_memguard.model.deaths import Death
    from pytest_memguard.model.leaks import LeakReading
    from pytest_memguard.model.measurements import Finding


_LONGEST_QUOTE = 200
_SHORTENED = 60


def quoted(value: object) -> str:
    """Return a value as messages quote it: on one line, shortened if it is long."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  a value's own code may raise anything
        return f"a value of type {type(value).__name__}"  # an int of too many digits, too
    if "\n" in text:
        text = " ".join(text.split())
    if len(text) <= _LONGEST_QUOTE:
        return text
    return f"{text[:_SHORTENED]}... ({len(text)} characters)"


class ConfigError(ValueError):
    """A setting, marker or argument makes no sense.

    Args:
        problems: one sentence for each problem: what is wrong, where it was set, and what would
            be right.
    """

    slug = "bad-setting"

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


class BudgetExceeded(AssertionError):  # noqa: N818  reads as the sentence it reports
    """A measured peak is above its budget.

    Args:
        message: the text of the failure.
        findings: every breach of the phase, the worst first.
    """

    slug = "over-budget"

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        self.findings = tuple(findings)
        super().__init__(message)


class MemoryRegression(AssertionError):  # noqa: N818  reads as the sentence it reports
    """A test uses more memory than its baseline value, and more than rule and noise allow.

    Args:
        message: the text of the failure.
        findings: every regression of the phase.
    """

    slug = "regression"

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        self.findings = tuple(findings)
        super().__init__(message)


class CheckFailed(AssertionError):  # noqa: N818  reads as the sentence it reports
    """A check that another plugin has added fails a test.

    Args:
        message: the text of the failure.
        findings: the violations that the check found.
    """

    slug = "check-failed"

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        self.findings = tuple(findings)
        super().__init__(message)


class WrongNeed(AssertionError):  # noqa: N818  reads as the sentence it reports
    """A test declares that it needs far more memory than it uses, or far less.

    Args:
        message: the text of the failure.
        findings: what is wrong with the marker.
    """

    slug = "wrong-need"

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        self.findings = tuple(findings)
        super().__init__(message)


class LeakDetected(AssertionError):  # noqa: N818  reads as the sentence it reports
    """A test or an operation keeps more memory, or other resources, with every call.

    Args:
        message: the text of the failure.
        reading: the verdict and its cause.
    """

    slug = "leaking"

    def __init__(self, message: str, reading: LeakReading | None = None) -> None:
        self.reading = reading
        super().__init__(message)


class LeakUndecided(LeakDetected):
    """A leak check ended as undecided, and that fails the test (``--mem-leak-strict``)."""

    slug = "undecided"


class TestDied(AssertionError):  # noqa: N818  reads as the sentence it reports
    """The process of an isolated test crashed, ended itself, or was stopped.

    Args:
        message: the text of the failure.
        death: how it died.
    """

    __test__ = False  # no test, though its name begins like one
    slug = "test-died"

    def __init__(self, message: str, death: Death | None = None) -> None:
        self.death = death
        super().__init__(message)


class Unmeasurable(RuntimeError):  # noqa: N818  a state of the machine, not a mistake
    """A number cannot be measured here; the text is the reason."""

    slug = "not-measured"


class MemoryBudgetWarning(UserWarning):
    """A peak came close to its budget, or exceeded it where breaches only warn."""


for _public in (
    BudgetExceeded,
    CheckFailed,
    ConfigError,
    LeakDetected,
    LeakUndecided,
    MemoryBudgetWarning,
    MemoryRegression,
    TestDied,
    Unmeasurable,
    WrongNeed,
):
    _public.__module__ = "pytest_memguard"
