"""Heap snapshots made by hand, in the format of V8."""

from __future__ import annotations

import json

NODE_TYPES = ["hidden", "array", "string", "object", "closure", "synthetic", "object shape"]
EDGE_TYPES = ["context", "element", "property", "internal", "hidden", "shortcut", "weak"]
META = {
    "node_fields": [
        *("type", "name", "id", "self_size", "edge_count", "trace_node_id", "detachedness")
    ],
    "node_types": [NODE_TYPES, *("string", "number", "number", "number", "number", "number")],
    "edge_fields": ["type", "name_or_index", "to_node"],
    "edge_types": [EDGE_TYPES, "string_or_number", "node"],
}


def snapshot_text(nodes, edges) -> str:
    """A snapshot.

    Args:
        nodes: type, name, number and size of each object; the first is the root.
        edges: place of an object, type and name of the reference, place of its target.
    """
    strings: list[str] = []

    def place(text: str) -> int:
        if text not in strings:
            strings.append(text)
        return strings.index(text)

    node_numbers, edge_numbers = [], []
    for at, (kind, name, number, size) in enumerate(nodes):
        own = [edge for edge in edges if edge[0] == at]
        kind_number = NODE_TYPES.index(kind)
        node_numbers += [kind_number, place(name), number, size, len(own), 0, 0]
        for _, edge_kind, edge_name, to in own:
            name_or_index = edge_name if isinstance(edge_name, int) else place(edge_name)
            edge_numbers += [EDGE_TYPES.index(edge_kind), name_or_index, to * 7]
    content = {
        "snapshot": {"meta": META, "node_count": len(nodes), "edge_count": len(edges)},
        "nodes": node_numbers,
        "edges": edge_numbers,
        "strings": strings,
    }
    return json.dumps(content)
