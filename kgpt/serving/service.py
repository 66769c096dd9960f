"""A model that answers completions: a request's body in, its answer out, whole or as a stream."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from kgpt.errors import KgptError
from kgpt.inference.chat import DEFAULTS as chat_defaults
from kgpt.inference.chat import Chat
from kgpt.inference.context import check_prompts
from kgpt.inference.continuation import Piece
from kgpt.inference.generation import Generator, seeds
from kgpt.protocol import GenerateOptions
from kgpt.serving.batching import Batcher, Order
from kgpt.serving.chat_answers import ChatChoice
from kgpt.serving.completions import Choice, usage
from kgpt.serving.event_stream import EventStream, unless_gone
from kgpt.serving.guards import TooLarge, body_of
from kgpt.serving.metrics import Metrics
from kgpt.serving.openai_models import ChatRequest, CompletionRequest
from kgpt.serving.writing import Writing
from kgpt.text.conversations import turns_of
from kgpt.text.templates import Template

DEFAULT_MAX_TOKENS = 16
"""The API's own."""
READING_SECONDS = 30
"""That a client may take to read the rest of a text that has ended."""
Pieces = AsyncGenerator[dict[int, list[Piece]], None]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one server does at once, and for one request."""

    streams: int = 32
    """Texts written at once."""
    waiting: int = 256
    """Texts that may wait for a place."""
    max_tokens: int = 4096
    """Tokens of a text."""
    seconds: float = 300.0
    """From a request to its end: a text that takes longer ends there."""
    body_bytes: int = 1_000_000


class Service:
    """A generator under a name, its batcher and its limits; with a `template` it answers conversations."""

    def __init__(
        self, generator: Generator, name: str, limits: Limits, template: Template | None = None
    ) -> None:
        self.generator, self.name, self.limits = generator, name, limits
        self.template = template
        self.created = int(time.time())
        self.batcher = Batcher(generator, limits.streams, limits.waiting)
        self.metrics = Metrics(self.batcher)

    async def complete(self, body: CompletionRequest, request: Request) -> Response:
        """Answer `POST /v1/completions`.

        Raises:
            HTTPException: there is no such model here.
            KgptError: the prompt or the text is too long, an id or an option is none, or there is no place.
            Gone: the client has left.
        """
        self._check_model(body.model)
        started, count = time.monotonic(), body.n or 1
        most = self.limits.streams + self.limits.waiting
        if count * len(body.prompts) > most:
            raise TooLarge(
                "Too many texts",
                f"One request may ask for {most}. Received: {len(body.prompts)} prompts, n={count}.",
                "Ask for less.",
            )
        options = body.options(self._max_tokens(body.max_tokens, DEFAULT_MAX_TOKENS))
        ids = await run_in_threadpool(lambda: [self._ids(prompt) for prompt in body.prompts])
        shown = [self._text(prompt) if body.echo else "" for prompt in body.prompts]
        choices = [
            Choice(index, shown[index // count], body.logprobs is not None)
            for index in range(count * len(ids))
        ]
        answer = _Answer("text_completion", self.name, ids, choices)
        return await self._answered(body, request, answer, options, body.logprobs or 0, started)

    async def chat(self, body: ChatRequest, request: Request) -> Response:
        """Answer `POST /v1/chat/completions`. Raises as `complete`, and KgptError where the model answers nothing."""
        if self.template is None:
            raise KgptError(
                "No conversations",
                f"The model {self.name!r} continues texts; it was not fine-tuned to answer.",
                "Use /v1/completions.",
            )
        self._check_model(body.model)
        if body.top_logprobs and not body.logprobs:
            raise KgptError(
                "Not without logprobs",
                f"top_logprobs={body.top_logprobs} needs logprobs=true.",
                "Add it.",
            )
        started, chat = time.monotonic(), Chat(self.generator, self.template)
        asked = body.max_completion_tokens or body.max_tokens
        options = body.options(self._max_tokens(asked, chat_defaults.max_tokens))
        turns = turns_of([message.model_dump() for message in body.messages])
        ids = await run_in_threadpool(lambda: chat.prompt(turns, options.max_tokens))
        choices = [
            ChatChoice(index, chat.shown(), bool(body.logprobs)) for index in range(body.n or 1)
        ]
        answer = _Answer("chat.completion", self.name, [ids], choices)
        named = body.top_logprobs or 0
        return await self._answered(body, request, answer, options, named, started)

    async def _answered(
        self,
        body: CompletionRequest | ChatRequest,
        request: Request,
        answer: _Answer,
        options: GenerateOptions,
        alternatives: int,
        started: float,
    ) -> Response:
        client = (request.client.host if request.client else "", body.user or "")
        deadline = started + self.limits.seconds
        orders = [
            Order(
                prompt,
                replace(options, seed=seed),
                alternatives=alternatives,
                client=client,
                deadline=deadline,
            )
            for prompt in answer.prompts
            for seed in seeds(body.seed, body.n or 1)
        ]
        pieces = self._pieces(orders, started, bool(body.stream))
        if body.stream:
            lines = _lines(answer, pieces, body.wants_usage)
            lines = await unless_gone(request.receive, _begun(lines))
            return EventStream(lines, self.limits.seconds + READING_SECONDS)
        await unless_gone(request.receive, answer.collect(pieces))
        return JSONResponse(answer.whole())

    def _check_model(self, name: str | None) -> None:
        if name not in (None, self.name):
            raise HTTPException(404, f"There is no model {name!r} here, but {self.name!r}.")

    async def _pieces(self, orders: Sequence[Order], started: float, streamed: bool) -> Pieces:
        waiting = set(range(len(orders)))
        async with Writing(self.batcher, orders, streamed) as writing:
            async for pieces in writing.pieces():
                for _ in waiting & pieces.keys():
                    self.metrics.first_token.observe(time.monotonic() - started)
                waiting -= pieces.keys()
                yield pieces
        self.metrics.request_seconds.observe(time.monotonic() - started)

    def _ids(self, prompt: str | list[int]) -> list[int]:
        tokenizer, most = self.generator.tokenizer, self.generator.decoder.context_length
        ids = tokenizer.encode(prompt) if isinstance(prompt, str) else prompt
        if len(ids) > most:
            raise TooLarge(
                "Prompt does not fit",
                f"The model's context has {most} tokens. Received: {len(ids)}.",
                "Shorten the prompt.",
            )
        ids = ids or [tokenizer.end_of_text]
        check_prompts([ids], most, tokenizer.vocabulary_size)
        return ids

    def _text(self, prompt: str | list[int]) -> str:
        return prompt if isinstance(prompt, str) else self.generator.tokenizer.decode(prompt)

    def _max_tokens(self, asked: int | None, usual: int) -> int:
        most = self.limits.max_tokens
        if asked is None:
            return min(most, usual)
        if asked > most:
            raise TooLarge(
                "Text too long",
                f"max_tokens is at most {most}. Received: {asked}.",
                "Ask for less.",
            )
        return asked


class _Answer:
    """One answer, as it grows."""

    def __init__(
        self, kind: str, model: str, prompts: Sequence[list[int]], choices: Sequence[Choice]
    ) -> None:
        self.prompts, self._choices, self._kind = prompts, choices, kind
        is_chat = kind == "chat.completion"
        self._head = {
            "id": f"{'chatcmpl' if is_chat else 'cmpl'}-{secrets.token_hex(12)}",
            "object": kind,
            "created": int(time.time()),
            "model": model,
        }
        self._part_head = {**self._head, "object": f"{kind}.chunk" if is_chat else kind}

    async def collect(self, pieces: Pieces) -> None:
        """Take every piece."""
        async with aclosing(pieces):
            async for found in pieces:
                for index, some in found.items():
                    self._choices[index].add(some)

    async def chunks(self, pieces: Pieces) -> AsyncGenerator[Any, None]:
        """What to send of the pieces that have come."""
        async with aclosing(pieces):
            async for found in pieces:
                for index, some in found.items():
                    choice = self._choices[index].add(some)
                    if choice is not None:
                        yield {**self._part_head, "choices": [choice]}

    def whole(self) -> Any:
        """The answer, complete."""
        choices = [choice.whole() for choice in self._choices]
        return {**self.counted(), **self._head, "choices": choices}

    def counted(self) -> Any:
        """No text, but the counts."""
        return {**self._part_head, "choices": [], "usage": usage(self.prompts, self._choices)}


async def _lines(answer: _Answer, pieces: Pieces, with_usage: bool) -> AsyncGenerator[str, None]:
    is_begun = False
    try:
        async with aclosing(answer.chunks(pieces)) as chunks:
            async for chunk in chunks:
                is_begun = True
                yield json.dumps(chunk)
    except KgptError as error:
        if not is_begun:
            raise
        yield json.dumps(body_of(error))
    if with_usage:
        yield json.dumps(answer.counted())
    yield "[DONE]"


async def _begun(lines: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    """The same lines, once there is one: what fails before has a status of its own."""
    first = await anext(lines)

    async def all_lines() -> AsyncGenerator[str, None]:
        async with aclosing(lines):
            yield first
            async for line in lines:
                yield line

    return all_lines()
