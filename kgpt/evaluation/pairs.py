"""A context and what follows it, as token ids: texts in, `Request`s to score out.

Cut into tokens as by the harness `lm-eval` (EleutherAI, version 0.4): context and continuation are encoded together, so
that a word's space belongs to it; spaces that end the context belong to the continuation; what does not fit loses its
beginning. Loads neither Keras nor TensorFlow.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Request:
    """Ids whose likelihood is asked for."""

    context: tuple[int, ...]
    """What is read before them; not empty."""
    continuation: tuple[int, ...]
    """What is scored; not empty."""
    group: Hashable = None
    """Requests of a group share a row of a batch, where their first ids are the same; None is a group of one."""

    def cut(self, context_length: int) -> tuple[list[int], int]:
        """The ids that a model of `context_length` reads and scores, and how many of the context are left out.

        Raises:
            KgptError: the continuation alone is longer than the context.
        """
        if len(self.continuation) > context_length:
            raise KgptError(
                _("Continuation does not fit"),
                _(
                    "Expected at most {context_length} tokens, the model's context. Received one of "
                    "{count}.",
                    context_length=context_length,
                    count=len(self.continuation),
                ),
                _("Measure a model with a longer context, or shorten the text."),
            )
        ids = [*self.context, *self.continuation]
        lost = max(0, len(ids) - context_length - 1)
        return ids[lost:], lost


def requests_of(
    tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]], groups: Sequence[Hashable]
) -> list[Request]:
    """The request of each context and continuation; an empty context is the end of a text.

    Where a token reaches over the border so that nothing would be left to score, both are encoded apart.

    Raises:
        KgptError: a continuation is empty.
    """
    moved = [_with_spaces_moved(*pair) for pair in pairs]
    whole = tokenizer.encode_batch([context + continuation for context, continuation in moved])
    distinct = list(dict.fromkeys(context for context, _continuation in moved))
    contexts = dict(zip(distinct, tokenizer.encode_batch(distinct), strict=True))
    found = []
    for (context, continuation), ids, group in zip(moved, whole, groups, strict=True):
        if not continuation:
            raise KgptError(
                _("Nothing to score"),
                _("The continuation of {context!r} is empty.", context=context[-60:]),
                _("Leave the question out, or mend it."),
            )
        before = contexts[context]
        after = ids[len(before) :] or tokenizer.encode(continuation)
        found.append(_request(tokenizer, before, after, group))
    return found


def _request(tokenizer: Tokenizer, before: list[int], after: list[int], group: Hashable) -> Request:
    if before:
        return Request(tuple(before), tuple(after), group)
    end = tokenizer.end_of_text
    if after[0] == end and len(after) > 1:
        return Request((end,), tuple(after[1:]), group)
    return Request((end,), tuple(after), group)


def _with_spaces_moved(context: str, continuation: str) -> tuple[str, str]:
    kept = context.rstrip()
    return kept, context[len(kept) :] + continuation
