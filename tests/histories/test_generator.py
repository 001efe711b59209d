"""Tests of the random histories: everything that is meant to occur in them does."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.histories.generator import histories
from tests.histories.model import History
from tests.histories.operations import OPERATIONS
from tests.histories.source import files

EXAMPLES = 150


@pytest.fixture(scope="module")
def drawn() -> list[History]:
    """Some histories."""
    found: list[History] = []

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(histories)
    def draw(history: History) -> None:
        found.append(history)

    draw()
    return found


def test_lengths(drawn) -> None:
    """A history has three to eight tests."""
    lengths = {len(history.cases) for history in drawn}
    assert {3, 8} <= lengths <= set(range(3, 9))


def test_every_operation_is_drawn(drawn) -> None:
    """No operation is left out."""
    cases = [case for history in drawn for case in history.cases]
    assert set(OPERATIONS) == {step.name for case in cases for step in case.operations}


def test_every_way_to_place_a_test_is_drawn(drawn) -> None:
    """Tests share classes and modules or do not, and request fixtures of every scope."""
    cases = [case for history in drawn for case in history.cases]
    scopes = {case.fixture.scope for case in cases if case.fixture is not None}
    assert {"same", "class", "module"} == {case.place for case in cases}
    assert scopes == {"function", "class", "module"}


def test_files_are_python(drawn) -> None:
    """Each history can be written as files, one for each of its modules."""
    for history in drawn:
        texts = files(history, [2 << 20] * len(history.cases))
        for name, text in texts.items():
            compile(text, name, "exec")
        modules = 1 + sum(case.place == "module" for case in history.cases[1:])
        assert modules == len(texts)
