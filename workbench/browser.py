"""The workbench in a browser: one process of it for each page that is open, drawn by textual-serve.

In: a folder of runs and a port. Out: pages on this machine alone. Whoever reaches the port can start and delete
runs, so the server listens on the loopback address and answers only pages that it has served itself: another site that
is open in the same browser can send requests here too, and is refused. Needs the extra `web`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiohttp import web
from textual_serve.server import Server

from kgpt.errors import KgptError
from kgpt.language import _

ADDRESS = "127.0.0.1"
TITLE = "kgpt-workbench"
TEMPLATES = Path(__file__).with_name("web")


def serve(arguments: Sequence[str], port: int) -> int:
    """Serve `kgpt-workbench ARGUMENTS` until Ctrl-C; the exit code.

    Raises:
        KgptError: the port is in use, or may not be used.
    """
    server = WorkbenchServer(shlex.join([sys.executable, "-m", "workbench", *arguments]), port)
    try:
        server.serve()
    except OSError as error:
        in_use, unusable = (
            _("Port {port} is in use", port=port),
            _("Port {port} cannot be used", port=port),
        )
        other = port + 1 if port < 65535 else 8080
        raise KgptError(
            in_use if error.errno == errno.EADDRINUSE else unusable,
            os.strerror(error.errno) if error.errno else str(error),
            _("Choose another: kgpt-workbench --web --port {port}", port=other),
        ) from None
    return 0


class WorkbenchServer(Server):
    """textual-serve's server with a page of our own, which asks nothing of other machines."""

    def __init__(self, command: str, port: int) -> None:
        super().__init__(
            command, host=ADDRESS, port=port, title=TITLE, templates_path=str(TEMPLATES)
        )
        self._visits: set[asyncio.Task[Any]] = set()

    def initialize_logging(self) -> None:
        """Say what goes wrong, and nothing else."""
        logging.basicConfig(level=logging.WARNING, format="%(message)s")

    def serve(self, debug: bool = False) -> None:
        """Serve until a signal ends it. textual-serve's own says where before anything listens there."""
        self.debug = debug
        self.initialize_logging()
        loop = asyncio.new_event_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.request_exit)
        web.run_app(
            self._make_app(),
            host=self.host,
            port=self.port,
            handle_signals=False,
            loop=loop,
            print=self._say_where,
        )

    async def on_startup(self, app: web.Application) -> None:
        """Nothing yet."""

    def _say_where(self, *_lines: str) -> None:
        text = _("The workbench is at {address}   (Ctrl-C ends it)", address=self.public_url)
        print(text, flush=True)

    async def on_shutdown(self, app: web.Application) -> None:
        """Close the pages that are open: each ends its workbench."""
        visits = [visit for visit in self._visits if not visit.done()]
        for visit in visits:
            visit.cancel()
        await asyncio.gather(*visits, return_exceptions=True)

    async def handle_index(self, request: web.Request) -> Any:
        """The page."""
        self._check_origin(request)
        return await super().handle_index(request)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """What a page and its workbench say to each other."""
        self._check_origin(request)
        visit = asyncio.create_task(super().handle_websocket(request))
        self._visits.add(visit)
        try:
            return await visit
        finally:
            self._visits.discard(visit)

    def _check_origin(self, request: web.Request) -> None:
        """Refuse names that lead here and are not ours, and pages that come from elsewhere."""
        names = {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost")}
        origins = {f"http://{name}" for name in names}
        if (
            request.host not in names
            or request.headers.get("Origin", self.public_url) not in origins
        ):
            raise web.HTTPForbidden(text=_("This page answers its own address alone."))
