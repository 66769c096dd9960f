"""Run benchmarks by name, or all of them: `python -m benchmarks startup tokenizing prepare`."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "startup", "tokenizing", "prepare", "prepare_memory", "planning", "memory", "training",
    "decoding", "evaluating", "serving", "recall", "spam", "answers", "attention", "importing",
    "workbench_soak",
)  # fmt: skip

LONG = ("prepare_memory", "importing", "workbench_soak")
"""Run only by name: they write gigabytes."""

for name in sys.argv[1:] or [name for name in NAMES if name not in LONG]:
    if name not in NAMES:
        sys.exit(f"There is no benchmark {name!r}. Benchmarks: {', '.join(NAMES)}.")
    print(f"\n## {name}", flush=True)
    importlib.import_module(f"benchmarks.{name}").main()
