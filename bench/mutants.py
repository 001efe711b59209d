"""Changes the pure rules bit by bit and counts which changes their unit tests notice.

Run it as ``python bench/mutants.py [MODULE ...]``.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "pytest_memguard"
COPIED = (PACKAGE, "tests", "bench")
"""What the tests need; a copy of it is mutated, never the files themselves."""
TARGET = 0.95
"""Share of the mutants that must be killed."""
RULES = sorted(
    f"judge/{path.stem}"
    for path in (ROOT / PACKAGE / "judge").glob("*.py")
    if path.stem != "__init__"
)
MODULES: Sequence[str] = (*RULES, "rules", "units")
"""The modules that are mutated."""
MORE_TESTS: Mapping[str, tuple[str, ...]] = {
    # a budget compares with the constants
    "judge/slack_thresholds": ("tests/unit/judge/test_budget.py",),
    # these are tested through what they are parts of
    "judge/c_heap_growth": ("tests/unit/judge/test_per_call.py",),
    "judge/growth_scales": ("tests/unit/judge/test_per_call.py",),
}
"""Tests that have to notice beside the module's own, if it has any."""
EXCLUDED = (
    # no bits are counted here: | stands in annotations only, which are never evaluated
    r"core/ReplaceBinaryOperator_BitOr_",
    # one wrong operator of each sort is enough
    r"core/ReplaceBinaryOperator_\w+_(Mod|Pow|RShift|LShift|BitOr|BitAnd|BitXor)$",
    # == becomes != only: names have no order, and for small numbers `is` does the same
    r"core/ReplaceComparisonOperator_(Eq|NotEq)_(?!Eq|NotEq)",
    r"core/ReplaceComparisonOperator_[LG]tE?_Is(Not)?$",
    r"core/ReplaceComparisonOperator_Is(Not)?_(?!Is)",
)
"""Operators of cosmic-ray that are left out."""
CONFIGURATION = """\
[cosmic-ray]
module-path = "{module}"
timeout = {timeout:.1f}
excluded-modules = []
test-command = {command}

[cosmic-ray.distributor]
name = "local"

[cosmic-ray.filters.operators-filter]
exclude-operators = {excluded}
"""
PYTEST_INI = "[pytest]\nfilterwarnings = error\nxfail_strict = true\n"
CONFTEST = """\
from hypothesis import Phase, settings

settings.register_profile(
    "mutants", database=None, derandomize=True, max_examples=20, phases=[Phase.generate]
)
settings.load_profile("mutants")
"""
"""The same few examples in every run, and none made smaller once it has failed."""


class MutantsError(Exception):
    """Why there is no figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change that was tried."""

    line: int
    """Where."""
    change: str
    """The line before and after."""
    killed: bool
    """Whether a test failed, or did not come to an end."""


def main() -> int:
    """Try every mutant, and print a table by module and the mutants that were not killed."""
    options = arguments()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="memguard-mutants-") as folder:
        template = copied(Path(folder) / "template")
        with ThreadPoolExecutor(options.jobs) as pool:
            tried = pool.map(lambda module: mutants_of(module, template), options.modules)
            try:
                found = dict(zip(options.modules, tried, strict=True))
            except MutantsError as error:
                print(error, file=sys.stderr)
                return 1
    print(table(found), end="\n\n")
    print(*survivors(found), sep="\n")
    print(f"\n{time.monotonic() - began:,.0f} seconds")
    return 0 if share(everything(found)) >= TARGET else 1


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "modules",
        nargs="*",
        metavar="MODULE",
        help=f"these only: {', '.join(MODULES)}",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        help="modules at a time (default: one for each processor)",
    )
    options = parser.parse_args()
    unknown = [name for name in options.modules if name not in MODULES]
    if unknown:
        parser.error(f"there is no module {unknown[0]!r}; there are {', '.join(MODULES)}")
    options.modules = options.modules or MODULES
    return options


def files_of(module: str) -> tuple[str, ...]:
    """The test files that should notice a change of a module."""
    folder, _, name = module.rpartition("/")
    own = Path("tests", "unit", folder, f"test_{name}.py")
    more = MORE_TESTS.get(module, ())
    return (own.as_posix(), *more) if (ROOT / own).exists() else more


def copied(template: Path) -> Path:
    """Copy what the tests need, with bytecode that is checked by its source's hash.

    A mutant is as long as the original and written within the same second, so bytecode that
    is checked by time and length would hide it.
    """
    ignored = shutil.ignore_patterns("__pycache__", "conftest.py")
    for name in COPIED:
        shutil.copytree(ROOT / name, template / name, ignore=ignored)
    (template / "pytest.ini").write_text(PYTEST_INI)
    compiled = ("-m", "compileall", "-q", "--invalidation-mode", "checked-hash", PACKAGE)
    run([sys.executable, *compiled], template)
    return template


def mutants_of(module: str, template: Path) -> list[Mutant]:
    """Try the mutants of one module, in a copy of its own.

    Args:
        module: its name, as it is asked for: judge/leak, units.
        template: the copy that has been made ready.

    Raises:
        MutantsError: if the tests fail without a mutant, or cosmic-ray does.
    """
    folder = template.parent / module.replace("/", "-")
    shutil.copytree(template, folder)
    files = files_of(module)
    for file in files:
        if not (folder / file).exists():
            msg = f"{module} has no unit tests: there is no {file}"
            raise MutantsError(msg)
    if any("hypothesis" in (folder / file).read_text() for file in files):
        (folder / "conftest.py").write_text(CONFTEST)
    tests = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *files]
    began = time.monotonic()
    run(tests, folder)
    seconds = time.monotonic() - began
    configuration = CONFIGURATION.format(
        module=f"{PACKAGE}/{module}.py",
        timeout=5 + 5 * seconds,
        command=json.dumps(shlex.join(tests)),
        excluded=json.dumps(EXCLUDED),
    )
    (folder / "mutants.toml").write_text(configuration)
    cosmic_ray = str(Path(sys.executable).with_name("cosmic-ray"))
    skip = "cosmic_ray.tools.filters.operators_filter"
    run([cosmic_ray, "init", "mutants.toml", "mutants.sqlite"], folder)
    run([sys.executable, "-m", skip, "mutants.sqlite", "mutants.toml"], folder)
    run([cosmic_ray, "exec", "mutants.toml", "mutants.sqlite"], folder)
    found = run([cosmic_ray, "dump", "mutants.sqlite"], folder)
    source = (template / PACKAGE / f"{module}.py").read_text()
    mutants = sorted(read(found, source), key=lambda mutant: mutant.line)
    print(f"{module}: {len(mutants)} mutants", file=sys.stderr, flush=True)
    return mutants


def run(command: Sequence[str], folder: Path) -> str:
    """Run a command with no plugin but pytest's own; what it printed.

    Raises:
        MutantsError: if it fails.
    """
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        msg = f"there is no {command[0]}: pip install 'pytest-memguard[bench]'"
        raise MutantsError(msg) from None
    if done.returncode:
        msg = f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}"
        raise MutantsError(msg)
    return done.stdout


def read(dumped: str, source: str) -> Iterator[Mutant]:
    """The mutants of a session that has come to its end.

    Args:
        dumped: what ``cosmic-ray dump`` prints: a line of JSON for each of them.
        source: of the module.
    """
    tree = ast.parse(source)
    decorators = set(lines_of_decorators(tree))
    arithmetic = list(lines_of_arithmetic(tree))
    for line in dumped.splitlines():
        (mutation,), result = mutations(line)
        if result["worker_outcome"] == "skipped":
            continue
        at = tuple(mutation["start_pos"])
        operator = mutation["operator_name"]
        if at[0] in decorators and "Decorator" not in operator:
            continue  # whether a dataclass is frozen is no rule
        if "BinaryOperator" in operator and not any(a <= at < b for a, b in arithmetic):
            continue  # the star before keyword-only arguments, say
        killed = result["test_outcome"] != "survived"
        yield Mutant(line=at[0], change=change(result["diff"]), killed=killed)


def mutations(line: str) -> tuple[list[dict], dict]:
    """What a line of the dump says: what was changed, and what became of it."""
    item, result = json.loads(line)
    return item["mutations"], result


def lines_of_decorators(tree: ast.Module) -> Iterator[int]:
    """The numbers of all lines with a decorator."""
    for node in ast.walk(tree):
        for decorator in getattr(node, "decorator_list", ()):
            yield from range(decorator.lineno, decorator.end_lineno + 1)


def lines_of_arithmetic(tree: ast.Module) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where operators of arithmetic stand: behind the left operand, before the right one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp):
            left, right = node.left, node.right
            yield (left.end_lineno, left.end_col_offset), (right.lineno, right.col_offset)


def change(diff: str) -> str:
    """The changed lines of a diff, before and after."""
    lines = [line for line in diff.splitlines() if re.match(r"[-+](?![-+])", line)]
    return " ".join(f"{line[0]} {line[1:].strip()}" for line in lines)


def table(found: Mapping[str, Sequence[Mutant]]) -> str:
    """How many were killed, by module and together."""
    rows = [
        row(name, mutants) for name, mutants in (*found.items(), ("all", everything(found)))
    ]
    headers = ("module", "mutants", "killed", "survived", "share", "target 95%")
    right = ("left", "right", "right", "right", "right", "left")
    lines = tabulate(rows, headers, tablefmt="simple", disable_numparse=True, colalign=right)
    return f"{lines}\nTexts and annotations are not mutated."


def row(name: str, mutants: Sequence[Mutant]) -> tuple[str, ...]:
    """The cells of one line."""
    killed = sum(mutant.killed for mutant in mutants)
    reached = "met" if share(mutants) >= TARGET else "NOT MET"
    counts = (len(mutants), killed, len(mutants) - killed)
    return (name, *(f"{count:,}" for count in counts), f"{share(mutants):.1%}", reached)


def share(mutants: Sequence[Mutant]) -> float:
    """The share that was killed."""
    return sum(mutant.killed for mutant in mutants) / len(mutants) if mutants else 1.0


def everything(found: Mapping[str, Sequence[Mutant]]) -> list[Mutant]:
    """The mutants of all modules."""
    return [mutant for mutants in found.values() for mutant in mutants]


def survivors(found: Mapping[str, Sequence[Mutant]]) -> Iterator[str]:
    """A line for each that no test noticed."""
    for module, mutants in found.items():
        for mutant in mutants:
            if not mutant.killed:
                yield f"{PACKAGE}/{module}.py:{mutant.line}: {mutant.change}"


if __name__ == "__main__":
    sys.exit(main())
