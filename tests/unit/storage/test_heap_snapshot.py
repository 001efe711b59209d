"""Reading heap snapshots, whole and broken."""

from __future__ import annotations

import json

import pytest

from pytest_memguard.errors import ConfigError
from pytest_memguard.storage import heap_snapshot
from pytest_memguard.storage.heap_snapshot import read_heap_snapshot
from tests.support.heap_files import snapshot_text

NODES = [
    ("synthetic", "", 1, 0),
    ("object", "Größe", 3, 32),
    ("closure", "f", 5, 64),
    ("hidden", "system / Map", 7, 8),
]
EDGES = [(0, "element", 1, 1), (1, "property", "handler", 2), (2, "internal", "map", 3)]
WHOLE = snapshot_text(NODES, EDGES)


@pytest.mark.parametrize("chunk", [1, 7, 1 << 22])
@pytest.mark.parametrize("indent", [None, 1])
def test_reading(tmp_path, monkeypatch, chunk, indent) -> None:
    """Objects and references are those of the file, wherever its lines and parts end."""
    monkeypatch.setattr(heap_snapshot, "_CHUNK", chunk)
    path = tmp_path / "a.heapsnapshot"
    path.write_text(json.dumps(json.loads(WHOLE), indent=indent))
    graph = read_heap_snapshot(path)
    assert graph.class_names() == ["", "Größe", "(closure)", "(system)"]
    assert list(graph.id) == [1, 3, 5, 7]
    assert list(graph.size) == [0, 32, 64, 8]
    assert list(graph.target) == [1, 2, 3]
    assert [graph.edge_text(edge) for edge in range(3)] == ["1", "handler", "map"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{}", id="other-json"),
        pytest.param(WHOLE[: len(WHOLE) // 2], id="cut-off"),
        pytest.param(WHOLE.replace('"nodes"', '"knots"'), id="no-nodes"),
        pytest.param(WHOLE.replace('"strings": ["",', '"strings": ['), id="few-strings"),
        pytest.param(
            snapshot_text(NODES, [*EDGES, (0, "element", 2, 9)]), id="wrong-reference"
        ),
        pytest.param(WHOLE.replace('"edges": [', '"edges": [1, 1, 7, '), id="more-edges"),
        pytest.param(WHOLE.replace('"edges": [1', '"edges": [x'), id="no-number"),
    ],
)
def test_broken_files(tmp_path, text) -> None:
    """A file that is no whole snapshot is refused with its name."""
    path = tmp_path / "a.heapsnapshot"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"a\.heapsnapshot is not a complete heap snapshot"):
        read_heap_snapshot(path)


def test_a_file_that_is_not_there(tmp_path) -> None:
    """A file that cannot be read is named."""
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_heap_snapshot(tmp_path / "none")
