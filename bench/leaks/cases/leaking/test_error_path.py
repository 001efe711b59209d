"""Forgets to clean up when the work fails."""

import pytest


class Job:
    """Something to do."""

    def __init__(self, text: str) -> None:
        self.text = text


_ACTIVE: dict[int, Job] = {}


def work(text: str) -> int:
    """Do a job; those that fail stay active."""
    job = Job(text)  # LEAK
    _ACTIVE[id(job)] = job  # LEAK
    number = int(job.text)
    del _ACTIVE[id(job)]
    return number


def test_work() -> None:
    """A number is a number, and a word is an error."""
    assert work("7") == 7
    with pytest.raises(ValueError, match="seven"):
        work("seven")
