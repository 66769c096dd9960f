"""The judge beside a real HTTP server."""

from __future__ import annotations

import itertools
import socket
import time
from pathlib import Path

import pytest

pytest.importorskip("openai")

from judge_server import judging

from kgpt.errors import KgptError, KgptFailure
from kgpt.evaluation.judge import RUBRIC, Judge, read_rubric, read_score
from kgpt.evaluation.writing import Sample

SAMPLES = [Sample(f"Era {number}", f" vez {number}", (1,), (2,)) for number in range(6)]


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ('{"score": 73}', 73),
        ('Sure!\n```json\n{"reason": "good", "score": "81.5"}\n```', 81.5),
        ('{"score": 10} no, {"score": 20}', 20),
        ("Score: 64", 64),
        ("**Score:** 64/100", 64),
        ("A nota é 55", None),
        ("Nota: 55,5", 55.5),
        ("90", 90),
        ("90/100.", 90),
        (" 7 % ", 7),
        ("0", 0),
        ("100", 100),
        ("101", None),
        ("Score: 300", None),
        ('{"score": -1}', None),
        ('{"score": null}', None),
        ('{"score": true}', None),
        ("I would say it is quite good, in 2 ways.", None),
        ("", None),
        ("{" * 2000, None),
    ],
)
def test_scores_in_replies(reply, score):
    assert read_score(reply) == score


def test_each_sample_is_judged_by_the_rubric(monkeypatch):
    monkeypatch.setenv("KGPT_JUDGE_KEY", "secret")
    with judging(
        lambda body: f'{{"score": {body["messages"][0]["content"].count("vez 3") * 50}}}'
    ) as server:
        scores = Judge(server.url, "wise", "Be strict.").scores(SAMPLES)
    assert scores == [0, 0, 0, 50, 0, 0]
    assert set(server.keys) == {"Bearer secret"}
    body = next(body for body in server.bodies if "vez 3" in body["messages"][0]["content"])
    assert body["model"] == "wise" and body["temperature"] == 0
    assert (
        "Be strict." in body["messages"][0]["content"] and "Era 3" in body["messages"][0]["content"]
    )


def test_a_reply_without_a_score_is_asked_for_again():
    asked = itertools.count()
    with judging(lambda body: "Lovely!" if next(asked) < 2 else "Score: 40") as server:
        assert Judge(server.url, "m").scores(SAMPLES[:1]) == [40]
    assert [len(body["messages"]) for body in server.bodies] == [1, 3, 3]
    with judging(lambda body: "Lovely!") as server:
        assert Judge(server.url, "m").scores(SAMPLES[:2]) == [None, None]
    assert len(server.bodies) == 6


@pytest.mark.parametrize(
    "reply", [{"choices": []}, {"choices": [{"message": {"content": None}}]}, {}]
)
def test_a_reply_without_a_text_is_no_score(reply):
    with judging(lambda body: reply) as server:
        assert Judge(server.url, "m").scores(SAMPLES[:1]) == [None]


def test_a_busy_server_is_tried_again():
    asked = itertools.count()
    with judging(lambda body: 503 if next(asked) == 0 else "5") as server:
        assert Judge(server.url, "m").scores(SAMPLES[:1]) == [5]


def test_a_reply_that_is_no_json():
    with judging(lambda body: b"<html>") as server:
        with pytest.raises(KgptError) as caught:
            Judge(server.url, "m").scores(SAMPLES[:1])
    assert server.url in caught.value.message


def test_a_server_that_always_fails():
    with judging(lambda body: 500) as server:
        with pytest.raises(KgptFailure, match="Judge not reached"):
            Judge(server.url, "m").scores(SAMPLES)


def test_a_server_that_refuses_the_key():
    with judging(lambda body: 401) as server:
        with pytest.raises(KgptError, match="KGPT_JUDGE_KEY") as caught:
            Judge(server.url, "m").scores(SAMPLES)
    assert caught.value.exit_code == 2


def test_a_server_that_does_not_answer():
    with judging(lambda body: 5.0) as server:
        start = time.monotonic()
        with pytest.raises(KgptFailure, match="timed out"):
            Judge(server.url, "m", timeout=0.2).scores(SAMPLES[:1])
        assert time.monotonic() - start < 4.5


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    judge = Judge(f"http://127.0.0.1:{port}/v1", "m")
    with pytest.raises(KgptFailure, match="Judge not reached"):
        judge.check()
    with judging(lambda body: "1") as server:
        Judge(server.url, "m").check()


def test_no_address():
    with pytest.raises(KgptError, match="Bad address"):
        Judge("localhost:8000", "m").check()


def test_rubrics(tmp_path: Path):
    (tmp_path / "mine.txt").write_text(" Only rhymes count.\n")
    assert read_rubric(str(tmp_path / "mine.txt")) == "Only rhymes count."
    assert read_rubric(None) == RUBRIC
    (tmp_path / "empty.txt").write_text("\n")
    for name in ("empty.txt", "nowhere.txt"):
        with pytest.raises(KgptError, match=name):
            read_rubric(str(tmp_path / name))
