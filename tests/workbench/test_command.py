"""The command line: what it prints, what it refuses, what it does not import."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import fixture_runs as runs
import pytest

from workbench import main

HEAVY = ("tensorflow", "keras", "keras_nlp", "keras_hub")


def loaded_after(code: str, names: tuple[str, ...]) -> list[str]:
    """Which of `names` a fresh process has imported after `code`."""
    script = (
        f"import sys\n{code}\nprint(*[n for n in {names!r} if n in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    return done.stderr.split()


def test_help_and_once_load_no_terminal_and_no_model(root: Path) -> None:
    code = f"""
import workbench
try:
    workbench.main(["--help"])
except SystemExit:
    pass
workbench.main(["--once", "--saved-models", {str(root)!r}])"""
    assert loaded_after(code, ("textual", "numpy", "rich", *HEAVY)) == []


def test_the_first_screen_loads_neither_numpy_nor_a_model() -> None:
    assert loaded_after("import workbench.app", ("numpy", "textual_plot", *HEAVY)) == []


def test_all_screens_load_no_model() -> None:
    screens = "watch generate attention data system help error"
    code = "\n".join(f"import workbench.screens.{name}" for name in screens.split())
    assert loaded_after(code, HEAVY) == []


def test_the_parts_below_the_screens_know_no_textual() -> None:
    modules = (
        "tail digest catalog curves engine playground attention_study generations tokens chips state corpora machine"
        " tokenizer_bench sampling_fields recording follower keys settings wording once children launcher"
        " housekeeping exports filters columns palette pyramid history crowd events series_files"
        " comparison key glossary"
        " services.runs services.exports services.writing services.studies services.data"
        " services.machine services.device"
    )
    code = "\n".join(f"import workbench.{name}" for name in modules.split())
    assert loaded_after(code, ("textual", *HEAVY)) == []


def test_only_floor_0_of_kgpt_is_imported() -> None:
    code = "import workbench.app, workbench.once, workbench.screens.watch, workbench.screens.generate\n"
    code += "print(*[n for n in sys.modules if n.startswith('kgpt')], file=sys.stderr)"
    names = (
        "errors",
        "files",
        "config",
        "runs",
        "protocol",
        "evaluations",
        "config_values",
        "presets",
        "language",
    )
    allowed = {f"kgpt.{name}" for name in names} | {"kgpt"}
    assert set(loaded_after(code, ())) <= allowed


def test_once_prints_a_table(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.a_zoo(root)
    assert main(["--once", "--saved-models", str(root)]) == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "1,500/1,500" in lines["encyclopedia"] and "finished" in lines["encyclopedia"]
    assert lines["RUN"].split()[-2:] == ["AGE", "SIZE"] and lines["encyclopedia"].endswith(" kB")
    assert "unreadable" in lines["damaged"]
    assert "damaged: Unreadable run" in out


def test_once_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.a_zoo(root)
    assert main(["--once", "--json", "--saved-models", str(root)]) == 0
    found = {run["name"]: run for run in json.loads(capsys.readouterr().out)["runs"]}
    assert found["encyclopedia"]["step"] == 1500
    assert found["encyclopedia"]["size"] > 10_000 and found["encyclopedia"]["updated"]
    assert found["machado"]["seconds_left"] == pytest.approx(1380 * 0.115)
    assert found["tinyshakespeare"]["state"] == "crashed"
    assert found["fresh"]["train_loss"] is None


def test_once_of_one_run(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.a_zoo(root)
    main(["--once", "--json", "--run", "machado", "--saved-models", str(root)])
    assert [run["name"] for run in json.loads(capsys.readouterr().out)["runs"]] == ["machado"]


def test_a_run_may_be_a_path(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.a_finished(root)
    assert (
        main(
            ["--once", "--json", "--run", str(run.path), "--saved-models", str(root.parent / "no")]
        )
        == 0
    )
    assert [run["name"] for run in json.loads(capsys.readouterr().out)["runs"]] == ["encyclopedia"]


def test_once_of_an_empty_folder_says_how_to_begin(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--once", "--saved-models", str(root)]) == 0
    assert "kgpt-train" in capsys.readouterr().out


def test_the_folder_may_come_from_the_environment(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.a_finished(root)
    monkeypatch.setenv("KGPT_SAVED_MODELS", str(root))
    main(["--once"])
    assert "encyclopedia" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "nobody"], "Unknown run"),
        (["--json"], "--once"),
        ([], "No terminal"),
    ],
)
def test_mistakes_of_the_caller(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main([*arguments, "--saved-models", str(root)]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error and len(error.splitlines()) <= 3


def test_a_file_in_place_of_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    assert main(["--saved-models", str(tmp_path / "file")]) == 2
    assert "Not a folder" in capsys.readouterr().err


def test_debug_shows_where(root: Path) -> None:
    from kgpt.errors import KgptError

    with pytest.raises(KgptError):
        main(["--debug", "--run", "nobody", "--saved-models", str(root)])


@pytest.mark.parametrize("is_read_only", [False, True])
def test_it_draws_on_a_terminal_and_leaves_by_q(
    root: Path, settings_folder: Path, is_read_only: bool
) -> None:
    """The real program on a real pseudo-terminal; `--read-only` leaves no settings behind."""
    runs.a_finished(root)
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "workbench", "--saved-models", str(root)]
    command += ["--read-only"] * is_read_only
    environment = {**os.environ, "TERM": "xterm-256color"}
    process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=environment)
    os.close(child)
    seen = b""
    while b"encyclopedia" not in seen:
        seen += os.read(parent, 65536)
    os.write(parent, b"q")
    try:
        while os.read(parent, 65536):
            pass
    except OSError:
        pass
    assert process.wait(timeout=10) == 0
    assert (settings_folder / "kgpt" / "workbench.json").exists() is not is_read_only
    os.close(parent)
