"""How Sphinx builds this documentation: ``python -m sphinx -W docs site``."""

from __future__ import annotations

from importlib.metadata import version as version_of

project = "pytest-memguard"
author = "The pytest-memguard developers"
project_copyright = author
release = version = version_of("pytest-memguard")

extensions = ["myst_parser"]
exclude_patterns = ["_static"]

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

html_title = project
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["terminal.css"]
