"""The server of a classifier, over plain HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from served import call, served
from tiny import LABELS, write_classifier

from kgpt.commands import main
from kgpt.inference.classification import load_classifier
from kgpt.serving.label_http import create_label_app

PATH = "/v1/classify"
TEXTS = ["You won a prize", "Olá", ""]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_classifier(tmp_path_factory.mktemp("runs") / "labels")


@pytest.fixture(scope="module")
def classifier(run):
    return load_classifier(run)


@pytest.fixture(scope="module")
def url(classifier):
    with served(create_label_app(classifier, "labels", 2000, "secret")) as address:
        yield address


def ask(url, body, **changes):
    headers = {"Authorization": "Bearer secret", **changes}
    return call(url, PATH, body, headers=headers)


def test_texts_get_labels(url, classifier):
    status, answer = ask(url, {"input": TEXTS})
    assert status == 200 and answer["model"] == "labels"
    expected = [found.to_dict() for found in classifier.classify(TEXTS)]
    for found, right in zip(answer["results"], expected, strict=True):
        assert (found["text"], found["label"]) == (right["text"], right["label"])
        assert found["probabilities"] == pytest.approx(right["probabilities"], abs=1e-6)
        assert list(found["probabilities"]) == list(LABELS)
    assert ask(url, {"input": TEXTS[1]})[1]["results"][0]["text"] == TEXTS[1]
    assert ask(url, {"input": TEXTS, "threshold": 1.0})[1]["results"][0]["label"] is None
    assert call(url, "/health")[1] == {"status": "ok", "model": "labels"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"input": []}, 400),
        ({"input": [1]}, 400),
        ({"input": ["a"] * 1025}, 413),
        ({"input": "a", "threshold": 2}, 400),
        ({"input": "a", "heat": 2}, 400),
        ({"input": "x" * 3000}, 413),
        (b"no json", 400),
    ],
)
def test_bad_requests_get_an_error_of_the_api(url, body, status):
    found, answer = ask(url, body)
    assert found == status and answer["error"]["message"]


def test_key_and_kind_are_asked_for(url):
    assert ask(url, {"input": "a"}, Authorization="Bearer no")[0] == 401
    assert ask(url, b'{"input": "a"}', **{"Content-Type": "text/plain"})[0] == 415


def test_the_command_serves_it_until_a_signal(run):
    command = [sys.executable, "-m", "kgpt", "serve", str(run.path), "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        line = next(line for line in process.stderr if line.startswith("Serving"))
        address = line.split()[3]
        status, answer = call(address, PATH, {"input": "Oi"})
        assert status == 200 and answer["results"][0]["label"] in LABELS
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_options_about_writing_are_refused(run, capsys):
    for options in (("--decoder", "litert"), ("--streams", "2"), ("--max-tokens", "9")):
        assert main(["serve", str(run.path), *options]) == 2
        assert f"{options[0]} is about writing" in capsys.readouterr().err
