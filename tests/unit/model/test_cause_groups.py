"""Tests of how regressions of a run are grouped by their cause."""

from __future__ import annotations

import pytest

from pytest_memguard.model.cause_groups import CauseGroups, cause_groups, grown_candidates
from pytest_memguard.model.causes import Cause
from pytest_memguard.model.measurements import Budget, CallSite, Finding
from pytest_memguard.model.results import Outcome
from pytest_memguard.sizes import KIB, MIB


def cause(size, **more) -> Cause:
    """A cause of so many MiB."""
    return Cause(growth=int(size * MIB), **more)


def site(line, size) -> CallSite:
    """A line that holds so many MiB at the peak."""
    return CallSite(file="shop.py", line=line, function="f", size=int(size * MIB), count=1)


A, B = ("a.py:1 (f)",), ("a.py:2 (g)",)


@pytest.mark.parametrize(
    ("one", "other", "where", "together"),
    [
        pytest.param(cause(3, lines=A), cause(24, lines=A), "b", True, id="line"),
        pytest.param(cause(3, lines=A), cause(3, lines=B), "a", False, id="other-line"),
        pytest.param(cause(3, lines=A + B), cause(6, lines=B), "b", True, id="lines-in-common"),
        pytest.param(cause(3, stage="load"), cause(9, stage="load"), "b", True, id="stage"),
        pytest.param(cause(3, stage="load"), cause(3, stage="get"), "a", False, id="stages"),
        pytest.param(cause(3, stage="load"), cause(3), "a", False, id="stage-of-one"),
        pytest.param(
            cause(3, lines=A, stage="load"), cause(3, stage="load"), "b", True, id="no-line"
        ),
        pytest.param(
            cause(3, lines=A, stage="load"),
            cause(3, lines=B, stage="load"),
            "a",
            False,
            id="other-line-in-a-stage",
        ),
        pytest.param(
            cause(3, holder="data.t"), cause(9, holder="data.t"), "b", True, id="fill"
        ),
        pytest.param(
            cause(3, holder="data.t"), cause(3, holder="data.u"), "a", False, id="fills"
        ),
        pytest.param(cause(3), cause(3.2), "a", True, id="as-much-in-a-module"),
        pytest.param(cause(3), cause(3.3), "a", False, id="more-in-a-module"),
        pytest.param(cause(100), cause(103), "a", True, id="a-share-more"),
        pytest.param(cause(100), cause(104), "a", False, id="a-larger-share-more"),
        pytest.param(cause(3), cause(3), "b", False, id="as-much-elsewhere"),
        pytest.param(
            cause(3, fixtures=("cart", "x")),
            cause(3, fixtures=("cart",)),
            "b",
            True,
            id="fixture",
        ),
        pytest.param(
            cause(3, fixtures=("cart",)), cause(3, fixtures=("x",)), "b", False, id="fixtures"
        ),
        pytest.param(cause(3), cause(9, first="a::one"), "b", True, id="was-decided-before"),
    ],
)
def test_together(one, other, where, together) -> None:
    """Tests belong together by what has grown; if that is not known, by how much, and where."""
    groups = CauseGroups()
    groups.add("a::one", one, fails=True)
    assert together == (groups.find(f"{where}::two", other) is not None)
    groups.add(f"{where}::two", other, fails=True)
    assert (1 if together else 2) == len(groups.values())


def test_explained() -> None:
    """Tests with one known line explain as much growth of others nearby, if they are enough."""
    groups = CauseGroups()
    for number, size in enumerate((3, 3.1, 9)):
        groups.add(f"a::{number}", cause(size, lines=A), fails=True)
    groups.add("a::fill", cause(20, holder="data.t", is_fill=True), fails=True)
    quarter = MIB // 4
    near = (3 * MIB - quarter, int(3.1 * MIB) + quarter)
    far = (9 * MIB - int(0.27 * MIB), 9 * MIB + int(0.27 * MIB))
    assert groups.explained("a::new", (), 3) == (near, far)
    assert groups.explained("a::new", (), 4) == groups.explained("b::new", (), 3) == ()


def test_narrowed() -> None:
    """A line that may have grown in every test of a group is the one that grew."""
    groups = CauseGroups()
    assert not groups.add("a::one", cause(3, lines=A + B), fails=True).line
    group = groups.add("b::two", cause(7, lines=B), fails=True)
    assert (B[0], "a::one", 3 * MIB, 7 * MIB) == (
        group.line,
        group.first,
        group.least,
        group.most,
    )


@pytest.mark.parametrize(
    ("sites", "expected"),
    [
        pytest.param([site(1, 50), site(2, 9.5), site(3, 2)], [2], id="as-much"),
        pytest.param([site(1, 50), site(3, 2)], [1], id="a-part-of-it"),
        pytest.param([site(1, 50), site(2, 40)], [2, 1], id="parts"),
        pytest.param([site(1, 12), site(2, 9)], [2, 1], id="the-nearest-first"),
        pytest.param([site(1, 6.9)], [], id="less"),
        pytest.param([site(0, 10)], [], id="no-line"),
    ],
)
def test_candidates(sites, expected) -> None:
    """A line that may have grown by 10 MiB holds about as much at the peak, or more."""
    found = [f"shop.py:{line} (f)" for line in expected]
    assert tuple(found) == grown_candidates(sites, 10 * MIB)


def outcome(name, of_test, *, rule="regression", raised=True) -> Outcome:
    """The result of a test with one finding."""
    found = Finding(rule=rule, budget=Budget(limit=1, where=""), cause=of_test, raised=raised)
    return Outcome(nodeid=name, findings=(found,))


def test_of_a_run() -> None:
    """The groups of a run are those of all its processes, with undecided tests beside them."""
    found = cause_groups(
        [
            outcome("a::late", cause(9, lines=A, first="z::first")),
            outcome("b::other", cause(9, lines=B)),
            outcome("c::size", cause(5, first="z::first")),
            outcome("d::open", cause(2, lines=A), rule="undecided", raised=False),
            outcome("e::open", cause(2), rule="undecided", raised=False),
            outcome("f::accepted", cause(2, lines=A), raised=False),
            outcome("y::second", cause(4, lines=A)),
            outcome("z::first", cause(3, lines=A)),
        ]
    )
    assert [(group.first, group.tests, group.undecided) for group in found] == [
        ("y::second", ("a::late", "c::size", "y::second", "z::first"), ("d::open",)),
        ("b::other", ("b::other",), ()),
    ]
    assert (found[0].least, found[0].most) == (3 * MIB, 9 * MIB)
    assert found[1].least > KIB


def test_of_one_test() -> None:
    """A test with the same cause in several numbers counts once."""
    one = outcome("a::one", cause(3, stage="load"))
    twice = Outcome(nodeid="a::one", findings=one.findings * 2)
    (group,) = cause_groups([twice])
    assert group.tests == ("a::one",)
