"""Functions whose docstrings are tests."""

from __future__ import annotations


def over() -> None:
    """Use 21 MiB, of 14.

    >>> len(bytearray(21 << 20))
    22020096
    """


def within() -> None:
    """Use 7 MiB, of 14.

    >>> len([bytes(447) for _ in range(7 << 11)])
    14336
    """
