"""Checkpoints: the whole state of a training run, saved so that a crash at any moment loses nothing.

    checkpoints/step-00001000/{weights.safetensors, optimizer.safetensors, state.json}
    checkpoints/last.json  checkpoints/best.json

A checkpoint is written into a folder beside its place, synced, and renamed. `state.json` holds the sha256 of the
other files, so a cut or changed one is noticed and the one before it used.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kgpt.errors import KgptFailure
from kgpt.files import disk_failure, read_json, write_json
from kgpt.model.gpt import GPT
from kgpt.model.weights import (
    WEIGHTS_FILE,
    assign,
    load_tensors,
    model_weights,
    save_tensors,
    tensors_of,
    verify_checksum,
)
from kgpt.runs import Checkpoint, RunFolder

OPTIMIZER_FILE = "optimizer.safetensors"


@dataclass
class Progress:
    """Where a run is: everything about it that is not a tensor."""

    step: int = 0
    """Updates done."""
    seconds: float = 0.0
    """Time since the start, over all the processes that worked on the run."""
    pending_losses: list[float] = field(default_factory=list)
    """Losses of the steps since the last logged row."""
    best_validation_loss: float | None = None
    best_step: int | None = None


def save_checkpoint(run: RunFolder, model: GPT, progress: Progress) -> Path:
    """Write the checkpoint of `progress.step` and mark it as the last.

    Raises:
        KgptFailure: the disk is full or the folder cannot be written; earlier checkpoints are untouched.
    """
    final = run.checkpoints_folder / f"step-{progress.step:08d}"
    aside = run.checkpoints_folder / f".{final.name}.tmp"
    metadata = {"step": str(progress.step)}  # one entry: safetensors writes several in any order
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        sha256 = {
            WEIGHTS_FILE: save_tensors(
                aside / WEIGHTS_FILE, tensors_of(model_weights(model)), metadata
            ),
            OPTIMIZER_FILE: save_tensors(
                aside / OPTIMIZER_FILE, _training_tensors(model), metadata
            ),
        }
        write_json(
            aside / "state.json", {"format_version": 1, **asdict(progress), "sha256": sha256}
        )
        shutil.rmtree(final, ignore_errors=True)
        os.replace(aside, final)
        _sync_folder(run.checkpoints_folder)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise disk_failure(error, final) from error
    except KgptFailure:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    write_json(run.checkpoints_folder / "last.json", {"step": progress.step, "path": final.name})
    return final


def mark_validation_loss(run: RunFolder, progress: Progress, loss: float) -> bool:
    """Note the validation loss of the last checkpoint; True if it is the best so far."""
    path = run.checkpoints_folder / f"step-{progress.step:08d}"
    # "or equal": a run killed between two files repeats its evaluation, and must finish what it began
    is_best = progress.best_validation_loss is None or loss <= progress.best_validation_loss
    if is_best:
        progress.best_validation_loss, progress.best_step = loss, progress.step
    state = {**read_json(path / "state.json"), **asdict(progress), "validation_loss": loss}
    write_json(path / "state.json", state)
    if is_best:
        write_json(
            run.checkpoints_folder / "best.json",
            {"step": progress.step, "path": path.name, "validation_loss": loss},
        )
    return is_best


def remove_old_checkpoints(run: RunFolder, keep: int) -> None:
    """Leave the newest `keep` checkpoints and the best one."""
    others = [checkpoint for checkpoint in run.checkpoints() if not checkpoint.is_best]
    for checkpoint in others[:-keep]:
        shutil.rmtree(checkpoint.path, ignore_errors=True)


def restore_last(run: RunFolder, model: GPT, warn: Callable[[str], None]) -> Progress | None:
    """Set model and optimiser from the newest checkpoint that is whole; None if the run has none.

    Raises:
        KgptFailure: there are checkpoints, and none of them is whole.
    """
    found = run.checkpoints()[::-1]
    for checkpoint in found:
        try:
            return _restore(checkpoint, model)
        except KgptFailure as failure:
            warn(f"{failure.title}: {failure.message} Going back to the checkpoint before it.")
    if found:
        raise KgptFailure(
            "No whole checkpoint",
            f"None of the {len(found)} checkpoints of {run.path} can be read.",
            "Start again under another --run NAME.",
        )
    return None


def _restore(checkpoint: Checkpoint, model: GPT) -> Progress:
    for name in (WEIGHTS_FILE, OPTIMIZER_FILE):
        verify_checksum(checkpoint.path, name)
    weights = load_tensors(checkpoint.path / WEIGHTS_FILE)
    training = load_tensors(checkpoint.path / OPTIMIZER_FILE)
    assign(model_weights(model), weights, checkpoint.path / WEIGHTS_FILE)
    _assign_training_tensors(model, training)
    state = read_json(checkpoint.path / "state.json")
    known = Progress.__dataclass_fields__
    return Progress(**{key: value for key, value in state.items() if key in known})


def _training_variables(model: GPT) -> dict[str, Any]:
    """Optimiser variables and random states by a name that is unique and stable."""
    weights = {id(variable) for variable in model_weights(model)}
    random_states = [variable for variable in model.variables if id(variable) not in weights]
    named = {f"random/{index}": variable for index, variable in enumerate(random_states)}
    for index, variable in enumerate(model.optimizer.variables):
        named[f"optimizer/{index:04d}/{variable.path}"] = variable
    return named


def _training_tensors(model: GPT) -> dict[str, np.ndarray]:
    return {name: np.array(variable) for name, variable in _training_variables(model).items()}


def _assign_training_tensors(model: GPT, tensors: dict[str, np.ndarray]) -> None:
    variables = _training_variables(model)
    if set(variables) != set(tensors):
        differing = sorted(set(variables) ^ set(tensors))
        raise KgptFailure(
            "Optimiser state does not fit",
            f"{len(differing)} entries differ, such as {differing[0]}.",
            "Resume with the configuration that the run was started with.",
        )
    for name, variable in variables.items():
        variable.assign(tensors[name])


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
