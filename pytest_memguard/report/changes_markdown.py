"""The result of a comparison as Markdown, for a comment on the change that was tested."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_memguard.model.baselines import Change
from pytest_memguard.report.changes import (
    CHANGE_HEADERS,
    change_cells,
    change_headline,
    counts_line,
    regression_text,
    worst_first,
)
from pytest_memguard.report.markdown_blocks import code, details, fit, paragraph, plain, table

_ROWS = 100
_DETAILS = 20


def changes_markdown(changes: Sequence[Change], notes: Sequence[str], limit: int) -> str:
    """Return the whole text; regressions come first.

    Args:
        changes: of any kind, in any order.
        notes: further sentences, such as what was not compared.
        limit: the largest size in bytes; a last line says if something was left out.
    """
    shown = worst_first(changes)
    blocks = [[f"## Memory compared, {plain(counts_line(changes))}"]]
    if shown:
        rows = [_cells(change) for change in shown[:_ROWS]]
        blocks.append(table(CHANGE_HEADERS, rows, right=5))
    if len(shown) > _ROWS:
        blocks.append([f"*... and {len(shown) - _ROWS:,} more*"])
    if notes:
        blocks.append([f"- {paragraph(note)}" for note in notes])
    worse: dict[str, list[Change]] = {}
    for change in shown:
        if change.kind in {"regression", "undecided"}:
            worse.setdefault(change.nodeid, []).append(change)
    blocks += [
        details(f"{of_test[0].kind}: {code(nodeid)}", _text(of_test))
        for nodeid, of_test in list(worse.items())[:_DETAILS]
    ]
    return fit(blocks, limit)


def _cells(change: Change) -> list[str]:
    test, *others = change_cells(change)
    if change.kind == "regression":
        others[-1] = "**regression**"
        return [code(test), *map(plain, others[:-1]), others[-1]]
    return [code(test), *map(plain, others)]


def _text(of_test: Sequence[Change]) -> str:
    regressions = [change for change in of_test if change.kind == "regression"]
    undecided = [change_headline(change) for change in of_test if change.kind == "undecided"]
    parts = [regression_text(regressions)] if regressions else []
    return "\n\n".join([*parts, "\n".join(undecided)] if undecided else parts)
