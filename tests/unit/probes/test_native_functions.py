"""Tests of which C functions of a tracker's record are read."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_memguard.probes.surviving_blocks import native_of

EVAL = "_PyEval_EvalFrameDefault"


@pytest.mark.parametrize(
    ("functions", "read"),
    [
        pytest.param(["parse", EVAL, *["main"] * 100], 12, id="shallow"),
        pytest.param([*["parse"] * 40, "open", EVAL, "main"], 43, id="deep"),
        pytest.param(["parse", "start_thread"], 2, id="no-python"),
        pytest.param(["parse"] * 999, 256, id="endless"),
    ],
)
def test_how_far_c_functions_are_read(functions, read) -> None:
    """They are read up to the one that Python called, however deep that is."""
    record = SimpleNamespace(
        native_stack_trace=lambda max_stacks: [(name, "", 0) for name in functions[:max_stacks]]
    )
    assert list(native_of(record)) == functions[:read]
