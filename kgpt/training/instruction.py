"""Answering as a task: a base that learns from conversations what an assistant says, and where it ends.

In: the parts of the conversations, a template, a base's weights. Out: batches, a compiled model, its figures on a part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import keras
import numpy as np

from kgpt.config import TrainConfig
from kgpt.evaluation.answers import AnswerLoss, Judged, answer_figures, written_answers
from kgpt.files import append_json_line
from kgpt.finetune_config import InstructConfig, LoraConfig
from kgpt.inference.decoder import KerasDecoder
from kgpt.inference.generation import Generator
from kgpt.model.gpt import GPT
from kgpt.model.lora import add_adapters
from kgpt.model.weights import assign
from kgpt.runs import RunFolder
from kgpt.text.answer_rows import AnswerRows, answer_rows
from kgpt.text.conversations import Conversation
from kgpt.text.templates import Template
from kgpt.text.tokenizer import Tokenizer
from kgpt.training.answer_batches import AnswerBatches
from kgpt.training.averages import averaged
from kgpt.training.callbacks import StopRequest
from kgpt.training.distribution import Devices
from kgpt.training.preparation import compiled_model, trained_gpt
from kgpt.training.task import Measured

SAMPLES = 3
"""Conversations of the validation part that are answered at each evaluation."""


@dataclass(frozen=True)
class Instruction:
    """The `Task` of `kgpt finetune instruct`."""

    settings: InstructConfig
    template: Template
    parts: Mapping[str, list[Conversation]]
    tokenizer: Tokenizer
    longest: int
    """Tokens of a conversation that are read."""
    base: Mapping[str, np.ndarray] | None
    """Weights to begin with; None where a checkpoint has all of them."""
    contents: dict[str, Any]
    counts_operations: bool = False

    @cached_property
    def rows(self) -> dict[str, AnswerRows]:
        """The ids of each part's conversations."""
        learns_all = self.settings.learns == "all"
        own = self.template, self.tokenizer, self.longest
        return {
            name: answer_rows(part, *own, learns_all=learns_all and name == "train")
            for name, part in self.parts.items()
        }

    def model(self, config: TrainConfig, devices: Devices) -> GPT:
        """The base, with adapters if they are asked for."""
        is_many_shapes = not self.settings.packing and keras.backend.backend() == "tensorflow"
        if config.xla == "auto" and is_many_shapes:  # XLA would compile the step for each of them
            config = dataclasses.replace(config, xla="off")
        begun = partial(begin, base=self.base, lora=self.settings.lora)
        return compiled_model(config, devices, lambda config: begun(trained_gpt(config)))

    def batches(self, config: TrainConfig, part: str = "train") -> AnswerBatches:
        """A part's batches; `batch_size` counts rows, each of one conversation or of as many as fit."""
        return AnswerBatches(
            rows=self.rows[part].rows,
            batch_size=config.sequences_per_step,
            longest=self.longest,
            seed=config.seed,
            filling=self.tokenizer.end_of_text,
            packs=self.settings.packing,
        )

    def measure(
        self, run: RunFolder, config: TrainConfig, model: Any, stop: StopRequest
    ) -> AnswerMeasure:
        """The validation part."""
        return AnswerMeasure(self, run, config, model, stop)

    def described(self, model: keras.Model) -> str:
        """How much trains, on what."""
        trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
        whole = sum(int(np.prod(weight.shape)) for weight in model.weights)
        rows = self.rows["train"]
        return (
            f"{trained:,} of {whole:,} parameters train ({trained / whole:.1%});"
            f" {len(rows.rows):,} conversations with {rows.learned:,} tokens to learn"
        )


def begin(model: GPT, base: Mapping[str, np.ndarray] | None, lora: LoraConfig) -> GPT:
    """A fresh model with the weights of its base, and with adapters if they are asked for."""
    if base is not None:
        assign(model.weights, base, "the base")
    if lora.rank:
        add_adapters(model, lora)
    return model


class AnswerMeasure:
    """Figures of a model that answers, again and again."""

    def __init__(
        self,
        task: Instruction,
        run: RunFolder,
        config: TrainConfig,
        model: Any,
        stop: StopRequest,
    ) -> None:
        self.task, self.run, self.config, self.model, self.stop = task, run, config, model, stop
        self.generator = Generator(KerasDecoder(model), task.tokenizer)
        at_once = config.batch_size * task.longest
        jit_compile = bool(model.jit_compile)
        self._losses = AnswerLoss(model, at_once, jit_compile=jit_compile)

    @property
    def tokens(self) -> int:
        """Of all validation conversations."""
        return sum(len(row.inputs) for row in self.task.rows["validation"].rows)

    def measure(self) -> Measured:
        """The loss of the validation part's answers.

        Raises:
            StopAsked: the run shall stop.
        """
        loss = self.loss("validation")
        values: dict[str, float | None] = {}
        if self.model.optimizer.averages:
            with averaged(self.model):
                values["ema_validation_loss"] = self.loss("validation")
        return Measured(loss, values)

    def write_samples(self, step: int) -> None:
        """Answer a few validation conversations into `samples.jsonl`.

        Raises:
            StopAsked: the run shall stop.
        """
        chosen = self.task.rows["validation"].kept[:SAMPLES]
        self.stop.check()
        for conversation, text in zip(chosen, self._answers(chosen), strict=True):
            row = {
                "step": step,
                "prompt": conversation.turns[-2].text,
                "text": text,
                "expected": conversation.answer,
            }
            append_json_line(self.run.samples_file, row)

    def figures(self, part: str, answered: int) -> dict[str, Any]:
        """All figures of a part, with answers to the first `answered` conversations.

        Raises:
            StopAsked: the run shall stop.
        """
        nats, learned = self.nats(part)
        chosen = self.task.rows[part].kept[:answered]
        answers = self._answers(chosen)
        judged = [
            Judged(conversation, text, total / count)
            for conversation, text, total, count in zip(
                chosen, answers, nats, learned, strict=False
            )
        ]
        return answer_figures(nats, learned, judged)

    def nats(self, part: str) -> tuple[list[float], list[float]]:
        """Of each conversation the nats of its answers, summed, and how many tokens these have."""
        config = dataclasses.replace(self.config, gradient_accumulation=1)
        batches = self.task.batches(config, part)
        nats, learned = [0.0] * len(batches.rows), [sum(row.weights) for row in batches.rows]
        for chosen in batches.in_turn():
            self.stop.check()
            losses_BT = self._losses(batches.batch(chosen))
            for place, start, member in batches.placed(chosen):
                end = start + len(batches.rows[member].inputs)
                nats[member] = float(losses_BT[place, start:end].sum())
        return nats, learned

    def loss(self, part: str) -> float:
        """Nats a token of a part's answers."""
        nats, learned = self.nats(part)
        return sum(nats) / max(1.0, sum(learned))

    def _answers(self, conversations: Sequence[Conversation]) -> list[str]:
        return written_answers(self.generator, self.task.template, conversations)
