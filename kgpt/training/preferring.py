"""Fine-tuning by preferences: a run that answers and pairs of answers in; out comes one that gives the better ones.

`plan_prefer` reads and checks everything and writes nothing, so that it can be shown first. `finetune_prefer` then
trains; a run that stopped goes on with `resume_prefer`, from what its own folder holds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kgpt.config import TrainConfig
from kgpt.config_values import from_dict
from kgpt.errors import KgptError
from kgpt.evaluation.answers import AnswerLoss
from kgpt.finetune_config import PreferConfig, prefer_config, to_values
from kgpt.language import _
from kgpt.model.gpt import build_gpt
from kgpt.model.tensors import checkpoint_tensors
from kgpt.model.vocabulary import grown, with_tokens
from kgpt.model.weights import assign
from kgpt.runs import PREFERENCE, Checkpoint, RunFolder, new_run
from kgpt.text.parting import NAMES, cut, folded
from kgpt.text.preferences import Preference, preference_from_row, preference_to_row
from kgpt.text.templates import CHAT, Template, template_of
from kgpt.text.tokenizer import Tokenizer
from kgpt.training.callbacks import Reporter
from kgpt.training.finetuned import Outcome, trained, with_steps_of
from kgpt.training.kept_examples import read_examples, summary, write_examples
from kgpt.training.parent import base_weights, check_base, parent_values
from kgpt.training.precision import resolved
from kgpt.training.preference import PreferenceMeasure, PreferenceTask, log_likelihoods
from kgpt.training.preparation import write_new_tokenizer, write_run_file
from kgpt.training.trainer import TrainingSession

FIXED = {
    "gradient_accumulation": 1,
    "distribute": "off",
    "z_loss": 0.0,
    "sample_prompts": (),
}
"""Keys of a training configuration that must keep their values here."""


@dataclass(frozen=True)
class PreferPlan:
    """All that a fine-tuning starts from, checked."""

    run: RunFolder
    base: RunFolder
    checkpoint: Checkpoint
    config: TrainConfig
    task: PreferenceTask
    added_tokens: tuple[str, ...]
    """Special tokens that the base's vocabulary has not."""
    cut: int
    """Pairs of which an answer has lost its end."""
    dropped: int
    """Pairs that cannot be told apart within what is read."""


def plan_prefer(
    base: RunFolder,
    checkpoint: Checkpoint,
    preferences: list[Preference],
    source: str,
    template: Template | None,
    config: TrainConfig,
    settings: PreferConfig,
    saved_models: str | Path | None = None,
    *,
    every_epoch: bool = True,
) -> PreferPlan:
    """Split the pairs, read the base, and let it say how probable it holds each answer; nothing is written.

    Without a `template` the base's own is used, or `chat`. The rest as `instructing.plan_instruct`.

    Raises:
        KgptError: run, base, preferences and settings do not go together.
        KgptFailure: the base's weights are damaged.
    """
    run = new_run(config.run, saved_models)
    check_base(base, config, settings.lora, FIXED)
    if template is None:
        template = template_of(base.read()["template"]) if base.answers else CHAT
    own = Tokenizer.load(base.tokenizer_folder)
    tokenizer = with_tokens(own, template.special_tokens)
    before = config.model
    model = dataclasses.replace(before, vocabulary_size=tokenizer.vocabulary_size)
    config = dataclasses.replace(config, model=model)
    random = np.random.default_rng([config.seed, 0])
    shuffled = [preferences[index] for index in random.permutation(len(preferences))]
    asked = [folded(preference.chosen.asked) for preference in shuffled]
    parts = dict(zip(NAMES, cut(shuffled, asked, settings.split), strict=True))
    longest = min(settings.max_length or model.context_length, model.context_length)
    weights = grown(checkpoint_tensors(base, checkpoint), before, model)
    task = PreferenceTask(settings, template, parts, {}, tokenizer, longest, weights, {})
    for name, share in zip(NAMES, settings.split, strict=True):
        if share and not task.pairs[name].kept:
            raise KgptError(
                _("Too few preferences"),
                _(
                    "There are {count}; none of the {name} part can be learned within {longest:,} tokens.",
                    count=len(preferences),
                    name=name,
                    longest=longest,
                ),
                _("Give more of them, shorter ones, or other shares: --split 0.8,0.1,0.1"),
            )
    cut_pairs = sum(pairs.cut for pairs in task.pairs.values())
    dropped = sum(pairs.dropped for pairs in task.pairs.values())
    task = dataclasses.replace(
        task,
        parts={name: pairs.kept for name, pairs in task.pairs.items()},
        reference=_reference(task, config),
    )
    task = dataclasses.replace(task, contents={"path": source, "parts": summary(_rows(task))})
    if every_epoch:
        steps = max(1, round(task.batches(config).steps_per_epoch))
        config = dataclasses.replace(config, evaluate_every=steps, checkpoint_every=steps)
    added = tuple(token for token in template.special_tokens if token not in own.vocabulary)
    config = with_steps_of(config, task)
    return PreferPlan(run, base, checkpoint, config, task, added, cut_pairs, dropped)


def _reference(task: PreferenceTask, config: TrainConfig) -> dict[str, list[float]]:
    """The base's log-likelihoods of all answers."""
    model = build_gpt(config.model, "float32")
    assign(model.weights, task.base or {}, "the base")
    losses = AnswerLoss(model, 2 * config.batch_size * task.longest)
    unknown = {name: [0.0] * len(pairs.rows) for name, pairs in task.pairs.items()}
    task = dataclasses.replace(task, reference=unknown)
    return {name: log_likelihoods(losses, task.batches(config, name), None) for name in task.pairs}


def _rows(task: PreferenceTask) -> dict[str, list[dict[str, Any]]]:
    """The pairs as the run keeps them, with what the base holds of them."""
    return {
        name: [
            {**preference_to_row(one), "reference": task.reference[name][2 * place : 2 * place + 2]}
            for place, one in enumerate(part)
        ]
        for name, part in task.parts.items()
    }


def finetune_prefer(plan: PreferPlan, reporter: Reporter | None = None) -> Outcome:
    """Make the run's folder and train.

    Raises:
        KgptError: the machine does not have what was asked for.
        KgptFailure: the disk is full, memory ran out, or the loss is not finite.
    """
    run, task, lora = plan.run, plan.task, plan.task.settings.lora
    config = resolved(plan.config)
    write_new_tokenizer(run, task.tokenizer)
    write_examples(run, _rows(task))
    weights, is_changed = task.base or {}, bool(plan.added_tokens)
    parent = parent_values(run, plan.base, plan.checkpoint, lora, weights, is_changed=is_changed)
    write_run_file(
        run,
        config,
        task.tokenizer,
        task.contents,
        task=PREFERENCE,
        parent=parent,
        finetuning=to_values(task.settings),
        template=task.template.to_values(),
    )
    return trained(run, config, task, lora, partial(_figures, task=task), reporter)


def resume_prefer(
    run: RunFolder, changes: Mapping[str, Any], reporter: Reporter | None = None
) -> Outcome:
    """Go on from the last checkpoint, with `changes` to the configuration, such as more steps.

    Raises:
        KgptError: the run did not learn from preferences, or its examples have been changed.
        KgptFailure: no checkpoint is whole, or as for a new run.
    """
    values = run.read()
    run.check_task(PREFERENCE)
    settings = prefer_config(values.get("finetuning"))
    config = from_dict({**changes, "run": run.name}, from_dict(run.configuration()))
    rows = read_examples(run, values)
    tokenizer = Tokenizer.load(run.tokenizer_folder)
    task = PreferenceTask(
        settings,
        template_of(values.get("template")),
        {name: [*map(preference_from_row, rows[name])] for name in NAMES},
        {name: [value for row in rows[name] for value in row["reference"]] for name in NAMES},
        tokenizer,
        min(settings.max_length or config.model.context_length, config.model.context_length),
        base_weights(run, values, settings.lora, config.model),
        dict(values.get("data", {})),
    )
    figures_of = partial(_figures, task=task)
    return trained(run, with_steps_of(config, task), task, settings.lora, figures_of, reporter)


def _figures(session: TrainingSession, task: PreferenceTask) -> dict[str, Any]:
    measure = session.validation
    if not isinstance(measure, PreferenceMeasure):
        raise TypeError(f"expected a PreferenceMeasure, received {type(measure)}")
    names = [name for name in ("validation", "test") if task.pairs[name].kept]
    return {name: measure.figures(name) for name in names}
