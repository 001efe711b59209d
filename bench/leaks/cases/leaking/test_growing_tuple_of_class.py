"""A tuple in a class gets one more item on every call."""


class Step:
    """One of many."""


class Plan:
    """Has steps."""

    steps: tuple[Step, ...] = ()


def plan() -> int:
    """One more step."""
    Plan.steps = (*Plan.steps, Step())  # LEAK
    return len(Plan.steps)


def test_plan() -> None:
    """There is a step."""
    assert plan() > 0
