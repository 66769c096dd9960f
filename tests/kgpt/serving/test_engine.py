"""The engine as its clients see it: a child process that speaks JSON lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny import LABELS, TEXT, write_chat, write_classifier

GREEDY = {"temperature": 0, "max_tokens": 120}


class Client:
    """An engine process, and the messages to and from it."""

    def __init__(self, saved_models: Path) -> None:
        command = [sys.executable, "-m", "kgpt.serving.engine", "--saved-models", str(saved_models)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        self.ready = self.receive()

    def send(self, kind: str, /, **fields) -> None:
        self.send_line(json.dumps({"type": kind, **fields}).encode())

    def send_line(self, line: bytes) -> None:
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def receive(self) -> dict:
        return json.loads(self.process.stdout.readline())

    def ask(self, kind: str, /, **fields) -> list[dict]:
        """Send, and collect the replies up to the one that is neither progress nor a token."""
        self.send(kind, **fields)
        replies = [self.receive()]
        while replies[-1]["type"] in ("loading", "token"):
            replies.append(self.receive())
        return replies

    def has_mapped(self, library: str) -> bool:
        return library in Path(f"/proc/{self.process.pid}/maps").read_text()


@pytest.fixture(scope="module")
def client(tiny_run):
    engine = Client(tiny_run.path.parent)
    yield engine
    engine.process.kill()
    engine.process.wait()
    engine.process.stdin.close()
    engine.process.stdout.close()


@pytest.fixture(scope="module")
def loaded(client):
    client.loading = client.ask("load", id=1, slot="a", run="tiny", checkpoint="best")
    return client


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads /proc")
def test_it_is_ready_and_tokenizes_before_tensorflow_is_there(client):
    assert client.ready["type"] == "ready"
    assert {"kgpt", "keras", "python"} <= client.ready["versions"].keys()
    (tokens,) = client.ask("tokenize", id="t", run="tiny", text="maçã")
    assert tokens == {
        "type": "tokens",
        "id": "t",
        "ids": list("maçã".encode()),
        "bytes_hex": [f"{byte:02x}" for byte in "maçã".encode()],
    }
    (back,) = client.ask("detokenize", id="d", run="tiny", ids=tokens["ids"])
    assert (back["text"], back["bytes_hex"]) == ("maçã", "maçã".encode().hex())
    assert not client.has_mapped("tensorflow")


def test_generate_before_load_is_an_error(client):
    (error,) = client.ask("generate", id=0, slot="b", prompt="", options={})
    assert (error["type"], error["id"]) == ("error", 0)
    assert "'b'" in error["message"]


def test_a_load_reports_and_tells_what_it_loaded(loaded, tiny_model):
    *progress, done = loaded.loading
    assert progress
    assert all(reply["type"] == "loading" and reply["stage"] for reply in progress)
    assert done == {
        "type": "loaded",
        "id": 1,
        "slot": "a",
        "run": "tiny",
        "step": 10,
        "parameters": tiny_model.count_params(),
        "context_length": 128,
        "vocabulary_size": 257,
        "layers": 1,
        "heads": 4,
        "end_of_text": 256,
        "answers": False,
    }


def test_attention_weights_are_the_model_s_and_load_keras_when_asked_for(loaded, tiny_model):
    if Path("/proc/self/maps").exists():
        assert not loaded.has_mapped("tensorflow")
    text = "Olá, coração"
    for head in (0, 3):
        reply = loaded.ask("attention", id="w", slot="a", text=text, layer=0, head=head)[-1]
        assert (reply["type"], reply["layer"], reply["head"]) == ("attention", 0, head)
        assert bytes.fromhex("".join(reply["bytes_hex"])) == text.encode()
        expected = np.asarray(tiny_model.attention_weights(np.array([reply["ids"]]), 0))[0, head]
        assert [len(row) for row in reply["weights"]] == list(range(1, len(reply["ids"]) + 1))
        for place, row in enumerate(reply["weights"]):
            np.testing.assert_allclose(row, expected[place, : place + 1], atol=2e-6)
    for wrong in ({"layer": 1}, {"head": 4}, {"text": "x" * 129}, {"slot": "nobody"}):
        fields = {"slot": "a", "text": text, "layer": 0, "head": 0, **wrong}
        assert loaded.ask("attention", id="w", **fields)[-1]["type"] == "error"


def test_attention_of_all_heads_and_rolled_out(loaded, tiny_model):
    from kgpt.inference.attention_reading import attention_matrix

    text = "Olá, coração"
    for kind, layer, head in (
        ("weights", "all", 2),
        ("weights", 0, "all"),
        ("rollout", "all", "all"),
    ):
        reply = loaded.ask(
            "attention", id="w", slot="a", text=text, kind=kind, layer=layer, head=head
        )[-1]
        assert (reply["kind"], reply["layer"], reply["head"]) == (kind, layer, head)
        numbers = [None if which == "all" else which for which in (layer, head)]
        expected = attention_matrix(tiny_model, reply["ids"], kind, *numbers)
        for place, row in enumerate(reply["weights"]):
            np.testing.assert_allclose(row, expected[place, : place + 1], atol=2e-6)
        content = bytes.fromhex("".join(reply["bytes_hex"]))
        assert [content[first:end].decode() for first, end in reply["words"]] == [
            "Olá",
            ",",
            " coração",
        ]
    for wrong in ({"kind": "gradient"}, {"layer": "some"}, {"head": -1}):
        error = loaded.ask("attention", id="w", slot="a", text=text, **wrong)[-1]
        assert error["type"] == "error"


def test_ablation_of_each_word_before_a_place(loaded, tiny_model):
    from kgpt.inference.ablation import ablate

    text = "Olá, coração! A maçã"
    at = len("Olá, coração!".encode()) - 1
    reply = loaded.ask("ablate", id="w", slot="a", text=text, place=at)[-1]
    assert (reply["type"], reply["place"], reply["is_in_text"]) == ("ablation", at, True)
    assert bytes.fromhex(reply["token_bytes_hex"]) == b" "
    assert len(reply["words"]) == 4 == len(reply["without"])
    expected = ablate(tiny_model, reply["ids"][: at + 1], reply["words"], 256, reply["token"])
    np.testing.assert_allclose(reply["without"], expected.without, rtol=1e-3)
    np.testing.assert_allclose(reply["probability"], expected.probability, rtol=1e-3)
    last = loaded.ask("ablate", id="w", slot="a", text=text, place=len(text.encode()) - 1)[-1]
    assert not last["is_in_text"] and last["probability"] > 0.5
    for wrong in ({"place": len(text.encode())}, {"place": -1}, {"text": 3}):
        assert (
            loaded.ask("ablate", id="w", **{"slot": "a", "text": text, **wrong})[-1]["type"]
            == "error"
        )


def test_a_generation_streams_and_ends(loaded):
    *tokens, done = loaded.ask(
        "generate", id="g", slot="a", prompt="", options=GREEDY, alternatives=3
    )
    assert "".join(reply["text"] for reply in tokens) == TEXT == done["text"]
    assert bytes.fromhex("".join(reply["bytes_hex"] for reply in tokens)) == TEXT.encode()
    assert all(reply["id"] == "g" and "\ufffd" not in reply["text"] for reply in tokens)
    assert all(0 < reply["probability"] <= 1 for reply in tokens)
    for reply in tokens:
        assert reply["alternatives"][0]["token"] == reply["token"]  # greedy
        assert len(reply["alternatives"]) == 3
    assert (done["reason"], done["tokens"]) == ("end_of_text", len(tokens))
    assert 0 < done["seconds_to_first_token"] < done["seconds"]


def test_a_prompt_of_ids_is_continued_as_it_is(loaded):
    begin, text_of = list("Olá, cora".encode()), lambda replies: replies[-1]["text"]
    by_ids = loaded.ask("generate", id="i", slot="a", ids=begin, options=GREEDY)
    by_text = loaded.ask("generate", id="p", slot="a", prompt="Olá, cora", options=GREEDY)
    assert text_of(by_ids) == text_of(by_text) == TEXT.removeprefix("Olá, cora")
    half_a_character = [*begin, "ç".encode()[0]]
    replies = loaded.ask("generate", id="h", slot="a", ids=half_a_character, options=GREEDY)
    rest = bytes.fromhex("".join(reply["bytes_hex"] for reply in replies[:-1]))
    assert bytes(half_a_character) + rest == TEXT.encode()
    for wrong in (["1"], [True], [257], [-1], [1] * 129, "12"):
        error = loaded.ask("generate", id="w", slot="a", ids=wrong, options=GREEDY)[-1]
        assert (error["type"], error["id"]) == ("error", "w"), wrong


def test_options_reach_the_generation(loaded):
    *tokens, done = loaded.ask(
        "generate", id=5, slot="a", prompt="Olá", options={**GREEDY, "stop": ["ção"]}
    )
    assert (done["reason"], done["text"]) == ("stop", ", cora")
    assert all(reply["alternatives"] == [] for reply in tokens)


def test_a_cancel_takes_effect_at_once(loaded):
    endless = {"temperature": 5.0, "max_tokens": 10**9, "seed": 1}
    for _ in range(20):  # until no early end of text spoils it
        loaded.send("generate", id="long", slot="a", prompt="", options=endless)
        if [loaded.receive()["type"] for _ in range(5)] == ["token"] * 5:
            break
        endless["seed"] += 1
    loaded.send("cancel", id="c", request="long")
    start, late = time.monotonic(), 0
    while (reply := loaded.receive())["type"] == "token":
        late += 1
    assert (reply["type"], reply["id"], reply["reason"]) == ("done", "long", "cancelled")
    assert reply["tokens"] == 5 + late
    assert late <= 10  # on their way when the cancel was sent
    assert time.monotonic() - start < 2


def test_a_cancel_reaches_a_request_that_waits(loaded):
    loaded.send("generate", id="first", slot="a", prompt="", options=GREEDY)
    loaded.send("generate", id="second", slot="a", prompt="", options=GREEDY)
    loaded.send("cancel", request="second")
    replies = [loaded.receive()]
    while replies[-1].get("id") != "second":
        replies.append(loaded.receive())
    assert (replies[-1]["type"], replies[-1]["reason"]) == ("done", "cancelled")
    assert replies[-1]["tokens"] == 0
    assert replies[-2]["reason"] == "end_of_text"


def test_two_models_at_once_and_a_failed_load_leaves_them(loaded):
    assert loaded.ask("load", id=2, slot="b", run="tiny", checkpoint="10")[-1]["type"] == "loaded"
    (error,) = loaded.ask("load", id=3, slot="a", run="tiny", checkpoint="99")
    assert (error["type"], error["id"]) == ("error", 3)
    assert "99" in error["message"]
    for slot in ("a", "b"):
        done = loaded.ask("generate", id=slot, slot=slot, prompt="Olá", options=GREEDY)[-1]
        assert done["text"] == TEXT.removeprefix("Olá")


@pytest.mark.parametrize(
    ("line", "request_id"),
    [
        (b"no JSON", None),
        (b"\xff\xfe\x00", None),
        (b"[1, 2]", None),
        (b'{"id": 7}', None),
        (b"[" * 100_000, None),
        (b'{"type": "fly", "id": 7}', 7),
        (b'{"type": "load", "id": 7, "slot": "c", "run": "nowhere"}', 7),
        (b'{"type": "load", "id": 7, "slot": "c", "run": "a\\u0000b"}', 7),
        (b'{"type": "load", "id": 7, "slot": 1, "run": "tiny"}', 7),
        (b'{"type": "load", "id": [], "slot": "c", "run": "tiny"}', None),
        (b'{"type": "generate", "id": NaN, "slot": "a"}', None),
        (b'{"type": "generate", "id": 7, "slot": "a", "prompt": 3}', 7),
        (b'{"type": "generate", "id": 7, "slot": "a", "prompt": "\\ud800"}', 7),
        (b'{"type": "generate", "id": 7, "slot": "a", "prompt": "", "options": 1}', 7),
        (b'{"type": "generate", "id": 7, "slot": "a", "prompt": "", "options": {"heat": 1}}', 7),
        (b'{"type": "generate", "id": 7, "slot": "a", "prompt": "", "options": {"top_p": 2}}', 7),
        (b'{"type": "generate", "id": 7, "slot": "a", "prompt": "", "alternatives": -1}', 7),
        (b'{"type": "tokenize", "id": 7, "run": "nowhere", "text": "a"}', 7),
        (b'{"type": "tokenize", "id": 7, "data": "nowhere", "text": "a"}', 7),
        (b'{"type": "detokenize", "id": 7, "run": "tiny", "ids": [999]}', 7),
        (b'{"type": "detokenize", "id": 7, "run": "tiny", "ids": "abc"}', 7),
        (b'{"type": "cancel", "id": 7, "request": {}}', None),
    ],
)
def test_bad_lines_get_an_error_and_nothing_ends(client, line, request_id):
    client.send_line(line)
    error = client.receive()
    assert (error["type"], error["id"]) == ("error", request_id)
    assert error["title"]
    assert error["message"]


def test_a_line_that_is_too_long_is_refused_and_read_over(client):
    client.send_line(b'{"type": "tokenize", "text": "' + b"x" * (17 * 1024 * 1024) + b'"}')
    assert client.receive()["title"] == "Message too long"
    assert client.ask("tokenize", id=8, run="tiny", text="a")[0]["ids"] == [97]


def test_a_prompt_that_is_too_long_is_an_error_with_both_numbers(loaded):
    (error,) = loaded.ask("generate", id=1, slot="a", prompt="x" * 200, options={})
    assert "128" in error["message"]
    assert "200" in error["message"]


def run_engine(lines: bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "kgpt.serving.engine"]
    environment = {**os.environ, **environment}
    return subprocess.run(command, input=lines, capture_output=True, timeout=60, env=environment)


def test_the_end_of_the_input_ends_it_after_what_was_asked(tiny_run):
    line = json.dumps({"type": "tokenize", "id": 1, "run": str(tiny_run.path), "text": "ab"})
    ended = run_engine(line.encode())
    replies = [json.loads(row) for row in ended.stdout.splitlines()]
    assert [reply["type"] for reply in replies] == ["ready", "tokens"]
    assert ended.returncode == 0


def test_quit_ends_it_at_once():
    ended = run_engine(b'{"type": "quit"}\n{"type": "tokenize"}\n')
    assert ended.returncode == 0
    assert [json.loads(row)["type"] for row in ended.stdout.splitlines()] == ["ready"]


def test_stray_prints_go_to_the_log_and_not_into_the_protocol():
    code = (
        "import sys, kgpt.serving.engine as engine, kgpt.runs as runs;"
        "engine.find_run = lambda *_: print('stray') or runs.find_run(*_);"
        "sys.argv = ['engine']; engine.main()"
    )
    line = b'{"type": "load", "id": 1, "slot": "a", "run": "nowhere"}'
    ended = subprocess.run(
        [sys.executable, "-c", code], input=line, capture_output=True, timeout=60
    )
    assert [json.loads(row)["type"] for row in ended.stdout.splitlines()] == ["ready", "error"]
    assert b"stray" in ended.stderr


def test_a_classifier_labels_and_what_writes_does_not(client, tiny_run):
    from kgpt.inference.classification import load_classifier

    run = write_classifier(tiny_run.path.parent / "labels")
    loaded = client.ask("load", id=1, slot="l", run="labels")[-1]
    assert (loaded["type"], loaded["labels"], loaded["step"]) == ("loaded", list(LABELS), 10)
    texts = ["You won a prize", "Olá", ""]
    (reply,) = client.ask("classify", id=2, slot="l", texts=texts)
    assert (reply["type"], reply["id"]) == ("labels", 2)
    for found, expected in zip(reply["results"], load_classifier(run).classify(texts), strict=True):
        assert (found["text"], found["label"]) == (expected.text, expected.label)
        assert found["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)
    (error,) = client.ask("generate", id=3, slot="l", prompt="Oi")
    assert (
        error["title"] == "A classifier writes no text" and "kgpt classify labels" in error["hint"]
    )
    (error,) = client.ask("attention", id=4, slot="l", text="Oi")
    assert error["title"] == "A classifier writes no text"
    client.ask("load", id=5, slot="w", run="tiny")
    (error,) = client.ask("classify", id=6, slot="w", texts=texts)
    assert error["title"] == "No classifier" and "kgpt finetune classify tiny" in error["hint"]
    for wrong in ("text", [1], None, ["\ud800"]):
        (error,) = client.ask("classify", id=7, slot="l", texts=wrong)
        assert (error["type"], error["id"]) == ("error", 7)


def test_a_conversation_is_answered_by_a_run_that_was_tuned_for_it(client, tiny_run, tmp_path):
    from kgpt.inference.chat import load_chat
    from kgpt.protocol import GenerateOptions
    from kgpt.text.conversations import turns_of

    run = write_chat(tmp_path / "chat")
    loaded = client.ask("load", slot="c", run=str(run.path), decoder="litert")[-1]
    assert loaded["answers"] is True
    messages = [{"role": "system", "content": "x"}, {"role": "user", "content": "Oi"}]
    options = {"max_tokens": 8, "temperature": 0}
    *tokens, done = client.ask("generate", slot="c", messages=messages, options=options)
    chat = load_chat(run, decoder="litert")
    pieces = list(chat.answer(turns_of(messages), GenerateOptions(**options)))
    assert [token["token"] for token in tokens] == [piece.token for piece in pieces]
    assert done["text"] == "".join(piece.text for piece in pieces)
    wrong = client.ask("generate", slot="c", messages=[{"role": "oracle", "content": "x"}])[-1]
    assert (wrong["type"], wrong["title"]) == ("error", "Not a conversation")
    assert client.ask("load", slot="t", run=tiny_run.name)[-1]["answers"] is False
    refused = client.ask("generate", slot="t", messages=messages)[-1]
    assert refused["title"] == "Not tuned to answer"
