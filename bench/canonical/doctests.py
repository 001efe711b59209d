"""Functions whose docstrings are tests."""

from __future__ import annotations


def over() -> None:
    """Use 18 MiB, of 14.

    >>> len(bytearray(18 << 20))
    18874368
    """


def within() -> None:
    """Use 9 MiB, of 14.

    >>> len([bytes(447) for _ in range(9 << 11)])
    18432
    """
