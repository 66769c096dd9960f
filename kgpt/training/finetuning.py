"""Fine-tuning: a base run and labelled texts in; out comes a run that does the job, with figures to believe.

`plan_classifier` reads and checks everything and writes nothing, so that it can be shown first. `finetune_classifier`
then trains; a run that stopped goes on with `resume_classifier`, from what its own folder holds.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kgpt.config import TrainConfig
from kgpt.config_values import from_dict
from kgpt.finetune_config import ClassifyConfig, classify_config, to_values
from kgpt.inference.classification import longest_row
from kgpt.model.tensors import checkpoint_tensors
from kgpt.runs import CLASSIFICATION, Checkpoint, RunFolder, new_run
from kgpt.text.labelled import Example, Examples
from kgpt.text.parting import NAMES, Parts, parted
from kgpt.text.tokenizer import Tokenizer
from kgpt.training.callbacks import Reporter
from kgpt.training.classification import Classification, PartMeasure
from kgpt.training.finetuned import Outcome, trained, with_steps_of
from kgpt.training.kept_examples import kept_part, read_examples, summary, write_examples
from kgpt.training.parent import base_weights, check_base, parent_values
from kgpt.training.precision import resolved
from kgpt.training.preparation import write_run_file, write_tokenizer
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
    check_base(base, config, settings.lora, NOT_OF_CLASSIFIERS)
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
        "parts": summary({name: _rows(part) for name, part in parts}),
    }
    longest = longest_row(settings, config.model.context_length)
    weights = checkpoint_tensors(base, checkpoint)
    task = Classification(settings, parts, tokenizer, longest, weights, contents)
    if every_epoch:
        steps = max(1, round(task.batches(config).steps_per_epoch))
        config = dataclasses.replace(config, evaluate_every=steps, checkpoint_every=steps)
    return Plan(run, base, checkpoint, with_steps_of(config, task), task, tokenizer)


def finetune_classifier(plan: Plan, reporter: Reporter | None = None) -> Outcome:
    """Make the run's folder and train.

    Raises:
        KgptError: the machine does not have what was asked for.
        KgptFailure: the disk is full, memory ran out, or the loss is not finite.
    """
    run, task = plan.run, plan.task
    config = resolved(plan.config)
    write_tokenizer(run, plan.base.tokenizer_folder)
    write_examples(run, {name: _rows(part) for name, part in task.parts})
    lora = task.settings.lora
    parent = parent_values(run, plan.base, plan.checkpoint, lora, task.base or {})
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
    rows = read_examples(run, values)
    train, validation, test = (_examples(rows[name]) for name in NAMES)
    parts = Parts(train, validation, test)
    base = base_weights(run, values, settings.lora, config.model)
    longest = longest_row(settings, config.model.context_length)
    contents = dict(values.get("data", {}))
    task = Classification(settings, parts, tokenizer, longest, base, contents)
    return _train(run, with_steps_of(config, task), task, reporter)


def _train(
    run: RunFolder, config: TrainConfig, task: Classification, reporter: Reporter | None
) -> Outcome:
    figures_of = partial(_figures, task=task)
    return trained(run, config, task, task.settings.lora, figures_of, reporter)


def _rows(part: Iterable[Example]) -> list[dict[str, Any]]:
    return [{"text": example.text, "label": example.label} for example in part]


def read_part(run: RunFolder, name: str) -> list[Example]:
    """The examples of one part of a classifier's run: train, validation or test."""
    return _examples(kept_part(run, name))


def _examples(rows: Iterable[Mapping[str, Any]]) -> list[Example]:
    return [Example(str(row.get("text")), str(row.get("label"))) for row in rows]


# === Figures ===


def _figures(session: TrainingSession, task: Classification) -> dict[str, Any]:
    """Of the validation and test part."""
    results: dict[str, Any] = {}
    for name in ("validation", "test"):
        examples = getattr(task.parts, name)
        if not examples:
            continue
        rows, labels = task.rows[name].rows, task.label_ids(examples)
        names, longest = task.settings.labels, task.longest
        measure = PartMeasure(session.model, rows, labels, names, longest, session.stop)
        results[name] = measure.figures().to_dict()
    return results
