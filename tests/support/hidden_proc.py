"""Runs of pytest with another /proc, or as good as none: really mounted, or pretended."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_SCRIPT = """
folder=$1 shown=$2
shift 2
mkdir "$folder" && mount --bind /proc "$folder" && mount -t tmpfs none /proc || exit 77
test -z "$shown" || mkdir /proc/self
for name in $shown; do ln -s "$folder/self/$name" "/proc/self/$name"; done
"$@"  # in a child, which does not inherit the high-water mark of the tests' own process
exit $?
"""

PRETENDED = """
import builtins
import errno
import io
import os

import psutil

SHOWN = {shown!r}

def is_hidden(path):
    name = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
    if not name.startswith("/proc"):
        return False
    return not any(name.startswith("/proc/self/" + shown) for shown in SHOWN)

def hiding(function):
    def hidden(path, *args, **kwargs):
        if is_hidden(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return function(path, *args, **kwargs)
    return hidden

access = os.access
os.access = lambda path, mode, **kwargs: not is_hidden(path) and access(path, mode, **kwargs)
for name in ("open", "stat", "listdir"):
    setattr(os, name, hiding(getattr(os, name)))
builtins.open = io.open = hiding(io.open)
psutil.PROCFS_PATH = "/nowhere"

from pytest_memguard.probes.memray_module import (missing_files)

missing_files.cache_clear()
"""
"""A conftest that hides /proc, but for some files of the process, from Python code."""


def command(folder: Path, shown: str, *arguments: str) -> list[str]:
    """A command line in a mount namespace of its own.

    Args:
        folder: where the real /proc is mounted there; it must not exist yet.
        shown: names of the files in /proc/self that are there.
        arguments: the command.
    """
    return ["unshare", "-m", "sh", "-c", _SCRIPT, "sh", str(folder), shown, *arguments]


@functools.cache
def why_not() -> str:
    """Why /proc cannot be mounted over here; empty if it can."""
    if sys.platform != "linux":
        return "only Linux has mount namespaces"
    if shutil.which("unshare") is None:
        return "unshare is not installed"
    with tempfile.TemporaryDirectory() as name:
        trial = command(Path(name) / "proc", "", "true")
        done = subprocess.run(trial, capture_output=True, text=True, check=False)
    return done.stderr.strip() or "unshare failed" if done.returncode else ""
