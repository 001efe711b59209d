"""Every module of the package can be imported alone, and without a warning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pytest_memguard

FOLDER = Path(pytest_memguard.__file__).parent
MODULES = sorted(
    ".".join((FOLDER.name, *path.relative_to(FOLDER).with_suffix("").parts)).removesuffix(
        ".__init__"
    )
    for path in FOLDER.rglob("*.py")
    if path.name != "__main__.py"
)
PLUGIN = [name for name in MODULES if name.startswith("pytest_memguard.plugin")]
VALUES = [name for name in MODULES if name.count(".") < 2 and name not in PLUGIN]
OTHERS = [name for name in MODULES if name not in {*PLUGIN, *VALUES}]

# What most of the others need takes long to import; that these import nothing of ours beyond
# themselves is among the import contracts.
NEEDED = """
import psutil, tabulate
import pytest_memguard.options.rules, pytest_memguard.options.settings
import pytest_memguard.codecs.run_codec
try:
    import memray
except ImportError:
    pass
"""

# A fresh interpreter that forks before it has imported anything is as good as many.
IMPORT_EACH = """
import gc, os, sys

gc.freeze()  # or a collection in each child would walk, and copy, all that is there

def status(name):
    if not hasattr(os, "fork"):
        import subprocess
        return subprocess.call([sys.executable, "-Werror", "-c", "import " + name])
    pid = os.fork()
    if pid == 0:
        __import__(name)
        os._exit(0)  # to end in good order would take longer than the import
    return os.waitpid(pid, 0)[1]

for name in sys.argv[1:]:
    if status(name):
        print("cannot be imported alone:", name, flush=True)  # or the next child says it, too
"""


def import_each(modules, before="") -> subprocess.CompletedProcess[str]:
    """Import each of some modules in a fresh interpreter, warnings being errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", before + IMPORT_EACH, *modules],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("modules", "before"),
    [
        pytest.param(VALUES, "", id="values"),
        pytest.param(OTHERS, NEEDED, id="others"),
        # pytest is there whenever one of these is
        pytest.param(PLUGIN, f"import pytest\n{NEEDED}", id="plugin"),
    ],
)
def test_imports_alone(modules, before) -> None:
    """Each module finds what it needs, though only what it builds on was imported before."""
    done = import_each(modules, before)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_every_module_is_found() -> None:
    """The lists are not empty, and have packages and modules at any depth."""
    assert {"pytest_memguard", "pytest_memguard.cli", "pytest_memguard.units"} <= set(VALUES)
    assert "pytest_memguard.judge.budget" in OTHERS
    assert {"pytest_memguard.plugin", "pytest_memguard.plugin.hooks"} <= set(PLUGIN)


def test_finds_modules_that_fail(tmp_path, monkeypatch) -> None:
    """A module that warns, and one that needs another first, are both named."""
    (tmp_path / "fine.py").write_text("x = 1\n")
    (tmp_path / "warns.py").write_text("import warnings; warnings.warn('old')\n")
    (tmp_path / "needs.py").write_text("import sys; sys.modules['fine'].x\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert import_each(["fine", "warns", "needs"]).stdout.splitlines() == [
        "cannot be imported alone: warns",
        "cannot be imported alone: needs",
    ]
