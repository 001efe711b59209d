"""Says in words how a worker was lost, and which test drove its memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from pytest_memguard.escapes import one_line
from pytest_memguard.model.flights import (
    AloneResult,
    Cause,
    Driver,
    Ending,
    LostWorker,
    RunAlone,
    signal_name,
)
from pytest_memguard.report.loss_advice import advice
from pytest_memguard.report.markdown_blocks import code, paragraph, plain
from pytest_memguard.sizes import format_size

_LABEL = 17
_NO_TEST = "no test: before the first one, or between tests"


def subject(lost: LostWorker) -> str:
    """Return what was lost: the name of the worker, or the run."""
    return lost.worker or "the run"


def cause_text(cause: Cause, ending: Ending) -> str:
    """Return how a process was lost, behind its name: "was killed by ..."."""
    name = signal_name(ending.signal) if ending.signal is not None else ""
    kills = _counter(ending)
    texts: Mapping[Cause, str] = {
        "out-of-memory": f"was killed by the kernel, out of memory ({name}; {kills})",
        "killed": f"was killed by {name} ({kills})",
        "crashed": f"crashed ({name})",
        "ended": f"was ended by {name}",
        "exited": f"ended itself with exit code {ending.exit_code}",
        "disconnected": "does not answer any more, but its process still runs",
        "unknown": f"did not come to its end, and how is not known ({kills})",
    }
    return texts[cause]


def _counter(ending: Ending) -> str:
    kills, source = ending.oom_kills, ending.oom_source
    if kills is None:
        return f"out-of-memory kills not known: {source}"
    number = "1 out-of-memory kill" if kills == 1 else f"{kills or 'no'} out-of-memory kills"
    return f"{number}, {source}"


def driver_texts(lost: LostWorker) -> tuple[str, str]:
    """Return what drove the memory, and how that is known; empty if it was not the reason."""
    size, test = format_size(lost.driver_size), lost.driver_test
    if lost.driver == "unknown":
        return _unknown_texts(lost)
    if lost.driver == "none":
        if lost.cause not in {"out-of-memory", "killed"}:
            return "", ""
        return "not driven by this worker", "no test had raised it much"
    raised = f"raised the level by {size} for good"
    texts: Mapping[Driver, tuple[str, str]] = {
        "running": (f"driven by {test}, which was running", f"it needed {size}"),
        "earlier": (f"driven by {test}, an earlier test", f"it {raised}"),
        "several": ("driven by many tests", f"together they {raised}"),
        "neighbour": (f"driven by {test}, in another worker", f"it had {size} then"),
    }
    return texts[lost.driver]


def _unknown_texts(lost: LostWorker) -> tuple[str, str]:
    """Return what is known where the need of the running test is not."""
    if not lost.running:
        return "not known: there is no flight record", ""
    what = f"not known: what {lost.running} used was not seen"
    if lost.rise is not None:
        what = f"not known: {lost.running} used {format_size(lost.rise)} at most"
    if not lost.raised:
        return what, ""
    largest = lost.raised[0]
    return what, f"{largest.nodeid} had raised it by {format_size(largest.size)} for good"


def headline(lost: LostWorker) -> str:
    """Return one sentence: what was lost, how, and what drove the memory."""
    text = f"{subject(lost)} {cause_text(lost.cause, lost.ending)}"
    driver = ": ".join(filter(None, driver_texts(lost)))
    if lost.alone is not None:
        driver = f"{driver}; {lost.alone.nodeid}: {alone_text(lost.alone)}"
    if driver:
        return f"{text}; memory {driver}"
    return f"{text} while {lost.running} was running" if lost.running else text


def short(lost: LostWorker) -> list[str]:
    """Return a few lines: what was lost, how, what drove the memory, and what was running."""
    lines = [f"{subject(lost)} {cause_text(lost.cause, lost.ending)}"]
    lines += [f"{label + ': ' if label else '  '}{text}" for label, text in _main_rows(lost)]
    return [one_line(line) for line in lines]


def post_mortem(lost: LostWorker) -> list[str]:
    """Return everything that is known about a lost worker, as lines for a terminal."""
    rows = [
        *_main_rows(lost),
        *_alone_rows(lost),
        *_raised_rows(lost),
        *_neighbour_rows(lost),
        *_last_rows(lost),
    ]
    lines = [f"{subject(lost)} {cause_text(lost.cause, lost.ending)}"]
    lines += [f"  {label:{_LABEL}}{text}" for label, text in rows]
    return [one_line(line) for line in lines]


def _main_rows(lost: LostWorker) -> Iterator[tuple[str, str]]:
    who, how = driver_texts(lost)
    if who:
        yield "memory", who
    if how:
        yield "", how
    if lost.running:
        duration = lost.running_seconds
        yield "running", lost.running + ("" if duration is None else f", for {duration:.1f} s")
        if lost.level is not None:
            yield "", _course(lost, lost.level)
    elif lost.level is not None:
        what = "no test, after" if lost.tests else "no test yet"
        count = f" {lost.tests:,} test{'' if lost.tests == 1 else 's'}" if lost.tests else ""
        yield "running", f"{what}{count}, at {format_size(lost.level)}"
    elif lost.named:
        yield "running", f"{lost.named}, as pytest-xdist says"
        return
    if lost.named and lost.named != lost.running:
        yield "", f"(pytest-xdist names {lost.named})"


def alone_text(alone: RunAlone) -> str:
    """Return how a test ended that ran once more: "killed with 8 workers, passes alone"."""
    plural = "" if alone.workers == 1 else "s"
    need = "" if alone.highest is None else f" with {format_size(alone.highest)}"
    texts: Mapping[AloneResult, str] = {
        "passed": f"passes alone{need}",
        "skipped": "is skipped alone",
        "failed": f"fails alone{need}",
        "killed": f"is killed alone{need}, too",
        "not-run": f"did not run once more: {alone.reason}",
        "not-alone": "then run again by pytest-xdist, beside others",
    }
    return f"killed with {alone.workers} worker{plural}, {texts[alone.result]}"


def _alone_rows(lost: LostWorker) -> Iterator[tuple[str, str]]:
    if lost.alone is not None:
        yield "once more", alone_text(lost.alone)


def _course(lost: LostWorker, level: int) -> str:
    """Return from where to where the level went while a test was running."""
    if lost.rise is None:
        return f"from {format_size(level)} to a level that is not known"
    most = "at most " if lost.rise_is_bound else ""
    high = format_size(level + lost.rise)
    return f"from {format_size(level)} up to {most}{high} (+{format_size(lost.rise)})"


def _raised_rows(lost: LostWorker) -> Iterator[tuple[str, str]]:
    label = "raised for good"
    amounts = [(span.size, span.nodeid) for span in lost.raised]
    if lost.more_tests:
        noun = "more test" if lost.more_tests == 1 else "more tests"
        amounts.append((lost.more_size, f"{lost.more_tests:,} {noun}"))
    if lost.level is not None:
        amounts.append((lost.before, _NO_TEST))
    for size, who in amounts:
        yield label, f"{'+' + format_size(size):>11}  {who}"
        label = ""


def _neighbour_rows(lost: LostWorker) -> Iterator[tuple[str, str]]:
    label = "other workers"
    for other in lost.neighbours:
        doing = f"running {other.running} (+{format_size(other.rise)})"
        yield (
            label,
            f"{other.worker} {format_size(other.level)}, "
            + (doing if other.running else "no test running"),
        )
        label = ""


def _last_rows(lost: LostWorker) -> Iterator[tuple[str, str]]:
    label = "try"
    for text in advice(lost):
        yield label, text
        label = ""
    label = "not known"
    for text in lost.problems:
        yield label, text
        label = ""
    if lost.record:
        yield "record", lost.record


def when_text(time: float) -> str:
    """Return a moment in words, in UTC: "2026-11-30 04:05:06 UTC"."""
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC"


def lost_markdown(workers: Sequence[LostWorker]) -> list[list[str]]:
    """Return blocks of Markdown about lost workers; none if there are none."""
    if not workers:
        return []
    blocks = [["### Lost workers"]]
    for lost in workers:
        block = [paragraph(f"{subject(lost)} {cause_text(lost.cause, lost.ending)}:")]
        block += ["", *_bullets(lost)]
        blocks.append(block)
    return blocks


def _bullets(lost: LostWorker) -> Iterable[str]:
    driver = ": ".join(filter(None, driver_texts(lost)))
    if driver:
        yield f"- memory {plain(driver)}"
    if lost.running:
        course = f", {_course(lost, lost.level)}" if lost.level is not None else ""
        yield f"- running: {code(lost.running)}{plain(course)}"
    if lost.alone is not None:
        yield f"- once more: {code(lost.alone.nodeid)} {plain(alone_text(lost.alone))}"
    for span in lost.raised:
        yield f"- raised for good: {code(span.nodeid)} +{format_size(span.size)}"
    if lost.more_tests:
        yield f"- raised for good: {lost.more_tests:,} more, +{format_size(lost.more_size)}"
    for _, text in _neighbour_rows(lost):
        yield f"- other worker: {plain(text)}"
    for text in advice(lost):
        yield f"  {plain(text)}" if text.startswith("  ") else f"- try: {plain(text)}"
    for text in lost.problems:
        yield f"- not known: {plain(text)}"
