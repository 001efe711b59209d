"""A tuple in a class has the five latest steps."""


class Step:
    """One of many."""


class Plan:
    """Has steps."""

    steps: tuple[Step, ...] = ()


def test_plan() -> None:
    """There are five at most."""
    Plan.steps = (*Plan.steps[-4:], Step())
    assert len(Plan.steps) <= 5
