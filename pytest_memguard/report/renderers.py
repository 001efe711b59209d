"""The formats in which a whole run can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pytest_memguard.codecs.run_codec import run_in_pieces
from pytest_memguard.model.results import Run
from pytest_memguard.report.exports import FORMATS, github_action_benchmark
from pytest_memguard.report.markdown import markdown
from pytest_memguard.report.markdown_blocks import COMMENT_LIMIT
from pytest_memguard.report.rows import Row, rows_of
from pytest_memguard.sizes import MIB

_TOP: Final = 10


class _Format:
    """A renderer made from a function.

    Args:
        name: what the option calls the format.
        write: returns the text.
    """

    def __init__(self, name: str, write: Callable[[Run], str]) -> None:
        self.name = name
        self._write = write

    def render(self, run: Run) -> str:
        """Return the text of the file."""
        return self._write(run)


def _of_rows(write: Callable[[list[Row]], str]) -> Callable[[Run], str]:
    return lambda run: write(rows_of(run))


RENDERERS: Final = {
    renderer.name: renderer
    for renderer in (
        *(_Format(name=name, write=_of_rows(write)) for name, write in FORMATS.items()),
        _Format(
            name="github-action-benchmark",
            write=lambda run: github_action_benchmark(rows_of(run), MIB),
        ),
        _Format(name="json", write=lambda run: "".join(run_in_pieces(run))),
        _Format(
            name="markdown", write=lambda run: markdown(run, top=_TOP, limit=COMMENT_LIMIT)
        ),
    )
}
"""The renderers of this package, by name."""
