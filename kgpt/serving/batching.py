"""Many texts written at once: requests in, pieces out as they come. Texts join and leave between two tokens.

One thread computes. Each round gives every running text its next token; before it, texts that wait take the places that
are free: one long prompt or a few short ones a round, so that those that write are not held up, and a prompt's other
texts with it, for it is read once. Clients take turns, whatever each of them has waiting.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from numpy.typing import NDArray

from kgpt.errors import KgptError, KgptFailure
from kgpt.inference.context import slide
from kgpt.inference.continuation import Continuation, Piece
from kgpt.inference.generation import Generator
from kgpt.protocol import GenerateOptions

PROMPT_TOKENS = 64
"""No further prompt is begun in a round that has read so many."""


class Busy(KgptError):
    """There is no place for a request now; another time there may be."""


class WaitedTooLong(Busy):
    """No place was free in the time that a request has."""


class Closing(Busy):
    """The server is shutting down, or its model works no more."""


@dataclass(eq=False)
class Order:
    """A text that a client wants written. `deliver` is called in the batcher's thread."""

    prompt: Sequence[int]
    options: GenerateOptions
    deliver: Callable[[Piece | KgptError], object] = lambda item: None
    alternatives: int = 0
    client: tuple[str, str] = ("", "")
    """A machine and one of its users: machines take turns, and so do the users of each."""
    deadline: float = float("inf")
    """By `time.monotonic`: the text ends here, with what is written."""
    is_cancelled: bool = False


@dataclass(eq=False)
class _Text:
    """An order that is being written."""

    order: Order
    seat: int
    logits_V: NDArray[Any]
    continuation: Continuation


@dataclass
class Counts:
    """What the batcher has done, and does."""

    tokens: int = 0
    prompt_tokens: int = 0
    steps: int = 0
    cancelled: int = 0


@dataclass
class _Queue:
    """Orders by machine and user, the next one first."""

    machines: dict[str, dict[str, deque[Order]]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Order]:
        for users in self.machines.values():
            for orders in users.values():
                yield from orders

    def __len__(self) -> int:
        return sum(len(orders) for users in self.machines.values() for orders in users.values())

    @property
    def users(self) -> int:
        """Users that wait."""
        return sum(map(len, self.machines.values()))

    def add(self, order: Order) -> None:
        machine, user = order.client
        self.machines.setdefault(machine, {}).setdefault(user, deque()).append(order)

    def next(self) -> Order:
        order = next(iter(self))
        self.discard(order)
        machine, user = order.client
        if users := self.machines.pop(machine, None):  # behind the others
            self.machines[machine] = users
            if orders := users.pop(user, None):
                users[user] = orders
        return order

    def like(self, order: Order) -> list[Order]:
        """The user's next orders for the same prompt."""
        machine, user = order.client
        orders = self.machines.get(machine, {}).get(user, ())
        return list(takewhile(lambda other: other.prompt == order.prompt, orders))

    def late(self, now: float) -> list[Order]:
        """Those whose time is over."""
        return [order for order in self if order.deadline <= now]

    def discard(self, order: Order) -> None:
        """Remove an order that is there."""
        machine, user = order.client
        users = self.machines[machine]
        users[user].remove(order)
        if not users[user]:
            del users[user]
        if not users:
            del self.machines[machine]


class Batcher:
    """Writes at most `streams` texts at once and lets `waiting` more wait.

    Example:
        >>> batcher = Batcher(load_generator(find_run("demo")), streams=8, waiting=64)
        >>> batcher.submit([Order(ids, GenerateOptions(), print)])
        >>> batcher.close()
    """

    def __init__(self, generator: Generator, streams: int = 32, waiting: int = 256) -> None:
        self.generator, self.streams, self.most_waiting = generator, streams, waiting
        self.counts = Counts()
        self._context_length = generator.decoder.context_length
        self._seats = generator.decoder.seats()
        self._texts: list[_Text] = []
        self._admitted: list[Order] = []
        """Out of the queue, not among the texts yet."""
        self._queue = _Queue()
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, orders: Sequence[Order]) -> None:
        """Let orders wait for their places: all of them or none.

        Raises:
            Busy: too many wait already.
            Closing: the server is shutting down.
        """
        with self._changed:
            if self._is_closing:
                raise Closing("Shutting down", "The server takes no more requests.", "Try another.")
            if not self._thread.is_alive():
                raise Closing(
                    "Out of order", "The model works no more.", "The server's log says why."
                )
            waiting, free = len(self._queue), self.streams - len(self._texts)
            if waiting + len(orders) > self.most_waiting + max(free, 0):
                raise Busy(
                    "Too many requests",
                    f"{len(self._texts)} texts are being written and {waiting} wait; "
                    f"{self.most_waiting} may. Received: {len(orders)} more.",
                    "Try again later.",
                )
            for order in orders:
                self._queue.add(order)
            self._changed.notify()

    def cancel(self, order: Order) -> None:
        """Give up an order, before its next token."""
        order.is_cancelled = True
        with self._changed:
            if order in self._queue:
                self._queue.discard(order)
                self.counts.cancelled += 1

    def close(self) -> None:
        """Finish what was ordered, then end."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    @property
    def running(self) -> int:
        """Texts that are being written."""
        return len(self._texts)

    @property
    def waiting(self) -> int:
        """Texts that wait for a place."""
        return len(self._queue)

    # === The thread ===

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._texts or self._is_closing)
                if not self._queue and not self._texts:
                    return
            try:
                self._round()
            except Exception as error:  # what fails for all at once; the next texts begin anew
                failed = [*self._admitted, *(text.order for text in self._texts)]
                self._texts, self._admitted = [], []
                for order in failed:
                    order.deliver(_failure(error))
                with suppress(OSError):  # the log's reader may be gone
                    traceback.print_exc()
                self._seats = self.generator.decoder.seats()

    def _round(self) -> None:
        for text in [text for text in self._texts if text.order.is_cancelled]:
            self.counts.cancelled += 1
            self._leave(text)
        self._refuse_late()
        read = self._admit()
        while 0 < read < PROMPT_TOKENS and (more := self._admit()):
            read += more
        tokens: dict[int, int] = {}
        moved = []
        for text in list(self._texts):
            if (token := self._choose(text)) is None:
                self._leave(text)
                continue
            window = text.continuation.window
            window.append(token)
            if slide(window, self._context_length):
                self._seats.leave(text.seat)
                moved.append(text)
            else:
                tokens[text.seat] = token
        if tokens:
            scores = self._seats.step(tokens)
            self.counts.steps += 1
            for text in self._texts:
                if text not in moved:
                    text.logits_V = scores[text.seat]
        for text in moved:  # after the step, which takes every seat one token further
            text.seat, text.logits_V = self._seats.join(text.continuation.window)

    def _choose(self, text: _Text) -> int | None:
        """The next token, delivered; None if it is the last."""
        try:
            is_late = time.monotonic() >= text.order.deadline
            piece = text.continuation.take(text.logits_V, is_last=is_late)
        except KgptError as error:
            text.order.deliver(error)
            return None
        self.counts.tokens += 1
        text.order.deliver(piece)
        return None if piece.reason else piece.token

    def _leave(self, text: _Text) -> None:
        self._texts.remove(text)
        self._seats.leave(text.seat)

    # === Those who wait ===

    def _refuse_late(self) -> None:
        with self._changed:
            late = self._queue.late(time.monotonic())
            for order in late:
                self._queue.discard(order)
        for order in late:
            message = "No place was free in the time that a request has."
            order.deliver(WaitedTooLong("Waited too long", message, "Try again later."))

    def _admit(self) -> int:
        """Begin one prompt, and other texts of it that have places which no other client waits for; its tokens."""
        with self._changed:
            free = self.streams - len(self._texts)
            if not free or not self._queue:
                return 0
            first = self._queue.next()
            same = self._queue.like(first)
            others = self._queue.users - bool(same)
            same = same[: max(0, free - 1 - others)]
            for order in same:
                self._queue.discard(order)
            self._admitted = [first, *same]
        try:
            seat, logits_V = self._seats.join(first.prompt)
        except KgptError as error:
            for order in self._admitted:
                order.deliver(error)
            self._admitted = []
            return len(first.prompt)
        self.counts.prompt_tokens += len(first.prompt)
        self._begin(first, seat, logits_V)
        for order in same:
            self._begin(order, self._seats.fork(seat), logits_V)
        self._admitted = []
        return len(first.prompt)

    def _begin(self, order: Order, seat: int, logits_V: NDArray[Any]) -> None:
        continuation = Continuation(
            order.prompt, order.options, self.generator.tokenizer, order.alternatives
        )
        self._texts.append(_Text(order, seat, logits_V, continuation))


def _failure(error: Exception) -> KgptError:
    if isinstance(error, KgptError):
        return error
    return KgptFailure(
        f"The model failed: {type(error).__name__}",
        str(error).strip()[:2000] or "No details.",
        "The server's log has the traceback.",
    )
