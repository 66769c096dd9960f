"""Generations: asked for, waiting for the engine, being written, and those since the workbench was opened.

In: a prompt, a checkpoint and options. Out: `Generation` records that fill as the engine writes, and a call of
`on_change` whenever something has changed. One generation at a time; it does not care which screen is shown.
Knows no Textual.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from kgpt.errors import KgptError
from kgpt.protocol import GenerateOptions
from workbench.engine import Engine
from workbench.tail import is_number

GenerationState = Literal[
    "waiting", "starting", "loading", "writing", "stopping", "done", "stopped", "failed"
]
SLOT = "main"
"""The engine can hold several models; this screen needs one."""

ACTIVE = ("waiting", "starting", "loading", "writing", "stopping")


@dataclass(frozen=True)
class Target:
    """A model to write with: a run and one of its checkpoints."""

    run: Path
    checkpoint: str = "best"
    """`best`, `last` or a step."""
    step: int | None = None
    """The step that `checkpoint` means now; another step means another model."""


@dataclass
class Generation:
    """One continuation of one prompt."""

    target: Target
    prompt: str
    options: GenerateOptions
    state: GenerationState = "waiting"
    text: str = ""
    """What has been written, without the prompt; on characters' boundaries."""
    tokens: int = 0
    reason: str = ""
    error: KgptError | None = None
    asked_at: float = 0.0
    first_token_at: float | None = None
    seconds: float = 0.0
    """From the request to the last token, by this process's clock."""
    request_id: str = ""

    @property
    def is_active(self) -> bool:
        """It may still change."""
        return self.state in ACTIVE

    @property
    def seconds_to_first_token(self) -> float | None:
        """From the engine's turn to the first token."""
        return None if self.first_token_at is None else self.first_token_at - self.asked_at

    @property
    def tokens_per_second(self) -> float | None:
        """Pace after the first token."""
        first = self.seconds_to_first_token
        if first is None or self.tokens < 2 or self.seconds <= first:
            return None
        return (self.tokens - 1) / (self.seconds - first)


@dataclass
class Playground:
    """The engine's one user: loads the model that is wanted and lets it write."""

    engine: Engine
    on_change: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    history: list[Generation] = field(default_factory=list)
    """All generations since the workbench was opened, the newest last."""
    stage: str = ""
    """What the engine is doing before it can write; empty when it is ready or off."""
    stage_since: float = 0.0
    loaded: dict[str, Any] = field(default_factory=dict)
    """The engine's `loaded` reply for the model that it holds."""
    _loaded_target: tuple[Target, int] | None = None
    _wanted: Target | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def current(self) -> Generation | None:
        """The newest generation."""
        return self.history[-1] if self.history else None

    @property
    def is_busy(self) -> bool:
        """A generation is under way."""
        return self.current is not None and self.current.is_active

    def is_loaded(self, target: Target) -> bool:
        """Whether the running engine holds this model."""
        return (
            self._loaded_target == (target, self.engine.generation) and self.engine.state != "off"
        )

    async def warm_up(self, target: Target) -> None:
        """Start the engine and load a model ahead of the first generation.

        Raises:
            KgptError: the engine or the model cannot be had.
        """
        self._wanted = target
        async with self._lock:
            if self._wanted == target:  # else the user has moved on to another model meanwhile
                await self._load(target)

    def ask(self, target: Target, prompt: str, options: GenerateOptions) -> Generation:
        """Put a generation into the history; `run` carries it out."""
        generation = Generation(target, prompt, options, request_id=self.engine.new_id())
        self.history.append(generation)
        self.on_change()
        return generation

    async def run(self, generation: Generation) -> None:
        """Carry out a generation. It never raises what the engine did: `generation.error` has it."""
        try:
            async with self._lock:
                await self._load(generation.target, generation)
                if generation.is_active:
                    await self._write(generation)
        except KgptError as error:
            if generation.is_active and generation.state != "stopping":
                generation.state, generation.error = "failed", error
        finally:
            if generation.is_active:
                generation.state = "stopped"
            self.on_change()

    async def stop(self) -> None:
        """Stop the generation under way; what is written so far stays."""
        generation = self.current
        if generation is None or not generation.is_active or generation.state == "stopping":
            return
        was_writing = generation.state == "writing"
        generation.state = "stopping" if was_writing else "stopped"
        self.on_change()
        if was_writing:
            await self.engine.cancel(generation.request_id)

    async def _load(self, target: Target, generation: Generation | None = None) -> None:
        if self.is_loaded(target):
            return
        self._loaded_target = None
        try:
            self._enter("starting the engine: loading TensorFlow", generation, "starting")
            await self.engine.start()
            self._enter("loading the model", generation, "loading")
            request = {
                "type": "load",
                "slot": SLOT,
                "run": str(target.run.resolve()),
                "checkpoint": target.checkpoint,
            }
            async for reply in self.engine.request(request):
                if reply["type"] == "loading" and reply.get("stage"):
                    self._enter(f"loading the model: {reply['stage']}", generation, "loading")
                elif reply["type"] == "loaded":
                    self.loaded = reply
                    self._loaded_target = (target, self.engine.generation)
        finally:
            self._enter("", None, "loading")

    def _enter(
        self, stage: str, generation: Generation | None, state: Literal["starting", "loading"]
    ) -> None:
        if not stage or not self.stage:
            self.stage_since = self.clock()
        self.stage = stage
        if generation and generation.is_active:
            generation.state = state
        self.on_change()

    async def _write(self, generation: Generation) -> None:
        generation.state, generation.asked_at = "writing", self.clock()
        self.on_change()
        request = {
            "type": "generate",
            "slot": SLOT,
            "prompt": generation.prompt,
            "options": {k: v for k, v in asdict(generation.options).items() if v is not None},
            "alternatives": 0,
        }
        async for reply in self.engine.request(request, generation.request_id):
            if reply["type"] == "token" and generation.state == "writing":
                self._take_token(generation, str(reply.get("text") or ""))
            elif reply["type"] == "done":
                self._finish(generation, reply)

    def _take_token(self, generation: Generation, text: str) -> None:
        now = self.clock()
        if generation.first_token_at is None:
            generation.first_token_at = now
        generation.text += text
        generation.tokens += 1
        generation.seconds = now - generation.asked_at
        self.on_change()

    def _finish(self, generation: Generation, reply: dict[str, Any]) -> None:
        generation.reason = str(reply.get("reason") or "")
        if is_number(reply.get("tokens")):
            generation.tokens = int(reply["tokens"])
        if generation.state == "writing" and isinstance(reply.get("text"), str):
            generation.text = reply["text"]
        is_cancelled = generation.reason == "cancelled" or generation.state == "stopping"
        generation.state = "stopped" if is_cancelled else "done"
