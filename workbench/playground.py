"""Generations: asked for, waiting for the engine, being written, and those of before.

In: a prompt, a checkpoint and options. Out: `Generation` records that fill as the engine writes, and a call of
`on_change` whenever something has changed. One writes at a time and others wait; it does not care which screen is
shown. Knows no Textual.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.protocol import GenerateOptions
from workbench.engine import Engine
from workbench.generations import (
    MAIN,
    SECOND,
    Generation,
    GenerationState,
    Target,
    options_dict,
)
from workbench.tail import is_number
from workbench.tokens import Token, token_of_reply

__all__ = ["Generation", "GenerationState", "Playground", "Target"]

ALTERNATIVES = 8
"""How many the engine tells with each token."""


@dataclass
class Playground:
    """The engine's one user: loads the models that are wanted and lets them write."""

    engine: Engine
    on_change: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    history: list[Generation] = field(default_factory=list)
    """All generations that are remembered, the newest last."""
    stage: str = ""
    """What the engine is doing before it can write; empty when it is ready or off."""
    stage_since: float = 0.0
    replies: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By slot, the engine's `loaded` reply for the model that it holds."""
    _holds: dict[str, tuple[Target, int]] = field(default_factory=dict)
    _wanted: Target | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def loaded(self) -> dict[str, Any]:
        """The engine's `loaded` reply for the model of the first slot."""
        return self.replies.get(MAIN, {})

    @property
    def current(self) -> Generation | None:
        """The generation that is being written, else the newest."""
        waiting = [item for item in self.history if item.is_active]
        return waiting[0] if waiting else self.history[-1] if self.history else None

    @property
    def is_busy(self) -> bool:
        """A generation is under way."""
        return any(item.is_active for item in self.history)

    def get(self, number: int | None) -> Generation | None:
        """The generation of a number."""
        return next((item for item in self.history if item.number == number), None)

    def pair(self, generation: Generation) -> tuple[Generation, ...]:
        """A generation and, if it was asked for side by side with another one, that too: the first first."""
        first = self.get(generation.partner)
        if first:
            return first, generation
        seconds = (item for item in self.history if item.partner == generation.number)
        return (generation, *seconds)

    # === Models ===

    def slot_of(self, target: Target) -> str | None:
        """The slot in which the running engine holds this model."""
        now = (target, self.engine.generation)
        if self.engine.state == "off":
            return None
        return next((slot for slot, held in self._holds.items() if held == now), None)

    def is_loaded(self, target: Target) -> bool:
        """Whether the running engine holds this model."""
        return self.slot_of(target) is not None

    async def warm_up(self, target: Target) -> None:
        """Start the engine and load a model ahead of the first generation.

        Raises:
            KgptError: the engine or the model cannot be had.
        """
        self._wanted = target
        async with self._lock:
            if self._wanted == target:  # else the user has moved on to another model meanwhile
                await self._load(target)

    @asynccontextmanager
    async def using(self, target: Target) -> AsyncIterator[str]:
        """The slot of a model, loaded if need be; nobody else has the engine meanwhile.

        Raises:
            KgptError: the engine or the model cannot be had.
        """
        async with self._lock:
            yield await self._load(target)

    # === Generations ===

    def ask(
        self,
        target: Target,
        prompt: str,
        options: GenerateOptions,
        *,
        partner: Generation | None = None,
        before: Generation | None = None,
        is_answer: bool = False,
    ) -> Generation:
        """Put a generation into the history; `run` carries it out.

        With `is_answer`, the prompt is a message to a model that answers, after those of `before`.
        """
        generation = Generation(target, prompt, options, request_id=self.engine.new_id())
        if is_answer:
            turns = before.turns if before else []
            generation.messages = [*turns, {"role": "user", "content": prompt}]
            generation.parent = before.number if before else None
        if partner:
            generation.partner, generation.slot = partner.number, SECOND
        return self._add(generation)

    def ask_branch(
        self, parent: Generation, place: int, alternative: Token, options: GenerateOptions
    ) -> Generation:
        """Go on from a generation's token at `place`, with another one taken there."""
        prompt, ids, begun = parent.branch_prompt(place, alternative)
        generation = Generation(parent.target, prompt, options, request_id=self.engine.new_id())
        generation.parent, generation.slot = parent.number, parent.slot
        if parent.prompt_ids:  # else its text has to do: the tokens before it are not known
            generation.prompt_ids, generation.has_exact_prompt = ids, True
            generation.lead = begun
        return self._add(generation)

    def _add(self, generation: Generation) -> Generation:
        generation.number = 1 + max((item.number for item in self.history), default=0)
        self.history.append(generation)
        self.on_change()
        return generation

    async def run(self, generation: Generation) -> None:
        """Carry out a generation. It never raises what the engine did: `generation.error` has it."""
        try:
            async with self._lock:
                if generation.is_active:
                    slot = await self._load(generation.target, generation)
                    if generation.is_active:
                        await self._write(generation, slot)
        except KgptError as error:
            if generation.is_active and generation.state != "stopping":
                generation.state, generation.error = "failed", error
        finally:
            if generation.is_active:
                generation.state = "stopped"
            self.on_change()

    async def stop(self) -> None:
        """Stop what is under way and what waits; what is written so far stays."""
        writing = [item for item in self.history if item.state == "writing"]
        for item in self.history:
            if item.is_active and item.state != "stopping":
                item.state = "stopping" if item in writing else "stopped"
        self.on_change()
        for item in writing:
            await self.engine.cancel(item.request_id)

    # === The engine ===

    async def _load(self, target: Target, generation: Generation | None = None) -> str:
        held = self.slot_of(target)
        if held is not None:
            return held
        slot = generation.slot if generation else MAIN
        self._holds.pop(slot, None)
        self.replies.pop(slot, None)
        try:
            if self.engine.state != "ready":
                self._enter(_("starting the engine"), generation, "starting")
                await self.engine.start()
            self._enter(_("loading the model"), generation, "loading")
            request = {
                "type": "load",
                "slot": slot,
                "run": str(target.run.resolve()),
                "checkpoint": target.checkpoint,
                "decoder": target.decoder,
            }
            async for reply in self.engine.request(request):
                if reply["type"] == "loading" and reply.get("stage"):
                    self._enter(
                        _("loading the model: {stage}", stage=reply["stage"]), generation, "loading"
                    )
                elif reply["type"] == "loaded":
                    self.replies[slot] = reply
                    self._holds[slot] = (target, self.engine.generation)
        finally:
            self._enter("", None, "loading")
        return slot

    def _enter(
        self, stage: str, generation: Generation | None, state: Literal["starting", "loading"]
    ) -> None:
        if not stage or not self.stage:
            self.stage_since = self.clock()
        self.stage = stage
        if generation and generation.is_active:
            generation.state = state
        self.on_change()

    async def _write(self, generation: Generation, slot: str) -> None:
        loaded = self.replies.get(slot, {})
        context = loaded.get("context_length")
        generation.context_length = int(context) if is_number(context) else None
        if not (generation.has_exact_prompt or generation.messages):
            generation.prompt_ids = await self._prompt_ids(generation, loaded)
        if not generation.is_active:
            return
        generation.state, generation.asked_at = "writing", self.clock()
        self.on_change()
        wanted: dict[str, Any] = {"prompt": generation.prompt}
        if generation.has_exact_prompt:
            wanted["ids"] = generation.prompt_ids
        if generation.messages:
            wanted = {"messages": generation.messages}
        request = {
            "type": "generate",
            "slot": slot,
            **wanted,
            "options": options_dict(generation.options),
            "alternatives": ALTERNATIVES,
        }
        async for reply in self.engine.request(request, generation.request_id):
            if reply["type"] == "token" and generation.state == "writing":
                self._take_token(generation, reply)
            elif reply["type"] == "done":
                self._finish(generation, reply)

    async def _prompt_ids(self, generation: Generation, loaded: Mapping[str, Any]) -> list[int]:
        """The prompt's tokens, as the model gets them: an empty prompt is an end of text."""
        try:
            ids, _contents = await self.tokenize(
                {"run": str(generation.target.run.resolve())}, generation.prompt
            )
        except KgptError:
            return []
        end = loaded.get("end_of_text")
        return ids or ([end] if isinstance(end, int) else [])

    async def tokenize(self, source: Mapping[str, str], text: str) -> tuple[list[int], list[bytes]]:
        """Ids and bytes of the tokens of a text, by the tokenizer of a `run` or a `data` folder.

        Raises:
            KgptError: the engine or the tokenizer cannot be had.
        """
        ids: list[int] = []
        contents: list[bytes] = []
        folders = {key: str(value) for key, value in source.items()}
        async for reply in self.engine.request({"type": "tokenize", **folders, "text": text}):
            if reply["type"] == "tokens":
                ids = [int(token) for token in reply.get("ids") or ()]
                contents = [bytes.fromhex(part) for part in reply.get("bytes_hex") or ()]
        return ids, contents

    def _take_token(self, generation: Generation, reply: dict[str, Any]) -> None:
        now = self.clock()
        if generation.first_token_at is None:
            generation.first_token_at = now
        generation.take(token_of_reply(reply), str(reply.get("text") or ""))
        generation.seconds = now - generation.asked_at
        self.on_change()

    def _finish(self, generation: Generation, reply: dict[str, Any]) -> None:
        generation.reason = str(reply.get("reason") or "")
        if is_number(reply.get("tokens")):
            generation.tokens = int(reply["tokens"])
        is_whole = generation.state == "writing" and not generation.lead
        if is_whole and isinstance(reply.get("text"), str):
            generation.text = reply["text"]
        is_cancelled = generation.reason == "cancelled" or generation.state == "stopping"
        generation.state = "stopped" if is_cancelled else "done"
