"""Fine-tuning to answer: a base run and conversations in; out comes a run to talk to, with figures to believe.

`plan_instruct` reads and checks everything and writes nothing, so that it can be shown first. `finetune_instruct` then
trains; a run that stopped goes on with `resume_instruct`, from what its own folder holds.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kgpt.config import TrainConfig
from kgpt.config_values import from_dict
from kgpt.errors import KgptError, KgptFailure
from kgpt.evaluation.loss import LossEvaluator
from kgpt.finetune_config import InstructConfig, instruct_config, to_values
from kgpt.language import _
from kgpt.model.tensors import checkpoint_tensors
from kgpt.model.vocabulary import grown, with_tokens
from kgpt.model.weights import assign
from kgpt.runs import INSTRUCTION, Checkpoint, RunFolder, new_run
from kgpt.text.conversations import Conversation, from_row, to_row
from kgpt.text.parting import NAMES, cut, folded
from kgpt.text.shards import Corpus
from kgpt.text.templates import Template, template_of
from kgpt.text.tokenizer import Tokenizer
from kgpt.training.callbacks import Reporter
from kgpt.training.finetuned import Outcome, trained, with_steps_of
from kgpt.training.instruction import AnswerMeasure, Instruction
from kgpt.training.kept_examples import read_examples, summary, write_examples
from kgpt.training.parent import base_weights, check_base, first_weights, parent_values
from kgpt.training.precision import resolved
from kgpt.training.preparation import write_new_tokenizer, write_run_file
from kgpt.training.trainer import TrainingSession

FIXED = {"distribute": "off", "sample_prompts": ()}
"""Keys of a training configuration that must keep their values here."""
ConversationParts = Mapping[str, list[Conversation]]


@dataclass(frozen=True)
class InstructPlan:
    """All that a fine-tuning starts from, checked."""

    run: RunFolder
    base: RunFolder
    checkpoint: Checkpoint
    config: TrainConfig
    task: Instruction
    added_tokens: tuple[str, ...]
    """Special tokens that the base's vocabulary has not."""


def conversation_parts(
    conversations: list[Conversation], shares: tuple[float, float, float], seed: int
) -> dict[str, list[Conversation]]:
    """Training, validation and test part, by chance; the same question is never in two of them.

    Raises:
        KgptError: there are too few.
    """
    random = np.random.default_rng([seed, 0])
    shuffled = [conversations[index] for index in random.permutation(len(conversations))]
    parts = cut(shuffled, [folded(one.asked) for one in shuffled], shares)
    wanted = [index for index, share in enumerate(shares) if share > 0]
    if any(not parts[index] for index in wanted):
        raise KgptError(
            _("Too few conversations"),
            _(
                "There are {count}; each of the {count_2} parts needs one at least.",
                count=len(conversations),
                count_2=len(wanted),
            ),
            _("Give more of them, or other shares: --split 0.8,0.1,0.1"),
        )
    return dict(zip(NAMES, parts, strict=True))


def plan_instruct(
    base: RunFolder,
    checkpoint: Checkpoint,
    parts: ConversationParts,
    source: str,
    template: Template,
    config: TrainConfig,
    settings: InstructConfig,
    saved_models: str | Path | None = None,
    *,
    every_epoch: bool = True,
) -> InstructPlan:
    """Read the base, add the special tokens that the template needs; nothing is written.

    The model of `config` is the base's (dropout may differ); its `epochs` become steps. With `every_epoch`, evaluations
    come after each epoch, whatever `config` says.

    Raises:
        KgptError: run, base, conversations and settings do not go together.
        KgptFailure: the base's weights are damaged.
    """
    run = new_run(config.run, saved_models)
    check_base(base, config, settings.lora, FIXED)
    own = Tokenizer.load(base.tokenizer_folder)
    tokenizer = with_tokens(own, template.special_tokens)
    before = config.model
    model = dataclasses.replace(before, vocabulary_size=tokenizer.vocabulary_size)
    config = dataclasses.replace(config, model=model)
    weights = grown(checkpoint_tensors(base, checkpoint), before, model)
    contents = {
        "path": source,
        "parts": summary({name: [*map(to_row, part)] for name, part in parts.items()}),
    }
    longest = min(settings.max_length or model.context_length, model.context_length)
    task = Instruction(settings, template, parts, tokenizer, longest, weights, contents)
    for name in ("train", "validation"):
        if not task.rows[name].rows:
            raise KgptError(
                _("Nothing to learn from"),
                _(
                    "No answer of the {name} part begins within {longest:,} tokens.",
                    name=name,
                    longest=longest,
                ),
                _("Use a base with a longer context, or shorter conversations."),
            )
    if settings.forgetting:
        _check_corpus(settings.forgetting, own)
    if every_epoch:
        steps = max(1, round(task.batches(config).steps_per_epoch))
        config = dataclasses.replace(config, evaluate_every=steps, checkpoint_every=steps)
    added = tuple(token for token in template.special_tokens if token not in own.vocabulary)
    return InstructPlan(run, base, checkpoint, with_steps_of(config, task), task, added)


def finetune_instruct(plan: InstructPlan, reporter: Reporter | None = None) -> Outcome:
    """Make the run's folder and train.

    Raises:
        KgptError: the machine does not have what was asked for.
        KgptFailure: the disk is full, memory ran out, or the loss is not finite.
    """
    run, task, lora = plan.run, plan.task, plan.task.settings.lora
    config = resolved(plan.config)
    write_new_tokenizer(run, task.tokenizer)
    write_examples(run, {name: [*map(to_row, part)] for name, part in task.parts.items()})
    weights, is_changed = task.base or {}, bool(plan.added_tokens)
    parent = parent_values(run, plan.base, plan.checkpoint, lora, weights, is_changed=is_changed)
    write_run_file(
        run,
        config,
        task.tokenizer,
        task.contents,
        task=INSTRUCTION,
        parent=parent,
        finetuning=to_values(task.settings),
        template=task.template.to_values(),
    )
    return trained(run, config, task, lora, partial(_figures, task=task), reporter)


def resume_instruct(
    run: RunFolder, changes: Mapping[str, Any], reporter: Reporter | None = None
) -> Outcome:
    """Go on from the last checkpoint, with `changes` to the configuration, such as more steps.

    Raises:
        KgptError: the run was not fine-tuned to answer, or its examples have been changed.
        KgptFailure: no checkpoint is whole, or as for a new run.
    """
    run.check_task(INSTRUCTION)
    values = run.read()
    settings = instruct_config(values.get("finetuning"))
    config = from_dict({**changes, "run": run.name}, from_dict(run.configuration()))
    rows = read_examples(run, values)
    parts = {name: [*map(from_row, rows[name])] for name in NAMES}
    longest = min(settings.max_length or config.model.context_length, config.model.context_length)
    task = Instruction(
        settings,
        template_of(values.get("template")),
        parts,
        Tokenizer.load(run.tokenizer_folder),
        longest,
        _first_weights(run, values, settings, config),
        dict(values.get("data", {})),
    )
    figures_of = partial(_figures, task=task)
    return trained(run, with_steps_of(config, task), task, settings.lora, figures_of, reporter)


def _first_weights(
    run: RunFolder, values: Mapping[str, Any], settings: InstructConfig, config: TrainConfig
) -> Mapping[str, np.ndarray] | None:
    """What a run began with; None where its base is not there any more, and not needed but for comparison."""
    if settings.lora.rank or not run.checkpoints():
        return base_weights(run, values, settings.lora, config.model)
    try:
        return first_weights(values, config.model)
    except (KgptError, KgptFailure):
        return None


def _figures(session: TrainingSession, task: Instruction) -> dict[str, Any]:
    """Of the validation and test part, and of what the base made of them before."""
    measure = session.validation
    if not isinstance(measure, AnswerMeasure):
        raise TypeError(f"expected an AnswerMeasure, received {type(measure)}")
    names = [name for name in ("validation", "test") if task.rows[name].rows]
    answered = task.settings.answered
    results = {name: measure.figures(name, answered if name == names[-1] else 0) for name in names}
    loss_of_corpus = _corpus_loss(session, task)
    after = loss_of_corpus()
    if task.base is not None:
        _begin_again(session.model, task)
        for name in names:
            results[name]["base_loss"] = measure.loss(name)
        if after is not None:
            data, before = task.settings.forgetting, loss_of_corpus()
            results["forgetting"] = {"data": data, "before": before, "after": after}
    return results


def _begin_again(model: Any, task: Instruction) -> None:
    """Give a model the weights that it began with."""
    if task.settings.lora.rank:  # the base is still there; adapters of zeros change nothing
        for weight in model.trainable_weights:
            weight.assign(np.zeros(weight.shape))
    else:
        assign(model.weights, task.base or {}, "the base")


def _corpus_loss(session: TrainingSession, task: Instruction) -> Callable[[], float | None]:
    """Measures the model on the validation split of the data that are not to be forgotten, if there are any."""
    if not task.settings.forgetting:
        return lambda: None
    corpus = Corpus.open(task.settings.forgetting)
    tokens, end = corpus.tokens("validation"), task.tokenizer.end_of_text
    evaluator = LossEvaluator(session.model, end, jit_compile=bool(session.model.jit_compile))
    return lambda: evaluator.measure(tokens, corpus.validation_bytes).loss


def _check_corpus(folder: str, tokenizer: Tokenizer) -> None:
    corpus = Corpus.open(folder)
    if Tokenizer.load(corpus.tokenizer_folder).sha256 != tokenizer.sha256:
        raise KgptError(
            _("Another tokenizer"),
            _(
                "{folder} was prepared with another tokenizer than the base's.",
                folder=os.path.relpath(folder),
            ),
            _("Name the data that the base was trained on: --forgetting DIR."),
        )
