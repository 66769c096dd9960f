"""From a row to its text: the field that holds it, or the usual shapes of questions and conversations.

In: a row, as a mapping from field names to values. Out: one text. Where several fields make it, they come one after
the other, separated by blank lines and without labels; empty ones are left out. The first shape that fits counts:

| shape | fields | text |
|---|---|---|
| conversation | `messages` of `content`, `conversations` of `value` | each turn |
| text | `text`, `content`, `body`, ... (`TEXT_FIELDS`) | the field |
| SQuAD article | `paragraphs` of `context` and `qas` | each context, then its questions, each with its first answer |
| question | `context`, `instruction` or `question` or `prompt`, `input`, `output` or `answer` or `completion` | these |
| other | the only field that holds text and is no label (`LABELS`) | the field |

The first row of a file decides between the shapes and, where one field is the text, on the field: a later row without
it is damage, and not read in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kgpt.language import _

TEXT_FIELDS = (
    "text",
    "content",
    "body",
    "texto",
    "conteudo",
    "conteúdo",
    "corpo",
    "raw_content",
    "document",
    "article",
    "message",
)
"""Fields that hold a row's text, the likelier first."""
CONTEXTS = ("context", "contexto")
PROMPTS = ("instruction", "instrucao", "instrução", "question", "pergunta", "prompt", "query")
INPUTS = ("input", "entrada")
ANSWERS = (
    "output",
    "saida",
    "saída",
    "answer",
    "answers",
    "resposta",
    "completion",
    "response",
    "chosen",
)
CONVERSATIONS = ("messages", "conversations", "conversation", "conversa", "chosen")
"""Fields that hold a list of turns."""
LABELS = frozenset({"id", "url", "date", "data", "label", "lang", "language", "source", "split"})
"""Fields that are about a text and not the text, even where they are the only ones that hold a string."""


class NoTextError(Exception):
    """A row has no text, or it cannot be told which field holds it; the message says why."""


class RowText:
    """Takes the text out of the rows of one file."""

    def __init__(self, field: str | None = None) -> None:
        """Args: field: that holds the text, if the user named it."""
        self._text_of: Callable[[Mapping[str, Any]], str] | None = None
        if field is not None:
            self._text_of = _field(field)

    def __call__(self, row: Any) -> str:
        """The text of a row; a string is its own.

        Raises:
            NoTextError: it has none, or it is not clear where.
        """
        if not isinstance(row, Mapping):
            if isinstance(row, str):
                return row
            raise NoTextError(_("expected an object with fields, received {kind}", kind=_kind(row)))
        if self._text_of is None:
            self._text_of = _shape(row)
        return self._text_of(row)


def choose(names: Sequence[str]) -> tuple[str, ...]:
    """Of fields that can hold text, those that make a row's text, in order; none where it is not clear.

    Names are compared without regard to case.
    """
    by_name = {name.strip().casefold(): name for name in reversed(names)}

    def first(known: Sequence[str]) -> tuple[str, ...]:
        return next(((by_name[name],) for name in known if name in by_name), ())

    if text := first(TEXT_FIELDS):
        return text
    prompt, answer = first(PROMPTS), first(ANSWERS)
    if prompt and answer:
        return first(CONTEXTS) + prompt + first(INPUTS) + answer
    rest = [name for name in names if name.strip().casefold() not in LABELS]
    return tuple(rest) if len(rest) == 1 else ()


def join(parts: Sequence[str | None]) -> str:
    """The parts of a text that are there, separated by blank lines."""
    stripped = (part.strip() for part in parts if part)
    return "\n\n".join(part for part in stripped if part)


# === Shapes ===


def _shape(row: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], str]:
    for name in CONVERSATIONS:
        if _turns(row.get(name)):
            return lambda row: join(_turns(_value(row, name)))
    if isinstance(row.get("paragraphs"), list) and not isinstance(row.get("text"), str):
        return lambda row: _article(_value(row, "paragraphs"))
    known = {*TEXT_FIELDS, *CONTEXTS, *PROMPTS, *INPUTS, *ANSWERS}
    names = [
        name
        for name, value in row.items()
        if isinstance(value, str)
        or name == "answers"
        or (value is None and name.strip().casefold() in known)
    ]
    fields = choose(names)
    if not fields:
        raise NoTextError(
            _("it is not clear which field holds the text; there are: {names}", names=_names(row))
        )
    if len(fields) == 1:
        return _field(fields[0])
    return _question


def _field(name: str) -> Callable[[Mapping[str, Any]], str]:
    def text_of(row: Mapping[str, Any]) -> str:
        value = row.get(name)
        if isinstance(value, str):
            return value
        value = _value(row, name)
        if value is None:
            return ""
        if turns := _turns(value):
            return join(turns)
        raise NoTextError(
            _("the field {name!r} holds {kind} and no text", name=name, kind=_kind(value))
        )

    return text_of


def _question(row: Mapping[str, Any]) -> str:
    values = {name: _text(value) for name, value in row.items()}
    fields = choose([name for name, value in values.items() if value is not None])
    if len(fields) < 2:
        raise NoTextError(
            _("a question or its answer is missing; there are: {names}", names=_names(row))
        )
    return join([values[name] for name in fields])


def _article(paragraphs: Any) -> str:
    parts: list[str | None] = []
    for paragraph in paragraphs if isinstance(paragraphs, list) else ():
        if not isinstance(paragraph, Mapping):
            continue
        parts.append(_text(paragraph.get("context")))
        questions = paragraph.get("qas")
        for question in questions if isinstance(questions, list) else ():
            if isinstance(question, Mapping) and (answer := _text(question.get("answers"))):
                parts += [_text(question.get("question")), answer]
    return join(parts)


def _turns(value: Any) -> list[str]:
    """The texts of a list of turns; none where it is no such list."""
    turns = [_turn(item) for item in value] if isinstance(value, list) else []
    return [turn for turn in turns if turn]


def _turn(item: Any) -> str | None:
    if not isinstance(item, Mapping):
        return None
    content = item.get("content", item.get("value"))
    if isinstance(content, list):
        return join([_text(part.get("text")) for part in content if isinstance(part, Mapping)])
    return _text(content)


def _text(value: Any) -> str | None:
    """A string, or the first string in what SQuAD has for answers; None for all else."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return _text(value.get("text"))
    if isinstance(value, list) and value:
        return _text(value[0])
    return None


def _value(row: Mapping[str, Any], name: str) -> Any:
    if name not in row:
        raise NoTextError(
            _("there is no field {name!r}; there are: {names}", name=name, names=_names(row))
        )
    return row[name]


def _names(row: Mapping[str, Any]) -> str:
    return ", ".join(map(str, row)) or "none"


def _kind(value: Any) -> str:
    kinds = {
        list: _("a list"),
        bool: _("true or false"),
        type(None): "null",
        dict: _("an object"),
    }
    return kinds.get(
        type(value), _("a number") if isinstance(value, (int, float)) else _("no string")
    )
