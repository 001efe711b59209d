"""The documentation builds, and its commands are those that CI runs."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import pytest_memguard
from pytest_memguard.model.measurements import Rule
from pytest_memguard.plugin.names import MARKER_LINES

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def text_of(path):
    """The text of a file."""
    return path.read_text(encoding="utf-8")


def slug(heading):
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.slow
def test_site_builds_without_warnings(tmp_path):
    """Sphinx builds every page, with warnings as errors."""
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "index.html").is_file()


def test_readme_links_to_what_is_there():
    """Every relative link of the README points to a file, and every anchor to a heading."""
    links = re.findall(r"\]\(([^)#:]+)(#[^)]*)?\)", text_of(ROOT / "README.md"))

    assert links
    for path, anchor in links:
        assert (ROOT / path).exists(), path
        headings = (
            re.findall(r"^#+ (.*)$", text_of(ROOT / path), re.MULTILINE) if anchor else []
        )
        assert not anchor or anchor in {f"#{slug(heading)}" for heading in headings}


def test_every_public_name_is_on_the_page_of_the_api():
    """docs/api.md describes every public name of the package, and no other."""
    described = re.findall(
        r"^```\{py:(?:class|function|exception)\} (\w+)", text_of(DOCS / "api.md"), re.MULTILINE
    )

    assert sorted(pytest_memguard.__all__) == sorted(described)


@pytest.mark.parametrize(
    ("name", "described"),
    [
        pytest.param("stage", pytest_memguard.stage, id="stage"),
        pytest.param("check_leaks", pytest_memguard.check_leaks, id="check-leaks"),
        pytest.param("watch", pytest_memguard.watch, id="watch"),
        pytest.param("measure", pytest_memguard.MemGuard.measure, id="measure"),
        pytest.param("snapshot", pytest_memguard.MemGuard.snapshot, id="snapshot"),
    ],
)
def test_signatures_are_those_of_the_code(name, described):
    """docs/api.md shows the parameters that a function has."""
    signature = inspect.signature(described)
    parameters = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    if parameters and parameters[0].name == "self":
        parameters = parameters[1:]
    written = str(signature.replace(parameters=parameters, return_annotation=signature.empty))

    assert f"}} {name}{written}".replace("'", '"') in text_of(DOCS / "api.md")


@pytest.mark.parametrize("marker", MARKER_LINES)
def test_every_marker_is_on_the_page_of_markers(marker):
    """docs/markers.md has a section for each marker, with a row for each named argument."""
    name, _, rest = marker.partition("(" if "(" in marker.partition(":")[0] else ":")
    arguments = re.findall(r"(\w+)=", rest.partition("):")[0])
    section = text_of(DOCS / "markers.md").partition(f"## {name}\n")[2].partition("\n## ")[0]

    assert section
    assert not [argument for argument in arguments if f"| `{argument}` |" not in section]


@pytest.mark.parametrize(
    "page", [pytest.param(p, id=p.stem) for p in sorted(DOCS.glob("*.md"))]
)
def test_tables_of_output_fit_the_column_of_text(page):
    """No printed table is wider than 97 letters, so that no page scrolls sideways."""
    rules = re.findall(r"^-[- ]*-$", text_of(page), re.MULTILINE)

    assert not [rule for rule in rules if len(rule) > 97]


def test_every_slug_has_a_paragraph():
    """The headings of docs/messages.md are the names that messages have."""
    slugs = {
        *get_args(Rule),
        "leaking",
        "settling",
        "undecided",
        "lost-worker",
        "memory-abort",
        "memory-alert",
        "test-died",
        "bad-setting",
    }
    headings = re.findall(r"^## (.*)$", text_of(DOCS / "messages.md"), re.MULTILINE)

    assert slugs == set(headings)


def test_ci_runs_the_test_command_of_the_readme():
    """The last line of .ci/run stands in the README word for word, and CI fails if it does."""
    *_, command = text_of(ROOT / ".ci" / "run").splitlines()

    assert command.endswith("-m pytest -n 3")
    assert command in text_of(ROOT / "README.md").splitlines()
