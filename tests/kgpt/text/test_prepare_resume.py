"""Preparation that is killed, interrupted or out of space goes on and ends as if nothing had happened."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from disk import full_disk

from kgpt.errors import KgptError, KgptFailure
from kgpt.text.prepare import prepare
from kgpt.text.workspace import work_folder

SCRIPT = """
import json, sys
from kgpt.text import encoding, gathering
from kgpt.text.prepare import prepare
if __name__ == "__main__":
    gathering.CHUNK_CHARACTERS, encoding.SYNC_SECONDS = 1 << 14, 0.0
    prepare(sys.argv[1:2], sys.argv[2], report=lambda line: print(line, flush=True), **json.loads(sys.argv[3]))
"""
"""Small chunks and a note after each, so that a short run has as many states as a long one."""
OPTIONS = {
    "vocabulary_size": 400,
    "documents": "line",
    "dedupe": "near",
    "clean": ["nfc"],
    "weights": {"corpus.txt": 1.5},
    "workers": 2,
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume")
    draw = random.Random(5)
    words = ["casa", "mar", "ação", "rio", "pão", "maçã", "céu", "flor", "Brasil", "noite", "sol"]
    lines = (" ".join(draw.choices(words, k=draw.randint(3, 30))) for _ in range(4000))
    (folder / "corpus.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder / "corpus.txt"


def start(corpus: Path, output: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(corpus), str(output), json.dumps(OPTIONS)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def content(folder: Path) -> dict[str, str]:
    """The sha256 of every file."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def uninterrupted(corpus: Path) -> tuple[dict[str, str], float]:
    """What comes out, and the seconds it takes."""
    output = corpus.parent / "uninterrupted"
    started = time.monotonic()
    process = start(corpus, output)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return content(output), time.monotonic() - started


def kill_at_random_moments(
    corpus: Path, uninterrupted: tuple[dict[str, str], float], kills: int, seed: int
) -> None:
    expected, seconds = uninterrupted
    draw = random.Random(seed)
    done = 0
    while done < kills:
        output = corpus.parent / f"killed-{seed}-{done}"
        while not output.exists() and done < kills:
            process = start(corpus, output)
            time.sleep(draw.uniform(0.1, 0.9) * seconds)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            done += 1
        process = start(corpus, output)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert content(output) == expected
        assert not work_folder(output).exists()


def test_killed_three_times(corpus: Path, uninterrupted: tuple[dict[str, str], float]) -> None:
    kill_at_random_moments(corpus, uninterrupted, 3, seed=1)


@pytest.mark.long
def test_killed_forty_times(corpus: Path, uninterrupted: tuple[dict[str, str], float]) -> None:
    kill_at_random_moments(corpus, uninterrupted, 40, seed=2)


def test_the_number_of_workers_changes_nothing(
    corpus: Path, uninterrupted: tuple[dict[str, str], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kgpt.text.gathering.CHUNK_CHARACTERS", 1 << 14)
    output = corpus.parent / "alone"
    prepare([corpus], output, **{**OPTIONS, "workers": 1})
    assert content(output) == uninterrupted[0]


@pytest.mark.parametrize("size", [10_000, 60_000, 100_000])
def test_a_full_disk_stops_and_room_goes_on(corpus: Path, tmp_path: Path, size: int) -> None:
    options = {**OPTIONS, "workers": 1, "tokenizer": "bytes"}
    expected = content(prepare([corpus], tmp_path / "whole", **options).folder)
    with pytest.raises(KgptFailure) as caught, full_disk(size):
        prepare([corpus], tmp_path / "out", **options)
    assert caught.value.exit_code == 1
    assert not (tmp_path / "out").exists()
    assert content(prepare([corpus], tmp_path / "out", **options).folder) == expected


def test_ctrl_c_keeps_the_work(corpus: Path, tmp_path: Path) -> None:
    notes: list[str] = []

    def interrupt(line: str) -> None:
        notes.append(line)
        if line == "Writing tokens":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare([corpus], tmp_path / "out", tokenizer="bytes", documents="line", report=interrupt)
    chunk = next(work_folder(tmp_path / "out").glob("chunks/*.arrow"))
    written = chunk.stat().st_mtime_ns
    seen: list[int] = []

    def look(line: str) -> None:
        if line == "Writing tokens":
            seen.append(chunk.stat().st_mtime_ns)

    prepare([corpus], tmp_path / "out", tokenizer="bytes", documents="line", report=look)
    assert seen == [written]


def test_a_file_that_was_being_written_at_a_kill_is_gone(tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    source.write_text("um\ndois\ntrês")
    corpus = work_folder(tmp_path / "out") / "corpus"

    def kill(line: str) -> None:
        if line == "Writing tokens":
            for name in (".manifest.json.0badcafe.tmp", "tokenizer/.merges.txt.0badcafe.tmp"):
                (corpus / name).parent.mkdir(exist_ok=True)
                (corpus / name).write_text("half")
            raise KeyboardInterrupt

    options = {"tokenizer": "bytes", "documents": "line"}
    with pytest.raises(KeyboardInterrupt):
        prepare([source], tmp_path / "out", report=kill, **options)
    assert (corpus / ".manifest.json.0badcafe.tmp").exists()
    prepare([source], tmp_path / "out", **options)
    assert not list((tmp_path / "out").rglob(".*"))


def test_changed_text_begins_anew(tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    source.write_text("um\ndois\ntrês")

    def interrupt(line: str) -> None:
        if line == "Writing tokens":
            raise KeyboardInterrupt

    options = {"tokenizer": "bytes", "documents": "line"}
    with pytest.raises(KeyboardInterrupt):
        prepare([source], tmp_path / "out", report=interrupt, **options)
    source.write_text("um\ndois\nquatro\ncinco")
    assert prepare([source], tmp_path / "out", **options).documents == 4


def test_a_mistake_in_the_text_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"text": "um"}\n{"text": \n')
    with pytest.raises(KgptError, match=r"bad\.jsonl"):
        prepare([tmp_path / "bad.jsonl"], tmp_path / "out", tokenizer="bytes")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.jsonl"]
