"""Models that answer, from the demo's run: questions about the encyclopedia, and instructions from a file.

Tunes the base for each of five seeds and prints medians: on the built-in questions the share of exact answers to new
phrasings of what fine-tuning asked about, and to what it never asked about; on `KGPT_INSTRUCTIONS`, a file such as
Alpaca's, the loss of validation and test part beside the base's. `KGPT_DEMO` is the folder of a run made by
`kgpt-train`; without it the demo is trained first.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.commands import kgpt

SEEDS = (1, 2, 3, 4, 5)


def main(seeds: Sequence[int] = SEEDS) -> None:
    """Tune, ask, print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = os.environ.get("KGPT_DEMO") or kgpt(folder, "train", "--run", "demo").result["run"]
        file = os.environ.get("KGPT_INSTRUCTIONS")
        for case, data in {"questions": "encyclopedia", "instructions": file}.items():
            if data is None:
                print("Set KGPT_INSTRUCTIONS to a file of instructions.")
                continue
            rows = []
            for seed in seeds:
                rows.append(_measured(folder, case, str(base), data, seed))
                print(case, seed, rows[-1], file=sys.stderr, flush=True)
            middle = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
            shown = "  ".join(f"{key} {value:.4g}" for key, value in middle.items())
            print(f"{case}: {shown}", flush=True)


def _measured(folder: Path, case: str, base: str, data: str, seed: int) -> dict[str, float]:
    began = time.perf_counter()
    answered = "100000" if case == "questions" else "0"
    result = kgpt(
        folder, "finetune", "instruct", base, "--data", data, "--run", f"{case}-{seed}",
        "--seed", str(seed), "--answered", answered,
    ).result  # fmt: skip
    figures = result["test"]
    found = {
        "steps": float(result["steps"]),
        "validation_loss": result["validation"]["loss"],
        "base_validation_loss": result["validation"]["base_loss"],
        "test_loss": figures["loss"],
        "base_test_loss": figures["base_loss"],
        "seconds": round(time.perf_counter() - began, 1),
    }
    by_kind = figures.get("exact_by_kind", {})
    return {**found, **{kind: round(one["exact"], 4) for kind, one in by_kind.items()}}


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
