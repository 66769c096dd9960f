"""How well a model answers: the loss of the answers that it should have given, and those that it gives.

In: a model, conversations. Out: nats of each conversation's answers, the answers written, how many are exact.

Axes: B batch, T time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from kgpt.inference.compiled import compiled
from kgpt.inference.generation import Generator
from kgpt.model.cross_entropy import MEASURED_CHUNK_BYTES, chunk_size, cross_entropy_of
from kgpt.model.gpt import GPT
from kgpt.text.conversations import Conversation
from kgpt.text.templates import Template, prompt_ids

ANSWER_TOKENS = 256
"""That a written answer has at most."""
WORST = 10


@dataclass(frozen=True)
class Judged:
    """A conversation's last answer, as it should be and as it was written."""

    conversation: Conversation
    written: str
    loss: float
    """Nats a token of the answers that it should have given."""

    @property
    def is_exact(self) -> bool:
        """Whether both are the same, but for white space around them."""
        return self.written.strip() == self.conversation.answer

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "asked": self.conversation.turns[-2].text,
            "expected": self.conversation.answer,
            "written": self.written.strip(),
            "loss": self.loss,
        }


class AnswerLoss:
    """Measures a model on batches ((ids, positions), targets, weights), compiled once for each of their shapes."""

    def __init__(self, model: GPT, tokens_at_once: int, *, jit_compile: bool = False) -> None:
        self._model = model
        size = model.config.vocabulary_size
        self._chunk = chunk_size(tokens_at_once, size, MEASURED_CHUNK_BYTES)
        self._cross_entropy = cross_entropy_of(model)
        self._losses: Callable[..., Any] = compiled(
            self._of_tokens, model.variables, jit_compile=jit_compile, any_shape=not jit_compile
        )

    def __call__(self, batch: Any) -> Any:
        """Nats of each token times its weight, float64 (B, T)."""
        (ids_BT, positions_BT), targets_BT, weights_BT = batch
        arrays = map(ops.convert_to_tensor, (ids_BT, positions_BT, targets_BT))
        return np.asarray(self._losses(*arrays), "float64") * weights_BT

    def _of_tokens(self, ids_BT: Any, positions_BT: Any, targets_BT: Any) -> Any:
        model = self._model
        x_BTC = model.hidden_states(ids_BT, positions_BT=positions_BT)
        x_NC = ops.reshape(x_BTC, (-1, model.config.width))
        target_N = ops.reshape(targets_BT, (-1,))
        loss_N = self._cross_entropy.each(x_NC, model.head_matrix, target_N, self._chunk)
        return ops.reshape(loss_N, ops.shape(targets_BT))


def written_answers(
    generator: Generator, template: Template, conversations: Sequence[Conversation]
) -> list[str]:
    """The likeliest last answer to each conversation; none where all before it is longer than the context."""
    tokenizer = generator.tokenizer
    prompts = [prompt_ids(template, one.turns[:-1], tokenizer) for one in conversations]
    fits = [len(prompt) <= generator.decoder.context_length for prompt in prompts]
    lengths = [len(tokenizer.encode(one.answer)) for one in conversations]
    most = min(ANSWER_TOKENS, 2 * max(lengths, default=0) + 8)
    short = [prompt for prompt, is_short in zip(prompts, fits, strict=True) if is_short]
    written = iter(generator.complete_batch(short, most))
    return [next(written).strip() if is_short else "" for is_short in fits]


def answer_figures(
    nats: Sequence[float], learned: Sequence[float], judged: Sequence[Judged]
) -> dict[str, Any]:
    """What is told of a part, ready for JSON.

    Args:
        nats: of each conversation's answers, summed.
        learned: tokens that these have.
        judged: those conversations whose last answer was written.
    """
    loss = sum(nats) / max(1.0, sum(learned))
    figures: dict[str, Any] = {
        "conversations": len(nats),
        "tokens": int(sum(learned)),
        "loss": loss,
        "perplexity": math.exp(min(loss, 700.0)),
    }
    if judged:
        figures["answered"] = len(judged)
        figures["exact"] = sum(one.is_exact for one in judged) / len(judged)
        kinds = sorted({one.conversation.kind for one in judged} - {""})
        figures["exact_by_kind"] = {kind: _exact(judged, kind) for kind in kinds}
        wrong = sorted(
            (one for one in judged if not one.is_exact), key=lambda one: one.loss, reverse=True
        )
        figures["worst"] = [one.to_dict() for one in wrong[:WORST]]
    return figures


def _exact(judged: Sequence[Judged], kind: str) -> dict[str, Any]:
    chosen = [one for one in judged if one.conversation.kind == kind]
    share = sum(one.is_exact for one in chosen) / len(chosen)
    return {"answered": len(chosen), "exact": share}
