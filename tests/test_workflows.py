"""The workflow files of the documentation keep to the schemas, and their scripts work."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest

from tests.support.ci_workflows import FOLDER, Scratch, workflow

COMPARE = "${{ github.event_name == 'pull_request' && '--mem-compare' || '' }}"
TOKEN = "secret"  # noqa: S105  of no account
CONDITIONS = {
    "${{ !cancelled() }}": {"pull_request", "workflow_dispatch"},
    "${{ github.event_name == 'pull_request' }}": {"pull_request"},
    (
        "${{ github.event_name == 'pull_request' && "
        "github.event.pull_request.head.repo.full_name == github.repository }}"
    ): {"pull_request"},
    "${{ github.event_name == 'workflow_dispatch' }}": {"workflow_dispatch"},
}


@pytest.fixture
def scratch(tmp_path) -> Scratch:
    """A repository to run the scripts in."""
    return Scratch(tmp_path)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param("github.yml", ["vendor.github-workflows"], id="github"),
        pytest.param(
            "gitlab.yml", ["vendor.gitlab-ci", "--data-transform", "gitlab-ci"], id="gitlab"
        ),
    ],
)
def test_schema(name, arguments):
    """Every key is one that the service knows, by the schema that is published for it."""
    command = [sys.executable, "-m", "check_jsonschema", str(FOLDER / name)]
    done = subprocess.run(
        [*command, "--builtin-schema", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_scripts_hold_no_expressions():
    """No script of the GitHub workflow has text of the event in it: a title could be code."""
    steps = [step for job in workflow("github.yml")["jobs"].values() for step in job["steps"]]
    scripts = [step["run"] for step in steps if "run" in step]
    assert len(scripts) == 7
    assert not [script for script in scripts if "${{" in script]


class GitHub:
    """Runs the jobs of the GitHub workflow."""

    def __init__(self, scratch: Scratch) -> None:
        """Read the file."""
        self.scratch = scratch
        self.workflow = workflow("github.yml")

    def job(self, name: str, event: str, shard: str = "") -> tuple[int, str]:
        """Run one job for an event.

        Returns:
            The status of the step that failed, or 0; and what was printed.
        """
        job = self.workflow["jobs"][name]
        printed = ""
        for step in job["steps"]:
            if "run" not in step or step["name"] == "Install":
                continue
            if event not in CONDITIONS[step.get("if", "${{ !cancelled() }}")]:
                continue
            known = {
                "${{ matrix.shard }}": shard,
                "${{ github.token }}": TOKEN,
                "${{ github.event.pull_request.number }}": "7",
                COMPARE: "--mem-compare" if event == "pull_request" else "",
            }
            given = {**job.get("env", {}), **step.get("env", {})}
            done = self.scratch.run(
                step["run"],
                {
                    "GITHUB_ACTIONS": "true",
                    "GITHUB_EVENT_NAME": event,
                    "GITHUB_REPOSITORY": "us/rows",
                    "GITHUB_STEP_SUMMARY": str(self.scratch.fakes / "summary"),
                    "GITHUB_WORKSPACE": str(self.scratch.repository),
                    **{key: known.get(value, value) for key, value in given.items()},
                },
            )
            printed += done.stdout + done.stderr
            if done.returncode:
                return done.returncode, printed
        return 0, printed

    def tests(self, event: str) -> tuple[list[int], str]:
        """Run every shard."""
        shards = self.workflow["jobs"]["tests"]["strategy"]["matrix"]["shard"]
        found = [self.job("tests", event, shard) for shard in shards]
        return [status for status, _ in found], "".join(printed for _, printed in found)


@pytest.mark.slow
def test_github(scratch):
    """Save a baseline; a growth turns a shard red and is commented on; saving accepts it.

    Before there is a baseline, the comment has the numbers of the run.
    """
    github = GitHub(scratch)
    summary = scratch.fakes / "summary"

    assert github.tests("pull_request")[0] == [0, 0]
    assert summary.read_text(encoding="utf-8").count("## Memory: 1 test, ") == 2
    assert github.job("memory", "pull_request")[0] == 0
    comment = scratch.text("comment")
    assert comment.startswith("<!-- memguard -->\n## Memory: 2 tests, 0 over budget")

    calls = scratch.text("calls")
    assert github.job("memory", "workflow_dispatch")[0] == 0
    assert set(on_record(scratch.pushed("main"))) == {
        "test_code.py::test_load",
        "test_code.py::test_small",
    }
    assert scratch.text("calls") == calls

    scratch.set_size(60)
    statuses, printed = github.tests("pull_request")
    assert sorted(statuses) == [0, 1]
    assert "\n::error file=test_code.py,line=4,title=regression%3A test_code.py" in printed
    assert github.job("memory", "pull_request")[0] == 0
    asked, posted = scratch.text("calls").splitlines()[-2:]
    assert asked.startswith("api --paginate repos/us/rows/issues/7/comments --jq ")
    assert posted == "pr comment 7 --repo us/rows --body-file comment.md"
    comment = scratch.text("comment")
    assert comment.startswith("<!-- memguard -->\n## Memory compared, 2 tests: 1 regression")
    assert re.search(r"\| `test_code.py::test_load` \|.*\| \*\*regression\*\* \|", comment)
    assert summary.read_text(encoding="utf-8").endswith(comment)

    scratch.set_comments("4711\n4712\n")
    assert github.job("memory", "pull_request")[0] == 0
    assert scratch.text("calls").splitlines()[-1] == (
        "api --method PATCH repos/us/rows/issues/comments/4711 "
        "--silent --field body=@comment.md"
    )

    assert github.tests("workflow_dispatch")[0] == [0, 0]
    assert github.job("memory", "workflow_dispatch")[0] == 0
    assert github.job("memory", "pull_request")[0] == 0
    assert scratch.text("comment").startswith(
        "<!-- memguard -->\n## Memory compared, 2 tests: 2 the same"
    )


class GitLab:
    """Runs the jobs of the GitLab file."""

    def __init__(self, scratch: Scratch) -> None:
        """Read the file."""
        self.scratch = scratch
        self.jobs = workflow("gitlab.yml")

    def job(self, name: str, *, token: str = TOKEN, **more: str) -> tuple[int, str]:
        """Run the script of one job.

        Returns:
            Its status, and what it printed.
        """
        lines = [x for x in self.jobs[name]["script"] if "pip install" not in x]
        assert len(lines) == len(self.jobs[name]["script"]) - 1
        variables = {
            "CI_API_V4_URL": "https://gitlab.example/api/v4",
            "CI_MERGE_REQUEST_IID": "7",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "less",
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_PROJECT_DIR": str(self.scratch.repository),
            "CI_PROJECT_ID": "42",
            "CI_PROJECT_PATH": "us/rows",
            "CI_SERVER_HOST": "gitlab.example",
            "MEMGUARD_TOKEN": token,
            **more,
        }
        done = self.scratch.run("\n".join(lines), variables)
        return done.returncode, done.stdout + done.stderr

    def tests(self) -> list[int]:
        """Run every shard."""
        total = self.jobs["memory tests"]["parallel"]
        return [
            self.job("memory tests", CI_NODE_TOTAL=total, CI_NODE_INDEX=str(shard))[0]
            for shard in range(1, int(total) + 1)
        ]


@pytest.mark.slow
def test_gitlab(scratch):
    """Save a baseline; a growth turns a shard red and is commented on; saving accepts it."""
    gitlab = GitLab(scratch)
    # pushes to the service go to the scratch repository's origin
    scratch.run(
        f"git config --global url.'{scratch.origin}'.insteadOf "
        "https://memguard:secret@gitlab.example/us/rows.git",
        {},
    )
    scratch.set_comments("[]")

    status, printed = gitlab.job("save memory baseline")
    assert status == 0, printed
    assert len(on_record(scratch.pushed("less"))) == 2

    scratch.set_size(60)
    assert sorted(gitlab.tests()) == [0, 1]
    status, printed = gitlab.job("memory")
    assert status == 0, printed
    notes = "https://gitlab.example/api/v4/projects/42/merge_requests/7/notes"
    calls = scratch.text("calls").splitlines()
    assert len(calls) == 2
    assert calls[0].endswith(f"{notes}?per_page=100")
    assert calls[1].endswith(f"--request POST --data-urlencode body@comment.md {notes}")
    comment = scratch.text("comment")
    assert comment.startswith("<!-- memguard -->\n## Memory compared, 2 tests: 1 regression")
    (entry,) = json.loads(scratch.text("quality.json"))
    assert entry["check_name"] == "memguard/regression"

    there = [{"id": 8, "body": "Looks good."}, {"id": 9, "body": "<!-- memguard -->\nold"}]
    scratch.set_comments(json.dumps(there))
    assert gitlab.job("memory")[0] == 0
    assert (
        scratch.text("calls")
        .splitlines()[-1]
        .endswith(f"--request PUT --data-urlencode body@comment.md {notes}/9")
    )

    assert gitlab.job("save memory baseline")[0] == 0
    assert gitlab.job("memory", token="")[0] == 0
    assert len(scratch.text("calls").splitlines()) == 4
    assert "## Memory compared, 2 tests: 2 the same" in scratch.text("comment.md")


def on_record(baseline: str) -> Iterable[Any]:
    """The node ids in the text of a baseline."""
    return [name for place in json.loads(baseline)["environments"] for name in place["tests"]]
