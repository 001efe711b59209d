"""Finds out which commit is tested, from git or from the CI service."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pytest_memguard.model.past_runs import Commit

_PATIENCE: Final = 10.0  # seconds; a status of a very large checkout takes one or two
_NAMES: Final = ("GITHUB_SHA", "CI_COMMIT_SHA")
# a pull request's own branch first: the other name is that of the merge, "7/merge"
_BRANCHES: Final = ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME")


def current_commit(root: Path, environ: Mapping[str, str] | None = None) -> Commit:
    """Return the commit that is checked out in a folder.

    Args:
        root: the folder.
        environ: environment variables; those of the process if ``None``.
    """
    environ = os.environ if environ is None else environ
    name = _first(environ, _NAMES)
    branch = _first(environ, _BRANCHES)
    try:
        status = _status(root, environ)
    except (OSError, subprocess.SubprocessError) as error:
        return Commit(name=name, branch=branch, reason=_in_words(error))
    head = _header(status, "branch.oid")
    own = _header(status, "branch.head")
    return Commit(
        name="" if head == "(initial)" else head,
        branch=branch if own == "(detached)" else own,
        dirty=any(line and not line.startswith("#") for line in status.splitlines()),
        reason="there is no commit yet" if head == "(initial)" else "",
    )


def _status(root: Path, environ: Mapping[str, str]) -> str:
    """Return git's status of the checkout; untracked files are not part of a commit."""
    words = ["status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    done = subprocess.run(
        ["git", "-C", str(root), *words],  # noqa: S607  the user's git
        capture_output=True,
        check=True,
        env={**environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        timeout=_PATIENCE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    return done.stdout


def _header(status: str, name: str) -> str:
    start = f"# {name} "
    lines = (line for line in status.splitlines() if line.startswith(start))
    return next(lines, "").removeprefix(start)


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((environ[name] for name in names if environ.get(name)), "")


def _in_words(error: OSError | subprocess.SubprocessError) -> str:
    if isinstance(error, FileNotFoundError):
        return "git is not installed"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"git did not answer within {error.timeout:g} s"
    if isinstance(error, subprocess.CalledProcessError):
        message = (str(error.stderr).strip().splitlines() or [f"status {error.returncode}"])[0]
        if "not a git repository" in message:
            return "the tests are in no git repository"
        return f"git says: {message.removeprefix('fatal: ')}"
    return f"git cannot be run: {error}"
