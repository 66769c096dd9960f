"""What the screens ask for and what outlives them: work in the background, each kind in a file of its own.

A service is given the parts that it works with and a `Host`, the application as it sees it. It knows no Textual.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

from kgpt.errors import KgptError

News = Literal[
    "catalog", "recording", "playground", "attention", "corpora", "tokenizers", "machine"
]
"""What may have changed: the screen that shows it draws it again."""


class Host(Protocol):
    """What a service needs of the application."""

    @property
    def is_read_only(self) -> bool:
        """Nothing may be written."""

    def in_background(self, work: Callable[[], Awaitable[None]], group: str) -> None:
        """Do some work for as long as the application lives; its errors are its own to tell."""

    def tell(self, news: News) -> None:
        """Have the screen that shows it draw it again."""

    def tell_damage(self, error: Exception) -> None:
        """Note an error that the user can do nothing about."""

    def show_error(self, error: KgptError) -> None:
        """Say what has failed, and what to do."""

    def announce(self, text: str, title: str, is_bad: bool = False) -> None:
        """Say what has happened."""
