"""The LiteRT export, used by its own example in a process that has neither kgpt nor TensorFlow."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tiny import TEXT

from kgpt.commands import main

BARRED = """
import runpy, sys
class Barred:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("kgpt", "keras", "tensorflow", "torch"):
            raise ImportError(name)
sys.meta_path.insert(0, Barred())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def export(run, output, *more):
    return main(["export", str(run.path), "--format", "litert", "--output", str(output), *more])


def written(folder, *arguments):
    command = [sys.executable, "-c", BARRED, str(folder / "example.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_the_example_writes_what_kgpt_writes(tiny_run, tmp_path, capsys, weights):
    folder = tmp_path / "exported"
    assert export(tiny_run, folder, "--weights", weights) == 0
    about = json.loads((folder / "model.json").read_text())
    assert (about["weights"], about["step"]) == (weights, 10)
    assert TEXT in written(folder, TEXT[:8], 120)
    assert written(folder, TEXT[:8]) == written(folder, TEXT[:8], 40)
    assert written(folder)
    size = (folder / "model.tflite").stat().st_size
    assert size < 500_000


def test_modern_parts_in_an_export(tmp_path, capsys):
    from tiny import MODERN_SHAPE, memorise, write_run

    from kgpt.text.tokenizer import Tokenizer

    text = "Um dois três."
    run = write_run(
        tmp_path / "modern", memorise(MODERN_SHAPE, Tokenizer.bytes(), text), Tokenizer.bytes()
    )
    assert export(run, tmp_path / "out") == 0
    assert text in written(tmp_path / "out", text[:3], 20)


def test_an_export_is_replaced_on_request_only(tiny_run, tmp_path, capsys):
    assert export(tiny_run, tmp_path / "out") == 0
    assert export(tiny_run, tmp_path / "out") == 2
    assert export(tiny_run, tmp_path / "out", "--overwrite") == 0
    capsys.readouterr()
    assert (
        main(
            [
                "export",
                str(tiny_run.path),
                "--format",
                "keras",
                "--weights",
                "int8",
                "--output",
                "x",
            ]
        )
        == 2
    )
    assert "--weights" in capsys.readouterr().err
