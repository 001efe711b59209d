"""Tests of how growth of a signal is written."""

from __future__ import annotations

import pytest

from pytest_memguard.model.leaks import amount_of


@pytest.mark.parametrize(
    ("signal", "value", "text"),
    [
        pytest.param("USS", 4100.0, "4.0 KiB", id="bytes"),
        pytest.param("C heap", 0.0, "0 B", id="no-bytes"),
        pytest.param("blocks", 0.3333, "0.333", id="fraction"),
        pytest.param("blocks", 24.0, "24", id="number"),
        pytest.param("blocks", 12345.6, "12,346", id="many"),
        pytest.param("open files", 2.0, "2", id="files"),
    ],
)
def test_amount_of(signal, value, text) -> None:
    """Bytes have a unit, and no number is written with an exponent."""
    assert amount_of(signal, value) == text
