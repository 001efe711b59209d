"""Makes a list of objects anew on every call."""


class Row:
    """One line of a table."""

    def __init__(self, number: int) -> None:
        self.number = number


class Table:
    """What was read last."""

    rows: list[Row] = []


def test_read() -> None:
    """There are a thousand rows."""
    Table.rows = [Row(number) for number in range(1_000)]
    assert len(Table.rows) == 1_000
