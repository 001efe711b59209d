"""Changes the environment and changes it back."""

import os

import pytest


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The change can be seen."""
    with monkeypatch.context() as patch:
        patch.setenv("MEMGUARD_LEAKS", "on")
        assert os.environ["MEMGUARD_LEAKS"] == "on"
    assert "MEMGUARD_LEAKS" not in os.environ
