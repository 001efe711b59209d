"""Tests of those parts of the plugin that need no running pytest."""
