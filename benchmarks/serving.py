"""The server under load: tokens a second of one client, and of many at once.

    python -m benchmarks.serving [RUN] [--clients 32] [--tokens 100] [--seconds 10] [--rounds 3] [--stream]

Starts `kgpt serve RUN` and asks from threads of this process, which share the machine with it; a client asks again as
soon as it has its answer. Without RUN the model has 6 layers, 384 channels, a context of 256 tokens, 8,192 ids and
random weights. Rounds of one client and of many alternate; the ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.random_run import random_run

SHAPE = {"layers": 6, "heads": 6, "width": 384, "context": 256, "ids": 8192}
PROMPTS = ("Era uma vez", "A capital", "No dia seguinte", "O rio", "Quando ela chegou", "Por fim,")


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", metavar="RUN", nargs="?")
    parser.add_argument("--saved-models", metavar="DIR", default="saved_models")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--decoder", default="auto")
    parser.add_argument("--stream", action="store_true", help="ask for server-sent events")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        if args.name is None:
            args.name, args.saved_models = "small", folder
            random_run(Path(folder) / args.name, **SHAPE)
        _measure(args)


def _measure(args: argparse.Namespace) -> None:
    command = [sys.executable, "-m", "kgpt", "serve", args.name, "--port", "0"]
    command += ["--saved-models", args.saved_models, "--decoder", args.decoder]
    command += ["--streams", str(args.clients)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            port = _port(server)
            alone, together = [], []
            for _ in range(1 + args.rounds):
                alone.append(_rate(port, 1, args))
                together.append(_rate(port, args.clients, args))
        finally:
            server.terminate()
    alone, together = alone[1:], together[1:]  # the first round warms up
    ratio = statistics.median(many / one for one, many in zip(alone, together, strict=True))
    print(f"1 client      {statistics.median(alone):8.0f} tokens/s")
    print(f"{args.clients} clients    {statistics.median(together):8.0f} tokens/s   {ratio:.1f} x")


def _port(server: subprocess.Popen[str]) -> int:
    for line in server.stderr or ():
        if found := re.search(r"Serving .*:(\d+) ", line):
            return int(found[1])
    raise SystemExit("The server did not start.")


def _rate(port: int, clients: int, args: argparse.Namespace) -> float:
    """Tokens a second of the server, by its own count, between two moments in which all clients are at it."""
    end = time.monotonic() + args.seconds + 2

    def keep_asking(index: int) -> None:
        while time.monotonic() < end:
            _ask(port, index, args)

    with ThreadPoolExecutor(clients) as pool:
        done = [pool.submit(keep_asking, index) for index in range(clients)]
        time.sleep(1)
        first, start = _written(port), time.perf_counter()
        time.sleep(args.seconds)
        rate = (_written(port) - first) / (time.perf_counter() - start)
        for each in done:
            each.result()
    return rate


def _written(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return float(re.search(r"^kgpt_tokens_total (\S+)", answer.read().decode(), re.M)[1])


def _ask(port: int, index: int, args: argparse.Namespace) -> None:
    body: dict[str, Any] = {"prompt": PROMPTS[index % len(PROMPTS)], "max_tokens": args.tokens}
    body["seed"] = index
    if args.stream:
        body["stream"] = True
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/v1/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    if answer.status != http.HTTPStatus.OK:
        raise SystemExit(f"The server answered {answer.status}: {answer.read().decode()}")
    answer.read()


if __name__ == "__main__":
    main(sys.argv[1:])
