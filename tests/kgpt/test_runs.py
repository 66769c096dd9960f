from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgpt.config import TrainConfig
from kgpt.config_values import to_dict
from kgpt.errors import KgptError
from kgpt.files import append_json_line, write_json
from kgpt.runs import (
    LIVE_STATES,
    RunFolder,
    find_run,
    list_runs,
    new_run,
    owned,
    saved_models_folder,
    summary,
)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run with two checkpoints, rows and a status, as a trainer leaves it."""
    folder = RunFolder(tmp_path / "saved_models" / "demo")
    folder.checkpoints_folder.mkdir(parents=True)
    values = {"format_version": 1, "task": "pretraining", "configuration": to_dict(TrainConfig())}
    write_json(folder.run_file, {**values, "parameters": 1234})
    for step, loss in ((10, 2.5), (20, 2.75)):
        (folder.checkpoints_folder / f"step-{step:08d}").mkdir()
        state = {"step": step, "validation_loss": loss}
        write_json(folder.checkpoints_folder / f"step-{step:08d}" / "state.json", state)
        append_json_line(
            folder.metrics_file, {"step": step, "tokens": 10 * step, "train_loss": loss}
        )
        row = {"step": step, "validation_loss": loss, "bits_per_byte": loss / 2}
        append_json_line(folder.metrics_file, row)
    write_json(folder.checkpoints_folder / "best.json", {"step": 10})
    write_json(folder.checkpoints_folder / "last.json", {"step": 20})
    folder.write_status("finished", step=20, steps=20)
    return folder


# === A run ===


def test_what_a_run_says(run):
    assert run.name == "demo" and run.exists()
    assert run.read()["task"] == "pretraining" and run.configuration() == to_dict(TrainConfig())
    assert [row["step"] for row in run.metrics()] == [10, 10, 20, 20]
    assert run.samples() == []
    found = run.checkpoints()
    assert [(item.step, item.is_best, item.is_last) for item in found] == [
        (10, True, False), (20, False, True),
    ]  # fmt: skip
    assert [item.validation_loss for item in found] == [2.5, 2.75]


def test_checkpoints_by_name_and_step(run):
    assert run.checkpoint().step == run.checkpoint("best").step == run.checkpoint("10").step == 10
    assert run.checkpoint("last").step == run.checkpoint("00020").step == 20
    for which in ("30", "newest", "²", "-1", ""):
        with pytest.raises(KgptError, match=r"It has steps 10, 20\.[\s\S]*best, last"):
            run.checkpoint(which)


def test_without_marks_the_newest_checkpoint_counts(run):
    for name in ("best", "last"):
        (run.checkpoints_folder / f"{name}.json").write_text("{")
        assert run.checkpoint(name).step == 20


def test_what_is_no_checkpoint_is_not_listed(run):
    for name in ("step-00000030", ".step-00000040.tmp", "step-²", "step-x"):
        (run.checkpoints_folder / name).mkdir()
    (run.checkpoints_folder / "step-²" / "state.json").touch()
    assert [item.step for item in run.checkpoints()] == [10, 20]
    (run.checkpoints_folder / "step-00000020" / "state.json").write_text("{")
    assert run.checkpoints()[1].validation_loss is None


def test_a_run_without_checkpoints_says_so(tmp_path):
    with pytest.raises(KgptError, match="none yet"):
        RunFolder(tmp_path / "fresh").checkpoint()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (
            b'{"format_version": 2, "configuration": {}}',
            "format version 2; this kgpt reads up to 1",
        ),
        (b'{"configuration": {}}', "format version None"),
        (b'{"format_version": 1, "task": 0}', "holds no configuration"),
        (b'{"format_version": 1, "configuration": 3}', "holds no configuration"),
    ],
)
def test_a_run_file_that_is_none_is_a_clear_error(run, content, words):
    run.run_file.write_bytes(content)
    with pytest.raises(KgptError, match=words):
        run.configuration()


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(KgptError, match="no run.json"):
        RunFolder(tmp_path).read()


# === Status ===


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


@pytest.mark.parametrize("state", LIVE_STATES)
def test_a_live_state_needs_a_live_process(run, state):
    run.write_status(state, step=5)
    assert run.status()["state"] == state and run.status()["pid"] == os.getpid()
    for pid in (dead_pid(), None, 0, -1, "7", 10**30):
        write_json(run.status_file, {"state": state, "pid": pid, "host": socket.gethostname()})
        assert run.status()["state"] == "crashed"


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
def test_an_ended_run_needs_no_process(run, state):
    write_json(run.status_file, {"state": state, "pid": dead_pid(), "host": socket.gethostname()})
    assert run.status()["state"] == state


def test_another_machine_is_known_by_its_heartbeat(run):
    status = {"state": "running", "pid": 1, "host": "elsewhere"}
    write_json(run.status_file, {**status, "heartbeat": time.time() - 5})
    assert run.status()["state"] == "running"
    for heartbeat in (time.time() - 600, None, "now"):
        write_json(run.status_file, {**status, "heartbeat": heartbeat})
        assert run.status()["state"] == "crashed"


def test_without_a_status_nothing_is_known(run):
    run.status_file.unlink()
    assert run.status()["state"] == "unknown"
    run.status_file.write_text('{"state": "run')
    assert run.status()["state"] == "unknown"


# === Finding and making ===


def test_where_the_runs_are(monkeypatch):
    monkeypatch.delenv("KGPT_SAVED_MODELS", raising=False)
    assert saved_models_folder() == Path("saved_models")
    monkeypatch.setenv("KGPT_SAVED_MODELS", "elsewhere")
    assert saved_models_folder() == Path("elsewhere")
    assert saved_models_folder("given") == Path("given")


def test_a_run_by_name_or_path(run, monkeypatch):
    root = run.path.parent
    assert find_run("demo", root) == find_run(run.path, "nowhere") == run
    monkeypatch.setenv("KGPT_SAVED_MODELS", str(root))
    assert find_run("demo") == run


@pytest.mark.parametrize("name", ["dmeo", "demo2", "a/b", "x" * 300, "🍎"])
def test_an_unknown_run_names_the_nearest(run, name):
    with pytest.raises(KgptError, match=r"There is demo\.") as caught:
        find_run(name, run.path.parent)
    assert repr(name) in caught.value.message and caught.value.exit_code == 2


def test_an_unknown_run_among_many_names_the_near_ones(run):
    for name in ("machado", "machado-2", "alpha", "beta"):
        (run.path.parent / name).mkdir()
        (run.path.parent / name / "run.json").touch()
    with pytest.raises(KgptError, match=r"There is machado, machado-2\."):
        find_run("mahcado", run.path.parent)


def test_listing_passes_over_what_is_no_run(run, tmp_path):
    root = run.path.parent
    (root / "demo-saved-model").mkdir()
    (root / "README.md").touch()
    (root / "dangling").symlink_to(tmp_path / "gone")
    assert list_runs(root) == [run]
    assert list_runs(tmp_path / "gone") == [] == list_runs(root / "README.md")


def test_a_folder_that_cannot_be_entered_hides_no_other(run):
    closed = run.path.parent / "closed"
    closed.mkdir()
    (closed / "run.json").touch()
    closed.chmod(0)
    try:
        if os.access(closed, os.X_OK):
            pytest.skip("this user may enter every folder")
        assert list_runs(run.path.parent) == [run]
    finally:
        closed.chmod(0o700)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "-x", "a b", "a\n", "../x", "x" * 101, ".x"]
)
def test_a_name_that_cannot_be_a_folder(tmp_path, name):
    with pytest.raises(KgptError, match="Bad run name"):
        new_run(name, tmp_path)


@pytest.mark.parametrize("name", ["a", "demo-2.1_x+y", "coração", "2024-01-01", "x" * 100])
def test_a_good_name_touches_nothing(tmp_path, name):
    assert new_run(name, tmp_path / "runs").path == tmp_path / "runs" / name
    assert os.listdir(tmp_path) == []


def test_an_empty_folder_may_become_a_run(tmp_path):
    (tmp_path / "demo").mkdir()
    assert not new_run("demo", tmp_path).exists()


def test_a_run_that_exists_offers_to_go_on(run):
    with pytest.raises(KgptError, match="--run demo --resume") as caught:
        new_run("demo", run.path.parent)
    assert "another --run NAME" in caught.value.hint


def test_what_is_there_and_no_run_is_left_alone(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.doc").touch()
    (tmp_path / "file").touch()
    for name in ("thesis", "file"):
        with pytest.raises(KgptError, match="is no run") as caught:
            new_run(name, tmp_path)
        assert "--resume" not in caught.value.hint


def test_a_run_has_one_owner_at_a_time(run):
    with owned(run):
        with pytest.raises(KgptError, match=f"process {os.getpid()}"), owned(run):
            pass
    with owned(run):
        pass


def test_what_a_killed_trainer_left_goes_when_the_run_is_taken_up(run):
    left = [
        ".status.json.0badcafe.tmp",
        "checkpoints/.last.json.0badcafe.tmp",
        "checkpoints/.step-00000030.tmp",
    ]
    (run.path / left[2]).mkdir()
    for name in (*left[:2], f"{left[2]}/weights.safetensors", ".report.html.0badcafe.tmp"):
        (run.path / name).touch()
    with owned(run):
        assert not any((run.path / name).exists() for name in left)
        assert (
            run.path / ".report.html.0badcafe.tmp"
        ).exists()  # another command may be writing it


# === Summary ===


def test_summary(run):
    expected = {
        "name": "demo", "task": "pretraining", "state": "finished", "step": 20, "steps": 20,
        "tokens": 200, "train_loss": 2.75, "validation_loss": 2.75, "best_validation_loss": 2.5,
        "bits_per_byte": 1.375, "tokens_per_second": None, "parameters": 1234, "created": None,
    }  # fmt: skip
    assert summary(run) == expected


def test_summary_of_a_run_that_has_just_begun(run):
    for path in (run.metrics_file, run.status_file):
        path.unlink()
    begun = summary(run)
    assert begun["steps"] == 2000 and begun["state"] == "unknown"
    assert begun["step"] is begun["train_loss"] is begun["best_validation_loss"] is None


values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=3)
    | st.just([])
)
objects = st.dictionaries(
    st.sampled_from(
        ["state", "pid", "host", "heartbeat", "steps", "step", "configuration", "format_version",
         "train_loss", "validation_loss", "bits_per_byte", "tokens_per_second"]
    ),
    values,
)  # fmt: skip


@given(run_values=objects, status=objects, rows=st.lists(objects, max_size=3))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
def test_a_summary_of_strange_files_has_numbers_or_nothing(run, run_values, status, rows):
    run.run_file.write_text(json.dumps(run_values))
    run.status_file.write_text(json.dumps(status))
    run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = summary(run)
    for key in ("step", "steps", "train_loss", "best_validation_loss", "tokens_per_second"):
        assert found[key] is None or abs(found[key]) >= 0
