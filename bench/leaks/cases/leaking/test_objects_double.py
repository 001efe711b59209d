"""Every object has a copy made of it, and all are kept."""


class Task:
    """One of more and more."""


_TASKS: dict[int, Task] = {0: Task()}


def copy() -> int:
    """Copy all of them."""
    for _ in range(len(_TASKS)):
        _TASKS[len(_TASKS)] = Task()  # LEAK
    return len(_TASKS)


def test_copy() -> None:
    """There is an even number of them."""
    assert copy() % 2 == 0
