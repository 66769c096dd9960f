"""Texts with labels: what a classifier learns from.

In: a file, and the names of its fields where they are not the usual ones. Out: `Examples`, cleaned of what teaches
nothing (empty texts, copies, texts with two labels), with a count of everything that was left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kgpt.errors import KgptError
from kgpt.language import N_, _
from kgpt.text.formats.reading import quoted
from kgpt.text.formats.rows import TEXT_FIELDS
from kgpt.text.records import OnError, Record, read_records

TEXTS = (*TEXT_FIELDS, "sms", "mensagem", "sentence", "frase", "review", "comment", "tweet", "v2")
"""Fields that hold the text of a labelled row, the likelier first; `v2` is Kaggle's name in its spam collection."""
LABELS = (
    "label",
    "labels",
    "rotulo",
    "rótulo",
    "class",
    "classe",
    "category",
    "categoria",
    "target",
    "sentiment",
    "sentimento",
    "tag",
    "v1",
)
"""Fields that hold the label, the likelier first."""
MOST_LABELS = 1000


@dataclass(frozen=True)
class Example:
    """A text and the label that it shall get."""

    text: str
    label: str


@dataclass(frozen=True)
class Examples:
    """What a file holds."""

    examples: list[Example]
    text_field: str
    label_field: str
    rows: int
    """In the file, broken ones included."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Why and how many."""

    @property
    def labels(self) -> list[str]:
        """The labels, in alphabetical order."""
        return sorted({example.label for example in self.examples})


def read_examples(
    path: str | Path,
    text_field: str | None = None,
    label_field: str | None = None,
    *,
    drop_copies: bool = True,
    fold_case: bool = False,
    on_error: OnError = "stop",
) -> Examples:
    """The labelled texts of a file, in its order. White space around texts and labels is no part of them.

    Args:
        path: of the file.
        text_field: the field of the text; by default one of `TEXTS`, or what can be told from the rows.
        label_field: the field of the label; by default one of `LABELS`, or what can be told from the rows.
        drop_copies: leave out all but the first of equal texts, and texts that have two labels.
        fold_case: take labels that differ by case alone for one.
        on_error: whether a broken row ends in an error, or is left out.

    Raises:
        KgptError: the file cannot be read, its fields are not clear, or it has not two labels at least.
        KgptFailure: the disk failed.
    """
    left_out: Counter[str] = Counter()
    named = [name.casefold() for name in (text_field, label_field) if name]
    known = {*TEXTS, *LABELS, *named}
    records = read_records(path, known, on_error, lambda reason, _: left_out.update([reason]))
    text_name, label_name = _fields(records, text_field, label_field)
    examples = []
    for record in records:
        text = _text(record, text_name).strip()
        label = _label(record, label_name)
        if not text:
            left_out[N_("empty text")] += 1
        elif not label:
            _no_label(record, on_error)
            left_out[N_("no label")] += 1
        else:
            examples.append(Example(text, label.casefold() if fold_case else label))
    rows = len(records) + sum(left_out[reason] for reason in left_out if reason[0].isupper())
    _check_labels(examples, path)
    if drop_copies:
        examples = _without_copies(examples, left_out)
    found = Examples(examples, text_name, label_name, rows, dict(left_out))
    if len(found.labels) < 2:
        raise _one_label(found, path)
    return found


# === Fields ===


def _fields(records: Sequence[Record], text: str | None, label: str | None) -> tuple[str, str]:
    names = list(records[0].fields)
    by_name = {name.strip().casefold(): name for name in reversed(names)}
    for given, option in ((text, "--text-field"), (label, "--label-field")):
        if given is not None and given not in names:
            raise KgptError(
                _("No such field"),
                _(
                    "{place}: there is no field {given!r}; there are: {names}.",
                    place=records[0].place,
                    given=given,
                    names=", ".join(names),
                ),
                _("Name one of them with {option}.", option=option),
            )
    if text is None:
        text = next((by_name[name] for name in TEXTS if name in by_name), None)
    if label is None:
        others = (by_name[name] for name in LABELS if name in by_name)
        label = next((name for name in others if name != text), None)
    if text is None or label is None:
        text, label = _told_by_rows(records, names, text, label)
    if text is None or label is None or text == label:
        raise KgptError(
            _("Fields not clear"),
            _(
                "It is not clear which field holds the text, and which the label; there are: {names}.",
                names=", ".join(names),
            ),
            _("Name them: --text-field NAME --label-field NAME."),
        )
    return text, label


def _told_by_rows(
    records: Sequence[Record], names: Sequence[str], text: str | None, label: str | None
) -> tuple[str | None, str | None]:
    """Of two fields, the label is that with fewer different values, and the text the other."""
    rest = [name for name in names if name not in (text, label)]
    if text is not None or label is not None:
        only = rest[0] if len(rest) == 1 else None
        return (text, only) if label is None else (only, label)
    if len(rest) != 2:
        return None, None
    values = [len({str(record.fields.get(name)) for record in records}) for name in rest]
    if values[0] == values[1]:
        return None, None
    return (rest[1], rest[0]) if values[0] < values[1] else (rest[0], rest[1])


def _text(record: Record, name: str) -> str:
    value = record.fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise KgptError(
            _("No text"),
            _(
                "{place}: the field {name!r} holds {str} and no text.",
                place=record.place,
                name=name,
                str=quoted(str(value)),
            ),
            _("Name the field that holds the text: --text-field NAME."),
        )
    return value


def _label(record: Record, name: str) -> str:
    value: Any = record.fields.get(name)
    if value is None:
        return ""
    if isinstance(value, (str, int, bool)):
        return str(value).strip()
    if isinstance(value, float) and value.is_integer():  # a whole number in a table with gaps
        return str(int(value))
    raise KgptError(
        _("No label"),
        _(
            "{place}: the field {name!r} holds {str}; expected a text or a whole number.",
            place=record.place,
            name=name,
            str=quoted(str(value)),
        ),
        _("Name the field that holds the label: --label-field NAME."),
    )


def _no_label(record: Record, on_error: OnError) -> None:
    if on_error == "stop":
        shown = quoted("  ".join(str(value) for value in record.fields.values()))
        raise KgptError(
            _("No label"),
            _("{place}: the row has no label: {shown}.", place=record.place, shown=shown),
            _("Give it one, or leave such rows out with --on-error skip."),
        )


# === Labels and copies ===


def _check_labels(examples: Sequence[Example], path: str | Path) -> None:
    counts = Counter(example.label for example in examples)
    if len(counts) > MOST_LABELS:
        raise KgptError(
            _("Too many labels"),
            _(
                "{path} has {count:,} different labels; {most_labels:,} are possible.",
                path=path,
                count=len(counts),
                most_labels=MOST_LABELS,
            ),
            _("Name the field that holds the label: --label-field NAME."),
        )
    by_folded: dict[str, list[str]] = {}
    for label in sorted(counts):
        by_folded.setdefault(" ".join(label.casefold().split()), []).append(label)
    for alike in by_folded.values():
        if len(alike) > 1:
            shown = " and ".join(f"{label!r} ({counts[label]:,})" for label in alike)
            raise KgptError(
                _("Labels differ by case or spaces"),
                _("{path} has {shown}, which look like one label.", path=path, shown=shown),
                _("Mend them in the file, or take upper and lower case for one with --fold-case."),
            )


def _without_copies(examples: Sequence[Example], left_out: Counter[str]) -> list[Example]:
    labels: dict[str, set[str]] = {}
    for example in examples:
        labels.setdefault(example.text, set()).add(example.label)
    kept: dict[str, Example] = {}
    for example in examples:
        if len(labels[example.text]) > 1:
            left_out[N_("text with two labels")] += 1
        elif example.text in kept:
            left_out[N_("copy")] += 1
        else:
            kept[example.text] = example
    return list(kept.values())


def _one_label(found: Examples, path: str | Path) -> KgptError:
    only = (
        _("{path} has the label {label!r} alone", path=path, label=found.labels[0])
        if found.labels
        else _("{path} has none", path=path)
    )
    return KgptError(
        _("Two labels are needed"),
        _(
            "{only}, in the field {label_field!r} of {rows:,} rows.",
            only=only,
            label_field=found.label_field,
            rows=found.rows,
        ),
        _("Give a file with texts of both kinds, or name the field: --label-field NAME."),
    )
