"""One run on several devices, and in several processes: real ones, on one machine's CPU."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from kgpt.config import TrainConfig
from kgpt.config_values import to_toml
from kgpt.errors import KgptError, KgptFailure
from kgpt.runs import RunFolder
from kgpt.training.meeting import meet
from kgpt.training.processes import ADDRESSES, NUM_PROCESSES, PROCESS_ID, processes_asked_for

PATIENCE = 900
TWO = {"KGPT_CPU_DEVICES": "2"}
JAX = {"KERAS_BACKEND": "jax"}


@pytest.fixture
def shared(config) -> TrainConfig:
    """Twelve steps in two parts each, clipped, with averages, and without dropout."""
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, dropout=0.0),
        optimizer=dataclasses.replace(config.optimizer, ema_decay=0.9, clip_norm=0.9),
        gradient_accumulation=2,
        log_every=1,
        precision="float32",
    )


class Children:
    """`kgpt train` in processes of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, config: TrainConfig, environment, *options: str) -> subprocess.Popen[str]:
        file = self.folder / f"{config.run}-{len(self.processes)}.toml"
        file.write_text(to_toml(config), encoding="utf-8")
        begin = ["--run", config.run] if "--resume" in options else ["--config", str(file)]
        command = [sys.executable, "-m", "kgpt", "train", *begin, *options]
        command += ["--saved-models", str(self.folder / "runs"), "--json"]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, env=environment, **streams)
        self.processes.append(process)
        return process

    def done(self, process: subprocess.Popen[str], code: int = 0) -> dict:
        output, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, errors
        return json.loads(output.splitlines()[-1])

    def refused(self, process: subprocess.Popen[str]) -> str:
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 2 and "Traceback" not in errors, errors
        return errors

    def train(self, config: TrainConfig, environment, *options: str) -> RunFolder:
        self.done(self.start(config, environment, *options))
        return self.run(config)

    def run(self, config: TrainConfig) -> RunFolder:
        return RunFolder(self.folder / "runs" / config.run)


@pytest.fixture
def children(tmp_path):
    started = Children(tmp_path)
    yield started
    for process in started.processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def figures(run: RunFolder, key: str) -> dict[int, float]:
    """What the run has logged of a key, by step."""
    return {row["step"]: row[key] for row in run.metrics() if key in row}


def assert_same(run: RunFolder, other: RunFolder, rtol: float = 3e-5) -> None:
    """The same to float tolerance: sums are taken in another order. `run` may have evaluated at more steps."""
    for key in ("train_loss", "gradient_norm", "validation_loss", "ema_validation_loss"):
        one, two = figures(run, key), figures(other, key)
        assert two and set(two) <= set(one)
        assert [one[step] for step in two] == pytest.approx(list(two.values()), rel=rtol), key
    assert run.status()["state"] == other.status()["state"] == "finished"


# === TensorFlow ===


def test_two_mirrored_devices_learn_as_one_and_a_run_moves_between_them(children, train, shared):
    whole = train(shared, run="whole").run
    part = dataclasses.replace(shared, run="grows", steps=4, step_changes=("0:12",))
    train(part)
    grows = children.start(part, TWO, "--resume", "--steps", "12", "--distribute", "mirrored")
    two = dataclasses.replace(part, run="shrinks", distribute="mirrored")
    children.train(two, TWO)
    train(two, resume=True, steps=12, distribute="off")
    children.done(grows)
    for config in (part, two):
        assert_same(children.run(config), whole)
    logs = [children.run(config).log_file.read_text() for config in (part, two)]
    assert all(log.count("mirrored on 2 devices") == 1 for log in logs)


@pytest.mark.long
@pytest.mark.parametrize("xla", ["off", "on"])
def test_a_mirrored_run_that_is_resumed_is_the_run_that_was_not(children, shared, same_end, xla):
    """Bit for bit, with dropout, on the same number of devices."""
    model = dataclasses.replace(shared.model, dropout=0.1)
    changes = {"model": model, "distribute": "mirrored", "xla": xla, "evaluate_every": 4}
    shared = dataclasses.replace(shared, **changes)
    whole = children.train(dataclasses.replace(shared, run="whole"), TWO)
    part = dataclasses.replace(shared, run="part", steps=4, step_changes=("0:12",))
    children.train(part, TWO)
    same_end(children.train(part, TWO, "--resume", "--steps", "12"), whole, 12)


@pytest.mark.long
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_precisions_and_adamw_on_two_mirrored_devices(children, train, shared, precision):
    optimizer = dataclasses.replace(shared.optimizer, name="adamw")
    shared = dataclasses.replace(shared, optimizer=optimizer, precision=precision)
    whole = train(shared, run="whole").run
    two = children.train(dataclasses.replace(shared, distribute="mirrored"), TWO)
    assert_same(two, whole, rtol=5e-3)


def test_tokens_without_weight_count_on_no_device():
    """Rows of 8, 1, 0 and 2 tokens that count, over two devices, against the mean over all those tokens."""
    program = """
import dataclasses, numpy as np
from kgpt.config import ModelConfig, OptimizerConfig, TrainConfig
from kgpt.training.distribution import training_devices
from kgpt.training.preparation import compiled_model
config = TrainConfig(
    model=ModelConfig(vocabulary_size=50, context_length=8, num_layers=1, num_heads=2, width=16),
    batch_size=2, gradient_accumulation=2, xla="off", precision="float32",
)
ids = np.random.default_rng(0).integers(0, 50, (4, 9), dtype="int32")
weights = np.zeros((4, 8), "float32")
for row, count in enumerate((8, 1, 0, 2)):
    weights[row, :count] = 1
for mode in ("off", "mirrored"):
    with training_devices(dataclasses.replace(config, distribute=mode)) as devices:
        model = compiled_model(config, devices)
        data = (ids[:, :-1], ids[:, 1:], weights)
        if mode == "mirrored":
            import tensorflow as tf
            data = tf.data.Dataset.from_tensors(data)
            history = model.fit(data, verbose=0)
        else:
            history = model.fit(*data[:2], sample_weight=weights, batch_size=4, verbose=0)
        print(history.history["loss"][0], float(np.array(model.optimizer.gradient_norm)))
"""
    environment = {**os.environ, **TWO, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    one, two = ([float(word) for word in line.split()] for line in done.stdout.splitlines())
    assert two == pytest.approx(one, rel=1e-5)


# === JAX ===


def test_two_jax_devices_learn_as_one(children, shared):
    shared = dataclasses.replace(shared, steps=6, xla="on")
    one = children.start(dataclasses.replace(shared, run="one"), JAX)
    two = children.train(dataclasses.replace(shared, distribute="data"), {**JAX, **TWO})
    children.done(one)
    assert_same(two, children.run(dataclasses.replace(shared, run="one")))


@pytest.mark.long
def test_jax_runs_move_between_one_device_data_and_model_parallelism(children, shared):
    """With dropout: its masks depend on the place in the whole batch, and so not on the number of devices."""
    model = dataclasses.replace(shared.model, dropout=0.1)
    shared = dataclasses.replace(shared, model=model, xla="on")
    whole = children.train(dataclasses.replace(shared, run="whole"), JAX)
    ways = ("off", "data", "model")
    for before, after in zip(ways, (*ways[1:], ways[0]), strict=True):
        part = dataclasses.replace(shared, run=before, steps=4, step_changes=("0:12",))
        children.train(part, {**JAX, **TWO}, "--distribute", before)
        options = ("--resume", "--steps", "12", "--distribute", after)
        assert_same(children.train(part, {**JAX, **TWO}, *options), whole)


def together(number: int, port: int) -> dict[str, str]:
    variables = {NUM_PROCESSES: "2", PROCESS_ID: str(number), ADDRESSES: f"127.0.0.1:{port}"}
    return {**JAX, **variables}


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def started_together(children, config, environment, *options: str):
    port = free_port()
    return [
        children.start(config, {**together(number, port), **environment}, *options)
        for number in range(2)
    ]


@pytest.mark.long
@pytest.mark.parametrize("distribute", ["data", "model"])
def test_two_processes_learn_as_one_stop_together_and_resume(children, shared, distribute):
    environment = {} if distribute == "data" else TWO
    steps = dataclasses.replace(shared, xla="on", steps=60, evaluate_every=20, checkpoint_every=10)
    whole = children.start(dataclasses.replace(steps, run="whole"), JAX)
    config = dataclasses.replace(steps, distribute=distribute)
    pair = started_together(children, config, environment)
    run = children.run(config)
    deadline = time.monotonic() + PATIENCE
    while not any(row["step"] >= 5 for row in run.metrics()):
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in pair), [p.communicate() for p in pair]
        time.sleep(0.01)
    pair[1].send_signal(signal.SIGTERM)  # the one that does not own the run
    answers = [children.done(process, 130) for process in pair]
    assert answers[0]["steps"] == answers[1]["steps"] == run.checkpoint("last").step
    assert run.status()["state"] == "stopped"
    for process in started_together(children, config, environment, "--resume"):
        assert children.done(process)["finished"]
    children.done(whole)
    assert_same(run, children.run(dataclasses.replace(steps, run="whole")))


@pytest.mark.long
def test_a_process_with_other_data_ends_all_of_them(children, shared, tmp_path):
    config = dataclasses.replace(shared, xla="on", distribute="data")
    port = free_port()
    first = children.start(config, together(0, port))
    other = children.start(dataclasses.replace(config, data=str(tmp_path)), together(1, port))
    _, errors = other.communicate(timeout=PATIENCE)
    assert other.returncode == 2 and "Traceback" not in errors
    _, errors = first.communicate(timeout=PATIENCE)
    assert first.returncode == 1 and "Another process failed" in errors


# === What does not work says so ===


def refusal(config: TrainConfig) -> KgptError:
    from kgpt.training.distribution import training_devices

    with pytest.raises(KgptError) as caught, training_devices(config):
        pass
    assert caught.value.exit_code == 2 and caught.value.hint
    return caught.value


def test_what_tensorflow_does_not_have_is_refused(config, monkeypatch):
    for mode in ("data", "model"):
        error = refusal(dataclasses.replace(config, distribute=mode))
        assert "jax alone" in error.message and "KERAS_BACKEND=jax" in error.hint
    error = refusal(dataclasses.replace(config, distribute="mirrored"))
    assert "two devices at least. Found: 1 (cpu:0)" in error.message
    monkeypatch.setenv("KGPT_CPU_DEVICES", "3")
    assert "too late" in refusal(config).message
    monkeypatch.setenv("KGPT_CPU_DEVICES", "many")
    assert "from 1 to 256" in refusal(config).message
    monkeypatch.delenv("KGPT_CPU_DEVICES")
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}}')
    assert "several workers" in refusal(config).message
    for name, value in {NUM_PROCESSES: "2", PROCESS_ID: "1", ADDRESSES: "a:1"}.items():
        monkeypatch.setenv(name, value)
    assert "KERAS_BACKEND=jax" in refusal(config).message


def test_auto_is_one_device_where_there_is_no_second_gpu(train, config, same_end):
    one = train(config, run="one", steps=4).run
    same_end(train(config, run="auto", steps=4, distribute="auto").run, one, 4)


def test_what_a_backend_lacks_and_a_batch_that_does_not_divide_are_refused(children, config):
    slow = children.start(dataclasses.replace(config, run="slow", xla="off"), JAX)
    mirrored = dataclasses.replace(config, distribute="mirrored", xla="on")
    jax = children.start(mirrored, {**JAX, **TWO})
    odd = dataclasses.replace(config, run="odd", batch_size=5, distribute="mirrored")
    uneven = children.start(odd, TWO)
    assert "--distribute mirrored with tensorflow alone" in children.refused(jax)
    assert "batch_size must be a multiple of 2" in children.refused(uneven)
    assert "one operation after another" in children.refused(slow)
    assert not children.run(dataclasses.replace(config, run="slow")).exists()
    assert not children.run(config).exists() and not children.run(odd).exists()


def test_the_variables_of_several_processes():
    good = {NUM_PROCESSES: "2", PROCESS_ID: "1", ADDRESSES: "10.0.0.1:99,10.0.0.2:99"}
    assert processes_asked_for(good) == (2, 1, "10.0.0.1:99")
    assert processes_asked_for({}) == (1, 0, "")
    for key, bad in ((NUM_PROCESSES, "x"), (PROCESS_ID, "2"), (PROCESS_ID, ""), (ADDRESSES, "a")):
        with pytest.raises(KgptError) as caught:
            processes_asked_for({**good, key: bad})
        assert repr(bad) in caught.value.message and NUM_PROCESSES in caught.value.hint


def test_a_sweep_is_no_work_for_several_processes(monkeypatch, capsys, tmp_path):
    from kgpt.commands import main

    for name, value in {NUM_PROCESSES: "2", PROCESS_ID: "0", ADDRESSES: "a:1"}.items():
        monkeypatch.setenv(name, value)
    assert main(["train", "--sweep", str(tmp_path / "sweep.toml")]) == 2
    assert "one process's work" in capsys.readouterr().err


def test_processes_that_do_not_meet_say_who_is_missing():
    with pytest.raises(KgptFailure, match=r"have not come: \[1, 2\]"):
        meet(f"127.0.0.1:{free_port()}", 3, 0, seconds=0.05)
    with pytest.raises(KgptFailure, match="Process 1 did not reach the first one at 127.0.0.1"):
        meet(f"127.0.0.1:{free_port()}", 2, 1, seconds=0.05)
    with pytest.raises(KgptError, match="Expected host:port"):
        meet("127.0.0.1:http", 2, 1)
    with socket.create_server(("", 0)) as taken, pytest.raises(KgptError, match="cannot be used"):
        meet(f"127.0.0.1:{taken.getsockname()[1]}", 2, 0)


def test_processes_meet_whoever_comes_first_and_each_number_once():
    address = f"127.0.0.1:{free_port()}"
    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(meet, address, 3, number, 30) for number in (2, 1, 0)]
        assert [call.result() for call in calls] == [None] * 3
        twice = [pool.submit(meet, address, 3, number, 2) for number in (0, 1, 1)]
        with pytest.raises(KgptError, match="Process 1 of 3 came twice"):
            twice[0].result()


def test_each_process_reads_its_rows(data):
    from kgpt.text.shards import Corpus
    from kgpt.training.batches import Batches

    batches = Batches(Corpus.open(data).tokens("train"), 6, 16, seed=1)
    whole = batches.at(3)
    parts = [next(batches.from_step(3, part, 3)) for part in range(3)]
    for index in range(2):
        np.testing.assert_array_equal(np.concatenate([part[index] for part in parts]), whole[index])
