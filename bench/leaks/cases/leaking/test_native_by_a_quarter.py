"""Loses native memory, a quarter more on every call."""

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


class Packer:
    """Has a size."""

    size = 1_000


def pack() -> int:
    """Pack more than before."""
    Packer.size += Packer.size // 4
    leaky.reserve(Packer.size)  # LEAK
    return Packer.size


def test_pack() -> None:
    """It is more than at the start."""
    assert pack() > 1_000
