"""Conversations as rows of ids with a weight each: what a model is trained on to answer.

In: conversations, their template, a tokenizer, the most ids that a row may have. Out: for each conversation the ids
that the model reads, those that it shall predict, and how much each of these counts: an answer's and the end behind it
1, all else 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kgpt.text.conversations import Conversation
from kgpt.text.templates import Template, conversation_ids
from kgpt.text.tokenizer import Tokenizer


class AnswerRow(NamedTuple):
    """A conversation, encoded. The three lists are equally long."""

    inputs: list[int]
    targets: list[int]
    """Of each input the id behind it."""
    weights: list[float]
    """How much each target counts."""


@dataclass(frozen=True)
class AnswerRows:
    """Encoded conversations."""

    rows: list[AnswerRow]
    kept: list[Conversation]
    """The conversation of each row."""
    cut: int
    """Conversations that were longer, and have lost their end."""
    dropped: int
    """Conversations of which no answer was left."""
    lengths: list[int]
    """Inputs of each conversation, had it not been cut."""

    @property
    def learned(self) -> int:
        """Targets that count."""
        return sum(weight > 0 for row in self.rows for weight in row.weights)


def answer_rows(
    conversations: Sequence[Conversation],
    template: Template,
    tokenizer: Tokenizer,
    longest: int,
    *,
    learns_all: bool = False,
) -> AnswerRows:
    """The row of each conversation, `longest` inputs at most; with `learns_all` what the user says counts as well."""
    rows, kept, lengths, cut, dropped = [], [], [], 0, 0
    for conversation in conversations:
        ids, is_answer = conversation_ids(template, conversation.turns, tokenizer)
        lengths.append(len(ids) - 1)
        whole = is_answer[1 : longest + 1]
        if not any(whole):
            dropped += 1
            continue
        cut += len(ids) - 1 > longest
        weights = [1.0 if learns_all or answers else 0.0 for answers in whole]
        rows.append(AnswerRow(ids[:-1][:longest], ids[1 : longest + 1], weights))
        kept.append(conversation)
    return AnswerRows(rows, kept, cut, dropped, lengths)
