"""Sessions of nox: the tests with each supported interpreter, the lint checks and the docs."""

from __future__ import annotations

import sys

import nox

nox.needs_version = ">=2024.10.9"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = False

PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))
OTHERS = [name for name in PYTHONS if name != f"{sys.version_info[0]}.{sys.version_info[1]}"]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests; arguments after ``--`` are pytest's."""
    session.install("-q", "-e", ".[test,docs]")
    session.run("python", "-m", "pytest", "-n", "3", *session.posargs)


@nox.session(python=OTHERS, default=False)
def fast(session: nox.Session) -> None:
    """Run the fast tests, with each interpreter but the one that runs nox."""
    session.install("-q", "-e", ".[test,docs]")
    session.run("python", "-m", "pytest", "-n", "2", "-q", "-m", "not slow")


@nox.session
def lint(session: nox.Session) -> None:
    """Run every lint check."""
    session.install("-q", "-e", ".[test]")
    session.run("python", "-m", "tests.lint")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the pages, with warnings as errors."""
    session.install("-q", "-e", ".[docs]")
    session.run("python", "-m", "sphinx", "-W", "docs", "site")
