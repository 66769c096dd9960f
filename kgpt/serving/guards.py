"""What a request passes before the server reads it: the key, the size of its body. And how errors look.

ASGI middlewares; each answers by itself what it does not let through.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from typing import Any

from kgpt.errors import KgptError, KgptFailure
from kgpt.inference.context import PromptTooLong
from kgpt.serving.batching import Busy, Closing, WaitedTooLong

UPLOAD_SECONDS = 30
"""For the body of a request to arrive."""
OPEN_PATHS = ("/", "/health")
"""Need no key."""


class TooLarge(KgptError):
    """A request is larger than the server reads."""


def error_body(message: str, kind: str, code: str | None = None, param: str | None = None) -> Any:
    """An error in the API's shape."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def status_of(error: KgptError) -> int:
    """The HTTP status of an error."""
    kinds: dict[type[KgptError], int] = {
        TooLarge: 413,
        PromptTooLong: 413,
        WaitedTooLong: 503,
        Closing: 503,
        Busy: 429,
        KgptFailure: 500,
    }
    return next((status for kind, status in kinds.items() if isinstance(error, kind)), 400)


def body_of(error: KgptError) -> Any:
    """The API's shape of an error."""
    status = status_of(error)
    kind = {429: "rate_limit_error", 500: "server_error", 503: "server_error"}
    code = "context_length_exceeded" if status == 413 else None
    message = " ".join(part for part in (f"{error.title}:", error.message, error.hint) if part)
    return error_body(message, kind.get(status, "invalid_request_error"), code)


class KeyGuard:
    """Lets through who has the key: `Authorization: Bearer KEY`."""

    def __init__(self, app: Any, key: str) -> None:
        self._app, self._expected = app, f"Bearer {key}".encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer 401, or go on."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                message = "Expected the header `Authorization: Bearer KEY` with this server's key."
                body = error_body(message, "authentication_error", "invalid_api_key")
                await _answer(send, 401, body, [(b"www-authenticate", b"Bearer")])
                return
        await self._app(scope, receive, send)


class BodyGuard:
    """Lets through bodies of at most `most` bytes."""

    def __init__(self, app: Any, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer 408 or 413, or go on."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        parts, size, more = list[bytes](), 0, True
        try:
            async with asyncio.timeout(UPLOAD_SECONDS):
                while more and size <= self._most:
                    event = await receive()
                    if event["type"] == "http.disconnect":
                        return
                    parts.append(event.get("body", b""))
                    size += len(parts[-1])
                    more = event.get("more_body", False)
        except TimeoutError:
            message = f"Expected the whole body within {UPLOAD_SECONDS} seconds."
            headers = [(b"connection", b"close")]
            await _answer(send, 408, error_body(message, "invalid_request_error"), headers)
            return
        if size > self._most:
            message = f"Expected a body of at most {self._most:,} bytes."
            headers = [(b"connection", b"close")]
            await _answer(send, 413, error_body(message, "invalid_request_error"), headers)
            return
        is_read = False

        async def replayed() -> Any:
            nonlocal is_read
            if is_read:
                return await receive()
            is_read = True
            return {"type": "http.request", "body": b"".join(parts), "more_body": False}

        await self._app(scope, replayed, send)


async def _answer(
    send: Any, status: int, body: Any, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    content = json.dumps(body).encode()
    always = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
    ]
    await send(
        {"type": "http.response.start", "status": status, "headers": [*always, *(headers or [])]}
    )
    await send({"type": "http.response.body", "body": content})
