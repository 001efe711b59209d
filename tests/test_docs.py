"""The documentation builds, and its commands are those that CI runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_site_builds_without_warnings(tmp_path):
    """Sphinx builds every page, with warnings as errors."""
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "index.html").is_file()


def test_ci_runs_the_test_command_of_the_readme():
    """The last line of .ci/run stands in the README word for word."""
    command = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1]

    assert command in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
