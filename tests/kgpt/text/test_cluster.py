"""Parts on a cluster: a Dask scheduler and workers of this machine, all of them processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from kgpt.errors import KgptError, KgptFailure
from kgpt.text import cluster, part_process
from kgpt.text.cluster import prepare_on_cluster
from kgpt.text.joining import join
from kgpt.text.part_process import Cancelled, PartTask, run_part
from kgpt.text.prepare import Progress, prepare
from kgpt.text.shards import SPLITS, Corpus
from kgpt.text.workspace import work_folder

OPTIONS: dict[str, Any] = {
    "documents": "line",
    "dedupe": "exact",
    "clean": ["min-length=12"],
    "weights": {"lines.txt": 2},
    "validation_fraction": 0.2,
    "seed": 3,
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A scheduler with two workers."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address=None
    ) as started:
        yield started.scheduler_address


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "lines.txt"
    texts = [f"linha {index % 252} {'mar ' * (index % 7)}fim" for index in range(300)]
    path.write_text("\n".join(texts), encoding="utf-8")
    return path


def by_hand(source: Path, folder: Path, count: int, **options: Any) -> Corpus:
    parts = [folder / f"by-hand-{index}" for index in range(1, count + 1)]
    for index, part in enumerate(parts, 1):
        prepare([source], part, shard=(index, count), workers=1, **options)
    return join(parts, folder / "by-hand")


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def same(one: Corpus, other: Corpus) -> bool:
    names = ("tokenizer_sha256", "counts", "cleaning", "skipped", "compression", "shards")
    return all(one.manifest[name] == other.manifest[name] for name in names)


def test_workers_on_this_machine(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source.parent)
    said: list[str] = []
    told: list[Progress] = []
    output = tmp_path / "corpus"
    call: dict[str, Any] = {"parts": 3, "vocabulary_size": 280, "report": said.append, **OPTIONS}
    made = prepare_on_cluster(
        ["lines.txt"], output, address="local:2", progress=told.append, **call
    )
    made.verify()
    assert made.manifest["vocabulary_size"] == 280
    assert same(made, by_hand(source, tmp_path, 3, tokenizer=made.folder, **OPTIONS))
    assert sorted(line.split(",")[0] for line in said if line.startswith("Part")) == [
        f"Part {index}/3 is there" for index in (1, 2, 3)
    ]
    assert told[-1].stage == "writing tokens"
    assert told[-1].tokens == made.train_tokens + made.validation_tokens
    assert told[-1].documents == made.documents
    assert not work_folder(output).exists()
    # It is what an ordinary call with these options is up to date with, and another cluster's.
    assert made.manifest["options"]["tokenizer"] == "trained"
    written = os.stat(output).st_ino
    call["address"] = "tcp://nowhere:8786"  # it is not needed
    prepare_on_cluster(["lines.txt"], output, **call)
    prepare(["lines.txt"], output, vocabulary_size=280, **OPTIONS)
    assert said[-1] == f"Nothing has changed: {output} is up to date."
    assert os.stat(output).st_ino == written
    with pytest.raises(KgptError, match="in 3 parts, not 4"):
        prepare_on_cluster(["lines.txt"], output, **{**call, "parts": 4})
    with pytest.raises(KgptError, match="seed was 3, is 4"):
        prepare_on_cluster(["lines.txt"], output, **{**call, "seed": 4})


def test_a_worker_that_is_killed(address: str, source: Path, tmp_path: Path) -> None:
    killed: list[psutil.Process] = []

    def kill_the_first() -> None:
        parts = work_folder(tmp_path / "corpus") / "parts"
        while not killed:
            for lock in parts.glob(".part-*.partial/.lock"):
                process = lock.read_text()
                if process:
                    killed.append(psutil.Process(int(process)))
                    killed[0].parent().kill()
                    return
            time.sleep(0.01)

    killer = threading.Thread(target=kill_the_first, daemon=True)
    killer.start()
    options = {**OPTIONS, "tokenizer": "bytes"}
    made = prepare_on_cluster([source], tmp_path / "corpus", parts=4, address=address, **options)
    killer.join(5)
    assert killed
    assert not is_alive(killed[0])
    made.verify()
    assert same(made, by_hand(source, tmp_path, 4, **options))


def test_a_mistake_arrives_as_it_was(address: str, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"uma linha\nCora\xe7\xe3o\n" * 20)
    options: dict[str, Any] = {"documents": "line", "tokenizer": "bytes"}
    with pytest.raises(KgptError) as expected:
        prepare([tmp_path / "bad.txt"], tmp_path / "alone", **options)
    with pytest.raises(KgptError) as found:
        prepare_on_cluster(
            [tmp_path / "bad.txt"], tmp_path / "corpus", parts=4, address=address, **options
        )
    assert str(found.value) == str(expected.value)
    assert found.value.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["bad.txt"]


SCRIPT = """
import sys
from kgpt.text.cluster import prepare_on_cluster
if __name__ == "__main__":
    prepare_on_cluster(sys.argv[1:2], sys.argv[2], parts=4, address="local:2", tokenizer="bytes", documents="line",
        report=lambda line: print(line, flush=True))
"""


@pytest.mark.long
def test_what_is_interrupted_goes_on(address: str, source: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    output = tmp_path / "corpus"
    interrupted = subprocess.Popen(
        [sys.executable, tmp_path / "script.py", str(source), str(output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert interrupted.stdout is not None
    done = next(line for line in interrupted.stdout if line.startswith("Part"))
    began = psutil.Process(interrupted.pid).children(recursive=True)
    os.killpg(interrupted.pid, signal.SIGINT)  # as Ctrl-C does
    _, errors = interrupted.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors.splitlines()[-1], errors
    assert "KeyboardInterrupt" not in errors.replace(errors.splitlines()[-1], "")  # of a worker's
    _, left = psutil.wait_procs(began, timeout=20)
    assert not [process for process in left if is_alive(process)]
    assert not output.exists()
    index = int(done.split()[1].split("/")[0])
    part = work_folder(output) / "parts" / f"part-{index:05d}-of-00004"
    kept = [os.stat(path).st_ino for path in part.glob("train-*.bin")]
    made = prepare_on_cluster(
        [source], output, parts=4, address=address, tokenizer="bytes", documents="line"
    )
    assert kept[0] in [os.stat(path).st_ino for path in made.folder.glob("train-*.bin")]
    assert same(made, by_hand(source, tmp_path, 4, tokenizer="bytes", documents="line"))


# === What cannot be ===


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parts": 0}, "Expected 1 or more"),
        ({"validation": "tail"}, "no tail"),
        ({"validation_fraction": 2}, "share above 0"),
        ({"sources": ["-"]}, "Standard input"),
        ({"sources": ["missing.txt"]}, "missing.txt"),
        ({"vocabulary_size": 20}, "Vocabulary too small"),
        ({"address": "local:many"}, "local:many"),
        ({"address": "local:0"}, "local:0"),
        ({"address": "nowhere"}, "nowhere"),
        ({"address": "tcp://127.0.0.1:1", "tokenizer": "bytes"}, "dask scheduler"),
        ({"address": "what://is", "tokenizer": "bytes"}, "dask scheduler"),
    ],
)
def test_what_cannot_be(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    call: dict[str, Any] = {"sources": [source], "parts": 2, "address": "local:1", **change}
    with pytest.raises(KgptError, match=message):
        prepare_on_cluster(output=tmp_path / "corpus", **call)
    assert not (tmp_path / "corpus").exists()
    if "tokenizer" not in change:
        assert not (tmp_path / ".corpus.partial").exists(), "a mistake leaves nothing behind"


def test_without_the_extra(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(KgptError, match=r"pip install 'kgpt\[cluster\]'"):
        prepare_on_cluster([source], tmp_path / "corpus", parts=2, address="local:2")


# === A part on a worker ===


@pytest.fixture
def task(source: Path, tmp_path: Path) -> PartTask:
    (tmp_path / "call").write_text("this")
    options = {"tokenizer": "bytes", "documents": "line"}
    place = (("lines.txt",), (str(source),), str(source.parent), tmp_path / "part", (1, 2))
    return PartTask(*place, options, tmp_path / "call", "this")


def changed(task: PartTask, **changes: Any) -> PartTask:
    return PartTask(**{**vars(task), **changes})


def test_a_part_is_prepared_where_its_paths_begin(task: PartTask) -> None:
    told: list[Progress] = []
    run_part(task, told.append)
    assert Corpus.open(task.folder).manifest["options"]["shard"] == [1, 2]
    assert told


def test_a_worker_that_does_not_see_the_files(
    task: PartTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_process, "VISIBLE_SECONDS", 0.0)
    with pytest.raises(KgptFailure, match=r"does not see the output(.|\n)*all machines"):
        run_part(changed(task, call_file=tmp_path / "elsewhere" / "call"), print)
    with pytest.raises(KgptFailure, match=r"does not see the sources(.|\n)*all machines"):
        run_part(changed(task, files=(str(tmp_path / "elsewhere.txt"),)), print)


def test_what_is_not_wanted_any_more_ends(task: PartTask, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        run_part(changed(task, call="earlier"), print)
    (tmp_path / "big.txt").write_text("uma linha de texto\n" * 500_000)
    files = (str(tmp_path / "big.txt"),)

    def cancel() -> None:
        while not (work_folder(task.folder) / "plan.json").exists():
            time.sleep(0.05)
        (tmp_path / "call").write_text("")

    threading.Thread(target=cancel, daemon=True).start()
    with pytest.raises(Cancelled):
        run_part(changed(task, sources=files, files=files), print)
    assert not task.folder.exists()
    assert work_folder(task.folder).exists()


def test_a_part_whose_process_dies_again_and_again(
    task: PartTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "die").write_text("#!/bin/sh\nkill -9 $$\n")
    (tmp_path / "die").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "die"))
    with pytest.raises(KgptFailure, match=r"part 1/2 ended 3 times(.|\n)*-9, -9, -9"):
        run_part(task, print)


def test_no_two_processes_at_one_part(task: PartTask) -> None:
    errors: list[Exception] = []

    def run() -> None:
        try:
            run_part(task, lambda progress: None)
        except KgptError as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert all(Corpus.open(task.folder).tokens(split).shape for split in SPLITS)
