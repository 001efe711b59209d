"""Notes what it takes pytest to load pytest-memguard, once it has loaded itself."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from _pytest.config import get_config  # no public name makes a config without a run

PLUGIN = "pytest_memguard.plugin.hooks"


def main() -> None:
    """Import and register the plugin as pytest does, and take the time."""
    manager = get_config().pluginmanager
    cpu, wall = time.process_time(), time.perf_counter()
    manager.import_plugin(PLUGIN)
    notes = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    Path(os.environ["MEMGUARD_BENCH_NOTES"]).write_text(json.dumps(notes))


main()
