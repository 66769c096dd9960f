"""Preferring as a task: a base that learns which of two answers is better.

In: the parts of the preferences with the base's log-likelihoods, a template, a base's weights. Out: batches, a compiled
model, its figures on a part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import keras
import numpy as np

from kgpt.config import TrainConfig
from kgpt.evaluation.answers import AnswerLoss, written_answers
from kgpt.files import append_json_line
from kgpt.finetune_config import PreferConfig
from kgpt.inference.decoder import KerasDecoder
from kgpt.inference.generation import Generator
from kgpt.model.gpt import GPT, build_gpt
from kgpt.runs import RunFolder
from kgpt.text.answer_rows import AnswerRow, answer_rows
from kgpt.text.preferences import Preference
from kgpt.text.templates import Template
from kgpt.text.tokenizer import Tokenizer
from kgpt.training.averages import averaged
from kgpt.training.callbacks import StopRequest
from kgpt.training.distribution import Devices
from kgpt.training.instruction import SAMPLES, begin
from kgpt.training.pair_batches import PairBatches
from kgpt.training.preference_losses import PreferenceGPT
from kgpt.training.preparation import compiled_model
from kgpt.training.task import Measured


class Pairs(NamedTuple):
    """Encoded preferences."""

    rows: list[AnswerRow]
    """Of each its chosen and its rejected conversation."""
    kept: list[Preference]
    dropped: int
    """Preferences of which an answer begins behind what is read, or is the same up to there."""
    cut: int
    """Preferences of which an answer has lost its end."""


def pairs_of(
    preferences: Sequence[Preference], template: Template, tokenizer: Tokenizer, longest: int
) -> Pairs:
    """The rows of the last answers, `longest` tokens at most; only these answers count."""
    rows, kept, cut = [], [], 0
    for preference in preferences:
        both = [
            answer_rows([conversation], template, tokenizer, longest)
            for conversation in (preference.chosen, preference.rejected)
        ]
        one, other = ([_last_answer(row) for row in found.rows] for found in both)
        if (
            not one
            or not other
            or one[0].inputs + one[0].targets == other[0].inputs + other[0].targets
        ):
            continue
        cut += any(found.cut for found in both)
        rows += [one[0], other[0]]
        kept.append(preference)
    return Pairs(rows, kept, len(preferences) - len(kept), cut)


def _last_answer(row: AnswerRow) -> AnswerRow:
    """The row with the weights of its last answer alone: those before it are what both have in common."""
    weights, end = list(row.weights), len(row.weights)
    while end and not weights[end - 1]:
        end -= 1
    start = end
    while start and weights[start - 1]:
        start -= 1
    return AnswerRow(row.inputs, row.targets, [0.0] * start + weights[start:])


@dataclass(frozen=True)
class PreferenceTask:
    """The `Task` of `kgpt finetune prefer`."""

    settings: PreferConfig
    template: Template
    parts: Mapping[str, list[Preference]]
    reference: Mapping[str, list[float]]
    """The base's log-likelihoods of the answers in each part's rows."""
    tokenizer: Tokenizer
    longest: int
    base: Mapping[str, np.ndarray] | None
    contents: dict[str, Any]
    counts_operations: bool = False

    @cached_property
    def pairs(self) -> dict[str, Pairs]:
        """The rows of each part."""
        own = self.template, self.tokenizer, self.longest
        return {name: pairs_of(part, *own) for name, part in self.parts.items()}

    def model(self, config: TrainConfig, devices: Devices) -> GPT:
        """The base, with adapters if they are asked for."""
        if config.xla == "auto" and keras.backend.backend() == "tensorflow":  # lengths differ
            config = dataclasses.replace(config, xla="off")
        return compiled_model(config, devices, self._made)

    def _made(self, config: TrainConfig) -> GPT:
        model = build_gpt(
            config.model,
            config.precision,
            config.seed,
            model_class=PreferenceGPT,
            beta=self.settings.beta,
            label_smoothing=config.label_smoothing,
            remat=config.remat,
        )
        return begin(model, self.base, self.settings.lora)

    def batches(self, config: TrainConfig, part: str = "train") -> PairBatches:
        """A part's batches; `batch_size` counts pairs."""
        return PairBatches(
            rows=self.pairs[part].rows,
            reference=self.reference[part],
            batch_size=config.batch_size,
            longest=self.longest,
            seed=config.seed,
            filling=self.tokenizer.end_of_text,
        )

    def measure(
        self, run: RunFolder, config: TrainConfig, model: Any, stop: StopRequest
    ) -> PreferenceMeasure:
        """The validation part."""
        return PreferenceMeasure(self, run, config, model, stop)

    def described(self, model: keras.Model) -> str:
        """How much trains, on what."""
        trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
        whole = sum(int(np.prod(weight.shape)) for weight in model.weights)
        count = len(self.pairs["train"].kept)
        return f"{trained:,} of {whole:,} parameters train ({trained / whole:.1%}); {count:,} pairs"


def log_likelihoods(
    losses: AnswerLoss, batches: PairBatches, stop: StopRequest | None
) -> list[float]:
    """Of each row's answer, nats, as a model holds it."""
    found = [0.0] * len(batches.rows)
    for pairs in batches.in_turn():
        if stop is not None:
            stop.check()
        (ids, positions), (targets, weights, _) = batches.batch(pairs)
        sums_R = losses(((ids, positions), targets, weights)).sum(axis=1)
        for place, pair in enumerate(pairs):
            found[2 * pair], found[2 * pair + 1] = -sums_R[2 * place], -sums_R[2 * place + 1]
    return [float(value) for value in found]


class PreferenceMeasure:
    """Figures of a model that prefers, again and again."""

    def __init__(
        self,
        task: PreferenceTask,
        run: RunFolder,
        config: TrainConfig,
        model: Any,
        stop: StopRequest,
    ) -> None:
        self.task, self.run, self.config, self.model, self.stop = task, run, config, model, stop
        self.generator = Generator(KerasDecoder(model), task.tokenizer)
        self._losses = AnswerLoss(model, 2 * config.batch_size * task.longest)

    @property
    def tokens(self) -> int:
        """Of all validation pairs."""
        return sum(len(row.inputs) for row in self.task.pairs["validation"].rows)

    def measure(self) -> Measured:
        """Loss and accuracy on the validation part.

        Raises:
            StopAsked: the run shall stop.
        """
        found = self.figures("validation")
        values: dict[str, float | None] = {"validation_accuracy": found["accuracy"]}
        if self.model.optimizer.averages:
            with averaged(self.model):
                values["ema_validation_loss"] = self.figures("validation")["loss"]
        return Measured(found["loss"], values)

    def figures(self, part: str) -> dict[str, Any]:
        """All figures of a part.

        Loss; the share of pairs whose chosen answer gained more than the other; the mean margin of these gains (nats);
        and the share whose chosen answer is the more probable one, now and as the base has it.

        Raises:
            StopAsked: the run shall stop.
        """
        batches = self.task.batches(self.config, part)
        now = np.array(log_likelihoods(self._losses, batches, self.stop)).reshape(-1, 2)
        before = np.array(batches.reference).reshape(-1, 2)
        margin_P = (now - before)[:, 0] - (now - before)[:, 1]
        loss_P = np.logaddexp(0.0, -self.task.settings.beta * margin_P)
        return {
            "pairs": len(margin_P),
            "loss": float(loss_P.mean()),
            "accuracy": float((margin_P > 0).mean()),
            "margin": float(margin_P.mean()),
            "prefers_chosen": float((now[:, 0] > now[:, 1]).mean()),
            "base_prefers_chosen": float((before[:, 0] > before[:, 1]).mean()),
        }

    def write_samples(self, step: int) -> None:
        """Answer a few validation prompts into `samples.jsonl`.

        Raises:
            StopAsked: the run shall stop.
        """
        chosen = [one.chosen for one in self.task.pairs["validation"].kept[:SAMPLES]]
        self.stop.check()
        answers = written_answers(self.generator, self.task.template, chosen)
        for conversation, text in zip(chosen, answers, strict=True):
            row = {
                "step": step,
                "prompt": conversation.turns[-2].text,
                "text": text,
                "expected": conversation.answer,
            }
            append_json_line(self.run.samples_file, row)
