"""The rule for imports: how much of a peak may be that of modules loaded for the first time."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from pytest_memguard.model.baselines import BaselineEntry
from pytest_memguard.sizes import KIB, MIB

# What imports may take. Measured were up to 3.7 MiB for one module (_hashlib, with the library
# that it loads), and 0.1 MiB for each of many. Native libraries take more.
_FIRST_IMPORT: Final = 16 * MIB
_NEXT_IMPORT: Final = MIB // 2

# How much of a library's files is resident after its import depends on the system's page cache:
# it varied by 4.1 MiB for numpy's 84 modules.
_PER_IMPORT: Final = 48 * KIB


def noise_of_imports(imports: int) -> int:
    """Return by how much two readings of a call may differ because of what it imports.

    Args:
        imports: number of modules that it imports for the first time.
    """
    return imports * _PER_IMPORT


def imports_may_explain(before: BaselineEntry, now: BaselineEntry, growth: int) -> bool:
    """Return whether first imports of modules may account for growth.

    The first test of a process that needs a library pays for its import. Which test that is
    depends on the order of the tests, on workers and on shards.

    Args:
        before: the entry in the baseline.
        now: the new reading.
        growth: bytes by which the reading is larger.
    """
    return may_be_imports(now.imports - before.imports, growth)


def may_be_imports(more: int, growth: int) -> bool:
    """Return whether growth may be that of modules which are imported for the first time.

    Args:
        more: how many more are than when the baseline was saved.
        growth: bytes.
    """
    return more > 0 and growth <= _FIRST_IMPORT + more * _NEXT_IMPORT


def new_libraries(imported: Collection[str], on_record: Collection[str] | None) -> list[str]:
    """Return the libraries that no test on record can have imported; sorted.

    Args:
        imported: what a call has imported for the first time in its process.
        on_record: what was loaded when the baseline was saved; ``None`` if it is not known.
    """
    return [] if on_record is None else sorted(set(imported) - set(on_record))
