"""Real training processes: killed, asked to stop, without disk, without permission."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kgpt.config import TrainConfig
from kgpt.config_values import to_toml
from kgpt.runs import RunFolder

PATIENCE = 600
"""Seconds after which something hangs, on a machine with other work to do."""


class Trainings:
    """`kgpt train` in processes of its own, into one folder of runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, config: TrainConfig, *options: str, **more) -> subprocess.Popen[str]:
        file = self.folder / f"{config.run}.toml"
        file.write_text(to_toml(config), encoding="utf-8")
        begin = ["--run", config.run, "--resume"] if "--resume" in options else ["--config", file]
        command = [sys.executable, "-m", "kgpt", "train", *map(str, begin)]
        command += [option for option in options if option != "--resume"]
        command += ["--saved-models", str(self.folder / "runs"), "--json"]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, **{**streams, **more})
        self.processes.append(process)
        return process

    def run(self, config: TrainConfig) -> RunFolder:
        return RunFolder(self.folder / "runs" / config.run)


@pytest.fixture
def trainings(tmp_path):
    started = Trainings(tmp_path)
    yield started
    for process in started.processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def wait_until(holds: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def steps_seen(run: RunFolder) -> int:
    return max((row["step"] for row in run.metrics()), default=0)


# === Killed ===


def everything(config: TrainConfig, **changes) -> TrainConfig:
    """Whatever has a state: dropout, accumulation, averages; several epochs; checkpoints between the evaluations."""
    optimizer = dataclasses.replace(config.optimizer, name="muon", ema_decay=0.9, schedule="wsd")
    return dataclasses.replace(
        config, optimizer=optimizer, gradient_accumulation=2, batch_size=20, steps=60,
        evaluate_every=20, checkpoint_every=7, **changes,
    )  # fmt: skip


def killed_again_and_again(
    trainings: Trainings, config: TrainConfig, kills: int, seed: int
) -> None:
    """Kill -9 at random moments, each time after a new start; some moments lie in evaluations and in saving."""
    moments = random.Random(seed)
    run = trainings.run(config)
    process = trainings.start(config)
    for _ in range(kills):
        wait_until(lambda: run.status()["state"] in ("compiling", "running", "finished"), process)
        before = steps_seen(run)
        if moments.random() < 0.7:
            goal = before + moments.randrange(1, 30)
            wait_until(
                lambda goal=goal: (
                    steps_seen(run) >= min(goal, config.steps)
                    or run.status()["state"] == "finished"
                ),
                process,
            )
        time.sleep(moments.uniform(0, 0.5))
        process.kill()
        process.wait()
        if run.status()["state"] != "finished":
            assert run.status()["state"] == "crashed"
        process = trainings.start(config, "--resume")
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert json.loads(output.splitlines()[-1])["finished"]


def test_a_run_killed_three_times_is_the_run_that_was_not(trainings, train, config, same_end):
    config = everything(config, run="killed")
    seed = random.randrange(10**6)
    print(f"moments from seed {seed}")
    killed_again_and_again(trainings, config, 3, seed)
    same_end(trainings.run(config), train(config, run="whole").run, config.steps)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("precision", "name"), [("float32", "adamw"), ("bfloat16", "muon")])
def test_fifty_moments(trainings, train, config, same_end, precision, name, seed):
    config = everything(config, run="killed", precision=precision)
    optimizer = dataclasses.replace(config.optimizer, name=name)
    config = dataclasses.replace(config, optimizer=optimizer, steps=150, seed=seed)
    killed_again_and_again(trainings, config, 5, seed)
    same_end(trainings.run(config), train(config, run="whole").run, config.steps)


# === Asked to stop ===


def test_sigterm_while_it_compiles_stops_in_order(trainings, config):
    config = dataclasses.replace(config, steps=100_000)
    process = trainings.start(config)
    run = trainings.run(config)
    wait_until(lambda: run.status()["state"] == "compiling", process)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, errors
    answer = json.loads(output.splitlines()[-1])
    assert answer["finished"] is False and answer["steps"] == run.checkpoint("last").step == 1
    assert run.status()["state"] == "stopped" and "Traceback" not in errors


def test_a_terminal_that_closes_stops_it_in_order_unless_nohup_was_said(trainings, config):
    """The reader of stderr is gone too, as the terminal is."""
    config = dataclasses.replace(
        config, steps=100_000, evaluate_every=10_000, checkpoint_every=10_000
    )
    nohup = dataclasses.replace(config, run="nohup")
    begun = []
    for asked, prepare in (
        (config, lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)),  # nohup is inherited
        (nohup, lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)),
    ):
        process = trainings.start(asked, preexec_fn=prepare)
        begun.append((process, trainings.run(asked)))
    for process, run in begun:
        wait_until(lambda run=run: steps_seen(run) > 0, process)
        process.stderr.close()
        process.send_signal(signal.SIGHUP)
    (hung_up, run), (kept, kept_run) = begun
    assert hung_up.wait(PATIENCE) == 130
    assert run.status()["state"] == "stopped"
    assert run.checkpoint("last").step == run.status()["step"]
    later = steps_seen(kept_run) + 20
    wait_until(lambda: steps_seen(kept_run) >= later, kept)
    kept.send_signal(signal.SIGTERM)
    assert kept.wait(PATIENCE) == 130


# === Too little memory ===


def too_large(config: TrainConfig, **changes) -> TrainConfig:
    """Batches of two million sequences: each vector of activations takes gigabytes."""
    return dataclasses.replace(config, batch_size=2_000_000, precision="float32", **changes)


def advised_batch(errors: str) -> int:
    return int(errors.split("--batch-size ")[1].split()[0])


def test_what_does_not_fit_is_refused_before_anything_is_written(trainings, config):
    process = trainings.start(too_large(config))
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2 and "Not enough memory" in errors
    assert 0 < advised_batch(errors) < 2_000_000
    assert not trainings.run(config).path.exists()


@pytest.mark.long
def test_memory_that_runs_out_ends_in_the_same_advice(trainings, config):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (8 * 10**9, 8 * 10**9))

    process = trainings.start(too_large(config, check_memory=False, xla="off"), preexec_fn=limit)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, errors
    assert "Out of memory" in errors and "Traceback" not in errors
    assert 0 < advised_batch(errors) < 2_000_000
    status = trainings.run(config).status()
    assert status["state"] == "failed" and status["error"]["title"] == "Out of memory"


# === Nowhere to write ===


def test_a_full_disk_is_told_and_nothing_saved_is_lost(trainings, train, config, same_end):
    config = dataclasses.replace(config, run="full")

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    process = trainings.start(config, preexec_fn=limit)
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1 and "File too large" in errors and "Traceback" not in errors
    run = trainings.run(config)
    assert run.status()["state"] == "failed" and run.checkpoints() == []
    assert not list(run.checkpoints_folder.glob(".step*"))
    process = trainings.start(config, "--resume")
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    same_end(run, train(config, run="whole").run, 12)


def without_rights() -> None:
    """Let the superuser be bound by the permissions of files, as everybody else is."""
    if os.getuid() == 0:
        drop_from_bounding_set, may_override_permissions = 24, 1
        ctypes.CDLL(None).prctl(drop_from_bounding_set, may_override_permissions, 0, 0, 0)


@pytest.mark.skipif(os.getuid() == 0 and sys.platform != "linux", reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_told(trainings, train, config):
    run = train(config, steps=4).run  # lies in the same folder of runs
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    for folder in (run.path, run.path.parent):
        folder.chmod(0o555)
    try:
        new = trainings.start(dataclasses.replace(config, run="new"), preexec_fn=without_rights)
        longer = trainings.start(config, "--resume", "--steps", "8", preexec_fn=without_rights)
        for process in (new, longer):
            _, errors = process.communicate(timeout=PATIENCE)
            assert process.returncode == 1 and "Traceback" not in errors
            assert "Cannot write" in errors and "Permission denied" in errors
    finally:
        for folder in (run.path.parent, run.path):
            folder.chmod(0o755)
    assert {path: path.read_bytes() for path in before} == before
