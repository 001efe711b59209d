"""Lets the tests run pytest on little projects of their own."""

pytest_plugins = ["pytester"]
