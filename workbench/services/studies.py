"""What the Attention screen asks of a model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from workbench.services import Host

if TYPE_CHECKING:
    from workbench.attention_study import AttentionStudy, View


class StudiesService:
    """Carries out readings of the text that is studied."""

    def __init__(self, host: Host, study: AttentionStudy) -> None:
        self._host, self._study = host, study

    def look(self, view: View) -> None:
        """Have the text read."""
        self._host.in_background(partial(self._carry_out, self._study.look, view), "attention")

    def ablate(self, place: int) -> None:
        """Have each word before a token left out in turn."""
        self._host.in_background(partial(self._carry_out, self._study.ablate, place), "attention")

    async def _carry_out(self, work: Callable[[Any], Awaitable[None]], what: object) -> None:
        before = self._study.error
        await work(what)
        if self._study.error and self._study.error is not before:
            self._host.show_error(self._study.error)
