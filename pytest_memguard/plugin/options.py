"""The option table as flags and ini keys, and back to settings."""

from __future__ import annotations

import argparse
import os
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_memguard.option_table import OPTIONS, SECTIONS, Option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_memguard.options.settings import Settings

SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
ON_DEMAND: pytest.StashKey[Any] = pytest.StashKey()
"""What sets up the session of a run whose settings ask for nothing: `hooks.OnDemand`."""
PROBLEMS: Final = "memguard_problems"
"""Key under which an xdist worker reports what is wrong with markers."""
GAPS: Final = "memguard_gaps"
"""Key under which it reports what it could not measure."""
EXTRA: Final = "memguard_extra"
"""Key under which it reports which tests took more than the high-water mark."""
FLIGHTS: Final = "memguard-flight"
"""Name of the folder of flight records."""
_WITHOUT_VALUE: Final = ("switch", "file")
"""Kinds of options whose flag may stand alone."""
_VALUE: Final[Any] = str | float | bool if pytest.version_tuple >= (9, 2) else "string"
"""A number in a TOML table, whole or not, is as good as a text; before pytest 9.2 only texts
are."""


def usage_error(problems: Sequence[str]) -> pytest.UsageError:
    """The error pytest prints, a line a problem, and exits with status 4 for."""
    from pytest_memguard.escapes import one_line  # most runs have no error

    return pytest.UsageError(*(f"memguard: {one_line(problem)}" for problem in problems))


def refuse(session: pytest.Session, problems: list[str]) -> None:
    """Stop before the first test.

    Raises:
        pytest.UsageError: with a line a problem. An xdist worker leaves its tests out instead
            and reports that to the controller.
    """
    output = getattr(session.config, "workeroutput", None)
    if output is None:
        raise usage_error(problems)
    output[PROBLEMS] = problems
    session.items.clear()


def declare(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare every flag and ini key."""
    given = _values_given(pluginmanager.get_plugin("pytestconfig"))
    for option in OPTIONS:
        if option.name in SECTIONS:
            title = f"{SECTIONS[option.name]} (pytest-memguard)"
            group = parser.getgroup(f"memguard-{option.name}", title)
        if option.flag:
            group.addoption(option.flag, dest=_dest(option), default=None, **_shape(option))
            if option.kind in _WITHOUT_VALUE:
                for value in sorted(given.get(option.flag, ())):
                    _declare_with_value(group, option, value)
        if option.ini:
            _declare_ini(parser, option)


def _declare_with_value(group: pytest.OptionGroup, option: Option, value: str) -> None:
    """Make ``--flag=value`` a flag of its own, whether the value makes sense or not.

    A flag with an optional value would take a path behind it for that value, and one without
    a value refuses any in words of argparse, which say nothing of what would be right. Only
    what the user wrote is declared: each flag takes pytest 65,000 instructions, in every run.
    """
    group.addoption(
        f"{option.flag}={value}",
        dest=_dest(option),
        action="store_const",
        const=value,
        help=argparse.SUPPRESS,
    )


def _values_given(config: Any) -> dict[str, set[str]]:
    """What stands behind the ``=`` of each flag that the user wrote, by flag.

    Flags are on the command line, in PYTEST_ADDOPTS and in the config file's addopts.
    """
    words = [str(word) for word in config.invocation_params.args]
    try:
        words += shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
        words += config.getini("addopts")
        for word in [w for w in words if w.startswith("@")]:
            words += Path(word[1:]).read_text(encoding="utf-8").splitlines()
    except (ValueError, OSError):
        pass  # pytest says what is wrong with them
    given: dict[str, set[str]] = {}
    for word in words:
        flag, equals, value = word.partition("=")
        if equals:
            given.setdefault(flag, set()).add(value)
    return given


def _dest(option: Option) -> str:
    return f"memguard_{option.name}"


def _shape(option: Option) -> dict[str, Any]:
    if option.kind in _WITHOUT_VALUE:
        const: object = option.choices[0] if option.choices else True
        if option.kind == "file":
            const = option.default_file or True  # an empty text is a mistake: --mem-save=$FILE
        return {"help": _for_argparse(option.help), "action": "store_const", "const": const}
    shape: dict[str, Any] = {
        "help": _for_argparse(f"{option.help} Default: {option.default}."),
        "metavar": option.metavar,
    }
    return {**shape, "action": "append"} if option.kind == "list" else shape


def _for_argparse(text: str) -> str:
    """Escape what argparse would format; pytest prints the help of ini keys as it is."""
    return text.replace("%", "%%")


def _declare_ini(parser: pytest.Parser, option: Option) -> None:
    if option.kind in {"lines", "list"}:
        parser.addini(option.ini, option.help, type="linelist", default=None)
        return
    parser.addini(option.ini, option.help, type=_VALUE, default=None)


def given(config: pytest.Config) -> dict[str, tuple[object, str]]:
    """What the user wrote, by option name, with its source; nothing in most runs.

    Raises:
        pytest.UsageError: if pytest refuses a value of the config file.
    """
    file = config.inipath.name if config.inipath is not None else "-o"
    values: dict[str, tuple[object, str]] = {}
    problems: list[str] = []
    for option in OPTIONS:
        value: object = config.getoption(_dest(option)) if option.flag else None
        source = option.flag
        if value == "" and option.kind == "switch":
            problems.append(f"{source}: it is empty: write {source} alone, or a value")
        if value is None and option.ini:
            source = f"{option.ini} in {file}"
            try:
                value = _from_file(config, option)
            except (TypeError, ValueError, pytest.UsageError) as error:
                problem = str(error).removeprefix(f"{config.inipath}: ")
                problems.append(f"{source}: {problem}")
        if value is not None:
            values[option.name] = (value, source)
    if problems:
        raise usage_error(problems)
    return values


def _from_file(config: pytest.Config, option: Option) -> object:
    """What the config file says, without the comments among lines."""
    value: object = config.getini(option.ini)
    if option.kind not in {"lines", "list"} or not value:
        return value
    from pytest_memguard.options.parsing import is_comment

    lines = value if isinstance(value, list) else [value]
    return [line for line in lines if not is_comment(line)]


def is_off(config: pytest.Config) -> bool:
    """Whether ``--no-mem`` was given."""
    return settings_of(config).off


def settings_of(config: pytest.Config) -> Settings:
    """The settings of a run, worked out once.

    Raises:
        pytest.UsageError: with a line for every value that makes no sense.
    """
    from dataclasses import replace

    from pytest_memguard.errors import ConfigError
    from pytest_memguard.options.settings import resolve

    settings = config.stash.get(SETTINGS, None)
    if settings is None:
        try:
            settings = resolve(given(config))
        except ConfigError as error:
            raise usage_error(error.problems) from error
        if is_ci() and "explain" not in settings.sources:
            settings = replace(settings, explain="rerun")  # there is no next run to wait for
        config.stash[SETTINGS] = settings
    return settings


def distributes(config: pytest.Config) -> bool:
    """Whether workers of pytest-xdist are going to run the tests."""
    if config.getoption("collectonly"):
        return False
    is_on = config.getoption("dist", "no") != "no"
    return is_on and bool(config.getoption("tx", None))


def runs_tests(config: pytest.Config) -> bool:
    """Whether this process runs tests: it does, unless workers of pytest-xdist run them for it.

    pytest-xdist sets up its own session after plugins have been configured.
    """
    if hasattr(config, "workerinput"):
        return True
    return not (config.pluginmanager.hasplugin("dsession") or distributes(config))


def is_ci() -> bool:
    """Whether this is a run in CI, by the variables that pytest itself goes by."""
    return any(os.environ.get(name) for name in ("CI", "BUILD_NUMBER"))


def flight_places(config: pytest.Config) -> list[Path]:
    """Return where flight records may be kept: in pytest's cache, or among temporary files.

    The first is beside what ``--cache-clear`` removes, because every worker clears the cache.

    Args:
        config: the configuration of pytest.
    """
    root = config.rootpath
    places: list[Path] = []
    try:
        cache = os.path.expandvars(Path(str(config.getini("cache_dir"))).expanduser())
    except (ValueError, KeyError, RuntimeError):  # -p no:cacheprovider
        pass
    else:
        places.append(Path(root, cache, FLIGHTS))
    if not any(map(_is_writable, places)):
        found, user = root.stat(), getattr(os, "getuid", lambda: 0)()
        name = f"{FLIGHTS}-{user}-{found.st_dev:x}-{found.st_ino:x}"
        places.append(Path(tempfile.gettempdir(), name))
    return places


def _is_writable(place: Path) -> bool:
    """Return whether a folder can be written, or made in the folder above that exists."""
    there = next(path for path in (place, *place.parents) if path.exists())
    return os.access(there, os.W_OK)
