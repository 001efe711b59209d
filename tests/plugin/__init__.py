"""Tests that run pytest with the plugin, on real memory."""
