"""The key table as Textual bindings."""

from __future__ import annotations

from textual.binding import Binding

from workbench.keys import Key, Place, keys_of


def bindings_of(place: Place) -> list[Binding]:
    """The bindings of a place: those for the footer are shown there, all are in the help."""
    return [_binding(key) for key in keys_of(place)]


def _binding(key: Key) -> Binding:
    return Binding(
        key.keys,
        key.action,
        key.label,
        show=key.in_footer,
        key_display=key.display or None,
        tooltip=key.help,
        id=key.id,
    )
