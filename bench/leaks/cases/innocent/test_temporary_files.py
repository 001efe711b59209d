"""Writes into a temporary folder of its own."""

from pathlib import Path


def test_write(tmp_path: Path) -> None:
    """What was written can be read."""
    file = tmp_path / "notes.txt"
    file.write_text("milk")
    assert file.read_text() == "milk"
