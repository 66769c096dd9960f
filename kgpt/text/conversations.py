"""Conversations: what a model learns to answer from.

In: a file whose rows are instructions and answers (Alpaca's fields), questions and answers, or whole conversations
(ShareGPT's `conversations`, OpenAI's `messages`); the names of fields in English or Portuguese. Out: `Conversation`s,
cleaned of what teaches nothing, with a count of everything that was left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kgpt.errors import KgptError
from kgpt.language import N_, _
from kgpt.text.formats.reading import quoted
from kgpt.text.records import OnError, Record, read_records

Role = Literal["system", "user", "assistant"]
ROLES: dict[str, Role] = {
    "system": "system",
    "sistema": "system",
    "user": "user",
    "human": "user",
    "usuario": "user",
    "usuário": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "assistente": "assistant",
}
"""Who speaks, as data sets name them."""
WHOLE = ("messages", "conversations", "conversation", "mensagens", "conversa", "dialog", "dialogue")
"""Fields that hold a list of turns."""
ASKED = (
    *("instruction", "instrução", "instrucao", "question", "pergunta", "questão", "questao"),
    *("prompt", "query"),
)
"""Fields that hold what is asked, the likelier first."""
GIVEN = ("input", "entrada", "context", "contexto")
"""Fields that hold what an instruction is about."""
ANSWERED = (
    *("output", "saída", "saida", "response", "answer", "resposta", "completion", "target"),
)
"""Fields that hold the answer, the likelier first."""


@dataclass(frozen=True)
class Turn:
    """What one of the two says, or what the system tells the assistant before."""

    role: Role
    text: str
    given: str = ""
    """What a user's instruction is about: Alpaca's `input`."""


@dataclass(frozen=True)
class Conversation:
    """Turns of user and assistant in alternation, after what the system says, if anything; the last is an answer."""

    turns: tuple[Turn, ...]
    kind: str = ""
    """What it tests, where the data say so; figures are given for each."""

    @property
    def asked(self) -> str:
        """All that leads to the last answer, to know equal questions by."""
        return "\n".join(f"{turn.text}\n{turn.given}" for turn in self.turns[:-1])

    @property
    def answer(self) -> str:
        """What the assistant says last."""
        return self.turns[-1].text


@dataclass(frozen=True)
class Conversations:
    """What a file holds."""

    conversations: list[Conversation]
    fields: str
    """Those that were read, in words."""
    rows: int
    """In the file, broken ones included."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Why and how many."""


@dataclass(frozen=True)
class FieldNames:
    """Names of a row's fields, where they are not the usual ones."""

    asked: str | None = None
    given: str | None = None
    answered: str | None = None


def read_conversations(
    path: str | Path, names: FieldNames | None = None, *, on_error: OnError = "stop"
) -> Conversations:
    """The conversations of a file, in its order, each once. White space around texts is no part of them.

    Args:
        path: of the file.
        names: of the fields.
        on_error: whether a broken row ends in an error, or is left out.

    Raises:
        KgptError: the file cannot be read, its fields are not clear, or nothing in it can be learned from.
        KgptFailure: the disk failed.
    """
    names = names or FieldNames()
    left_out: Counter[str] = Counter()
    given = [name.casefold() for name in (names.asked, names.given, names.answered) if name]
    known = {*WHOLE, *ASKED, *GIVEN, *ANSWERED, *given}
    records = read_records(path, known, on_error, lambda reason, _record: left_out.update([reason]))
    read, shown = _reader(records[0], names)
    found: dict[Conversation, None] = {}
    for record in records:
        try:
            conversation = read(record)
        except KgptError:
            if on_error == "stop":
                raise
            left_out[N_("not a conversation")] += 1
            continue
        if conversation is None:
            left_out[N_("empty question or answer")] += 1
        elif conversation in found:
            left_out[N_("copy")] += 1
        else:
            found[conversation] = None
    if not found:
        raise KgptError(
            _("Nothing to learn from"),
            _(
                "None of the {count:,} rows of {path} holds a question and its answer.",
                count=len(records),
                path=path,
            ),
            _("Name the fields: --question-field NAME --answer-field NAME."),
        )
    rows = len(records) + sum(left_out[reason] for reason in left_out if reason[0].isupper())
    return Conversations(list(found), shown, rows, dict(left_out))


def turns_of(messages: object, place: str = "messages") -> tuple[Turn, ...]:
    """The turns in `[{"role": ..., "content": ...}]` or `[{"from": ..., "value": ...}]`, checked.

    Raises:
        KgptError: it is no such list, a role is unknown, or the turns do not alternate.
    """
    if not isinstance(messages, (list, tuple)) or not messages:
        raise _bad(
            place,
            _("expected a list of turns, received {messages}", messages=quoted(str(messages))),
        )
    turns: list[Turn] = []
    for number, message in enumerate(messages, 1):
        turn = _turn(message, f"{place}, turn {number}")
        expected = _expected(turns)
        if turn.role not in expected:
            raise _bad(
                f"{place}, turn {number}",
                _(
                    "expected a turn of {expected}, received one of {role}",
                    expected=" or ".join(expected),
                    role=turn.role,
                ),
            )
        turns.append(turn)
    return tuple(turns)


def _expected(turns: Sequence[Turn]) -> tuple[Role, ...]:
    if not turns:
        return ("system", "user")
    return ("assistant",) if turns[-1].role == "user" else ("user",)


def _turn(message: object, place: str) -> Turn:
    if not isinstance(message, Mapping):
        raise _bad(place, _("expected an object, received {message}", message=quoted(str(message))))
    role = message.get("role", message.get("from"))
    text = message.get("content", message.get("value"))
    if str(role).casefold() not in ROLES:
        raise _bad(
            place, _("expected a role such as user or assistant, received {role!r}", role=role)
        )
    if not isinstance(text, str):
        raise _bad(place, _("expected a text, received {text}", text=quoted(str(text))))
    return Turn(ROLES[str(role).casefold()], text.strip())


def _bad(place: str, what: str) -> KgptError:
    return KgptError(
        _("Not a conversation"),
        f"{place}: {what}.",
        _(
            'A conversation is a list such as [{"role": "user", "content": "…"}, '
            '{"role": "assistant", "content": "…"}].'
        ),
    )


# === Rows ===

_Reader = Callable[[Record], Conversation | None]


def _reader(record: Record, names: FieldNames) -> tuple[_Reader, str]:
    """How to read the rows of a file, told by its first, and the fields in words."""
    by_name = {name.strip().casefold(): name for name in reversed(list(record.fields))}
    whole = next((by_name[name] for name in WHOLE if name in by_name), None)
    if whole is not None and not names.asked:
        return (lambda row: _whole(row, whole)), _("conversations in {whole!r}", whole=whole)
    asked = _field(record, by_name, names.asked, ASKED, "--question-field")
    answered = _field(record, by_name, names.answered, ANSWERED, "--answer-field")
    given = _field(record, by_name, names.given, GIVEN, "--input-field")
    if asked is None or answered is None or asked == answered:
        there = ", ".join(record.fields)
        raise KgptError(
            _("Fields not clear"),
            _(
                "It is not clear which field holds what is asked, and which the answer; there are: "
                "{there}.",
                there=there,
            ),
            _("Name them: --question-field NAME --answer-field NAME (and --input-field NAME)."),
        )
    given = None if given in (asked, answered) else given
    shown = _(
        "what is asked in {asked!r}, the answer in {answered!r}", asked=asked, answered=answered
    )
    shown += _(", what it is about in {given!r}", given=given) if given else ""
    return (lambda row: _pair(row, asked, given, answered)), shown


def _field(
    record: Record,
    by_name: Mapping[str, str],
    given: str | None,
    likely: Sequence[str],
    option: str,
) -> str | None:
    if given is None:
        return next((by_name[name] for name in likely if name in by_name), None)
    if given not in record.fields:
        raise KgptError(
            _("No such field"),
            _(
                "{place}: there is no field {given!r}; there are: {fields}.",
                place=record.place,
                given=given,
                fields=", ".join(record.fields),
            ),
            _("Name one of them with {option}.", option=option),
        )
    return given


def _whole(record: Record, name: str) -> Conversation | None:
    """A conversation up to its last answer; none where nothing is answered, or a turn is empty."""
    turns = list(turns_of(record.fields.get(name), record.place))
    while turns and turns[-1].role != "assistant":
        turns.pop()
    if len(turns) < 2 or any(not turn.text for turn in turns):
        return None
    return Conversation(tuple(turns))


def _pair(record: Record, asked: str, given: str | None, answered: str) -> Conversation | None:
    question, answer = _text(record, asked), _text(record, answered)
    about = _text(record, given) if given else ""
    if not question or not answer:
        return None
    return Conversation((Turn("user", question, about), Turn("assistant", answer)))


def _text(record: Record, name: str) -> str:
    value: Any = record.fields.get(name)
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if not isinstance(value, str):
        raise KgptError(
            _("No text"),
            _(
                "{place}: the field {name!r} holds {str} and no text.",
                place=record.place,
                name=name,
                str=quoted(str(value)),
            ),
            _("Mend the row, leave such rows out with --on-error skip, or name another field."),
        )
    return value.strip()


# === Kept in a run ===


def to_row(conversation: Conversation) -> dict[str, Any]:
    """Plain values, ready for JSON."""
    turns = [
        {"role": turn.role, "content": turn.text, **({"input": turn.given} if turn.given else {})}
        for turn in conversation.turns
    ]
    return {"messages": turns, **({"kind": conversation.kind} if conversation.kind else {})}


def from_row(row: Mapping[str, Any]) -> Conversation:
    """What `to_row` was given."""
    turns = tuple(
        Turn(turn["role"], turn["content"], turn.get("input", "")) for turn in row["messages"]
    )
    return Conversation(turns, row.get("kind", ""))
