"""The lint command is part of the tests."""

from __future__ import annotations

import pytest

from tests import lint


@pytest.mark.slow
def test_lint(capfd):
    """Form, types, imports, claims and generated docs pass every check."""
    status = lint.main()

    assert status == 0, capfd.readouterr()
