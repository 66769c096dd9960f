"""The server under load: tokens a second of one client, and of many at once.

    python -m benchmarks.serving RUN [--clients 32] [--tokens 100] [--rounds 3]

Starts `kgpt serve RUN` and asks from threads of this process, which share the machine with it. Rounds of one client and
of many alternate; each is measured as the median of its rounds.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

PROMPTS = ("Era uma vez", "A capital", "No dia seguinte", "O rio", "Quando ela chegou", "Por fim,")


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", metavar="RUN")
    parser.add_argument("--saved-models", metavar="DIR", default="saved_models")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--decoder", default="auto")
    args = parser.parse_args(arguments or None)
    command = [sys.executable, "-m", "kgpt", "serve", args.name, "--port", "0"]
    command += ["--saved-models", args.saved_models, "--decoder", args.decoder]
    command += ["--streams", str(args.clients)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            port = _port(server)
            alone, together = [], []
            _rate(port, 1, args.tokens)
            _rate(port, args.clients, args.tokens)
            for _ in range(args.rounds):
                alone.append(_rate(port, 1, args.tokens))
                together.append(_rate(port, args.clients, args.tokens))
        finally:
            server.terminate()
    one, many = statistics.median(alone), statistics.median(together)
    print(f"1 client      {one:8.0f} tokens/s")
    print(f"{args.clients} clients    {many:8.0f} tokens/s   {many / one:.1f} x")


def _port(server: subprocess.Popen[str]) -> int:
    for line in server.stderr or ():
        if found := re.search(r"Serving .*:(\d+) ", line):
            return int(found[1])
    raise SystemExit("The server did not start.")


def _rate(port: int, clients: int, tokens: int) -> float:
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        written = sum(pool.map(lambda index: _ask(port, index, tokens), range(clients)))
    return written / (time.perf_counter() - start)


def _ask(port: int, index: int, tokens: int) -> int:
    body = {"prompt": PROMPTS[index % len(PROMPTS)], "max_tokens": tokens, "seed": index}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/v1/completions", json.dumps(body), headers)
    answer = json.load(connection.getresponse())
    return int(answer["usage"]["completion_tokens"])


if __name__ == "__main__":
    main()
