"""Tests of pytest as checks see them: their markers, parameters and fixtures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest

from pytest_memguard.checks.protocol import PlacedMarker
from pytest_memguard.extension import Marker, TestInfo


class MarkedItem:
    """One test of pytest.

    Args:
        item: that test.
    """

    __slots__ = ("_item",)

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    @property
    def nodeid(self) -> str:
        """Pytest's name for it."""
        return self._item.nodeid

    def marked(self, name: str) -> Sequence[PlacedMarker]:
        """The markers of a name that hold for it, the closest first."""
        item = self._item
        marks = list(item.iter_markers_with_node(name))
        if not marks:
            return ()
        if len(marks) > 1:
            # pytest lists a parameter's marks behind those of its function
            of_parameters = getattr(getattr(item, "callspec", None), "marks", ())
            marks.sort(key=lambda pair: not any(pair[1] is mark for mark in of_parameters))
        return [_placed(item, node, mark) for node, mark in marks]

    def added_since(self, before: Iterable[pytest.Mark]) -> Sequence[PlacedMarker]:
        """Markers of its own that it did not have before."""
        known = {id(mark) for mark in before}
        late = [mark for mark in self._item.own_markers if id(mark) not in known]
        return [_placed(self._item, self._item, mark) for mark in late]

    def depth(self, marker: PlacedMarker) -> int:
        """How deep in the tree of tests a marker stands: its own are the deepest."""
        return self._item.listchain().index(marker.node)

    def parameters(self) -> Mapping[str, object] | None:
        """Values of its parameters; ``None`` if it has none."""
        callspec = getattr(self._item, "callspec", None)
        return None if callspec is None else callspec.params

    def info(self) -> TestInfo:
        """The test as checks of other plugins see it."""
        return TestInfo(
            nodeid=self._item.nodeid,
            markers=tuple(
                Marker(name=mark.name, args=mark.args, kwargs=mark.kwargs)
                for mark in self._item.iter_markers()
            ),
            fixtures=tuple(getattr(self._item, "fixturenames", ())),
        )

    def problem_lines(self, marker: PlacedMarker, problems: Iterable[str]) -> list[str]:
        """A line for each problem of a marker, with the test and its place.

        Args:
            marker: which.
            problems: a sentence each.
        """
        file, line, _ = self._item.location
        place = f"{file}:{line + 1}" if line is not None else file
        node = marker.node
        owner = "" if node is self._item else f", marker on {getattr(node, 'name', node)}"
        start = f"{place}: {self._item.nodeid}{owner}: {marker.mark.name}: "
        return [f"{start}{problem}" for problem in problems]


def _placed(item: pytest.Item, node: object, mark: pytest.Mark) -> PlacedMarker:
    where = "the marker" if node is item else f"the marker on {getattr(node, 'name', node)}"
    return PlacedMarker(mark, node, where)
