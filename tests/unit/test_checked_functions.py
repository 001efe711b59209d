"""Tests of what the tests of leak checks share."""

from __future__ import annotations

from tests.support import checked_functions

SOURCE = "KEPT = []\ndef test_it(): KEPT.append(object())\n"


def test_no_bytecode_is_written(tmp_path, monkeypatch) -> None:
    """Bytecode would be used for another source of the same length and second."""
    monkeypatch.setattr(checked_functions, "AVAILABLE", False)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    found = checked_functions.checked(tmp_path, SOURCE, where="none", calls=40)
    assert list(found) == ["test_it"]
    assert not (tmp_path / "__pycache__").exists()
