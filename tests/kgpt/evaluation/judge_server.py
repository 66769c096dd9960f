"""A judge for tests: a real HTTP server that speaks OpenAI's chat completions, and answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = str | int | float | dict[str, Any] | bytes
"""A text to answer with, a status of an error, seconds to wait, a body of its own, or bytes that are no JSON."""


class JudgeServer(ThreadingHTTPServer):
    """Answers each request with what `reply` makes of its body; keeps the bodies and keys that came."""

    daemon_threads = True

    def __init__(self, reply: Callable[[dict[str, Any]], Reply]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply = reply
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: JudgeServer

    def do_GET(self) -> None:
        self._send(404, b'{"error": {"message": "no list"}}')

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.server.keys.append(self.headers.get("Authorization", ""))
        reply = self.server.reply(body)
        if isinstance(reply, float):
            time.sleep(reply)
            reply = '{"score": 1}'
        if isinstance(reply, int):
            self._send(reply, b'{"error": {"message": "as the test wants"}}')
        elif isinstance(reply, bytes):
            self._send(200, reply)
        else:
            message = {"role": "assistant", "content": reply}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            whole = {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [choice],
            }
            self._send(200, json.dumps(reply if isinstance(reply, dict) else whole).encode())

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        try:
            self.wfile.write(content)
        except OSError:
            return  # the client has given up

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def judging(reply: Callable[[dict[str, Any]], Reply]) -> Iterator[JudgeServer]:
    """A server for as long as a block lasts."""
    with JudgeServer(reply) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
