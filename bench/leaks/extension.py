"""Builds the C extension of the leak benchmark with the compiler that is there."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

SOURCE = Path(__file__).parent / "native" / "leaky.c"


def build(folder: Path) -> str:
    """Build ``leaky`` into a folder.

    Returns:
        Why that was not possible, or nothing.
    """
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
    found = shutil.which(compiler) or shutil.which("cc")
    if found is None:
        return f"there is no C compiler: neither {compiler} nor cc"
    target = folder / f"leaky{sysconfig.get_config_var('EXT_SUFFIX')}"
    flags = ("-shared", "-fPIC", "-O1", "-g", "-pthread")
    if sysconfig.get_platform().startswith("macosx"):
        flags = (*flags, "-undefined", "dynamic_lookup")
    include = f"-I{sysconfig.get_paths()['include']}"
    command = [found, *flags, include, str(SOURCE), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"{shlex.join(command)}\n{done.stderr}"
    return ""
