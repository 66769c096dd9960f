"""`kgpt serve` as a process."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest


def command(tiny_run, *arguments):
    start = [sys.executable, "-m", "kgpt", "serve", "tiny", "--saved-models"]
    return [*start, str(tiny_run.path.parent), *arguments]


@pytest.fixture
def server(tiny_run):
    arguments = command(tiny_run, "--port", "0", "--json", "--max-tokens", "5000")
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdout=pipe, stderr=pipe, text=True) as process:
        for line in process.stderr:
            if found := re.search(r"Serving tiny at (http://\S+)", line):
                process.url = found[1]
                break
        yield process
        process.kill()


def ask(url, **body):
    content = json.dumps(body).encode()
    request = urllib.request.Request(
        f"{url}/v1/completions", content, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_what_is_written(server, number):
    answers = []
    endless = {"prompt": "a", "max_tokens": 3000, "logit_bias": {"256": -100}}
    client = threading.Thread(target=lambda: answers.append(ask(server.url, **endless)))
    client.start()
    for _ in range(1000):
        with urllib.request.urlopen(f"{server.url}/metrics") as counts:
            if "kgpt_texts_running 1.0" in counts.read().decode():
                break
    else:
        pytest.fail("nothing is being written")
    server.send_signal(number)
    output, errors = server.communicate(timeout=60)
    client.join()
    assert answers[0]["usage"]["completion_tokens"] == 3000
    assert server.returncode == 0, errors
    result = json.loads(output.splitlines()[-1])
    assert result["tokens"] == 3000
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--port", "70000"), "0 to 65535"),
        (("--streams", "0"), "--streams"),
        (("--seconds", "nan"), "--seconds"),
        (("--host", "256.1.1.1", "--port", "0"), "Cannot listen"),
        (("--checkpoint", "77"), "77"),
    ],
)
def test_bad_arguments(tiny_run, arguments, says):
    done = subprocess.run(
        command(tiny_run, *arguments), capture_output=True, text=True, check=False
    )
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use(tiny_run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            command(tiny_run, "--port", port), capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert "--port" in done.stderr
