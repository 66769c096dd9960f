"""Fine-tuning: a base run and labelled texts in; out comes a run that does the job, with figures to believe.

`plan_classifier` reads and checks everything and writes nothing, so that it can be shown first. `finetune_classifier`
then trains; a run that stopped goes on with `resume_classifier`, from what its own folder holds.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kgpt.config import TrainConfig
from kgpt.config_values import from_dict
from kgpt.errors import KgptError
from kgpt.files import disk_failure, read_json_lines, remove, write_atomically, write_json
from kgpt.finetune_config import ClassifyConfig, classify_config, to_values
from kgpt.inference.classification import longest_row
from kgpt.model.lora import check_adapters
from kgpt.model.tensors import (
    WEIGHTS_FILE,
    base_tensors,
    checkpoint_tensors,
    is_adapter,
    load_tensors,
    save_tensors,
)
from kgpt.runs import CLASSIFICATION, Checkpoint, RunFolder, find_run, new_run, owned
from kgpt.text.labelled import Example, Examples
from kgpt.text.parting import NAMES, Parts, parted
from kgpt.text.tokenizer import Tokenizer
from kgpt.training.callbacks import Reporter
from kgpt.training.classification import Classification, PartMeasure
from kgpt.training.distribution import training_devices
from kgpt.training.ending import TrainResult
from kgpt.training.precision import resolved
from kgpt.training.preparation import with_epochs, write_run_file, write_tokenizer
from kgpt.training.trainer import TrainingSession

NOT_OF_CLASSIFIERS = {
    "gradient_accumulation": 1,
    "distribute": "off",
    "z_loss": 0.0,
    "sample_prompts": (),
}
"""Keys of a training configuration that must keep their values here."""


@dataclass(frozen=True)
class Plan:
    """All that a fine-tuning starts from, checked."""

    run: RunFolder
    base: RunFolder
    checkpoint: Checkpoint
    config: TrainConfig
    task: Classification
    tokenizer: Tokenizer


@dataclass(frozen=True)
class Outcome:
    """How a call ended."""

    training: TrainResult
    results: dict[str, Any] | None
    """Figures of the best checkpoint on each part, once training is done."""


def plan_classifier(
    base: RunFolder,
    checkpoint: Checkpoint,
    found: Examples,
    config: TrainConfig,
    settings: ClassifyConfig,
    saved_models: str | Path | None = None,
    *,
    every_epoch: bool = True,
) -> Plan:
    """Split the examples and read the base; nothing is written.

    The model of `config` is the base's (dropout may differ); its `epochs` become steps. With `every_epoch`, evaluations
    come after each epoch, whatever `config` says.

    Raises:
        KgptError: run, base, examples and settings do not go together.
        KgptFailure: the base's weights are damaged.
    """
    run = new_run(config.run, saved_models)
    _check(base, config)
    if settings.lora.rank:
        check_adapters(config.model, settings.lora)
    tokenizer = Tokenizer.load(base.tokenizer_folder)
    settings = dataclasses.replace(settings, labels=tuple(found.labels))
    parts = parted(
        found.examples,
        settings.split,
        config.seed,
        balance=settings.balance,
        keep_together=settings.duplicates == "drop",
    )
    contents = {
        "path": os.path.abspath(config.data),
        "text_field": found.text_field,
        "label_field": found.label_field,
        "parts": {name: {"examples": len(part), "sha256": _sha256(part)} for name, part in parts},
    }
    longest = longest_row(settings, config.model.context_length)
    weights = checkpoint_tensors(base, checkpoint)
    task = Classification(settings, parts, tokenizer, longest, weights, contents)
    if every_epoch:
        steps = max(1, round(task.batches(config).steps_per_epoch))
        config = dataclasses.replace(config, evaluate_every=steps, checkpoint_every=steps)
    return Plan(run, base, checkpoint, with_steps_of(config, task), task, tokenizer)


def with_steps_of(config: TrainConfig, task: Classification) -> TrainConfig:
    """The configuration with epochs turned into steps."""
    return with_epochs(config, task.batches(config).steps_per_epoch)


def finetune_classifier(plan: Plan, reporter: Reporter | None = None) -> Outcome:
    """Make the run's folder and train.

    Raises:
        KgptError: the machine does not have what was asked for.
        KgptFailure: the disk is full, memory ran out, or the loss is not finite.
    """
    run, task = plan.run, plan.task
    config = resolved(plan.config)
    write_tokenizer(run, plan.base.tokenizer_folder)
    for name, part in task.parts:
        _write_examples(run, name, part)
    parent = {
        "run": plan.base.name,
        "path": os.path.abspath(plan.base.path),
        "step": plan.checkpoint.step,
        "weights_sha256": _weights_of_base(plan),
    }
    write_run_file(
        run,
        config,
        plan.tokenizer,
        task.contents,
        task=CLASSIFICATION,
        parent=parent,
        finetuning=to_values(task.settings),
    )
    return _train(run, config, task, reporter)


def resume_classifier(
    run: RunFolder, changes: Mapping[str, Any], reporter: Reporter | None = None
) -> Outcome:
    """Go on from the last checkpoint, with `changes` to the configuration, such as more steps.

    Raises:
        KgptError: the run is no classifier, or its examples have been changed.
        KgptFailure: no checkpoint is whole, or as for a new run.
    """
    run.check_labels()
    values = run.read()
    settings = classify_config(values.get("finetuning"))
    config = from_dict({**changes, "run": run.name}, from_dict(run.configuration()))
    tokenizer = Tokenizer.load(run.tokenizer_folder)
    parts = _read_parts(run, values)
    base = _base_weights(run, values, settings)
    longest = longest_row(settings, config.model.context_length)
    contents = dict(values.get("data", {}))
    task = Classification(settings, parts, tokenizer, longest, base, contents)
    return _train(run, with_steps_of(config, task), task, reporter)


def _train(
    run: RunFolder, config: TrainConfig, task: Classification, reporter: Reporter | None
) -> Outcome:
    from kgpt.training.callbacks import Silence

    reporter = reporter or Silence()
    with training_devices(config, reporter.message) as devices, owned(run):
        session = TrainingSession(run, config, task, reporter, devices)
        result = session.work()
        if not result.finished:
            return Outcome(result, None)
        results = _results(session, task)
        write_json(run.results_file, results)
        if task.settings.lora.rank:
            write_adapter(run)
    return Outcome(result, results)


def _check(base: RunFolder, config: TrainConfig) -> None:
    base.read()
    if base.is_classifier:
        raise KgptError(
            "No base",
            f"Run {base.name} is a classifier itself; a base is a run that writes text.",
            "Name the run that it was made from, or any other that was pretrained or imported.",
        )
    for key, allowed in NOT_OF_CLASSIFIERS.items():
        if getattr(config, key) != allowed:
            raise KgptError(
                "Not in fine-tuning",
                "Classifiers write no samples, and train on one device, each batch at once."
                f" Received: {key}={getattr(config, key)!r}",
                "Leave it out; a smaller --batch-size needs less memory.",
            )
    if config.model.vocabulary_size != Tokenizer.load(base.tokenizer_folder).vocabulary_size:
        raise KgptError(
            "Vocabulary does not match the model",
            f"The tokenizer of {base.name} is another than the one that its model was trained with.",
            "Restore the run's tokenizer folder.",
        )


# === Examples in the run ===


def _lines(examples: list[Example]) -> str:
    rows = ({"text": example.text, "label": example.label} for example in examples)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _sha256(examples: list[Example]) -> str:
    return hashlib.sha256(_lines(examples).encode()).hexdigest()


def _write_examples(run: RunFolder, name: str, examples: list[Example]) -> None:
    try:
        run.examples_folder.mkdir(exist_ok=True)
    except OSError as error:
        raise disk_failure(error, run.path) from error
    write_atomically(run.examples_folder / f"{name}.jsonl", _lines(examples))


def read_part(run: RunFolder, name: str) -> list[Example]:
    """The examples of a part of a fine-tuned run: train, validation or test."""
    rows = read_json_lines(run.examples_folder / f"{name}.jsonl")
    return [Example(str(row.get("text")), str(row.get("label"))) for row in rows]


def _read_parts(run: RunFolder, values: Mapping[str, Any]) -> Parts:
    parts = {name: read_part(run, name) for name in NAMES}
    known = (values.get("data") or {}).get("parts") or {}
    for name, part in parts.items():
        if known.get(name, {}).get("sha256") != _sha256(part):
            raise KgptError(
                "Examples changed",
                f"{run.examples_folder / f'{name}.jsonl'} is not what the run was trained with.",
                "Restore the file, or fine-tune under another --run NAME.",
            )
    return Parts(parts["train"], parts["validation"], parts["test"])


# === Base and adapters ===


def _weights_of_base(plan: Plan) -> str:
    """The sha256 of the base's weights; with adapters, these are put into the run, so that it can stand alone."""
    source = plan.checkpoint.path / plan.checkpoint.weights_file
    if not plan.task.settings.lora.rank:
        with open(source, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    target = plan.run.base_file
    target.parent.mkdir(exist_ok=True)
    if any(map(is_adapter, load_tensors(source))):  # the base has adapters itself: merged here
        return save_tensors(target, dict(plan.task.base or {}), {})
    try:
        os.link(source, target)  # the same bytes: several adapters on one base take its space once
    except FileExistsError:
        pass
    except OSError:
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            remove(target)
            raise disk_failure(error, target) from error
    with open(target, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _base_weights(
    run: RunFolder, values: Mapping[str, Any], settings: ClassifyConfig
) -> Mapping[str, np.ndarray] | None:
    """What a resumed run needs of its base: with adapters the weights, else nothing once it has a checkpoint."""
    if settings.lora.rank:
        return base_tensors(run, values)
    if run.checkpoints():
        return None
    parent = values.get("parent") or {}
    base = find_run(str(parent.get("path")))
    return checkpoint_tensors(base, base.checkpoint(str(parent.get("step"))))


def write_adapter(run: RunFolder) -> None:
    """Write the adapters of the best checkpoint, and the head, into `adapter/`, with what explains them.

    Raises:
        KgptFailure: the disk is full.
    """
    values, best = run.read(), run.checkpoint("best")
    tensors = load_tensors(best.path / best.weights_file)
    run.adapter_folder.mkdir(exist_ok=True)
    sha256 = save_tensors(run.adapter_folder / WEIGHTS_FILE, tensors, {"step": str(best.step)})
    about = {key: values[key] for key in ("format_version", "task", "finetuning", "parent")}
    write_json(run.adapter_folder / "adapter.json", {**about, "step": best.step, "sha256": sha256})


# === Figures ===


def _results(session: TrainingSession, task: Classification) -> dict[str, Any]:
    """Figures of the best checkpoint on validation and test part."""
    from kgpt.model.weights import assign, model_weights

    best = session.run.checkpoint("best")
    assign(model_weights(session.model), load_tensors(best.path / best.weights_file), best.path)
    results: dict[str, Any] = {"step": best.step}
    for name in ("validation", "test"):
        examples = getattr(task.parts, name)
        if not examples:
            continue
        rows, labels = task.rows[name].rows, task.label_ids(examples)
        names, longest = task.settings.labels, task.longest
        measure = PartMeasure(session.model, rows, labels, names, longest, session.stop)
        results[name] = measure.figures().to_dict()
    return results
