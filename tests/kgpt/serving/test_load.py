"""The server under many clients at once, some of whom leave before their answer."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time

import pytest
from served import call, served
from tiny import TEXT

from kgpt.inference.generation import load_generator
from kgpt.serving.http import create_app
from kgpt.serving.service import Limits

PATH = "/v1/completions"


def load(url, seconds, clients=32):
    """Requests of many clients, some of which leave; what went wrong."""
    end, wrong, done = time.monotonic() + seconds, [], [0, 0]

    def work(number):
        chance = random.Random(number)
        while time.monotonic() < end:
            start = chance.randrange(20)
            body = {"prompt": TEXT[start : start + 10], "max_tokens": 60, "temperature": 0}
            is_stream = chance.random() < 0.5
            try:
                if chance.random() < 0.3:
                    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
                    headers = {"Content-Type": "application/json"}
                    connection.request(
                        "POST", PATH, json.dumps({**body, "stream": is_stream}), headers
                    )
                    time.sleep(chance.random() / 20)
                    connection.close()
                    done[1] += 1
                else:
                    status, answer = call(url, PATH, body)
                    if status != 200 or answer["choices"][0]["text"] != texts[start]:
                        wrong.append((status, answer))
                    done[0] += 1
            except Exception as error:
                wrong.append(error)

    texts = {}
    for start in range(20):
        body = {"prompt": TEXT[start : start + 10], "max_tokens": 60, "temperature": 0}
        texts[start] = call(url, PATH, body)[1]["choices"][0]["text"]
    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong, done


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.parametrize(
    "seconds", [20, pytest.param(600, marks=pytest.mark.long)], ids=["short", "long"]
)
def test_many_clients_some_of_which_leave(tiny_run, seconds):
    generator = load_generator(tiny_run, decoder="litert")
    app = create_app(generator, "tiny", Limits(streams=32, waiting=64))
    with served(app) as url:
        load(url, 3)
        before = resident_bytes()
        wrong, (answered, left) = load(url, seconds)
        counts = app.state.service.batcher.counts
        assert wrong == []
        assert answered > 5 * seconds
        assert left > seconds
        time.sleep(0.5)
        batcher = app.state.service.batcher
        assert (batcher.running, batcher.waiting) == (0, 0)
        assert counts.cancelled > 0
        assert resident_bytes() - before < 64e6
