"""``memguard compare``: compares two runs, or a baseline and a run."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from pytest_memguard.cli.common import Answer, Commands, add_command
from pytest_memguard.cli.numbers import Numbers, numbers_in
from pytest_memguard.errors import ConfigError
from pytest_memguard.escapes import one_line
from pytest_memguard.judge.regression import compare
from pytest_memguard.model.baselines import Change, EnvironmentKey, FailRule
from pytest_memguard.options.rules import DEFAULT, about_stage, closest, parse_rules
from pytest_memguard.report.changes import (
    change_headline,
    changes_table,
    counts_line,
    environment_text,
    metric_text,
    regression_text,
)
from pytest_memguard.report.changes_markdown import changes_markdown
from pytest_memguard.report.markdown_blocks import COMMENT_LIMIT
from pytest_memguard.storage.baseline import without_garbage_collection

_EXAMPLES = f"""\
  pytest --mem-json new.json        write the numbers of a run
  memguard compare old.json new.json
  memguard compare .memguard/baseline.json new.json
  memguard compare old.json new.json --fail-on peak:5% --fail-on stage:load:1MB
  memguard compare old.json new.json --markdown > changes.md

rules:
  peak:10%          a peak more than 10 % above the old one
  peak:5MB          more than 5 MiB above it
  peak:10%+2MB      more than 10 % and more than 2 MiB above it
  growth:..., stage:NAME:..., leak:...
                    what a test leaves behind, the peak of a stage (* for every
                    stage), bytes a call leaks
  {DEFAULT.text} holds for the peak if no rule is on it

status: 0 fine, 1 a regression, 2 bad input or nothing to compare"""


def declare(commands: Commands) -> None:
    """Add the command."""
    help_line = "compare two runs, or a baseline and a run"
    parser = add_command(commands, "compare", help_line, _EXAMPLES, run)
    what = "what pytest --mem-json or --mem-save wrote"
    parser.add_argument("old", metavar="OLD", help=what)
    parser.add_argument("new", metavar="NEW", help=what)
    parser.add_argument(
        "--fail-on",
        action="append",
        default=[],
        metavar="RULE",
        help="how much worse is too much; may be given several times (default: "
        f"{DEFAULT.text.replace('%', '%%')})",
    )
    parser.add_argument(
        "--markdown",
        action="store_true",
        help=f"as Markdown, at most {COMMENT_LIMIT:,} bytes: what fits into a comment",
    )


def run(options: argparse.Namespace) -> Answer:
    """Compare, and print what changed; the status is 1 if there is a regression."""
    with without_garbage_collection():
        return _compared(options)


def _compared(options: argparse.Namespace) -> Answer:
    rules = closest(parse_rules(options.fail_on, "--fail-on"))
    old, new = numbers_in(options.old), numbers_in(options.new, breaches=True)
    shared = [
        environment
        for environment in new.baseline.environments
        if environment in old.baseline.environments
    ]
    if not shared:
        msg = (
            f"nothing can be compared: {old.name} has {_environments(old)}, "
            f"{new.name} has {_environments(new)}"
        )
        raise ConfigError(msg)
    changes = [
        change
        for change in compare(old.baseline, new.baseline, rules, new.without)
        if change.environment in shared
    ]
    table = changes_table(changes)
    lines = [table, ""] if table else []
    lines.append(one_line(f"{old.name} -> {new.name}: {counts_line(changes)}"))
    lines += _details(changes)
    notes = [*_not_compared(old, new, shared), *_unused(rules, changes)]
    lines += ["", *map(one_line, notes)] if notes else []
    if options.markdown:
        text = changes_markdown(changes, notes, COMMENT_LIMIT)
        lines = [text.removesuffix("\n")]
    return lines, int(any(change.kind == "regression" for change in changes))


def _details(changes: Sequence[Change]) -> Iterable[str]:
    """Yield the sentences of regressions, and of what is undecided."""
    by_test: dict[str, list[Change]] = {}
    for change in changes:
        if change.kind in {"regression", "undecided"}:
            by_test.setdefault(change.nodeid, []).append(change)
    for nodeid, of_test in by_test.items():
        worse = [change for change in of_test if change.kind == "regression"]
        if worse:
            yield f"\n{one_line(f'{nodeid}:')}\n{regression_text(worse)}"
        undecided = [change for change in of_test if change.kind == "undecided"]
        if undecided:
            yield "\n".join(["", one_line(f"{nodeid}:"), *map(change_headline, undecided)])


def _environments(numbers: Numbers) -> str:
    texts = dict.fromkeys(
        f"{metric_text(environment.metric)} of {environment_text(environment)}"
        for environment in numbers.baseline.environments
    )
    return ", ".join(texts) or "no numbers of tests that passed"


def _not_compared(
    old: Numbers, new: Numbers, shared: Sequence[EnvironmentKey]
) -> Iterable[str]:
    for mine, other in ((old, new), (new, old)):
        for key, tests in mine.baseline.environments.items():
            if key not in shared:
                count = "1 test" if len(tests) == 1 else f"{len(tests):,} tests"
                yield (
                    f"not compared: {metric_text(key.metric)} of {environment_text(key)} "
                    f"({count}), which only {mine.name} has, not {other.name}"
                )
    if new.without:
        count = "1 test" if len(new.without) == 1 else f"{len(new.without):,} tests"
        yield f"not compared: {count} of {new.name} without numbers, which did not pass"


def _unused(rules: Sequence[FailRule], changes: Sequence[Change]) -> Iterable[str]:
    """Yield a sentence for each rule that applied to nothing."""
    compared = {(change.subject, change.stage) for change in changes if change.kind != "new"}
    for rule in rules:
        if rule.kind == "stage":
            used = any(
                about_stage(rule, stage) for subject, stage in compared if subject == "stage"
            )
        else:
            used = (rule.kind, "") in compared
        if not used:
            yield f"the rule {rule.text} ({rule.where}) was about nothing that both sides have"
