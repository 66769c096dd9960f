"""What happened to a run on its way: checkpoints, losses that were no numbers, resumptions, the user's notes.

In: a run's summary and what its files say. Out: `Event`s in the order of their steps. Knows no Textual.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kgpt.language import _
from workbench import wording
from workbench.run_summary import RunSummary
from workbench.tail import is_number

EventKind = Literal["checkpoint", "best", "broken", "resumed", "back", "note"]


@dataclass(frozen=True)
class EventLook:
    """How a kind of event is marked: never by colour alone."""

    mark: str
    color: str
    """A colour of the theme, without the dollar sign."""


LOOKS: Mapping[EventKind, EventLook] = {
    "checkpoint": EventLook("▵", "foreground-muted"),
    "best": EventLook("★", "accent"),
    "broken": EventLook("✗", "error"),
    "resumed": EventLook("↻", "success"),
    "back": EventLook("↶", "warning"),
    "note": EventLook("✎", "warning"),
}

WENT_ON = re.compile(r"[Gg]oing on from step (\d+)")
WENT_BACK = re.compile(r"Back to step (\d+)")


@dataclass(frozen=True)
class Event:
    """Something that happened at a step."""

    step: float
    kind: EventKind
    text: str

    @property
    def look(self) -> EventLook:
        """Its mark and colour."""
        return LOOKS[self.kind]


def said_in_log(lines: Iterable[str]) -> list[Event]:
    """What the trainer's log tells of the steps at which it went on, or back."""
    found = []
    for line in lines:
        if match := WENT_ON.search(line):
            found.append(Event(int(match[1]), "resumed", _("resumed")))
        elif match := WENT_BACK.search(line):
            found.append(
                Event(
                    int(match[1]),
                    "back",
                    _("went back to here: {words}", words=line.split(" ", 1)[-1]),
                )
            )
    return found


def notes_among(rows: Iterable[Mapping[str, Any]]) -> list[Event]:
    """The notes in rows of `notes.jsonl`; what is none is passed over."""
    return [
        Event(row["step"], "note", str(row.get("text") or ""))
        for row in rows
        if is_number(row.get("step"))
    ]


def events_of(
    run: RunSummary, broken_steps: Iterable[float], told: Sequence[Event] = ()
) -> list[Event]:
    """All events of a run, by step."""
    events = [
        Event(
            item.step,
            "best" if item.is_best else "checkpoint",
            _(
                "checkpoint, validation {validation_loss}",
                validation_loss=wording.decimal(item.validation_loss),
            )
            + (_(", the best") if item.is_best else "")
            + (_(", the last") if item.is_last else ""),
        )
        for item in run.checkpoints
    ]
    events += [Event(step, "broken", _("the loss is not a number")) for step in broken_steps]
    return sorted([*events, *told], key=lambda event: event.step)


def last_good_checkpoint(run: RunSummary, step: float) -> int | None:
    """The newest checkpoint from before a step."""
    return max((item.step for item in run.checkpoints if item.step < step), default=None)
