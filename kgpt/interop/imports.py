"""A model from somewhere else as a run: tensors pass one by one from their file into a checkpoint.

In: a folder or a Hub id, and the name of a run. Out: a run like any other, at step 0, with no metrics.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from kgpt.config import ModelConfig, OptimizerConfig, TrainConfig
from kgpt.config_values import to_dict
from kgpt.errors import KgptError
from kgpt.files import write_json, written_aside
from kgpt.interop.adaptation import adapted, unfilled, with_context, with_tokenizer, with_tokens
from kgpt.interop.correspondence import Array, check_tensors, ours
from kgpt.interop.foreign import ForeignModel, read_object
from kgpt.interop.huggingface_files import read_huggingface
from kgpt.interop.keras_hub_layout import read_keras_hub
from kgpt.interop.openai_files import HPARAMS, read_openai
from kgpt.language import _
from kgpt.model.shapes import PREFIX, tensor_shapes
from kgpt.model.size import parameter_count
from kgpt.model.tensors import WEIGHTS_FILE, write_tensors
from kgpt.packages import versions_of
from kgpt.runs import FORMAT_VERSION, RunFolder, new_run
from kgpt.text.tokenizer import Tokenizer
from kgpt.training.checkpoint_files import mark, write_state
from kgpt.training.progress import Progress

NO_DATA = "(none yet)"
"""What the configuration of an imported run names as its data."""
FINE_TUNING = OptimizerConfig(learning_rate=5e-5)
"""How training goes on from imported weights unless it is told otherwise: in small steps, as for GPT-2 usual."""


def import_model(
    source: str,
    name: str,
    *,
    saved_models: str | Path | None = None,
    context_length: int | None = None,
    add_tokens: Sequence[str] = (),
    report: Callable[[str], object] = lambda stage: None,
) -> RunFolder:
    """Make the run `name` of the model at `source`: a path, or else a model's id on the Hugging Face Hub.

    Raises:
        KgptError: the run exists, nothing is there, or it is no model that kgpt has the parts of.
        KgptFailure: a download failed, or the disk is full.
    """
    run = new_run(name, saved_models)
    folder = _folder(source, report)
    foreign = open_model(folder)
    before = with_tokenizer(foreign.config, foreign.tokenizer, folder)
    check_tensors(foreign.layout, foreign.tensors, foreign.weights_file)
    after, tokenizer = with_tokens(
        with_context(unfilled(before), context_length), foreign.tokenizer, add_tokens
    )
    report(
        _(
            "importing {after:,} parameters from {family}",
            after=parameter_count(after),
            family=foreign.family,
        )
    )
    hint = _("Free some space, or choose a --saved-models on another disk.")
    with written_aside(run.path, hint) as aside:
        about = {
            "format": foreign.family,
            "path": source if folder != Path(source) else os.path.abspath(folder),
        }
        _write_run(
            RunFolder(aside), name, after, tokenizer, about, _written_by(foreign, before, after)
        )
    return run


def _folder(source: str, report: Callable[[str], object]) -> Path:
    path = Path(source)
    if path.exists():
        return path
    from kgpt.interop.hub import download, is_hub_id

    if not is_hub_id(source):
        raise KgptError(
            _("No model found"),
            _("There is no {path}.", path=path),
            _("Give a model's folder, or its id on the Hugging Face Hub."),
        )
    report(_("fetching {source} from the Hugging Face Hub", source=source))
    return download(source)


def open_model(folder: Path) -> ForeignModel:
    """The model in `folder`, whosever format it has.

    Raises:
        KgptError: there is none, it is of another architecture, or a file is damaged.
    """
    if (folder / HPARAMS).is_file():
        return read_openai(folder)
    if not (folder / "config.json").is_file():
        raise KgptError(
            _("No model found"),
            _(
                "{folder} has neither config.json (Hugging Face, keras-hub) nor {hparams} (OpenAI).",
                folder=folder,
                hparams=HPARAMS,
            ),
            _("Give the folder with the model's configuration, weights and tokenizer."),
        )
    values = read_object(folder / "config.json")
    is_keras_hub = "class_name" in values
    return (read_keras_hub if is_keras_hub else read_huggingface)(folder, values)


def _written_by(
    foreign: ForeignModel, before: ModelConfig, after: ModelConfig
) -> Callable[[Path], str]:
    """What writes the weights, in the order in which they come, and gives the sha256 of what it wrote."""
    order = [part for item in foreign.layout for part in item.parts]
    shapes = tensor_shapes(after)

    def tensors() -> Iterator[tuple[str, Array]]:
        for name, value in ours(foreign.layout, foreign.tensors, tensor_shapes(before)):
            yield PREFIX + name, adapted(name, value, before, after)

    return lambda path: write_tensors(
        path, {PREFIX + name: shapes[name] for name in order}, tensors()
    )


def _write_run(
    run: RunFolder,
    name: str,
    model: ModelConfig,
    tokenizer: Tokenizer,
    source: dict[str, str],
    write_weights: Callable[[Path], str],
) -> None:
    checkpoint = run.checkpoints_folder / "step-00000000"
    checkpoint.mkdir(parents=True)
    sha256 = {WEIGHTS_FILE: write_weights(checkpoint / WEIGHTS_FILE)}
    write_state(checkpoint, {"format_version": 1, **asdict(Progress()), "sha256": sha256})
    mark(run, "last", 0)
    tokenizer.save(run.tokenizer_folder)
    config = TrainConfig(run=name, data=NO_DATA, model=model, optimizer=FINE_TUNING)
    write_json(
        run.run_file,
        {
            "format_version": FORMAT_VERSION,
            "task": "pretraining",
            "configuration": to_dict(config),
            "tokenizer_sha256": tokenizer.sha256,
            "data": {},
            "parameters": parameter_count(model),
            "parent": None,
            "source": source,
            "versions": versions_of("kgpt", "numpy", "safetensors"),
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        },
    )
    run.write_status("finished", step=0, steps=0)
