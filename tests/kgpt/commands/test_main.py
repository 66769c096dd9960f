"""The `kgpt` command itself: help, errors, exit codes, output."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

from kgpt.commands import COMMANDS, main
from kgpt.commands.finetune import KINDS
from kgpt.errors import KgptError, KgptFailure

THREE_LINES = 3


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `kgpt ARGUMENTS`, as the console script would end."""
    try:
        code = main(arguments)
    except SystemExit as left:
        code = left.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def failing(monkeypatch, error: BaseException) -> None:
    """Let `kgpt runs` end in `error`."""

    def run(args):
        raise error

    monkeypatch.setattr(importlib.import_module("kgpt.commands.runs"), "run", run)


def test_help_lists_every_command(capsys):
    code, out, _ = call(capsys, "--help")
    assert code == 0
    assert all(f"\n    {name} " in out and line in out for name, line in COMMANDS.items())
    assert call(capsys) == (0, out, "")


WITHOUT_KINDS = [name for name in COMMANDS if name != "finetune"]


@pytest.mark.parametrize("name", [*WITHOUT_KINDS, *(f"finetune {kind}" for kind in KINDS)])
def test_every_command_has_an_example_and_the_common_options(capsys, name):
    code, out, _ = call(capsys, *name.split(), "--help")
    assert code == 0
    assert (
        f"kgpt {name}" in out.split("examples:")[1] or f"kgpt-{name}" in out.split("examples:")[1]
    )
    assert all(option in out for option in ("--json", "--debug", "--saved-models DIR"))


def test_version(capsys):
    code, out, _ = call(capsys, "--version")
    assert code == 0 and out.startswith("kgpt 0")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], ["There is no command 'trian'. Did you mean train?"]),
        (["xyzzy"], ["'xyzzy'", "Commands: prepare, train"]),
        (["train", "--steps", "many"], ["--steps", "many", "kgpt train --help"]),
        (["train", "--precision", "float64"], ["--precision", "float32"]),
        (["train", "--stepz", "5"], ["--stepz", "kgpt --help"]),
        (["evaluate"], ["RUN", "kgpt evaluate --help"]),
        (["runs", "--run"], ["--run"]),
    ],
)
def test_wrong_arguments_are_told_in_three_lines(capsys, arguments, words):
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == THREE_LINES and err.startswith("kgpt: ")
    assert all(word in err for word in words), err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KgptError("Title", "Message", "Hint"), 2, "kgpt: Title\n  Message\n  Hint\n"),
        (KgptError("Title", "Message"), 2, "kgpt: Title\n  Message\n"),
        (KgptFailure("Disk full", "Message", "Hint"), 1, "kgpt: Disk full\n  Message\n  Hint\n"),
        (ValueError("odd"), 1, "kgpt: Failed: ValueError\n  odd\n  Run again with --debug"),
        (KeyboardInterrupt(), 130, "\nInterrupted.\n"),
    ],
)
def test_errors_become_exit_codes_and_lines(capsys, monkeypatch, error, code, words):
    failing(monkeypatch, error)
    received, out, err = call(capsys, "runs")
    assert (received, out) == (code, "")
    assert err.startswith(words) and "Traceback" not in err


def test_an_interruption_while_it_starts(capsys, monkeypatch):
    def interrupted(parser):
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("kgpt.commands.runs"), "add_arguments", interrupted)
    assert call(capsys, "runs") == (130, "", "\nInterrupted.\n")


def test_debug_shows_where(monkeypatch):
    failing(monkeypatch, ValueError("odd"))
    with pytest.raises(ValueError, match="odd"):
        main(["runs", "--debug"])


def test_json_has_no_number_that_json_lacks(capsys, monkeypatch):
    result = {"loss": float("nan"), "exit_code": 130}
    monkeypatch.setattr(importlib.import_module("kgpt.commands.runs"), "run", lambda args: result)
    code, out, _ = call(capsys, "runs", "--json")
    assert (code, json.loads(out)) == (130, {"loss": None})


def test_a_reader_that_leaves_is_no_error(tmp_path):
    program = [sys.executable, "-m", "kgpt", "runs", "--saved-models", str(tmp_path)]
    child = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.close()
    _, err = child.communicate()
    assert (child.returncode, err) == (0, b"")
