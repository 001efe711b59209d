"""Declares every option once; pytest loads it in every run, so it imports nothing."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Kind = Literal["switch", "text", "lines", "file", "list"]


class Option:
    """One setting, with its flag and its ini key.

    Args:
        name: a field of `settings.Settings`.
        kind: what the user writes: nothing (a switch), a text, lines in the ini file, a flag
            that may name a file, or another value, after ``=``, or a flag that may be given
            several times.
        flag: the name on the command line; empty if there is none.
        ini: the name in the config file; empty if there is none.
        metavar: what ``--help`` shows for the value.
        choices: the allowed texts, if there are only a few; a switch with choices means the
            first of them, and takes another one after ``=``.
        default_file: what a flag for a file means without one, relative to the root; or the
            value of a flag without one.
        default: the default in words.
        help: one sentence for flag and ini key.
    """

    __slots__ = (
        "choices",
        "default",
        "default_file",
        "flag",
        "help",
        "ini",
        "kind",
        "metavar",
        "name",
    )

    def __init__(
        self,
        name: str,
        kind: Kind,
        *,
        help: str,  # noqa: A002  the word argparse and pytest use
        default: str,
        flag: str = "",
        ini: str = "",
        metavar: str = "",
        choices: tuple[str, ...] = (),
        default_file: str = "",
    ) -> None:
        self.name = name
        self.kind = kind
        self.flag = flag
        self.ini = ini
        self.metavar = metavar
        self.choices = choices
        self.default_file = default_file
        self.default = default
        self.help = help


GITHUB = ("auto", "off")
MODES = ("fail", "warn")
EXPLAIN = ("next", "rerun", "never")
LEAK_CHECK = ("all", "marked")
LEAK_BLAME = ("here", "fork", "none")
FLIGHT_RECORD = ("on", "workers", "off")
ISOLATE = ("test", "module", "off")
PARALLEL_ORDER = ("collected", "heavy")
BASELINE = ".memguard/baseline.json"
SECTIONS = {
    "mem": "memory reports",
    "budget": "memory budgets",
    "leak_check": "memory leaks",
    "history": "memory baselines and history",
    "isolate": "memory of the whole run",
}
"""Titles in ``--help``, by the option that a section begins with. pytest compares the name of
each option with all names in its group: one group for all of them takes four times as long."""

OPTIONS: tuple[Option, ...] = (
    Option(
        "mem",
        "switch",
        flag="--mem",
        ini="mem",
        default="off",
        help="Measure every test and print a memory section at the end; "
        "with -v, show each test's peak behind its status.",
    ),
    Option(
        "top",
        "text",
        flag="--mem-top",
        ini="mem_top",
        metavar="N",
        default="10",
        help="Tests shown in the memory section, the largest peak first.",
    ),
    Option(
        "growth",
        "text",
        flag="--mem-growth",
        ini="mem_growth",
        metavar="N",
        default="none",
        help="Measure every test, and show which N tests and files raised the level of "
        "resident memory for good.",
    ),
    Option(
        "json",
        "text",
        flag="--mem-json",
        ini="mem_json",
        metavar="PATH",
        default="none",
        help="Measure every test and write all numbers to a JSON file.",
    ),
    Option(
        "markdown",
        "text",
        flag="--mem-markdown",
        ini="mem_markdown",
        metavar="PATH",
        default="none",
        help="Measure every test and write a summary in Markdown, short enough for a comment "
        "on a change.",
    ),
    Option(
        "output",
        "list",
        flag="--mem-output",
        ini="mem_output",
        metavar="FORMAT=PATH",
        default="none",
        help="Measure every test and write all numbers in a format: csv, tsv, json, markdown, "
        "bencher, github-action-benchmark, openmetrics, or one that another plugin adds; may "
        "be given several times.",
    ),
    Option(
        "gitlab",
        "text",
        flag="--mem-gitlab",
        ini="mem_gitlab",
        metavar="PATH",
        default="none",
        help="Write the findings as GitLab's code quality report.",
    ),
    Option(
        "github",
        "text",
        flag="--mem-github",
        ini="mem_github",
        metavar="WHEN",
        choices=GITHUB,
        default="auto",
        help="On GitHub Actions, add to the job's summary and make findings annotations: "
        "auto, or off.",
    ),
    Option(
        "budget",
        "text",
        flag="--mem-budget",
        ini="mem_budget",
        metavar="SIZE",
        default="none",
        help="Fail every test whose peak RSS rises more than SIZE above its start; "
        "a bare number is MiB, 0 switches it off. A mem_budget marker goes first.",
    ),
    Option(
        "budgets",
        "lines",
        ini="mem_budgets",
        default="none",
        help="Lines 'PATTERN = SIZE': budgets by node id or path, the last match wins.",
    ),
    Option(
        "warn",
        "text",
        ini="mem_warn",
        default="none",
        help="Share of its budget (0.8 or 80%) above which a test gives a MemoryBudgetWarning.",
    ),
    Option(
        "mode",
        "text",
        flag="--mem-budget-mode",
        ini="mem_budget_mode",
        metavar="MODE",
        choices=MODES,
        default="fail",
        help="What a breach does: fail the test, or warn.",
    ),
    Option(
        "hard",
        "switch",
        flag="--mem-hard",
        ini="mem_hard",
        default="off",
        help="Make every budget on peak RSS a hard one: the test gets a MemoryError at the "
        "line that goes beyond it. A mem_budget marker with hard=... goes first.",
    ),
    Option(
        "explain",
        "text",
        flag="--mem-explain",
        ini="mem_explain",
        metavar="WHEN",
        choices=EXPLAIN,
        default="next; rerun in CI",
        help="How a breach gets its allocation lines: the next run measures that test "
        "under memray, rerun does so at once in a forked child, never.",
    ),
    Option(
        "tracker_share",
        "text",
        flag="--mem-tracker-share",
        ini="mem_tracker_share",
        metavar="SHARE",
        default="5%",
        help="Share of the run's time (0.05 or 5%) for which memray may run in tests that did "
        "not ask for it, because memory that earlier tests left free could hide their peaks; "
        "0: never.",
    ),
    Option(
        "drill",
        "switch",
        flag="--mem-drill",
        ini="mem_drill",
        default="off",
        help="List the ten source lines that grew most in the dominant stage of each test "
        "with stages (slows those tests down).",
    ),
    Option(
        "leak_check",
        "switch",
        flag="--mem-leak-check",
        ini="mem_leak_check",
        choices=LEAK_CHECK,
        default="marked",
        help="Repeat each test that passes and fail it if it leaks; with =marked only tests "
        "that bear the marker mem_leak_check, which are checked in every run.",
    ),
    Option(
        "leak_strict",
        "switch",
        flag="--mem-leak-strict",
        ini="mem_leak_strict",
        default="off",
        help="Fail tests whose leak check ends as undecided, too; --mem-strict includes it.",
    ),
    Option(
        "leak_accept",
        "switch",
        flag="--mem-leak-accept",
        default="off",
        help="Write the leaks found to .memguard/leaks.json instead of failing their tests.",
    ),
    Option(
        "leak_blame",
        "text",
        flag="--mem-leak-blame",
        ini="mem_leak_blame",
        metavar="WHERE",
        choices=LEAK_BLAME,
        default="here",
        help="Where the cause of a leak is looked for: here, in a forked child (for suites in "
        "which a native tracker crashes), or none: nowhere.",
    ),
    Option(
        "leak_tolerance",
        "text",
        ini="mem_leak_tolerance",
        default="0",
        help="Bytes a call may leave behind; a bare number is bytes.",
    ),
    Option(
        "leak_ignore",
        "lines",
        ini="mem_leak_ignore",
        default="none",
        help="Patterns on function, file, module or type: leaks they match do not fail.",
    ),
    Option(
        "leak_calls",
        "text",
        flag="--mem-leak-calls",
        ini="mem_leak_calls",
        metavar="N",
        default="2000",
        help="Calls of one test a leak check makes at most.",
    ),
    Option(
        "leak_seconds",
        "text",
        flag="--mem-leak-seconds",
        ini="mem_leak_seconds",
        metavar="S",
        default="20",
        help="Seconds for which a leak check repeats one test at most; explaining a leak takes "
        "up to half as long again.",
    ),
    Option(
        "leak_stop_at",
        "text",
        ini="mem_leak_stop_at",
        default="256 MB, 200 files, 50 threads",
        help="What a leak may use up before its check stops: memory, descriptors (as well as "
        "child processes or tasks), threads; a bare number is MiB.",
    ),
    Option(
        "history",
        "file",
        flag="--mem-history",
        ini="mem_history",
        metavar="FILE",
        default_file=".memguard/history.sqlite3",
        default="none",
        help="Measure every test and append the run to a SQLite file, or to a PostgreSQL "
        "server by its SQLAlchemy URL.",
    ),
    Option(
        "save",
        "file",
        flag="--mem-save",
        metavar="FILE",
        default="off",
        help="Measure every test and store the numbers of those that passed in the baseline, "
        "next to those of tests that did not run.",
    ),
    Option(
        "compare",
        "file",
        flag="--mem-compare",
        ini="mem_compare",
        metavar="FILE",
        default="off",
        help="Measure every test and fail those whose memory has grown beyond the baseline; "
        "the ini key is true, or a file.",
    ),
    Option(
        "baseline",
        "text",
        ini="mem_baseline",
        default=BASELINE,
        help="File of the baseline, for --mem-save, --mem-compare and --mem-accept without "
        "one of their own; relative to the root.",
    ),
    Option(
        "fail_on",
        "list",
        flag="--mem-fail-on",
        ini="mem_fail_on",
        metavar="RULE",
        default="peak:10%+2MB",
        help="How much more than the baseline is too much: peak:10%, peak:5MB, peak:10%+2MB "
        "(both must be exceeded), growth:..., stage:NAME:..., leak:...; may be given several "
        "times. A mem_regression marker goes first.",
    ),
    Option(
        "confirm",
        "text",
        flag="--mem-confirm",
        ini="mem_confirm",
        metavar="N",
        default="1",
        help="Measure a suspect again, up to N times, in a fresh child process, and call it "
        "twice there, before --mem-compare calls it a regression: what the first call fills "
        "for good (caches, tables) is kept apart from what each call uses. --mem-save does so "
        "with every test that uses more than 2 MiB, and a budget is judged there, once, where "
        "it is exceeded, or memory that earlier tests left free could hide the peak. 0: not "
        "at all.",
    ),
    Option(
        "confirm_share",
        "text",
        flag="--mem-confirm-share",
        ini="mem_confirm_share",
        metavar="SHARE",
        default="50%",
        help="Share of the run's time (0.5 or 50%) for which tests may be measured again in a "
        "fresh process because of --mem-confirm, or a minute if that is more; a test for "
        "which no time is left is undecided, or fails if its budget is exceeded. 0: none; "
        "what --mem-save stores is always measured.",
    ),
    Option(
        "accept",
        "list",
        flag="--mem-accept",
        metavar="NODEID",
        default="none",
        help="Let these tests pass with what they use now, and store that in the baseline; "
        "a node id or a pattern as in mem_budgets; may be given several times.",
    ),
    Option(
        "prune",
        "switch",
        flag="--mem-prune",
        default="off",
        help="With --mem-save, drop tests from the baseline that no longer exist.",
    ),
    Option(
        "strict",
        "switch",
        flag="--mem-strict",
        ini="mem_strict",
        default="off",
        help="Fail tests that are undecided, whose budgets could not be measured or, with "
        "--mem-compare, that are new; such a run needs a baseline.",
    ),
    Option(
        "isolate",
        "switch",
        flag="--mem-isolate",
        ini="mem_isolate",
        choices=ISOLATE,
        default="off",
        help="Run each test, or with =module the tests of each module, in a process of its own "
        "that is forked before the first test; =off leaves that to mem_isolate markers.",
    ),
    Option(
        "flight_record",
        "switch",
        flag="--mem-flight-record",
        ini="mem_flight_record",
        choices=FLIGHT_RECORD,
        default="workers",
        help="Record the level of memory at each test, so that the report can say why a worker "
        "was killed: in the workers of pytest-xdist (workers), in every run (on), or nowhere "
        "(off).",
    ),
    Option(
        "abort_at",
        "text",
        flag="--mem-abort-at",
        ini="mem_abort_at",
        metavar="SIZE",
        default="off",
        help="Stop the run with a report when pytest, its workers and all their children use "
        "more than SIZE together, before the system kills it; auto: when little of the limit "
        "of the container or machine is left; off, or 0: never.",
    ),
    Option(
        "rerun_killed",
        "switch",
        flag="--mem-rerun-killed",
        ini="mem_rerun_killed",
        default="off",
        help="Run a test whose worker of pytest-xdist was killed for lack of memory once more, "
        "alone, after all others, before it is called failed. On with --mem-parallel.",
    ),
    Option(
        "alert",
        "lines",
        ini="mem_alert",
        default="none",
        help="Lines 'worker rss = SIZE LEVEL, ...': report each process that runs tests whose "
        "resident memory reaches a size, as info, warning or critical. Likewise worker uss, "
        "worker fds, worker threads and worker children, and run rss for the whole run.",
    ),
    Option(
        "parallel",
        "file",
        flag="--mem-parallel",
        ini="mem_parallel",
        metavar="SIZE",
        default_file="auto",
        default="off",
        help="Let a test start only when what it is expected to need fits into what is left of "
        "SIZE (as in --mem-parallel=8GB), for the workers of this run and all other runs of "
        "the same user together; without a size, or with auto, what the container or machine "
        "has left. -n auto then starts as many workers as fit.",
    ),
    Option(
        "parallel_order",
        "text",
        flag="--mem-parallel-order",
        ini="mem_parallel_order",
        metavar="ORDER",
        choices=PARALLEL_ORDER,
        default="collected",
        help="With --mem-parallel, the order of the tests: as they were collected, or heavy: "
        "those that need most come first.",
    ),
    Option(
        "off",
        "switch",
        flag="--no-mem",
        default="off",
        help="Switch every memory check and report off; markers stay known.",
    ),
)
