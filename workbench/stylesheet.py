"""Textual's stylesheet, which parses each source once.

Textual parses all sources again when the first screen comes, when a widget of a new kind is mounted after that, and
with each further kind once there are more than 64 sources. Each time takes a tenth of a second, and every source is
still the same. Here they are parsed again only when the colours have changed.
"""

from __future__ import annotations

from textual.cache import LRUCache
from textual.css.stylesheet import Stylesheet

SOURCES = 1024
"""More than there are kinds of widgets."""


class KeptStylesheet(Stylesheet):
    """In: sources and variables, as for Textual's. Out: the same rules."""

    def __init__(self, *, variables: dict[str, str] | None = None) -> None:
        super().__init__(variables=variables)
        self._parse_cache = LRUCache(SOURCES)

    def set_variables(self, variables: dict[str, str]) -> None:
        """Take other colours; the same ones change nothing."""
        if variables != self._variables:
            super().set_variables(variables)

    def reparse(self) -> None:
        """Parse what is not parsed yet with the colours as they are now."""
        self.parse()
