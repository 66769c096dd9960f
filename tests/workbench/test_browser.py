"""`kgpt-workbench --web`: the application in a real browser, and who may not reach it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fixture_runs as runs
import pytest
from chromium import needs_chromium, opened_page

from workbench import main


@contextlib.contextmanager
def served(root: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a workbench over `root`, and its server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "workbench", "--web", "--port", str(port), *options]
    with subprocess.Popen(
        [*command, "--saved-models", str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as server:
        try:
            line = server.stdout.readline() if server.stdout else ""
            assert f"http://127.0.0.1:{port}" in line
            yield f"127.0.0.1:{port}", server
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)


def status_of(address: str, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


async def arrived(received: list[str], text: str) -> None:
    """Wait until the server has sent a text to the page."""
    for _ in range(600):
        if text in "".join(received):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{text!r} never came")


@needs_chromium
async def test_the_workbench_is_drawn_and_hears_keys_and_mouse(root: Path) -> None:
    runs.a_finished(root)
    received: list[str] = []
    asked: list[str] = []

    def note(frame: Any) -> None:
        text = frame if isinstance(frame, str) else frame.decode(errors="replace")
        received.append(text)

    with served(root) as (address, server):
        async with opened_page(viewport={"width": 1200, "height": 700}) as page:
            page.on("request", lambda request: asked.append(request.url))
            page.on("websocket", lambda socket_: socket_.on("framereceived", note))
            await page.goto(f"http://{address}")
            await page.wait_for_selector("body.-first-byte")
            await arrived(received, "encyclopedia")
            before = await page.screenshot()
            received.clear()
            await page.keyboard.press("2")
            await arrived(received, "validation gap")
            assert await page.screenshot() != before, "what came is drawn"
            received.clear()
            await page.mouse.click(540, 10)  # the tabs lie in the first line
            await arrived(received, "machine")
            await page.keyboard.press("Control+q")
            await page.wait_for_selector("body.-closed .ended >> visible=true")
            assert page.problems == []
            hosts = {url.split("/")[2] for url in asked if url.startswith(("http", "ws"))}
            assert hosts == {address}, "nothing is asked of other machines"


@needs_chromium
async def test_ending_the_server_ends_what_it_has_opened(root: Path) -> None:
    with served(root, "--read-only") as (address, server):
        async with opened_page() as page:
            await page.goto(f"http://{address}")
            await page.wait_for_selector("body.-first-byte")
            started = time.monotonic()
            server.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(server.wait, 30) == 0
            assert time.monotonic() - started < 15
            await page.wait_for_selector("body.-closed")
        with pytest.raises(ProcessLookupError):  # nobody of its session is left
            os.killpg(server.pid, 0)


def test_other_sites_and_other_names_are_refused(root: Path) -> None:
    with served(root) as (address, _):
        port = address.partition(":")[2]
        assert status_of(address, "/") == 200
        assert status_of(f"localhost:{port}", "/") == 200
        assert status_of(address, "/", Host=f"evil.example:{port}") == 403
        for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
            assert status_of(address, "/ws", Origin=origin, **UPGRADE) == 403
        assert status_of(address, "/ws", Origin=f"http://{address}", **UPGRADE) == 101


def test_only_this_machine_is_served(root: Path) -> None:
    with served(root) as (address, _):
        port = int(address.partition(":")[2])
        others = {item[4][0] for item in socket.getaddrinfo(socket.gethostname(), None)}
        for host in others - {"127.0.0.1"}:
            with pytest.raises(OSError), socket.create_connection((host, port), timeout=2):
                pass


def test_a_port_in_use_is_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert main(["--web", "--port", str(port), "--saved-models", str(root)]) == 2
    assert f"Port {port} is in use" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--web", "--port", "0"], ["--web", "--port", "70000"]])
def test_no_such_port(root: Path, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*options, "--saved-models", str(root)]) == 2
    assert "1 to 65535" in capsys.readouterr().err


def test_a_port_without_a_page(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "8080", "--saved-models", str(root)]) == 2
    assert "--port goes with --web" in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(root: Path) -> None:
    script = (
        "import sys; sys.modules['textual_serve'] = None\n"
        f"from workbench import main; sys.exit(main(['--web', '--saved-models', {str(root)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install 'kgpt[web]'" in done.stderr
    assert len(done.stderr.splitlines()) == 3
