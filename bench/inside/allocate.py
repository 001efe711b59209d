"""Work that does little but allocate."""

from __future__ import annotations


def allocate(repeats: int) -> int:
    """Make some megabytes of lists, dicts, texts and bytes, and let go, repeatedly."""
    return sum(_allocate() for _ in range(repeats))


def _allocate() -> int:
    rows = [
        {"id": n, "name": f"row {n}", "tags": [n, n + 1, n + 2], "raw": bytes(64)}
        for n in range(20_000)
    ]
    text = "\n".join(f"{row['id']};{row['name']};{row['tags']}" for row in rows)
    blocks = [bytearray(700 + n % 4_096) for n in range(4_000)]
    large = bytearray(8_000_000)
    large[::4_096] = bytes(len(large[::4_096]))
    return len(text.split(";")) + len(blocks) + len(large)
