"""A key: an action, where it can be called, by which keys, and how it is named to people.

Out: `Key`, and the places that keys belong to. Knows no Textual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgpt.language import N_, _

Place = Literal[
    "everywhere",
    "runs",
    "watch",
    "generate",
    "attention",
    "data",
    "system",
    "tokens",
    "error",
    "help",
    "dialog",
    "confirm",
    "form",
    "exporting",
    "settings",
    "jump",
]

PLACE_TITLES: dict[Place, str] = {
    "everywhere": N_("Everywhere"),
    "runs": N_("Runs"),
    "watch": N_("Watch"),
    "generate": N_("Generate"),
    "attention": N_("Attention"),
    "data": N_("Data"),
    "system": N_("System"),
    "tokens": N_("Tokens"),
    "error": N_("Error"),
    "help": N_("Help"),
    "dialog": N_("Question"),
    "confirm": N_("Yes or no"),
    "form": N_("Form"),
    "exporting": N_("Export"),
    "settings": N_("Settings"),
    "jump": N_("Jump"),
}


@dataclass(frozen=True)
class Key:
    """One action and the keys that call it."""

    place: Place
    keys: str
    """Comma-separated, as Textual names them."""
    action: str
    label: str
    """For the footer: one or two words."""
    help: str
    """For the help and the palette: a sentence without its full stop."""
    in_footer: bool = False
    display: str = ""
    """How the key is written; by default its first name."""
    writes: bool = False
    """It starts, stops or changes something: not offered with --read-only."""

    @property
    def id(self) -> str:
        """A name that a key map can refer to."""
        return f"{self.place}.{self.action.translate(str.maketrans('(', '.', ')' + chr(39)))}"

    @property
    def written(self) -> str:
        """The keys for people: `↵`, `^g`."""
        return self.display or " ".join(_written(key) for key in self.keys.split(","))


def _written(key: str) -> str:
    names = {
        "question_mark": "?",
        "up": "↑",
        "down": "↓",
        "left": "←",
        "right": "→",
        "slash": "/",
        "left_square_bracket": "[",
        "right_square_bracket": "]",
        "less_than_sign": "<",
        "greater_than_sign": ">",
        "plus": "+",
        "minus": "-",
        "enter": "↵",
        "escape": "esc",
        "space": _("space"),
    }
    return names.get(key, key).replace("ctrl+", "^")
