"""Checkpoints: the whole state of a training run, saved so that a crash at any moment loses nothing.

    checkpoints/step-00001000/{weights.safetensors, ema.safetensors, optimizer.safetensors, state.json}
    checkpoints/last.json  checkpoints/best.json  checkpoints/stable.json

A checkpoint is written into a folder beside its place, synced, and renamed. `state.json` holds the sha256 of the
other files and of itself, so a cut or changed one is noticed and the one before it used. In: model and progress. Out:
a folder; and the other way round.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kgpt.errors import KgptFailure
from kgpt.files import disk_failure, put_in_place, read_json
from kgpt.language import _
from kgpt.model.gpt import GPT
from kgpt.model.tensors import WEIGHTS_FILE, load_tensors, save_tensors, verify_checksum
from kgpt.model.weights import check_fit, model_weights
from kgpt.runs import AVERAGES_FILE, Checkpoint, RunFolder
from kgpt.training.checkpoint_files import mark as mark  # handed on
from kgpt.training.checkpoint_files import state_digest, write_state
from kgpt.training.progress import Progress as Progress  # handed on

OPTIMIZER_FILE = "optimizer.safetensors"

Tensors = dict[str, np.ndarray]


# === Writing ===


@dataclass(frozen=True)
class Snapshot:
    """The state of a run at a step, copied into memory of its own."""

    step: int
    state: dict[str, Any]
    files: dict[str, Tensors]

    @property
    def is_finite(self) -> bool:
        """Whether every weight is a number."""
        return all(np.isfinite(tensor).all() for tensor in self.files[WEIGHTS_FILE].values())


def take_snapshot(model: GPT, progress: Progress) -> Snapshot:
    """Copy what a checkpoint holds."""
    files = {WEIGHTS_FILE: {variable.path: np.array(variable) for variable in model_weights(model)}}
    averages = _averages(model)
    if averages:
        averaged = {path: np.array(variable) for path, variable in averages.items()}
        files[AVERAGES_FILE] = {**files[WEIGHTS_FILE], **averaged}
    training = _training_variables(model)
    files[OPTIMIZER_FILE] = {name: np.array(variable) for name, variable in training.items()}
    return Snapshot(progress.step, asdict(progress), files)


def write_checkpoint(run: RunFolder, snapshot: Snapshot) -> Path:
    """Write a snapshot to its place and mark it as the last.

    Raises:
        KgptFailure: the disk is full or the folder cannot be written; earlier checkpoints are untouched.
    """
    final = run.checkpoints_folder / f"step-{snapshot.step:08d}"
    aside = run.checkpoints_folder / f".{final.name}.tmp"
    metadata = {"step": str(snapshot.step)}  # one entry: safetensors writes several in any order
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        sha256 = {
            name: save_tensors(aside / name, tensors, metadata)
            for name, tensors in snapshot.files.items()
        }
        write_state(aside, {"format_version": 1, **snapshot.state, "sha256": sha256})
        put_in_place(aside, final)
        _sync_folder(run.checkpoints_folder)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise disk_failure(error, final) from error
    except KgptFailure:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    mark(run, "last", snapshot.step)
    return final


def save_checkpoint(run: RunFolder, model: GPT, progress: Progress) -> Path:
    """`write_checkpoint` of what model and progress are now."""
    return write_checkpoint(run, take_snapshot(model, progress))


class CheckpointWriter:
    """Writes one checkpoint at a time, in the background where training can go on meanwhile."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def write(self, snapshot: Snapshot, then: Callable[[], None], *, wait: bool) -> None:
        """Write the snapshot after the one before it, and call `then`; come back at once unless `wait`.

        Raises:
            KgptFailure: this checkpoint (with `wait`) or the one before it could not be written.
        """
        self.wait()
        # not a daemon: a checkpoint that was begun is finished even if the program ends
        self._thread = threading.Thread(target=self._work, args=(snapshot, then))
        self._thread.start()
        if wait:
            self.wait()

    def wait(self) -> None:
        """Until nothing is being written.

        Raises:
            KgptFailure: the latest checkpoint could not be written.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _work(self, snapshot: Snapshot, then: Callable[[], None]) -> None:
        try:
            write_checkpoint(self._run, snapshot)
            then()
        except BaseException as error:  # raised again by `wait`
            self._error = error


def rewrite_progress(run: RunFolder, progress: Progress, **more: Any) -> None:
    """Replace the progress in the checkpoint of `progress.step`."""
    folder = run.checkpoints_folder / f"step-{progress.step:08d}"
    write_state(folder, {**read_json(folder / "state.json"), **asdict(progress), **more})


def mark_validation_loss(run: RunFolder, progress: Progress, loss: float) -> bool:
    """Note the validation loss of the last checkpoint; True if it is the best so far."""
    is_best = progress.note_validation_loss(loss)
    rewrite_progress(run, progress, validation_loss=loss)
    if is_best:
        mark(run, "best", progress.step, validation_loss=loss)
    return is_best


def remove_old_checkpoints(run: RunFolder, keep: int) -> None:
    """Leave the newest `keep` checkpoints, the best one, and the last one at the stable rate."""
    stable = read_json(run.checkpoints_folder / "stable.json").get("step")
    others = [item for item in run.checkpoints() if not item.is_best and item.step != stable]
    for checkpoint in others[:-keep]:
        shutil.rmtree(checkpoint.path, ignore_errors=True)


def remove_checkpoints_after(run: RunFolder, step: int) -> None:
    """Take back everything past `step`, as if the run had not gone further."""
    for checkpoint in run.checkpoints():
        if checkpoint.step > step:
            shutil.rmtree(checkpoint.path, ignore_errors=True)
    for name in ("last", "best", "stable"):
        marked = read_json(run.checkpoints_folder / f"{name}.json").get("step")
        if isinstance(marked, int) and marked > step:
            (run.checkpoints_folder / f"{name}.json").unlink(missing_ok=True)
    mark(run, "last", step)
    best = read_json(run.checkpoints_folder / f"step-{step:08d}" / "state.json")
    if best.get("best_step") in {item.step for item in run.checkpoints()}:
        loss = best.get("best_validation_loss")
        mark(run, "best", best["best_step"], validation_loss=loss)


def remove_leftovers(run: RunFolder) -> None:
    """Remove what a process that was killed while writing has left beside the checkpoints."""
    for path in run.checkpoints_folder.glob(".step-*"):
        shutil.rmtree(path, ignore_errors=True)


# === Reading ===


def restore_last(
    run: RunFolder, model: GPT, warn: Callable[[str], None], up_to: int | None = None
) -> Progress | None:
    """Set model and optimiser from the newest whole checkpoint (of `up_to` at most); None if the run has none.

    Raises:
        KgptFailure: there are checkpoints, and none of them is whole.
    """
    found = read_last(run, model, warn, up_to)
    if found is None:
        return None
    set_state(model, found[1])
    return found[0]


def read_last(
    run: RunFolder, model: GPT, warn: Callable[[str], None], up_to: int | None = None
) -> tuple[Progress, Tensors] | None:
    """Progress and tensors (for `set_state`) of the checkpoint that `restore_last` takes."""
    found = [item for item in run.checkpoints()[::-1] if up_to is None or item.step <= up_to]
    for checkpoint in found:
        try:
            return _read(checkpoint, model)
        except KgptFailure as failure:
            warn(
                _(
                    "{title}: {message} Going back to the checkpoint before it.",
                    title=failure.title,
                    message=failure.message,
                )
            )
    if found:
        raise KgptFailure(
            _("No whole checkpoint"),
            _(
                "None of the {count} checkpoints of {path} can be read.",
                count=len(found),
                path=run.path,
            ),
            _("Start again under another --run NAME."),
        )
    return None


def _read(checkpoint: Checkpoint, model: GPT) -> tuple[Progress, Tensors]:
    state = read_json(checkpoint.path / "state.json")
    if state.get("state_sha256") not in (None, state_digest(state)):
        raise KgptFailure(
            _("Damaged checkpoint"),
            _("{path} is changed.", path=checkpoint.path / "state.json"),
            "",
        )
    if OPTIMIZER_FILE not in state.get("sha256", {}):
        return Progress.from_dict(state), _beginning_with(model, checkpoint)
    files = [WEIGHTS_FILE, OPTIMIZER_FILE, *([AVERAGES_FILE] if _averages(model) else [])]
    for name in files:
        verify_checksum(checkpoint.path, name)
    tensors = {name: load_tensors(checkpoint.path / name) for name in files}
    check_fit(model_weights(model), tensors[WEIGHTS_FILE], checkpoint.path / WEIGHTS_FILE)
    _check_training_tensors(model, tensors[OPTIMIZER_FILE])
    averages = tensors.get(AVERAGES_FILE, {})
    named = {f"average/{path}": averages[path] for path in _averages(model)}
    weights = {f"weight/{path}": tensor for path, tensor in tensors[WEIGHTS_FILE].items()}
    return Progress.from_dict(state), {**weights, **named, **tensors[OPTIMIZER_FILE]}


def _beginning_with(model: GPT, checkpoint: Checkpoint) -> Tensors:
    """The state of a model that begins with the weights of a checkpoint that has nothing else: an imported one."""
    verify_checksum(checkpoint.path, WEIGHTS_FILE)
    weights = load_tensors(checkpoint.path / WEIGHTS_FILE)
    check_fit(model_weights(model), weights, checkpoint.path / WEIGHTS_FILE)
    fresh = {name: np.array(variable) for name, variable in _training_variables(model).items()}
    named = {f"weight/{path}": tensor for path, tensor in weights.items()}
    averages = {f"average/{path}": weights[path] for path in _averages(model)}
    return {**named, **averages, **fresh}


def state_variables(model: GPT) -> dict[str, Any]:
    """All that a checkpoint holds of a model and its optimiser, by names in an order that is always the same."""
    weights = {f"weight/{variable.path}": variable for variable in model_weights(model)}
    averages = {f"average/{path}": variable for path, variable in _averages(model).items()}
    return {**weights, **averages, **_training_variables(model)}


def set_state(model: GPT, tensors: Mapping[str, np.ndarray]) -> None:
    """Set every variable of model and optimiser from the tensor of its name."""
    for name, variable in state_variables(model).items():
        variable.assign(tensors[name])


def _averages(model: GPT) -> dict[str, Any]:
    """The optimiser's averaged weights by the path of the weight; empty where it keeps none."""
    weights = [weight.path for weight in model.trainable_variables]
    averages = model.optimizer.averages
    return dict(zip(weights, averages, strict=True)) if averages else {}


def _training_variables(model: GPT) -> dict[str, Any]:
    """Optimiser variables and random states by a name that is unique and stable; averages have a file of their own."""
    weights = {id(variable) for variable in model_weights(model)}
    random_states = [variable for variable in model.variables if id(variable) not in weights]
    named = {f"random/{index}": variable for index, variable in enumerate(random_states)}
    averages = {id(variable) for variable in model.optimizer.averages}
    for index, variable in enumerate(model.optimizer.variables):
        if id(variable) not in averages:
            named[f"optimizer/{index:04d}/{variable.path}"] = variable
    return named


def _check_training_tensors(model: GPT, tensors: Tensors) -> None:
    variables = _training_variables(model)
    if set(variables) != set(tensors):
        differing = sorted(set(variables) ^ set(tensors))
        raise KgptFailure(
            _("Optimiser state does not fit"),
            _(
                "{count} entries differ, such as {differing}.",
                count=len(differing),
                differing=differing[0],
            ),
            _("Resume with the configuration that the run was started with."),
        )


# === Files ===


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
