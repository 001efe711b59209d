"""Two probes, a check and a renderer for pytest-memguard."""
