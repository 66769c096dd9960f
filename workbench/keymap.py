"""The keys that a user has changed, laid over the one table of keys.

In: keys by binding id, such as `{"watch.log": "ctrl+l"}`. Out: the table as it works now, and what cannot be: an id
that there is not, a key that another action of the same place, or one that works everywhere, has already. Knows no
Textual.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kgpt.language import _
from workbench.key import Key, Place
from workbench.keys import KEYS

NAME = re.compile(r"[^\s,]+")


@dataclass(frozen=True)
class KeyTable:
    """The keys as they are now."""

    keys: tuple[Key, ...] = KEYS
    changes: tuple[tuple[str, str], ...] = ()
    """What to tell Textual: ids and their new keys."""
    problems: tuple[str, ...] = ()

    def of(self, place: Place) -> tuple[Key, ...]:
        """The keys of a place, in the order of the table."""
        return tuple(key for key in self.keys if key.place == place)


def remapped(changes: Mapping[str, str]) -> KeyTable:
    """The table with these changes, as far as they can be; those that cannot leave their action as it was."""
    by_id = {key.id: key for key in KEYS}
    problems: list[str] = []
    wanted: dict[str, str] = {}
    for name, text in changes.items():
        names = [part.strip() for part in text.split(",")]
        if name not in by_id:
            problems.append(_("[keys]: there is no action {name}.", name=repr(name)))
        elif not all(NAME.fullmatch(part) for part in names):
            problems.append(
                _("[keys]: {name} = {keys} is no list of keys.", name=name, keys=repr(text))
            )
        else:
            wanted[name] = ",".join(names)
    while clash := _clash(by_id, wanted):
        name, key, other = clash
        del wanted[name]
        problems.append(
            _("[keys]: {name} cannot have {key}: that is {other}.", name=name, key=key, other=other)
        )
    keys = tuple(
        replace(key, keys=wanted[key.id], display="") if key.id in wanted else key for key in KEYS
    )
    return KeyTable(keys, tuple(wanted.items()), tuple(problems))


def _clash(by_id: Mapping[str, Key], wanted: Mapping[str, str]) -> tuple[str, str, str] | None:
    """The last change whose key means something else already: its id, the key, the other's id."""
    for name in reversed(list(wanted)):
        place = by_id[name].place
        for other in by_id.values():
            is_near = other.place == place or "everywhere" in (place, other.place)
            shared = _shared(wanted[name], wanted.get(other.id, other.keys))
            is_old = other.id not in wanted and set(shared) <= set(_names(by_id[name].keys))
            if other.id != name and is_near and shared and not is_old:
                return name, shared[0], other.id
    return None


def _shared(one: str, other: str) -> Sequence[str]:
    names = _names(other)
    return [name for name in _names(one) if name in names]


def _names(keys: str) -> list[str]:
    return keys.split(",")
