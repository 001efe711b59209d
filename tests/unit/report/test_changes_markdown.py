"""Tests of a comparison as Markdown: regressions first, and nothing that breaks out."""

from __future__ import annotations

from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from pytest_memguard.cli import main
from pytest_memguard.model.baselines import Baseline, BaselineEntry, Change, EnvironmentKey
from pytest_memguard.report.changes_markdown import changes_markdown
from pytest_memguard.report.markdown_blocks import COMMENT_LIMIT
from pytest_memguard.sizes import MIB
from pytest_memguard.storage.baseline import write_baseline

PLACE = EnvironmentKey(
    system="Linux", machine="x86_64", implementation="CPython", python="3.12"
)


def change(kind, nodeid="t.py::test_a", before=10, now=20) -> Change:
    """A change of the peak; sizes in MiB."""
    return Change(
        kind=kind,
        nodeid=nodeid,
        environment=PLACE,
        before=before * MIB,
        now=now * MIB,
        text=f"peak RSS {now} MiB was {before} MiB",
    )


def test_regression() -> None:
    """A regression stands in bold in the table, and its whole text is folded away."""
    text = changes_markdown([change("regression")], [], COMMENT_LIMIT)
    assert text == (
        "## Memory compared, 1 test: 1 regression\n\n"
        "| Test | What | Before MiB | Now MiB | Change |  | Result |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| `t.py::test_a` | peak RSS | 10.0 | 20.0 | +10.0 | +100% | **regression** |\n\n"
        "<details><summary>regression: <code>t.py::test_a</code></summary>\n\n"
        "```text\npeak RSS 20 MiB was 10 MiB (regression)\n```\n\n</details>\n"
    )


def test_order() -> None:
    """The worst changes come first, and tests that are the same are only counted."""
    kinds = ("same", "gone", "new", "improvement", "undecided", "regression")
    text = changes_markdown(
        [change(kind, f"test_{kind}") for kind in kinds], ["one | note"], COMMENT_LIMIT
    )
    assert text.startswith("## Memory compared, 6 tests: 1 regression, 1 undecided, 1 improv")
    rows = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert rows == [
        "test_regression",
        "test_undecided",
        "test_improvement",
        "test_new",
        "test_gone",
    ]
    assert text.count("<details>") == 2
    assert "- one &#124; note\n" in text


def test_nothing_changed() -> None:
    """Without a change there is the headline alone."""
    text = changes_markdown([change("same")], [], COMMENT_LIMIT)
    assert text == "## Memory compared, 1 test: 1 the same\n"


@pytest.mark.parametrize("limit", [3000, COMMENT_LIMIT])
def test_many_changes(limit) -> None:
    """The text keeps within its limit and stays well-formed, however many tests got worse."""
    many = [change("regression", f"test_{n}[{'`|' * 200}]") for n in range(300)]
    text = changes_markdown(many, [], limit)
    assert len(text.encode()) <= limit
    page = MarkdownIt("commonmark").enable("table").render(text)
    assert page.count("<details>") == page.count("</details>")


@pytest.mark.parametrize(("now", "status"), [(20, 1), (10, 0)])
def test_command(tmp_path, monkeypatch, capsys, now, status) -> None:
    """``memguard compare --markdown`` prints it, and its status is that of the comparison."""
    monkeypatch.chdir(tmp_path)
    for name, mib in (("old.json", 10), ("new.json", now)):
        entry = BaselineEntry(peak=mib * MIB, growth=0, readings=5)
        write_baseline(Path(name), Baseline(environments={PLACE: {"t.py::test_a": entry}}))
    assert main(["compare", "old.json", "new.json", "--markdown"]) == status
    text = capsys.readouterr().out
    assert text.startswith("## Memory compared, 1 test: 1 ")
    assert ("**regression**" in text) == bool(status)
