"""Preferences: two answers to the same question, of which one is better.

In: a file whose rows have a prompt (a text, or a conversation as a list of turns) and the answers `chosen` and
`rejected`. Out: `Preference`s, cleaned of what teaches nothing, with a count of everything that was left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kgpt.errors import KgptError
from kgpt.language import N_, _
from kgpt.text.conversations import ASKED, Conversation, Turn, from_row, to_row, turns_of
from kgpt.text.formats.reading import quoted
from kgpt.text.records import OnError, Record, read_records

CHOSEN = ("chosen", "preferred", "escolhida", "preferida")
REJECTED = ("rejected", "dispreferred", "rejeitada", "preterida")


@dataclass(frozen=True)
class Preference:
    """A conversation that ends with each of two answers."""

    chosen: Conversation
    rejected: Conversation


@dataclass(frozen=True)
class Preferences:
    """What a file holds."""

    preferences: list[Preference]
    rows: int
    """In the file, broken ones included."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Why and how many."""


def read_preferences(path: str | Path, *, on_error: OnError = "stop") -> Preferences:
    """The preferences of a file, in its order, each once.

    Args:
        path: of the file.
        on_error: whether a broken row ends in an error, or is left out.

    Raises:
        KgptError: the file cannot be read, a field is missing, or nothing in it can be learned from.
        KgptFailure: the disk failed.
    """
    left_out: Counter[str] = Counter()
    known = {*ASKED, *CHOSEN, *REJECTED}
    records = read_records(path, known, on_error, lambda reason, _record: left_out.update([reason]))
    found: dict[Preference, None] = {}
    for record in records:
        try:
            preference = _preference(record)
        except KgptError:
            if on_error == "stop":
                raise
            left_out[N_("not a preference")] += 1
            continue
        if preference.chosen == preference.rejected:
            left_out[N_("equal answers")] += 1
        elif not preference.chosen.answer or not preference.rejected.answer:
            left_out[N_("empty answer")] += 1
        elif preference in found:
            left_out[N_("copy")] += 1
        else:
            found[preference] = None
    if not found:
        raise KgptError(
            _("Nothing to learn from"),
            _(
                "None of the {count:,} rows of {path} prefers one answer to another.",
                count=len(records),
                path=path,
            ),
            _('Give rows such as {"prompt": "…", "chosen": "…", "rejected": "…"}.'),
        )
    rows = len(records) + sum(left_out[reason] for reason in left_out if reason[0].isupper())
    return Preferences(list(found), rows, dict(left_out))


def _preference(record: Record) -> Preference:
    by_name = {name.strip().casefold(): value for name, value in record.fields.items()}
    turns = _turns(_value(record, by_name, ASKED), f"{record.place}, prompt")
    if turns[-1].role != "user":
        raise _bad(record, _("expected a prompt that ends with the user's turn"))
    answers = [_value(record, by_name, names) for names in (CHOSEN, REJECTED)]
    chosen, rejected = (Conversation((*turns, _answer(record, value))) for value in answers)
    return Preference(chosen, rejected)


def _value(record: Record, by_name: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    found = next((by_name[name] for name in names if by_name.get(name) is not None), None)
    if found is None:
        there = ", ".join(record.fields)
        raise _bad(
            record, _("expected a field {field}; there are: {there}", field=names[0], there=there)
        )
    return found


def _turns(value: Any, place: str) -> tuple[Turn, ...]:
    return (Turn("user", value.strip()),) if isinstance(value, str) else turns_of(value, place)


def _answer(record: Record, value: Any) -> Turn:
    """The answer in a text, or in a list of turns whose last one it is."""
    if isinstance(value, list) and value and isinstance(value[-1], Mapping):
        value = value[-1].get("content", value[-1].get("value"))
    if not isinstance(value, str):
        raise _bad(
            record, _("expected a text as answer, received {value}", value=quoted(str(value)))
        )
    return Turn("assistant", value.strip())


def _bad(record: Record, what: str) -> KgptError:
    return KgptError(
        _("Not a preference"),
        f"{record.place}: {what}.",
        _('A row is such as {"prompt": "…", "chosen": "…", "rejected": "…"}.'),
    )


# === Kept in a run ===


def preference_to_row(preference: Preference) -> dict[str, Any]:
    """Plain values, ready for JSON."""
    return {"chosen": to_row(preference.chosen), "rejected": to_row(preference.rejected)}


def preference_from_row(row: Mapping[str, Any]) -> Preference:
    """What `preference_to_row` was given."""
    return Preference(from_row(row["chosen"]), from_row(row["rejected"]))
