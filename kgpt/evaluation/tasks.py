"""The tests that are known by name: a row of a data set in, a `Question` out, worded as by the harness `lm-eval`.

A row may come from the data set as its authors published it or as the Hugging Face Hub has it; the field names are
theirs. Standard library alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgpt.evaluation.questions import Question
from kgpt.language import _

Row = Mapping[str, Any]


class FieldError(ValueError):
    """A row lacks a field, or has something else in it; the text says which."""


@dataclass(frozen=True)
class Task:
    """A test of questions."""

    parse: Callable[[Row], Question | None]
    """The question of a row; None for a row that has none. Raises `FieldError`."""
    example: str
    """A row, for messages."""
    hub: str = ""
    """Where the Hub has it, as `hf:NAME:CONFIG:SPLIT`; CONFIG `*` stands for all of them, each a subset."""


# === Fields ===


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise FieldError(
            _(
                "field {name!r} must be a text that is not empty, {received}",
                name=name,
                received=_received(row, name),
            )
        )
    return value


def _texts(row: Row, name: str, at_least: int = 2) -> tuple[str, ...]:
    values = row.get(name)
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) < at_least:
        raise FieldError(
            _(
                "field {name!r} must be a list of {at_least} texts or more, {received}",
                name=name,
                at_least=at_least,
                received=_received(row, name),
            )
        )
    for number, value in enumerate(values):
        if not isinstance(value, str) or not value.strip():
            raise FieldError(
                _(
                    "text {number} of {name!r} must not be empty, received {value!r}",
                    number=number,
                    name=name,
                    value=value,
                )
            )
    return tuple(values)


def _number(row: Row, name: str, count: int) -> int:
    """A choice's number, which data sets write as a number or as its digits."""
    value = row.get(name)
    is_number = isinstance(value, int | str) and not isinstance(value, bool)
    digits = str(value).strip()
    if not is_number or not digits.isdecimal() or int(digits) >= count:
        raise FieldError(
            _(
                "field {name!r} must be a number from 0 to {last}, {received}",
                name=name,
                last=count - 1,
                received=_received(row, name),
            )
        )
    return int(digits)


def _letter(row: Row, name: str, labels: Sequence[str]) -> int:
    value = str(row.get(name))
    if value not in labels:
        raise FieldError(
            _(
                "field {name!r} must be one of {labels}, {received}",
                name=name,
                labels=", ".join(labels),
                received=_received(row, name),
            )
        )
    return list(labels).index(value)


def _received(row: Row, name: str) -> str:
    if name not in row:
        return _(
            "and there is none; there are: {fields}", fields=", ".join(map(str, row)) or "none"
        )
    return f"received {str(row[name])[:60]!r}"


# === Rows ===


def _lambada(row: Row) -> Question:
    """The last word of a passage (Paperno et al., 2016, arXiv:1606.06031), in the version of OpenAI."""
    return _last_word(_text(row, "text"), "text")


def _last_word(text: str, name: str) -> Question:
    context, _space, word = text.rpartition(" ")
    if not word or not context.strip():
        raise FieldError(
            _(
                "field {name!r} must be words parted by spaces, received {text!r}",
                name=name,
                text=text[-60:],
            )
        )
    return Question(context, (word,))


def _calame(row: Row) -> Question:
    """The last word of a Portuguese text (Lopes et al., 2024, arXiv:2402.12969)."""
    return Question(_text(row, "sentence").rstrip(), (_text(row, "last_word").strip(),))


def _blimp(row: Row) -> Question:
    """Two sentences, the first of them grammatical (Warstadt et al., 2020, arXiv:1912.00582)."""
    choices = (_text(row, "sentence_good"), _text(row, "sentence_bad"))
    return Question("", choices, subset=str(row.get("UID") or ""))


def _hellaswag(row: Row) -> Question:
    """How a description goes on (Zellers et al., 2019, arXiv:1905.07830)."""
    second = str(row.get("ctx_b") or "").capitalize()
    context = f"{_text(row, 'activity_label')}: {_text(row, 'ctx_a')} {second}"
    choices = tuple(map(_without_brackets, _texts(row, "endings")))
    return Question(_without_brackets(context), choices, _number(row, "label", len(choices)))


def _without_brackets(text: str) -> str:
    """Text without the marks of WikiHow, from which a part of HellaSwag comes."""
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ")


def _piqa(row: Row) -> Question:
    """Which of two ways reaches a goal (Bisk et al., 2020, arXiv:1911.11641)."""
    choices = (_text(row, "sol1"), _text(row, "sol2"))
    return Question(_asked(_text(row, "goal")), choices, _number(row, "label", 2))


def _arc(row: Row) -> Question:
    """Science at school (Clark et al., 2018, arXiv:1803.05457)."""
    question, choices = row.get("question"), row.get("choices")
    if isinstance(question, dict):  # as published: its stem, and choices that are objects
        choices, question = _columns(question.get("choices")), question.get("stem")
    stem = _text({"question": question}, "question")
    texts, labels = _lettered({"choices": choices})
    return Question(_asked(stem), texts, _letter(row, "answerKey", labels))


def _enem(row: Row) -> Question | None:
    """Brazil's exam at the end of school: eduagarcia/enem_challenge, and maritaca-ai/enem. Annulled ones are none."""
    if row.get("nullified"):
        return None
    if "alternatives" in row:
        choices, key = _texts(row, "alternatives"), "label"
        labels: Sequence[str] = "ABCDEFGH"[: len(choices)]
        if str(row.get(key)).upper().startswith("ANULAD"):
            return None
    else:
        (choices, labels), key = _lettered(row), "answerKey"
    question = _text(row, "question")
    described = iter(row.get("description") or ())
    question = re.sub(r"\[\[placeholder\]\]", lambda _: str(next(described, "")), question).strip()
    return Question(f"Pergunta: {question}\nResposta:", choices, _letter(row, key, labels))


def _choices(row: Row) -> Question:
    """Any test: `context` (may be empty), `choices`, `answer` (its number from 0, or the choice itself), `subset`."""
    context = row.get("context")
    if not isinstance(context, str):
        raise FieldError(
            _("field 'context' must be a text, {received}", received=_received(row, "context"))
        )
    choices, given = _texts(row, "choices"), row.get("answer")
    is_choice = isinstance(given, str) and given in choices
    number = choices.index(str(given)) if is_choice else _number(row, "answer", len(choices))
    return Question(context, choices, number, str(row.get("subset") or ""))


def _asked(question: str) -> str:
    return f"Question: {question}\nAnswer:"


def _lettered(row: Row) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The texts and labels of `choices`."""
    choices = row.get("choices")
    if not isinstance(choices, Mapping):
        raise FieldError(
            _(
                "field 'choices' must have 'text' and 'label', {received}",
                received=_received(row, "choices"),
            )
        )
    texts, labels = _texts(choices, "text"), _texts(choices, "label")
    if len(texts) != len(labels):
        raise FieldError(
            _(
                "'choices' has {count} texts and {labels} labels",
                count=len(texts),
                labels=len(labels),
            )
        )
    return texts, labels


def _columns(items: Any) -> Any:
    """A list of objects as an object of lists; what is no such list, as it is."""
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        return items
    return {name: [item.get(name) for item in items] for name in ("text", "label")}


# === The tests ===

_ARC = '{"question": "...", "choices": {"text": ["...", "..."], "label": ["A", "B"]}, "answerKey": "A"}'

TASKS: dict[str, Task] = {
    "lambada": Task(
        _lambada, '{"text": "... the last word"}', "hf:EleutherAI/lambada_openai:default:test"
    ),
    "blimp": Task(
        _blimp,
        '{"sentence_good": "...", "sentence_bad": "...", "UID": "..."}',
        "hf:nyu-mll/blimp:*:train",
    ),
    "hellaswag": Task(
        _hellaswag,
        '{"activity_label": "...", "ctx_a": "...", "ctx_b": "...", "endings": ["...", "..."], "label": 0}',
        "hf:Rowan/hellaswag::validation",
    ),
    "piqa": Task(
        _piqa,
        '{"goal": "...", "sol1": "...", "sol2": "...", "label": 0}',
        "hf:baber/piqa::validation",
    ),
    "arc-easy": Task(_arc, _ARC, "hf:allenai/ai2_arc:ARC-Easy:test"),
    "arc-challenge": Task(_arc, _ARC, "hf:allenai/ai2_arc:ARC-Challenge:test"),
    "enem": Task(_enem, _ARC, "hf:eduagarcia/enem_challenge::train"),
    "calame-pt": Task(
        _calame,
        '{"sentence": "...", "last_word": "..."}',
        "hf:NOVA-vision-language/calame-pt:all:train",
    ),
    "choices": Task(_choices, '{"context": "...", "choices": ["...", "..."], "answer": 0}'),
}


def questions_of(task: Task, rows: Iterator[tuple[str, str, Row]]) -> Iterator[Question]:
    """The questions in rows of (subset, place, fields).

    Raises:
        FieldError: a row is not one of the task's; the place stands before what is wrong.
    """
    for subset, place, row in rows:
        try:
            question = task.parse(row)
        except FieldError as error:
            raise FieldError(f"{place}: {error}") from None
        if question is not None:
            yield _in_subset(question, subset)


def _in_subset(question: Question, subset: str) -> Question:
    if question.subset or not subset:
        return question
    return Question(question.context, question.choices, question.answer, subset)
