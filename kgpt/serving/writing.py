"""The texts of one request, from the batcher's thread to the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from types import TracebackType

from kgpt.errors import KgptError
from kgpt.inference.continuation import Piece
from kgpt.serving.batching import Batcher, Order

Item = tuple[int, Piece | KgptError]


class Writing:
    """Orders, submitted on entering and given up on leaving.

    Raises:
        Busy: on entering, if there is no place for them.
    """

    def __init__(self, batcher: Batcher, orders: Sequence[Order]) -> None:
        self._batcher, self._orders = batcher, orders
        self._items: asyncio.Queue[Item] = asyncio.Queue()
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

    async def pieces(self) -> AsyncIterator[tuple[int, Piece]]:
        """The number of an order and its next piece, until all are complete.

        Raises:
            KgptError: one of them failed.
        """
        while self._running:
            index, item = await self._items.get()
            if isinstance(item, KgptError):
                raise item
            if item.reason:
                self._running -= 1
            yield index, item

    def _to(self, loop: asyncio.AbstractEventLoop, index: int):  # type: ignore[no-untyped-def]
        def deliver(item: Piece | KgptError) -> None:
            with suppress(RuntimeError):  # the loop has ended, and nobody listens
                loop.call_soon_threadsafe(self._items.put_nowait, (index, item))

        return deliver
