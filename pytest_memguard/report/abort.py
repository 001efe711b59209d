"""Says in words why a run was stopped, and which tests had its memory."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from pytest_memguard.escapes import one_line
from pytest_memguard.model.aborts import Abort, Part
from pytest_memguard.report.markdown_blocks import code, paragraph, plain
from pytest_memguard.sizes import format_size

_NO_TEST = "no test: pytest, what it imports, and fixtures between tests"


def abort_lines(abort: Abort) -> list[str]:
    """Return everything that is known, as lines for a terminal."""
    lines = [abort.reason]
    for part in abort.parts:
        who = f"{part.nodeid}, {_doing(part)}" if part.nodeid else _doing(part)
        lines.append(f"  {'+' + format_size(part.size):>11}  {who}")
    lines += [f"  {amount:>11}  {who}" for amount, who in _others(abort)]
    lines += [f"  try          {text}" for text in _advice(abort)]
    lines += [f"  not known    {text}" for text in abort.problems]
    return [one_line(line) for line in lines]


def abort_sentence(abort: Abort) -> str:
    """Return why the run was stopped, and what the test that had most had."""
    largest = _largest(abort)
    if largest is None:
        return abort.reason
    had = f"{format_size(largest.size)}, {_doing(largest)}"
    return f"{abort.reason}; {largest.nodeid} had {had}"


def abort_markdown(abort: Abort | None) -> list[list[str]]:
    """Return blocks of Markdown about a run that was stopped; none if it was not."""
    if abort is None:
        return []
    block = [paragraph(f"{abort.reason}:"), ""]
    for part in abort.parts:
        who = f"{code(part.nodeid)}, {plain(_doing(part))}" if part.nodeid else _doing(part)
        block.append(f"- +{format_size(part.size)}: {who}")
    block += [f"- {amount}: {plain(who)}" for amount, who in _others(abort)]
    block += [f"- try: {plain(text)}" for text in _advice(abort)]
    block += [f"- not known: {plain(text)}" for text in abort.problems]
    return [["### The run was stopped"], block]


def _doing(part: Part) -> str:
    where = f" in {part.worker}" if part.worker else ""
    if not part.nodeid:
        return f"{part.worker}, which had run all its tests"
    if not part.running:
        return f"kept for good{where}"
    below = f", {format_size(part.children)} of it in child processes" if part.children else ""
    return f"running{where}{below}"


def _others(abort: Abort) -> Iterator[tuple[str, str]]:
    if abort.more_tests:
        noun = "more test" if abort.more_tests == 1 else "more tests"
        yield f"+{format_size(abort.more_size)}", f"{abort.more_tests:,} {noun}"
    yield f"+{format_size(abort.rest)}", _NO_TEST


def _advice(abort: Abort) -> Iterator[str]:
    """Yield what to try, for the test that had most."""
    largest = _largest(abort)
    if largest is not None:
        alone = "-n0 " if largest.worker else ""
        option = "--mem" if largest.running else "--mem-leak-check"
        yield f"pytest {alone}{option} {shlex.quote(largest.nodeid)}"


def _largest(abort: Abort) -> Part | None:
    return next((part for part in abort.parts if part.nodeid), None)
