"""Makes mocks with a class of their own each, and drops them."""

from unittest.mock import Mock, patch


def test_patched() -> None:
    """The mock is called instead."""
    with patch("os.getpid", Mock(return_value=7)) as stand_in:
        import os

        assert os.getpid() == 7
    stand_in.assert_called_once_with()
