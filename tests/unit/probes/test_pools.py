"""Tests of which C functions keep the memory that they had from malloc."""

from __future__ import annotations

import pytest

from pytest_memguard.probes.pools import Getters, pools_among


@pytest.mark.parametrize(
    ("native", "getter"),
    [
        pytest.param(
            ("H5FL_reg_malloc", "H5T_copy"), "H5FL_reg_malloc", id="named-after-malloc"
        ),
        pytest.param(("malloc", "pool_get", "open_it"), "pool_get", id="malloc-itself"),
        pytest.param(("operator new(unsigned long)", "make"), "make", id="new"),
        pytest.param(("__GI___strdup", "set_name"), "", id="of-the-c-library"),
        pytest.param(("_PyMem_RawMalloc", "PyMem_RawMalloc"), "", id="of-the-interpreter"),
        pytest.param(("ffi_call_unix64",), "", id="called-by-ctypes"),
        pytest.param((), "", id="unknown"),
    ],
)
def test_getter(native, getter):
    """It is the innermost function of a library, and none that keeps nothing."""
    assert getter == Getters().of(native)


@pytest.mark.parametrize(
    ("freed", "pools"),
    [
        pytest.param({}, {"get"}, id="none"),
        pytest.param({"get": 1, "other": 90}, {"get"}, id="one"),
        pytest.param({"get": 8}, set(), id="as-many"),
    ],
)
def test_pools(freed, pools):
    """A pool gives hardly any of its blocks back; a few blocks prove nothing."""
    assert pools == pools_among(["get"] * 16 + ["rare"] * 4 + [""] * 50, freed)
