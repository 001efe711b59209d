"""Tests of the question which commit is tested, with real repositories."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from pytest_memguard.model.past_runs import Commit
from pytest_memguard.probes import commit as probe
from pytest_memguard.probes.commit import current_commit

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
ENVIRON = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("GIT", "CI"))  # of the machine that runs these tests
} | {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}
GITHUB = {"GITHUB_SHA": "1" * 40, "GITHUB_REF_NAME": "7/merge", "GITHUB_HEAD_REF": "topic"}
GITLAB = {"CI_COMMIT_SHA": "2" * 40, "CI_COMMIT_REF_NAME": "feature"}


@pytest.fixture
def git(tmp_path):
    """Runs git in a folder, and returns what it says."""

    def git(*words) -> str:
        done = subprocess.run(
            ["git", *words],  # noqa: S607  the machine's git
            cwd=tmp_path,
            env=ENVIRON,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    return git


@pytest.fixture
def repository(tmp_path, git):
    """A repository with one commit on the branch trunk; the answer is its hash."""
    git("init", "-q", "-b", "trunk")
    (tmp_path / "a.py").write_text("a = 1\n")
    git("add", "a.py")
    git("commit", "-q", "-m", "first")
    return git("rev-parse", "HEAD")


def test_a_clean_checkout(tmp_path, repository) -> None:
    """Commit and branch are git's, and files git does not know make nothing dirty."""
    (tmp_path / "new.txt").write_text("not tracked")
    expected = Commit(name=repository, branch="trunk", dirty=False)
    assert expected == current_commit(tmp_path, ENVIRON | GITHUB)


@pytest.mark.parametrize("staged", [False, True])
def test_a_change_is_seen(tmp_path, repository, git, staged) -> None:
    """A tracked file that was changed makes the checkout dirty, added to the index or not."""
    (tmp_path / "a.py").write_text("a = 2\n")
    if staged:
        git("add", "a.py")
    expected = Commit(name=repository, branch="trunk", dirty=True)
    assert expected == current_commit(tmp_path, ENVIRON)


@pytest.mark.parametrize(
    ("variables", "branch"),
    [
        pytest.param({}, "", id="no-ci-service"),
        pytest.param(GITHUB, "topic", id="pull-request"),
        pytest.param({**GITHUB, "GITHUB_HEAD_REF": ""}, "7/merge", id="push"),
        pytest.param(GITLAB, "feature", id="gitlab"),
    ],
)
def test_a_detached_head(tmp_path, repository, git, variables, branch) -> None:
    """The commit is git's; the branch is what the CI service calls it."""
    git("checkout", "-q", "--detach")
    expected = Commit(name=repository, branch=branch, dirty=False)
    assert expected == current_commit(tmp_path, ENVIRON | variables)


def test_no_commit_yet(tmp_path, git) -> None:
    """A new repository has a branch and no commit."""
    git("init", "-q", "-b", "trunk")
    expected = Commit(branch="trunk", dirty=False, reason="there is no commit yet")
    assert expected == current_commit(tmp_path, ENVIRON)


@pytest.mark.parametrize(
    ("variables", "name", "branch"),
    [({}, "", ""), (GITLAB, "2" * 40, "feature"), (GITHUB, "1" * 40, "topic")],
)
def test_no_repository(tmp_path, variables, name, branch) -> None:
    """Commit and branch are those of the CI service, with the reason why git has none."""
    here = ENVIRON | variables | {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    reason = "the tests are in no git repository"
    assert Commit(name=name, branch=branch, reason=reason) == current_commit(tmp_path, here)


def test_no_git(tmp_path, monkeypatch) -> None:
    """A machine without git is no error."""
    monkeypatch.setenv("PATH", str(tmp_path))
    here = {"PATH": str(tmp_path)}
    assert Commit(reason="git is not installed") == current_commit(tmp_path, here)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param("exec sleep 9", "git did not answer within 0.2 s", id="slow"),
        pytest.param("echo fatal: odd >&2; exit 128", "git says: odd", id="odd"),
        pytest.param("exit 3", "git says: status 3", id="silent"),
    ],
)
def test_a_git_that_fails(tmp_path, monkeypatch, script, reason) -> None:
    """A git that fails leads to an answer with a reason, in a short time."""
    fake = tmp_path / "git"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(probe, "_PATIENCE", 0.2 if "sleep" in script else 10)
    assert Commit(reason=reason) == current_commit(tmp_path, {"PATH": os.environ["PATH"]})
