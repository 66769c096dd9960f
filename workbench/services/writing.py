"""Texts and labels asked of models, one after another, and the history of what was written.

In: a playground, a labelling, the folder of what is remembered. Out: generations that fill up, and errors that are
shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgpt.errors import KgptError
from workbench import generations, state
from workbench.services import Host

if TYPE_CHECKING:
    from kgpt.protocol import GenerateOptions
    from workbench.generations import Generation, Target
    from workbench.labelling import Labelling
    from workbench.playground import Playground
    from workbench.tokens import Token

HISTORY_FILE, HISTORY_VERSION = "history.json", 1


class WritingService:
    """Carries out what the Generate screen asks for."""

    def __init__(
        self, host: Host, playground: Playground, labelling: Labelling, folder: Path | None
    ) -> None:
        self._host, self._playground, self._labelling = host, playground, labelling
        self._file = folder / HISTORY_FILE if folder else None
        self._has_history = False
        self._saves = asyncio.Lock()
        self._warming: Target | None = None

    def warm_up(self, target: Target) -> None:
        """Have the engine load a model ahead of its first use; what failed once waits for the user to ask."""
        playground = self._playground
        if not (target == self._warming or playground.is_busy or playground.is_loaded(target)):
            self._warming = target
            self._host.in_background(partial(self._warm_up, target), "warm-up")

    async def _warm_up(self, target: Target) -> None:
        try:
            await self._playground.warm_up(target)
        except KgptError as error:
            self._host.show_error(error)
        self._host.tell("playground")

    def write(
        self,
        target: Target,
        prompt: str,
        options: GenerateOptions,
        second: Target | None = None,
        count: int = 1,
        before: Generation | None = None,
        is_answer: bool = False,
    ) -> Generation:
        """Start `count` generations, each with the next seed, by one model or by two side by side.

        With `is_answer`, the prompt is a message, the next of the conversation `before`.
        """
        conversation: Any = {"before": before, "is_answer": is_answer}
        ask, asked = self._playground.ask, []
        for number in range(count):
            seed = None if options.seed is None else options.seed + number
            own = replace(options, seed=seed)
            asked.append(ask(target, prompt, own, **conversation))
            if second:
                asked.append(ask(second, prompt, own, partner=asked[-1], **conversation))
        self._carry_out(asked)
        return asked[0]

    def write_branch(
        self, parent: Generation, place: int, token: Token, options: GenerateOptions
    ) -> Generation:
        """Start a generation that takes another token of an earlier one."""
        branch = self._playground.ask_branch(parent, place, token, options)
        self._carry_out([branch])
        return branch

    def _carry_out(self, asked: Sequence[Generation]) -> None:
        async def work() -> None:
            for generation in asked:
                await self._playground.run(generation)
                if generation.error:
                    self._host.show_error(generation.error)
                await self._keep_history()

        self._host.in_background(work, "generation")

    def stop(self) -> None:
        """Stop the generation under way."""
        self._host.in_background(self._playground.stop, "stop")

    def label(self, target: Target, text: str) -> None:
        """Have a text labelled by a classifier."""
        self._host.in_background(partial(self._labelling.ask, target, text), "labels")

    # === The history ===

    def recall_history(self) -> None:
        """Take up the texts of earlier sessions."""
        self._has_history = True
        if self._file is None:
            return
        try:
            kept = state.load_state(self._file, HISTORY_VERSION)
        except KgptError as error:
            self._host.show_error(error)
        else:
            self._playground.history = generations.of_state(kept)

    def save_history(self) -> None:
        """Write the texts down, unless those of earlier sessions have not been read yet."""
        if self._file is None or self._host.is_read_only or not self._has_history:
            return
        values = generations.as_state(self._playground.history)
        try:
            state.save_state(self._file, HISTORY_VERSION, values)
        except (OSError, KgptError) as error:
            self._host.tell_damage(error)

    async def _keep_history(self) -> None:
        async with self._saves:  # one after another: the newest is written last
            await asyncio.to_thread(self.save_history)

    async def close(self) -> None:
        """End the engine; what it was writing is kept as far as it came."""
        await self._playground.engine.close()
        for item in self._playground.history:
            if item.is_active:
                item.state = "stopped"
        self.save_history()
