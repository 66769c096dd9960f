"""What a fresh process has loaded after the things that must start at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("keras", "tensorflow", "numpy", "keras_nlp", "tokenizers", "textual")


def loaded_after(code: str) -> set[str]:
    """Which heavy packages a fresh process has imported after `code`."""
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\n"
    script += f"print(*[name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def command(*arguments: str) -> str:
    return f"from kgpt.commands import main; main({list(arguments)})"


@pytest.mark.parametrize(
    "code",
    [
        "import kgpt; kgpt.TrainConfig, kgpt.open_run, kgpt.train, kgpt.preset('demo')",
        "import kgpt.api, kgpt.config, kgpt.runs, kgpt.protocol",
        command("--help"),
        command("train", "--help"),
        command("evaluate", "--help"),
        command("sample", "--help"),
        command("import", "--help"),
        command("export", "--help"),
        command("runs", "--saved-models", "nowhere"),
        command("train", "--run", "../x"),
        command("train", "--preset", "nothing"),
    ],
)
def test_starting_loads_nothing_heavy(code):
    assert loaded_after(code) == set()


def test_a_tokenizer_needs_no_keras():
    code = "import kgpt; kgpt.Tokenizer.bytes().encode('ação')"
    assert not loaded_after(code) & {"keras", "tensorflow", "keras_nlp", "textual"}


def test_writing_with_a_converted_model_needs_no_tensorflow(tiny_run):
    from kgpt.inference.generation import load_generator

    load_generator(tiny_run)  # converts
    arguments = ("sample", "tiny", "Olá", "--saved-models", str(tiny_run.path.parent))
    assert not loaded_after(command(*arguments)) & {"keras", "tensorflow", "keras_nlp", "textual"}


def test_the_workbench_asks_for_help_without_a_terminal():
    assert loaded_after("import workbench; workbench.main(['--help'])") == set()
