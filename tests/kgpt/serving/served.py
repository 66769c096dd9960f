"""A server for tests: a real one, on a port of this machine."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of `app`, served by uvicorn in a thread."""
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)


def call(
    url: str, path: str, body: Any = None, method: str = "", headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """Status and JSON of an answer; `body` is bytes, or a value to send as JSON."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    try:
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {"Content-Type": "application/json", **(headers or {})}
        connection.request(method or ("GET" if body is None else "POST"), path, content, given)
        answer = connection.getresponse()
        text = answer.read()
        kind = answer.getheader("content-type", "")
        return answer.status, json.loads(text) if kind == "application/json" else text.decode()
    finally:
        connection.close()
