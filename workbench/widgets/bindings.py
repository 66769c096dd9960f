"""The key table as Textual bindings, and a mixin for screens that show them in the language in use."""

from __future__ import annotations

from dataclasses import replace

from textual.binding import ActiveBinding, Binding

from kgpt.language import _
from workbench.key import Key, Place
from workbench.keys import keys_of


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


class TranslatedKeys:
    """For a screen: its footer names the keys in the language in use. Bindings themselves are made at import."""

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The bindings of the screen, in words that people see."""
        active: dict[str, ActiveBinding] = super().active_bindings  # type: ignore[misc]
        return {key: _translated(item) for key, item in active.items()}


def _translated(item: ActiveBinding) -> ActiveBinding:
    label, help = (_(text) if text else "" for text in (item.binding.description, item.tooltip))
    return item._replace(
        binding=replace(item.binding, description=label, tooltip=help), tooltip=help
    )
