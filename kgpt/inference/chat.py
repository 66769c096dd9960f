"""Talking with a model that was tuned to answer: turns in, its answer out, piece by piece. Nothing here loads Keras.

The model is asked with the ids that it was trained on (`kgpt.text.templates`). When a conversation outgrows the
context, its oldest turns are forgotten; what the system said stays.
"""

from __future__ import annotations

import dataclasses
import os.path
from collections.abc import Callable, Iterator, Sequence

from kgpt.errors import KgptError
from kgpt.inference.context import too_long
from kgpt.inference.continuation import Piece
from kgpt.inference.generation import Generator, load_generator
from kgpt.language import _
from kgpt.protocol import GenerateOptions
from kgpt.runs import Checkpoint, RunFolder
from kgpt.text.conversations import Turn
from kgpt.text.templates import Template, prompt_ids, template_of

DEFAULTS = GenerateOptions(max_tokens=256, temperature=0.3)


@dataclasses.dataclass(frozen=True)
class Chat:
    """A generator that answers."""

    generator: Generator
    template: Template

    def prompt(self, turns: Sequence[Turn], max_tokens: int = DEFAULTS.max_tokens) -> list[int]:
        """The ids after which the answer to the last turn comes, with as many of the turns before it as fit.

        Room is left for an answer of `max_tokens`, up to half of the context.

        Raises:
            KgptError: the last turn alone does not fit, or is not the user's.
        """
        if not turns or turns[-1].role != "user":
            raise KgptError(
                _("Nothing to answer"),
                _("The last turn of a conversation must be the user's."),
                _('End with {"role": "user", "content": "…"}.'),
            )
        context = self.generator.decoder.context_length
        most = context - min(max_tokens, context // 2)
        said = [turn for turn in turns if turn.role == "system"]
        rest = [turn for turn in turns if turn.role != "system"]
        while True:
            ids = prompt_ids(self.template, [*said, *rest], self.generator.tokenizer)
            if len(ids) <= most:
                return ids
            if len(rest) <= 1:
                break
            rest = rest[2:]  # a question and its answer
        if len(ids) > context:
            raise too_long(len(ids), context)
        return ids

    def answer(
        self, turns: Sequence[Turn], options: GenerateOptions = DEFAULTS, alternatives: int = 0
    ) -> Iterator[Piece]:
        """The answer to the last turn, token by token, as `Generator.stream`. Raises as `prompt`."""
        ids = self.prompt(turns, options.max_tokens)
        return map(self.shown(), self.generator.stream(ids, options, alternatives))

    def shown(self) -> Callable[[Piece], Piece]:
        """Takes from the pieces of one answer, one after the other, what the template puts before it."""
        left = self.template.before_answer

        def show(piece: Piece) -> Piece:
            nonlocal left
            if not left or not piece.text:
                return piece
            before = os.path.commonprefix([left, piece.text])
            rest = piece.text.removeprefix(before)
            left = "" if rest else left.removeprefix(before)
            return dataclasses.replace(piece, text=rest)

        return show


def run_template(run: RunFolder) -> Template:
    """The template that a run was tuned with.

    Raises:
        KgptError: it was never tuned to answer.
    """
    run.check_answers()
    return template_of(run.read().get("template"), run.run_file)


def load_chat(
    run: RunFolder,
    checkpoint: Checkpoint | None = None,
    decoder: str = "auto",
    report: Callable[[str], object] = lambda stage: None,
) -> Chat:
    """The chat of a run's checkpoint, the best one by default; arguments and errors as `load_generator`."""
    template = run_template(run)
    return Chat(load_generator(run, checkpoint, decoder, report), template)
