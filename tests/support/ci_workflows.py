"""Runs the workflow files of the documentation in a scratch repository, without the service."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "docs" / "ci"
CODE = """
def load():
    return bytearray({size} << 20)
"""
TESTS = """
from code_under_test import load

def test_load():
    assert load()

def test_small():
    assert bytearray(8 << 20)
"""
GH = """#!/bin/sh
echo "$*" >> "$FAKES/calls"
case "$*" in "api --paginate"*) cat "$FAKES/there" ;; *) cp comment.md "$FAKES/comment" ;; esac
"""
CURL = """#!/bin/sh
echo "$*" >> "$FAKES/calls"
case "$*" in *per_page*) cat "$FAKES/there" ;; *) cp comment.md "$FAKES/comment" ;; esac
"""


def workflow(name: str) -> dict[str, Any]:
    """A workflow file of the documentation."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.load(text, yaml.BaseLoader)  # noqa: S506  texts alone
    return loaded


class Scratch:
    """A repository with two tests, a place to push to, and stand-ins for network tools.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        """Make it, with one commit."""
        self.repository = folder / "repository"
        self.fakes = folder / "fakes"
        self.origin = folder / "origin.git"
        for made in (self.repository, self.fakes):
            made.mkdir()
        for name, text in (("gh", GH), ("curl", CURL)):
            (self.fakes / name).write_text(text, encoding="utf-8")
            (self.fakes / name).chmod(0o755)
        self.set_comments("")
        (self.repository / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (self.repository / "test_code.py").write_text(TESTS, encoding="utf-8")
        self.set_size(20)
        git = "git -c user.name=a -c user.email=a@example.org"
        self.run(
            f"git init -q -b main; git add .; {git} commit -qm first; "
            f"git init -q --bare '{self.origin}'; git remote add origin '{self.origin}'; "
            "git push -q -u origin main",
            {},
        )

    def set_size(self, mib: int) -> None:
        """Let the code under test take so much."""
        path = self.repository / "code_under_test.py"
        path.write_text(CODE.format(size=mib), encoding="utf-8")

    def set_comments(self, answer: str) -> None:
        """Let the service answer this when it is asked for the comments that are there."""
        (self.fakes / "there").write_text(answer, encoding="utf-8")

    def run(
        self, script: str, variables: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a script as the services do: in bash, to the first command that fails."""
        mine = str(Path(sys.executable).parent)
        environment = {
            "PATH": os.pathsep.join([str(self.fakes), mine, os.environ["PATH"]]),
            "HOME": str(self.fakes),
            "FAKES": str(self.fakes),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_PLUGINS": "pytest_memguard.plugin.hooks,pytest_split.plugin",
            "PYTHONDONTWRITEBYTECODE": "1",
            **variables,
        }
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],  # noqa: S607  whichever there is
            cwd=self.repository,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def text(self, name: str) -> str:
        """A file of the repository, or of the stand-ins (calls, comment)."""
        path = self.fakes / name if name in {"calls", "comment"} else self.repository / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def pushed(self, branch: str) -> str:
        """The baseline that the repository has, as the others see it."""
        name = f"{branch}:.memguard/baseline.json"
        done = subprocess.run(
            ["git", "-C", str(self.origin), "show", name],  # noqa: S607  the user's git
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout
