"""The built-in encyclopedia's questions as conversations: to learn to answer from what a model has read.

Out: a training, a validation and a test part. Of every hundred facts, 75 are asked about in training, each in one of
its phrasings; the test part asks for them in their others, and for 20 facts that training never asks about. The model
has read all of them: what is tested is whether it has learned to answer.
"""

from __future__ import annotations

import itertools

import numpy as np

from kgpt.language import N_
from kgpt.text import encyclopedia
from kgpt.text.conversations import Conversation, Turn

REPHRASED, NEVER_ASKED = N_("new phrasing"), N_("never asked")
SHARES = {"train": 0.75, "validation": 0.05, "test": 0.2}
"""Of the facts."""


def question_parts(seed: int) -> dict[str, list[Conversation]]:
    """Conversations of one question by part; those of the test part are of two `kind`s."""
    random = np.random.default_rng([seed, 1])
    questions = sorted(encyclopedia.questions(), key=_fact)
    facts = [list(group) for _, group in itertools.groupby(questions, key=_fact)]
    parts: dict[str, list[Conversation]] = {name: [] for name in SHARES}
    ends = np.cumsum(list(SHARES.values())) * len(facts)
    for place, index in enumerate(random.permutation(len(facts))):
        asked = [facts[index][other] for other in random.permutation(len(facts[index]))]
        name = list(SHARES)[int(np.searchsorted(ends, place, side="right").clip(0, 2))]
        if name == "train":
            parts["train"].append(_conversation(asked[0]))
            parts["test"] += [_conversation(question, REPHRASED) for question in asked[1:]]
        else:
            kind = NEVER_ASKED if name == "test" else ""
            parts[name] += [_conversation(question, kind) for question in asked]
    for part in parts.values():  # so that the first ones stand for all
        part[:] = [part[index] for index in random.permutation(len(part))]
    return parts


def _fact(question: encyclopedia.QuestionAnswer) -> tuple[str, str, str]:
    return question.subject, question.relation, question.entity


def _conversation(question: encyclopedia.QuestionAnswer, kind: str = "") -> Conversation:
    turns = Turn("user", question.question), Turn("assistant", question.answer)
    return Conversation(turns, kind)
