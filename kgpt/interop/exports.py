"""A run's checkpoint in another format: what can be refused is refused before TensorFlow starts.

In: a run, a checkpoint, a format, a path. Out: the path of what was written.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kgpt.files import written_aside
from kgpt.interop.destination import check_destination
from kgpt.language import _
from kgpt.protocol import GenerateOptions
from kgpt.runs import Checkpoint, RunFolder
from kgpt.text.tokenizer import Tokenizer

ABOUT_FILE = Path("assets.extra") / "kgpt.json"
"""What was exported into a SavedModel's folder; TensorFlow leaves `assets.extra` to the exporter."""

Report = Callable[[str], object]


def export_saved_model(
    run: RunFolder,
    checkpoint: Checkpoint,
    output: Path,
    defaults: GenerateOptions,
    weights: str = "float32",
    *,
    overwrite: bool = False,
    report: Report = lambda stage: None,
) -> Path:
    """Write the folder `output`, a SavedModel whose `serving_default` writes or answers by `defaults`, or gives labels.

    `weights` is float32 or bfloat16.

    Raises:
        KgptError: something is at `output` that may not be replaced; tokenizer or `defaults` do not fit the model.
        KgptFailure: the checkpoint is damaged, or the disk is full.
    """
    check_destination(output, overwrite, lambda path: (path / ABOUT_FILE).is_file())
    tokenizer = Tokenizer.load(run.tokenizer_folder)
    model = _load(run, checkpoint, report)
    report(_("writing the SavedModel"))
    with written_aside(output) as aside:
        if run.is_classifier:
            from kgpt.finetune_config import classify_config
            from kgpt.interop.saved_classifier import write_saved_classifier

            settings = classify_config(run.read().get("finetuning"))
            write_saved_classifier(aside, model, tokenizer, settings, weights)
            about: dict[str, Any] = {"labels": list(settings.labels)}
        else:
            _write_text_model(aside, run, model, tokenizer, defaults, weights)
            names = ("max_tokens", "temperature", "top_k", "top_p", "seed")
            about = {"serving_default": {name: getattr(defaults, name) for name in names}}
        _write_about(aside, run, checkpoint, weights, about)
    return output


def _write_text_model(
    folder: Path,
    run: RunFolder,
    model: Any,
    tokenizer: Tokenizer,
    defaults: GenerateOptions,
    weights: str,
) -> None:
    if run.answers:
        from kgpt.inference.chat import run_template
        from kgpt.interop.saved_answers import write_saved_answers

        template = run_template(run)
        write_saved_answers(folder, model, tokenizer, template, defaults, weights)
    else:
        from kgpt.interop.saved_model import write_saved_model

        write_saved_model(folder, model, tokenizer, defaults, weights)


def export_keras(
    run: RunFolder,
    checkpoint: Checkpoint,
    output: Path,
    *,
    overwrite: bool = False,
    report: Report = lambda stage: None,
) -> Path:
    """Write `output`, or `model.keras` in it, for `keras.models.load_model` (after `import keras, kgpt`).

    Raises:
        KgptError: something is there that may not be replaced.
        KgptFailure: the checkpoint is damaged, or the disk is full.
    """
    target = output if output.suffix == ".keras" else output / "model.keras"
    check_destination(target, overwrite, zipfile.is_zipfile)
    model = _load(run, checkpoint, report)
    report(_("writing the .keras file"))
    with written_aside(target) as aside:
        model.save(aside)
    return target


def _load(run: RunFolder, checkpoint: Checkpoint, report: Report) -> Any:
    report(_("starting TensorFlow"))
    from kgpt.model.weights import load_checkpoint_model

    report(_("loading the weights"))
    if run.is_classifier:
        from kgpt.model.classifier import load_checkpoint_classifier

        return load_checkpoint_classifier(run, checkpoint)
    return load_checkpoint_model(run, checkpoint)


def _write_about(
    folder: Path,
    run: RunFolder,
    checkpoint: Checkpoint,
    weights: str,
    more: Mapping[str, Any],
) -> None:
    from importlib.metadata import version

    from kgpt.files import write_json

    (folder / ABOUT_FILE).parent.mkdir(exist_ok=True)
    write_json(
        folder / ABOUT_FILE,
        {
            "run": run.name,
            "step": checkpoint.step,
            "weights": weights,
            **more,
            "versions": {name: version(name) for name in ("kgpt", "keras", "tensorflow")},
        },
    )
