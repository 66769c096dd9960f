"""A base and questions for tests of models that answer, and a call that tunes the one on the other."""

from __future__ import annotations

import dataclasses

from finetuned import CONFIG

from kgpt.finetune_config import InstructConfig
from kgpt.runs import RunFolder
from kgpt.text.conversations import Conversation, Turn
from kgpt.text.templates import CHAT

SHARES = ("0.6", "0.2", "0.2")


def question(number: int) -> Conversation:
    """One whose answer is a letter of its own, found in the question."""
    letter = "abcdefgh"[number % 8]
    asked = Turn("user", f"{number} {letter}?", "now" if number % 3 == 0 else "")
    return Conversation((asked, Turn("assistant", letter * 2)))


def two_turns(number: int) -> Conversation:
    """A conversation with a second question."""
    return Conversation((*question(number).turns, *question(number + 1).turns))


CONVERSATIONS = [*map(question, range(36)), *map(two_turns, range(40, 44))]


def planned_chat(
    base: RunFolder, name: str, settings=None, template=CHAT, every_epoch=False, **changes
):
    """What is planned for the run `name` beside the base."""
    from kgpt.model.tensors import model_config
    from kgpt.training.instructing import conversation_parts, plan_instruct

    settings = settings or InstructConfig(shares=SHARES, answered=4)
    values = {"evaluate_every": 4, "checkpoint_every": 4, "batch_size": 4, "epochs": 0.0, **changes}
    values.setdefault("steps", 8)
    config = dataclasses.replace(CONFIG, run=name, data="asked.json", model=model_config(base))
    config = dataclasses.replace(config, **values)
    parts = conversation_parts(list(CONVERSATIONS), settings.split, config.seed)
    own = base, base.checkpoint(), parts, "asked.json", template, config, settings
    return plan_instruct(*own, base.path.parent, every_epoch=every_epoch)


def tuned_chat(base: RunFolder, name: str, settings=None, reporter=None, **changes):
    """The outcome of such a plan."""
    from kgpt.training.instructing import finetune_instruct

    return finetune_instruct(planned_chat(base, name, settings, **changes), reporter)
