"""The run folder: where a run keeps everything, and the only thing that trainer, commands and workbench share.

    saved_models/RUN/
        run.json  status.json  metrics.jsonl  samples.jsonl  log.txt  tokenizer/
        checkpoints/step-00001000/{weights.safetensors, optimizer.safetensors, state.json}
        checkpoints/{best.json, last.json}
        examples/  results.json  base/weights.safetensors  adapter/        (fine-tuned runs)

Readers here accept half-written last lines, missing files and folders in use. Standard library only.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kgpt.errors import KgptError
from kgpt.files import (
    disk_failure,
    is_number,
    read_json,
    read_json_lines,
    remove_leftovers,
    write_json,
)

FORMAT_VERSION = 1

CLASSIFICATION = "classification"
"""The task of a run whose model gives labels. Of the others, each writes text."""
INSTRUCTION, PREFERENCE = "instruction", "preference"
"""The tasks of runs whose models answer: taught by answers, or by which of two is better."""
FINETUNED = {CLASSIFICATION: "classify", INSTRUCTION: "instruct", PREFERENCE: "prefer"}
"""Tasks of fine-tuned runs, and the kinds of `kgpt finetune` that make them."""

AVERAGES_FILE = "ema.safetensors"
"""Averaged weights in a checkpoint, where the run keeps them."""
AVERAGED = "-ema"
"""Ending of a checkpoint's name (`best-ema`, `1000-ema`) that asks for its averaged weights."""

State = Literal[
    "starting",
    "compiling",
    "running",
    "stopping",
    "finished",
    "stopped",
    "failed",
    "crashed",
    "unknown",
]
LIVE_STATES = ("starting", "compiling", "running", "stopping")
"""States in which a trainer process owns the run. `crashed` is what a reader calls a live state without a process."""

RUN_NAME = re.compile(r"\w[\w.+-]{0,99}\Z")


def saved_models_folder(given: str | Path | None = None) -> Path:
    """The folder that holds the runs: `given`, else `KGPT_SAVED_MODELS`, else `saved_models` here."""
    return Path(given or os.environ.get("KGPT_SAVED_MODELS") or "saved_models")


def data_folder() -> Path:
    """The folder that holds prepared corpora: `KGPT_DATA`, else `data` here."""
    return Path(os.environ.get("KGPT_DATA") or "data")


def find_data(data: str) -> Path | None:
    """The folder of a prepared corpus, which is a path or a name in the data folder; None where there is none."""
    places = (Path(data), data_folder() / data)
    return next((path for path in places if (path / "manifest.json").is_file()), None)


# === A run ===


@dataclass(frozen=True)
class Checkpoint:
    """One saved training state."""

    step: int
    path: Path
    is_best: bool = False
    is_last: bool = False
    validation_loss: float | None = None
    weights_file: str = "weights.safetensors"
    """Which of its files holds the weights to use."""


@dataclass(frozen=True)
class RunFolder:
    """Paths and readers of one run. Creating the object touches nothing."""

    path: Path

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def run_file(self) -> Path:
        """What the run is: task, configuration, data, versions."""
        return self.path / "run.json"

    @property
    def status_file(self) -> Path:
        """What the run's process is doing."""
        return self.path / "status.json"

    @property
    def metrics_file(self) -> Path:
        """One JSON object for each logged step."""
        return self.path / "metrics.jsonl"

    @property
    def samples_file(self) -> Path:
        """What the model wrote at each evaluation."""
        return self.path / "samples.jsonl"

    @property
    def evaluations_file(self) -> Path:
        """What `kgpt evaluate` found."""
        return self.path / "evaluations.jsonl"

    @property
    def log_file(self) -> Path:
        """What the trainer's process printed."""
        return self.path / "log.txt"

    @property
    def tokenizer_folder(self) -> Path:
        """The run's own copy of its tokenizer."""
        return self.path / "tokenizer"

    @property
    def base_file(self) -> Path:
        """In a run with adapters, the weights that they were trained beside."""
        return self.path / "base" / "weights.safetensors"

    @property
    def adapter_folder(self) -> Path:
        """In a run with adapters, the best of them, for whoever wants these alone."""
        return self.path / "adapter"

    @property
    def examples_folder(self) -> Path:
        """In a fine-tuned run, the examples of each part."""
        return self.path / "examples"

    @property
    def results_file(self) -> Path:
        """In a fine-tuned run, the figures on the test part."""
        return self.path / "results.json"

    @property
    def checkpoints_folder(self) -> Path:
        """Where the checkpoints lie."""
        return self.path / "checkpoints"

    def exists(self) -> bool:
        """Whether there is a run here."""
        return os.path.isfile(self.run_file)

    def read(self) -> dict[str, Any]:
        """The content of `run.json`.

        Raises:
            KgptError: it is missing, unreadable, or from a newer version of kgpt.
        """
        if not self.exists():
            raise KgptError(
                "Unknown run",
                f"{self.path} is no run: it has no run.json.",
                "`kgpt runs` lists the runs.",
            )
        values = read_json(self.run_file)
        if not values:
            raise KgptError(
                "Unreadable run",
                f"{self.run_file} is not a JSON object.",
                "Restore the file, or train the run again.",
            )
        version = values.get("format_version")
        if not isinstance(version, int) or version > FORMAT_VERSION:
            raise KgptError(
                "Run from another version",
                f"{self.run_file} has format version {version!r}; this kgpt reads up to {FORMAT_VERSION}.",
                "Update kgpt.",
            )
        return values

    @property
    def is_classifier(self) -> bool:
        """Whether the run labels texts, and writes none."""
        return read_json(self.run_file).get("task") == CLASSIFICATION

    def check_writes(self) -> None:
        """Refuse a run that gives labels where one that writes is wanted.

        Raises:
            KgptError: it is a classifier.
        """
        if self.is_classifier:
            raise KgptError(
                "A classifier writes no text",
                f"Run {self.name} was fine-tuned to give labels.",
                f'Use it so: kgpt classify {self.name} "your text"',
            )

    def check_labels(self) -> None:
        """Refuse a run that writes where one that gives labels is wanted.

        Raises:
            KgptError: there is no such run, or it is no classifier.
        """
        self.read()
        if not self.is_classifier:
            raise KgptError(
                "No classifier",
                f"Run {self.name} writes text, and gives no labels.",
                f"Make one from it: kgpt finetune classify {self.name} --data FILE --run NAME",
            )

    @property
    def answers(self) -> bool:
        """Whether the run was fine-tuned to answer: it has a template then."""
        return isinstance(read_json(self.run_file).get("template"), dict)

    def check_answers(self) -> None:
        """Refuse a run that was never tuned to answer where one is talked to.

        Raises:
            KgptError: there is no such run, or it gives labels, or only continues texts.
        """
        self.read()
        self.check_writes()
        if not self.answers:
            raise KgptError(
                "Not tuned to answer",
                f"Run {self.name} continues texts, and was never fine-tuned to answer.",
                f"Make one that does: kgpt finetune instruct {self.name} --data FILE --run NAME"
                f' (or let it write: kgpt sample {self.name} "…")',
            )

    @property
    def is_finetuned(self) -> bool:
        """Whether the run was made from another by `kgpt finetune`."""
        return bool(self._kind)

    @property
    def resume_command(self) -> str:
        """What goes on with the run."""
        made_by = f"kgpt finetune {kind} --run" if (kind := self._kind) else "kgpt-train --run"
        return f"{made_by} {self.name} --resume"

    @property
    def _kind(self) -> str:
        """The kind of fine-tuning that made the run; empty for pretraining."""
        return FINETUNED.get(str(read_json(self.run_file).get("task")), "")

    def check_task(self, task: str = "") -> None:
        """Refuse a run that was made by another command: by another kind of fine-tuning, or by any for `task=""`.

        Raises:
            KgptError: there is no such run, or its task is another.
        """
        own = str(self.read().get("task"))
        if self._kind != FINETUNED.get(task, ""):
            raise KgptError(
                "A run of another kind",
                f"Run {self.name} was made by another command; its task is {own}.",
                f"Go on with it so: {self.resume_command}",
            )

    def configuration(self) -> dict[str, Any]:
        """The configuration in `run.json`.

        Raises:
            KgptError: as `read`, or there is none in it.
        """
        values = self.read().get("configuration")
        if not isinstance(values, dict):
            raise KgptError(
                "Unreadable run",
                f"{self.run_file} holds no configuration.",
                "Restore the file, or train the run again.",
            )
        return values

    def status(self) -> dict[str, Any]:
        """The content of `status.json`; a live state whose process is gone reads as `crashed`."""
        values = read_json(self.status_file)
        state = values.get("state", "unknown")
        if state in LIVE_STATES and not _process_lives(values):
            values["state"] = "crashed"
        else:
            values["state"] = state
        return values

    def write_status(self, state: State, **details: Any) -> None:
        """Replace `status.json`; the process, its host and the time are filled in."""
        write_json(
            self.status_file,
            {
                "state": state,
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "heartbeat": time.time(),
                **details,
            },
        )

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of `metrics.jsonl`."""
        return list(read_json_lines(self.metrics_file))

    def samples(self) -> list[dict[str, Any]]:
        """The rows of `samples.jsonl`."""
        return list(read_json_lines(self.samples_file))

    def checkpoints(self) -> list[Checkpoint]:
        """Checkpoints by step, the oldest first."""
        best, last = (
            read_json(self.checkpoints_folder / f"{name}.json") for name in ("best", "last")
        )
        found = []
        for path in (
            sorted(self.checkpoints_folder.glob("step-*"))
            if self.checkpoints_folder.is_dir()
            else []
        ):
            number = path.name.removeprefix("step-")
            if not number.isdecimal() or not (path / "state.json").is_file():
                continue
            loss = read_json(path / "state.json").get("validation_loss")
            found.append(
                Checkpoint(
                    step=int(number),
                    path=path,
                    is_best=best.get("step") == int(number),
                    is_last=last.get("step") == int(number),
                    validation_loss=loss if isinstance(loss, (int, float)) else None,
                )
            )
        return found

    def checkpoint(self, which: str = "best") -> Checkpoint:
        """The checkpoint named `best`, `last` or by its step; with `-ema` after it, its averaged weights.

        Raises:
            KgptError: there is none of that name, or it has no averaged weights.
        """
        if which.endswith(AVERAGED):
            return self._with_averages(self.checkpoint(which.removesuffix(AVERAGED)))
        found = self.checkpoints()
        if which in ("best", "last"):
            marked = [item for item in found if (item.is_best if which == "best" else item.is_last)]
            chosen = marked or found[-1:]
        else:
            chosen = [item for item in found if which.isdecimal() and item.step == int(which)]
        if not chosen:
            steps = ", ".join(str(item.step) for item in found)
            raise KgptError(
                "Checkpoint not found",
                f"Run {self.name} has no checkpoint {which!r}."
                + (f" It has steps {steps}." if steps else " It has none yet."),
                "Use best, last or one of its steps."
                if steps
                else "Wait for its first one, or train it with --resume.",
            )
        return chosen[-1]

    def _with_averages(self, checkpoint: Checkpoint) -> Checkpoint:
        if not (checkpoint.path / AVERAGES_FILE).is_file():
            raise KgptError(
                "No averaged weights",
                f"Run {self.name} keeps no average of its weights: {checkpoint.path} has no {AVERAGES_FILE}.",
                "Train with --set optimizer.ema_decay=0.999, or name the checkpoint without -ema.",
            )
        return dataclasses.replace(checkpoint, weights_file=AVERAGES_FILE)


def _process_lives(status: Mapping[str, Any]) -> bool:
    pid, host = status.get("pid"), status.get("host")
    if host != socket.gethostname():  # another machine's process cannot be asked; its heartbeat can
        heartbeat = status.get("heartbeat")
        return isinstance(heartbeat, (int, float)) and time.time() - heartbeat < 120
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def find_run(run: str | Path, saved_models: str | Path | None = None) -> RunFolder:
    """The run called `run`: a name under the folder of saved models, or a path.

    Raises:
        KgptError: there is none; the message names the nearest.
    """
    root = saved_models_folder(saved_models)
    for path in (root / run, Path(run)):
        folder = RunFolder(path)
        if folder.exists():
            return folder
    names = [item.name for item in list_runs(root)]
    near = difflib.get_close_matches(Path(run).name, names, n=5)
    raise KgptError(
        "Unknown run",
        f"There is no run {str(run)!r} in {root}."
        + (f" There is {', '.join((near or names)[:5])}." if names else ""),
        "`kgpt runs` lists the runs; `kgpt-train --run NAME` makes one.",
    )


def list_runs(saved_models: str | Path | None = None) -> list[RunFolder]:
    """The runs in the folder of saved models, by name."""
    root = saved_models_folder(saved_models)
    try:
        return [RunFolder(path) for path in sorted(root.iterdir()) if RunFolder(path).exists()]
    except OSError:
        return []


def new_run(name: str, saved_models: str | Path | None = None) -> RunFolder:
    """A folder for a new run, not created yet.

    Raises:
        KgptError: the name cannot be a folder's name, or the run exists.
    """
    if not RUN_NAME.match(name):
        raise KgptError(
            "Bad run name",
            f"A run's name is at most 100 letters, digits, '.', '_', '+' and '-'. Received: {name!r}",
            "Choose another --run NAME.",
        )
    folder = RunFolder(saved_models_folder(saved_models) / name)
    if folder.exists():
        raise KgptError(
            "Run exists",
            f"{folder.path} is there already.",
            f"Continue it with `{folder.resume_command}`, or choose another --run NAME.",
        )
    if folder.path.exists() and not (folder.path.is_dir() and not any(folder.path.iterdir())):
        raise KgptError(
            "Not a run",
            f"{folder.path} is there already, and is no run: it has no run.json.",
            "Choose another --run NAME, or remove it.",
        )
    return folder


def summary(folder: RunFolder) -> dict[str, Any]:
    """What a list of runs shows of one: name, state, step, steps, losses, bits per byte, speed, age, size."""
    status, rows = folder.status(), folder.metrics()
    values = read_json(folder.run_file)
    configuration = values.get("configuration")
    planned = configuration.get("steps") if isinstance(configuration, dict) else None

    def latest(key: str) -> Any:
        return next((row[key] for row in reversed(rows) if is_number(row.get(key))), None)

    steps = filter(is_number, (status.get("step"), latest("step")))
    losses = [row["validation_loss"] for row in rows if is_number(row.get("validation_loss"))]
    return {
        "name": folder.name,
        "task": values.get("task"),
        "state": status["state"],
        "step": max(steps, default=None),
        "steps": next(filter(is_number, (status.get("steps"), planned)), None),
        "tokens": latest("tokens"),
        "train_loss": latest("train_loss"),
        "validation_loss": latest("validation_loss"),
        "best_validation_loss": min(losses, default=None),
        "bits_per_byte": latest("bits_per_byte"),
        "tokens_per_second": latest("tokens_per_second"),
        "parameters": values.get("parameters"),
        "created": values.get("created"),
    }


@contextmanager
def owned(folder: RunFolder) -> Iterator[None]:
    """Hold the run for this process, so that no second trainer writes into it; the lock dies with the process.

    Raises:
        KgptError: another process holds it.
        KgptFailure: the folder cannot be written.
    """
    import fcntl

    try:
        lock = open(folder.path / ".lock", "w")
    except OSError as error:
        raise disk_failure(error, folder.path) from error
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = read_json(folder.status_file).get("pid")
            raise KgptError(
                "Run in use",
                f"Another trainer (process {pid}) owns {folder.path}.",
                "Wait for it, or stop it first.",
            ) from None
        remove_leftovers(folder.checkpoints_folder)
        remove_leftovers(folder.path, of=folder.status_file.name)
        yield


def is_owned(folder: RunFolder) -> bool:
    """Whether a process of this machine holds the run (`owned`) at this moment."""
    import fcntl

    try:
        with open(folder.path / ".lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
