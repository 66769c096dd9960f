"""Run folders as the trainer writes them, made by hand: every number is a function of the step."""

from __future__ import annotations

import json
import math
import os
import random
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOW = 1_790_000_000.0
"""The frozen time of the tests."""

DEAD_PID = 2**22 + 12345
"""Above Linux' largest process id: nobody's."""

SAMPLE = (
    " é o quarto planeta a partir do Sol. A sua cor vem do óxido de ferro que cobre o solo,"
    " e um ano ali dura 687 dias."
)


@dataclass
class RunWriter:
    """Writes one run folder, as much of it as a test needs."""

    path: Path
    steps: int = 1500
    seed: int = 1
    scale: float = 1.0

    def begin(self, **values: Any) -> RunWriter:
        """Make the folder with `run.json`."""
        self.path.mkdir(parents=True)
        run = {
            "format_version": 1,
            "task": "pretrain",
            "preset": "demo",
            "parameters": 6_241_280,
            "created": "2026-09-21T10:00:00",
            "configuration": {
                "data": "encyclopedia",
                "steps": self.steps,
                "batch_size": 16,
                "precision": "float32",
                "seed": self.seed,
                "model": {
                    "num_layers": 6,
                    "num_heads": 4,
                    "width": 256,
                    "context_length": 128,
                    "vocabulary_size": 8192,
                    "dropout": 0.0,
                },
                "optimizer": {"name": "muon", "learning_rate": 0.01, "warmup_steps": 0},
            },
        }
        self.write_json("run.json", {**run, **values})
        return self

    def write_json(self, name: str, value: Any) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value), encoding="utf-8")

    def status(
        self, state: str, pid: int = DEAD_PID, age: float = 1.0, **details: Any
    ) -> RunWriter:
        self.write_json(
            "status.json",
            {
                "state": state,
                "pid": pid,
                "host": socket.gethostname(),
                "heartbeat": NOW - age,
                "steps": self.steps,
                **details,
            },
        )
        return self

    def row(self, step: int) -> dict[str, Any]:
        """The metrics of a step; every 250 steps with an evaluation."""
        noise = random.Random(step * 7919 + self.seed).gauss(0, 0.06)
        loss = self.scale * (
            1.7 + 6.9 * math.exp(-step / 110) + 0.7 * math.exp(-step / 900) + noise
        )
        row: dict[str, Any] = {
            "step": step,
            "tokens": step * 2048,
            "seconds": step * 0.115,
            "train_loss": round(loss, 5),
            "learning_rate": round(0.01 * (1 - 0.9 * step / self.steps), 7),
            "gradient_norm": round(0.4 + 2.2 * math.exp(-step / 80) + abs(noise), 4),
            "tokens_per_second": round(17_800 + 900 * math.sin(step / 90) + 4000 * noise),
        }
        if step % 250 == 0 and step:
            validation = self.scale * (1.88 + 6.2 * math.exp(-step / 130))
            row["validation_loss"] = round(validation, 5)
            row["bits_per_byte"] = round(validation / 2.63, 5)
        return row

    def metrics(self, last: int, first: int = 10, every: int = 10) -> RunWriter:
        """Append the rows from `first` to `last`."""
        self.append("metrics.jsonl", *(self.row(step) for step in range(first, last + 1, every)))
        return self

    def append(self, name: str, *rows: dict[str, Any]) -> None:
        with open(self.path / name, "a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    def checkpoints(self, *steps: int, best: int) -> RunWriter:
        for step in steps:
            loss = self.row(step).get("validation_loss")
            self.write_json(f"checkpoints/step-{step:08d}/state.json", {"validation_loss": loss})
        self.write_json("checkpoints/best.json", {"step": best})
        self.write_json("checkpoints/last.json", {"step": max(steps)})
        return self

    def samples(self, *steps: int) -> RunWriter:
        rows = ({"step": s, "prompt": "Marte", "text": SAMPLE[: 20 + s // 12]} for s in steps)
        self.append("samples.jsonl", *rows)
        return self

    def log(self, *lines: str) -> RunWriter:
        with open(self.path / "log.txt", "a", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in lines)
        return self

    def freeze(self, age: float = 1.0) -> RunWriter:
        """Give the files the frozen time, so that ages are the same on every machine."""
        for path in (self.path, *self.path.rglob("*")):
            os.utime(path, (NOW - age, NOW - age))
        return self


def a_finished(root: Path, name: str = "encyclopedia") -> RunWriter:
    run = RunWriter(root / name).begin().metrics(1500).samples(250, 500, 750, 1000, 1250, 1500)
    run.checkpoints(1000, 1250, 1500, best=1500).log("Trained 1,500 steps in 2m 52s.")
    return run.status("finished", age=3600).freeze(3600)


def a_live(root: Path, name: str = "machado", last: int = 620, age: float = 1.0) -> RunWriter:
    run = RunWriter(root / name, steps=2000, seed=2, scale=1.15)
    run.begin(created="2026-09-21T12:00:00", preset="char-gpu", parameters=10_745_088)
    run.metrics(last).samples(250, 500).checkpoints(250, 500, best=500)
    run.log("kgpt-train --data data/machado --run machado", "compiled the first step in 9.1 s")
    return run.status("running", pid=os.getpid(), age=age).freeze(age)


def a_crashed(root: Path, name: str = "tinyshakespeare") -> RunWriter:
    run = RunWriter(root / name, steps=2000, seed=3, scale=0.9)
    run.begin(created="2026-09-20T12:00:00", preset="char-cpu", parameters=804_096)
    run.metrics(880).checkpoints(500, 750, best=750).log("step 880", "Killed")
    return run.status("running", age=7200).freeze(7200)


def a_compiling(root: Path, name: str = "fresh") -> RunWriter:
    run = RunWriter(root / name).begin(created="2026-09-21T12:30:00", parameters=None)
    return run.status("compiling", pid=os.getpid(), age=42).freeze(42)


def a_diverged(root: Path, name: str = "too-hot") -> RunWriter:
    run = RunWriter(root / name, seed=4, scale=1.1).begin(created="2026-09-19T08:00:00")
    run.metrics(700).checkpoints(500, best=500)
    run.append("metrics.jsonl", *({**run.row(s), "train_loss": None} for s in range(710, 760, 10)))
    error = {
        "title": "The loss is not a number",
        "message": "At step 750 the training loss is NaN.",
    }
    return run.status("failed", age=9000, error=error).freeze(9000)


def an_unreadable(root: Path, name: str = "damaged") -> RunWriter:
    run = RunWriter(root / name).begin().metrics(100)
    (run.path / "run.json").write_text('{"format_version": 1, "conf', encoding="utf-8")
    return run.status("running").freeze(20_000)


def a_zoo(root: Path) -> Path:
    """One run of each kind."""
    for make in (a_finished, a_live, a_crashed, a_compiling, a_diverged, an_unreadable):
        make(root)
    return root
