"""The only part that knows pytest.

pytest rewrites assertions in all modules of a plugin's distribution, and compiles each of them
anew in every run where no bytecode may be written. There is nothing to rewrite here, so what is
loaded from here on is found as any other module is. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_PACKAGE = f"{__name__.partition('.')[0]}."


class PlainImports:
    """Finds the modules of this package before pytest's import hook does."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module if it is one of ours.

        Args:
            name: of the module, with its package.
            path: where the package has its modules.
            target: the module that is loaded again, if it is.
        """
        return PathFinder.find_spec(name, path, target) if name.startswith(_PACKAGE) else None


sys.meta_path.insert(0, PlainImports)
