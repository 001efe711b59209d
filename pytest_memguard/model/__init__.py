"""The frozen values that everything else works with."""
