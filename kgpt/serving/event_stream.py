"""Answers that come line by line, and clients that leave before the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Any

from fastapi.responses import Response


class EventStream(Response):
    """Server-sent events, given up as soon as the client is gone, or has not read them within `seconds`."""

    media_type = "text/event-stream"

    def __init__(self, lines: AsyncGenerator[str, None], seconds: float) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._lines, self._seconds = lines, seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the lines as they come."""

        async def sent() -> None:
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            async with aclosing(self._lines):
                async for line in self._lines:
                    body = f"data: {line}\n\n".encode()
                    await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        with suppress(Gone):
            async with asyncio.timeout(
                self._seconds
            ):  # raises: the server then drops the connection
                await unless_gone(receive, sent())


class Gone(Exception):
    """The client has left before its answer."""


async def unless_gone(receive: Callable[[], Any], work: Any) -> Any:
    """The result of `work`, cancelled when the client leaves.

    Raises:
        Gone: it left.
    """

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    task, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Gone
        return task.result()
    finally:
        leaving.cancel()
        task.cancel()
        await asyncio.gather(task, leaving, return_exceptions=True)
