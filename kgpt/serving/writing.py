"""The texts of one request, from the batcher's thread to the event loop.

What comes while the loop is busy it takes in one piece, so that a server with much to do sends fewer and longer parts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from types import TracebackType

from kgpt.errors import KgptError
from kgpt.inference.continuation import Piece
from kgpt.serving.batching import Batcher, Order

Item = tuple[int, Piece | KgptError]


class Writing:
    """Orders, submitted on entering and given up on leaving.

    With `streamed` off nothing is told between a text's first token and its end.

    Raises:
        Busy: on entering, if there is no place for them.
    """

    def __init__(self, batcher: Batcher, orders: Sequence[Order], streamed: bool = True) -> None:
        self._batcher, self._orders, self._streamed = batcher, orders, streamed
        self._items: deque[Item] = deque()
        self._arrived = asyncio.Event()
        self._is_waking = False
        self._running = len(orders)

    async def __aenter__(self) -> Writing:
        loop = asyncio.get_running_loop()
        for index, order in enumerate(self._orders):
            order.deliver = self._to(loop, index)
        self._batcher.submit(self._orders)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        for order in self._orders:
            self._batcher.cancel(order)

    async def pieces(self) -> AsyncIterator[dict[int, list[Piece]]]:
        """By the number of an order the pieces that have come, until all orders are complete.

        Raises:
            KgptError: one of them failed.
        """
        while self._running:
            await self._arrived.wait()
            self._arrived.clear()
            self._is_waking = False  # before looking: what comes from now on wakes anew
            found: dict[int, list[Piece]] = {}
            while self._items:
                index, item = self._items.popleft()
                if isinstance(item, KgptError):
                    raise item
                self._running -= item.reason is not None
                found.setdefault(index, []).append(item)
            if found:
                yield found

    def _to(
        self, loop: asyncio.AbstractEventLoop, index: int
    ) -> Callable[[Piece | KgptError], None]:
        is_first = True

        def deliver(item: Piece | KgptError) -> None:
            nonlocal is_first
            is_due = is_first or self._streamed or isinstance(item, KgptError) or item.reason
            is_first = False
            self._items.append((index, item))
            if is_due and not self._is_waking:
                self._is_waking = True
                with suppress(RuntimeError):  # the loop has ended, and nobody listens
                    loop.call_soon_threadsafe(self._arrived.set)

        return deliver
