from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kgpt.errors import KgptError, KgptFailure
from kgpt.text.workspace import opened, work_folder

PLAN = {"sources": ["a"], "options": {"seed": 1, "share": 0.05}}


def leave_work(target: Path, plan: dict[str, object] = PLAN) -> Path:
    """Work that was interrupted: a chunk in the folder."""
    with pytest.raises(KeyboardInterrupt), opened(target, plan) as workspace:
        workspace.chunk(0).write_text("work")
        raise KeyboardInterrupt
    return work_folder(target)


def test_interrupted_work_is_found_again(tmp_path: Path) -> None:
    leave_work(tmp_path / "corpus")
    with opened(tmp_path / "corpus", PLAN) as workspace:
        assert workspace.chunk(0).read_text() == "work"
        assert not (tmp_path / "corpus").exists()


def test_another_plan_begins_anew(tmp_path: Path) -> None:
    leave_work(tmp_path / "corpus")
    with opened(tmp_path / "corpus", {**PLAN, "sources": ["b"]}) as workspace:
        assert not workspace.chunk(0).exists()
        assert list(workspace.chunks.iterdir()) == []


def test_a_kill_while_a_plan_is_replaced_leaves_no_mixture(tmp_path: Path) -> None:
    folder = leave_work(tmp_path / "corpus")
    (folder / "plan.json").unlink()  # as after a kill between the first two steps
    with opened(tmp_path / "corpus", PLAN) as workspace:
        assert not workspace.chunk(0).exists()


def test_a_mistake_leaves_nothing_a_failure_leaves_all(tmp_path: Path) -> None:
    with pytest.raises(KgptError), opened(tmp_path / "corpus", PLAN):
        raise KgptError("Bad", "input")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KgptFailure), opened(tmp_path / "corpus", PLAN) as workspace:
        workspace.chunk(0).write_text("work")
        raise OSError(28, "No space left on device")
    assert work_folder(tmp_path / "corpus").is_dir()


def test_publishing_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "old").touch()
    with opened(tmp_path / "corpus", PLAN) as workspace:
        (workspace.corpus / "new").touch()
        workspace.publish()
    assert [path.name for path in tmp_path.rglob("*")] == ["corpus", "new"]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom kgpt.text.workspace import opened\n"
        "with opened(Path(sys.argv[1]), {}):\n    print('ready', flush=True)\n    input()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "corpus")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None and other.stdout.readline() == "ready\n"
    with (
        pytest.raises(KgptError, match=rf"Another process \({other.pid}\)"),
        opened(tmp_path / "corpus", {}),
    ):
        pass
    other.kill()
    other.wait()
    with opened(tmp_path / "corpus", {}):
        pass
