"""Reads and writes the file of accepted leaks, .memguard/leaks.json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_memguard.errors import ConfigError
from pytest_memguard.formats import other_format
from pytest_memguard.storage.files import not_regular, read_text, write_whole

if TYPE_CHECKING:
    from pytest_memguard.model.leaks import KnownLeak

FORMAT: Final = 1
# 1: first format.
FILE: Final = ".memguard/leaks.json"


class KnownLeaksFile:
    """The accepted leaks; the file is read when they are first needed.

    A run without a leak check must not fail because the file is broken.

    Args:
        path: the file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._leaks: dict[str, KnownLeak] | None = None

    def leaks(self) -> dict[str, KnownLeak]:
        """Return the leaks by fingerprint.

        Raises:
            ConfigError: if the file cannot be read, or has another format.
        """
        if self._leaks is None:
            self._leaks = read_known(self.path)
        return self._leaks

    def problems(self) -> list[str]:
        """Return why the file cannot be read, as far as that is known without reading it."""
        problem = not_regular(self.path)
        return [f"{self.path} cannot be read ({problem}); move it away"] if problem else []


def read_known(path: Path) -> dict[str, KnownLeak]:
    """Return accepted leaks by fingerprint; none if there is no file.

    Raises:
        ConfigError: if the file cannot be read, or has another format; it is not changed.
    """
    try:
        text = read_text(path)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        msg = f"{path} cannot be read ({reason}); mend it or move it away"
        raise ConfigError(msg) from error
    from pytest_memguard.model.leaks import KnownLeak

    try:
        data = json.loads(text)
        number = data["format"]
        leaks = [
            KnownLeak(**{**entry, "tests": tuple(entry["tests"])})
            for entry in (data["leaks"] if number == FORMAT else ())
        ]
    except (ValueError, KeyError, TypeError) as error:
        msg = (
            f"{path} is no file that --mem-leak-accept wrote ({type(error).__name__}: "
            f"{error}); mend it or move it away"
        )
        raise ConfigError(msg) from error
    if number != FORMAT:
        msg = f"{path} has {other_format(number, FORMAT)}"
        raise ConfigError(msg)
    return {leak.fingerprint: leak for leak in leaks}


def write_known(path: Path, leaks: Iterable[KnownLeak]) -> None:
    """Write accepted leaks, sorted, one on each line.

    Args:
        path: the file; its folder is made.
        leaks: in any order.

    Raises:
        OSError: if it could not be written; the old file is still there.
    """
    ordered = sorted(leaks, key=lambda leak: (leak.holder, leak.line, leak.fingerprint))
    entries = [json.dumps(asdict(leak), sort_keys=True) for leak in ordered]
    body = ",\n".join(f"  {entry}" for entry in entries)
    write_whole(path, f'{{"format": {FORMAT}, "leaks": [\n{body}\n]}}\n')
