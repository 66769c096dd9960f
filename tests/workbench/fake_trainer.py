"""kgpt without a model: `fake_trainer.py train --run NAME --saved-models DIR [--resume] [--manner MANNER]`.

Training makes the run's folder, owns it as the real one does, writes a row a moment, and heeds SIGTERM. Manners:
`deaf` (writes `stopping` and goes on), `refuses` (a mistake told before there is a run), `dies` (ends after its first
row), `slow` (takes a while before it owns the run). An export tells a stage, and is done when a file `go` lies beside
its output. Other commands go to the real kgpt.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

import fixture_runs

from kgpt.files import written_aside
from kgpt.runs import RunFolder, owned

asked: list[int] = []


def main() -> int:
    """Train nothing."""
    if sys.argv[1] == "export":
        return export()
    if sys.argv[1] != "train":
        os.execv(sys.executable, [sys.executable, "-m", "kgpt", *sys.argv[1:]])
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    for name in ("run", "saved-models", "manner", "preset", "data", "steps"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--resume", action="store_true")
    args = parser.parse_args()
    if args.manner == "refuses":
        print(
            "kgpt: No prepared data\n  There is no corpus at nowhere.\n  Prepare it.",
            file=sys.stderr,
        )
        return 2
    if args.manner == "slow":
        time.sleep(30)
    path = Path(args.saved_models) / args.run
    writer = fixture_runs.RunWriter(path)
    if not args.resume:
        writer.begin()
    return train(RunFolder(path), writer, args.manner)


def export() -> int:
    """Write a file, once it is allowed to."""
    output = Path(sys.argv[sys.argv.index("--output") + 1])
    if output.exists() and "--overwrite" not in sys.argv:
        print(f"kgpt: Output exists\n  {output} is there.\n  Choose another.", file=sys.stderr)
        return 2
    print("Loading the model ...", file=sys.stderr, flush=True)
    with written_aside(output) as aside:
        aside.write_text("x" * 1000)
        while not output.with_name("go").exists():
            time.sleep(0.05)
    print(json.dumps({"output": str(output), "bytes": 1000}))
    return 0


def train(run: RunFolder, writer: fixture_runs.RunWriter, manner: str | None) -> int:
    """Write rows until somebody asks for the end."""
    with owned(run):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: asked.append(number))
        step = max((row["step"] for row in run.metrics()), default=0)
        while True:
            step += 10
            is_stopping = bool(asked) and manner == "deaf"
            run.write_status("stopping" if is_stopping else "running", step=step, steps=1500)
            writer.metrics(step, first=step)
            if manner == "dies":
                print("out of everything", file=sys.stderr)
                return 1
            if asked and manner != "deaf":
                writer.checkpoints(step, best=step)
                run.write_status("stopped", step=step, steps=1500)
                return 130
            time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
