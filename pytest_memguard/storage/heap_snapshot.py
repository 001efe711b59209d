"""Reads heap snapshots of V8: files of Node.js, Chrome and others (.heapsnapshot)."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from pytest_memguard.errors import ConfigError
from pytest_memguard.model.heap_graphs import HeapGraph

_CHUNK: Final = 1 << 22
"""Bytes of numbers that are parsed at once: as Python objects they take ten times that."""
_MOST_HEAD: Final = 1 << 20


def read_heap_snapshot(path: Path) -> HeapGraph:
    """Return the heap in a file.

    Raises:
        ConfigError: if it cannot be read, or is no snapshot.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise ConfigError(msg) from error
    try:
        return _graph(data)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        msg = f"{path} is not a complete heap snapshot ({type(error).__name__}: {error})"
        raise ConfigError(msg) from error


def _graph(data: bytes) -> HeapGraph:
    meta = _meta(data)
    fields, edge_fields = meta["node_fields"], meta["edge_fields"]
    nodes, edges = _numbers(data, b"nodes"), _numbers(data, b"edges")
    width, edge_width = len(fields), len(edge_fields)

    def column(name: str) -> array[int]:
        return nodes[fields.index(name) :: width]

    def edge_column(name: str) -> array[int]:
        return edges[edge_fields.index(name) :: edge_width]

    targets = edge_column("to_node")
    graph = HeapGraph(
        strings=_strings(data),
        types=meta["node_types"][fields.index("type")],
        edge_types=meta["edge_types"][edge_fields.index("type")],
        type=column("type"),
        name=column("name"),
        id=column("id"),
        size=column("self_size"),
        first_edge=array("q", accumulate(column("edge_count"), initial=0)),
        edge_type=edge_column("type"),
        edge_name=edge_column("name_or_index"),
        target=array("q", [target // width for target in targets]),
    )
    _check(graph)
    return graph


def _check(graph: HeapGraph) -> None:
    """Check that every number refers to something.

    Raises:
        ValueError: if one does not.
    """
    lengths = {len(graph.edge_type), len(graph.edge_name), len(graph.target)}
    if {graph.first_edge[-1]} != lengths or not graph.count:
        msg = "it has another number of references than it says"
        raise ValueError(msg)
    for numbers, most in (
        (graph.target, graph.count),
        (graph.name, len(graph.strings)),
        (graph.type, len(graph.types)),
        (graph.edge_type, len(graph.edge_types)),
    ):
        if len(numbers) and not 0 <= min(numbers) <= max(numbers) < most:
            msg = "it refers to something that is not there"
            raise ValueError(msg)


def _meta(data: bytes) -> Mapping[str, Any]:
    """Return the names of all fields and types, from the start of the file."""
    head = data[:_MOST_HEAD].decode("utf-8", "replace")
    match = re.match(r'\s*\{\s*"snapshot"\s*:\s*', head)
    if match is None:
        msg = "it does not begin as one"
        raise ValueError(msg)
    snapshot, _ = json.JSONDecoder().raw_decode(head, match.end())
    meta: Mapping[str, Any] = snapshot["meta"]
    return meta


def _numbers(data: bytes, name: bytes) -> array[int]:
    """Return a list of numbers, without making Python objects of all of them at once."""
    start, end = _list(data, name)
    found = array("q")
    for at, to in _chunks(data, start, end):
        found.extend(map(int, data[at:to].split(b",")))
    return found


def _list(data: bytes, name: bytes) -> tuple[int, int]:
    match = re.search(rb'[,\n]\s*"' + name + rb'"\s*:\s*\[', data)
    if match is None:
        msg = f"it has no {name.decode()}"
        raise ValueError(msg)
    return match.end(), data.index(b"]", match.end())


def _chunks(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        cut = data.find(b",", start + _CHUNK, end)
        to = end if cut < 0 else cut
        yield start, to
        start = to + 1


def _strings(data: bytes) -> list[str]:
    at = data.rindex(b'"strings"')
    text = data[data.index(b"[", at) : data.rindex(b"]") + 1]
    strings: list[str] = json.loads(text.decode("utf-8", "replace"))
    return strings
