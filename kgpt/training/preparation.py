"""Before the first step: the corpus found, the run folder made or checked, the model compiled.

In: a `TrainConfig`. Out: what `trainer` works with; and a `KgptError` where configuration, data and run do not go
together, before anything is written.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from kgpt.config import BUILT_IN_CORPUS, BUILT_IN_VOCABULARY_SIZE, TrainConfig
from kgpt.config_values import from_dict, to_dict
from kgpt.errors import KgptError
from kgpt.files import disk_failure, read_json_lines, write_atomically, write_json
from kgpt.language import N_, _
from kgpt.model.gpt import GPT, build_gpt
from kgpt.model.hardware import gpus
from kgpt.model.size import parameter_count
from kgpt.packages import versions_of
from kgpt.runs import FORMAT_VERSION, RunFolder, data_folder
from kgpt.text.shards import Corpus
from kgpt.text.tokenizer import Tokenizer
from kgpt.training.batches import Batches
from kgpt.training.callbacks import LastStepLoss, Reporter
from kgpt.training.distribution import Devices
from kgpt.training.limits import steps_in_force
from kgpt.training.losses import TrainedGPT
from kgpt.training.optimizers import GPTOptimizer
from kgpt.training.precision import resolved


def open_corpus(data: str, reporter: Reporter | None = None, resume: bool = False) -> Corpus:
    """The prepared corpus: a path, or a name in the data folder. The built-in one is prepared when it is missing.

    Raises:
        KgptError: there is none, or it cannot be read.
    """
    folder = next((path for path in (Path(data), data_folder() / data) if path.is_dir()), None)
    if folder is None and resume and data != BUILT_IN_CORPUS:
        raise KgptError(
            _("No prepared data"),
            _("There is no {data}, which the run was trained on.", data=data),
            _("If it was moved, say where it is now: --data DIR."),
        )
    if folder is None and data == BUILT_IN_CORPUS:
        from kgpt.text.prepare import prepare

        if reporter:
            reporter.message(_("Preparing the built-in encyclopedia (first use)"))
        folder = data_folder() / data
        prepare([BUILT_IN_CORPUS], output=folder, vocabulary_size=BUILT_IN_VOCABULARY_SIZE)
    return Corpus.open(folder or data_folder() / data)


def with_vocabulary(config: TrainConfig, vocabulary_size: int) -> TrainConfig:
    """The configuration with the vocabulary of the data's tokenizer."""
    return dataclasses.replace(
        config, model=dataclasses.replace(config.model, vocabulary_size=vocabulary_size)
    )


def with_epochs(config: TrainConfig, steps_per_epoch: float) -> TrainConfig:
    """The configuration with its epochs turned into steps, the last one whole."""
    if not config.epochs:
        return config
    return dataclasses.replace(config, steps=max(1, math.ceil(config.epochs * steps_per_epoch)))


def training_batches(config: TrainConfig, corpus: Corpus) -> Batches:
    """The batches of a run.

    Raises:
        KgptError: the corpus is shorter than one context.
    """
    return Batches(
        corpus.tokens("train"), config.sequences_per_step, config.model.context_length, config.seed
    )


def check_same_data(run: RunFolder, corpus: Corpus, tokenizer: Tokenizer) -> None:
    """Refuse to resume a run on other data or with another tokenizer, and say what changed."""
    values = run.read()
    if values.get("tokenizer_sha256") != tokenizer.sha256:
        raise KgptError(
            _("Tokenizer changed"),
            _(
                "Run {name} was trained with another tokenizer than the one in {tokenizer_folder}.",
                name=run.name,
                tokenizer_folder=corpus.tokenizer_folder,
            ),
            _(
                "Prepare the text with `kgpt prepare ... --tokenizer {path}`, or train a new --run "
                "NAME.",
                path=run.path,
            ),
        )
    data = values.get("data", {})
    changed = _changes(data, corpus_contents(corpus))
    if changed:
        raise KgptError(
            _("Data changed"),
            _(
                "Run {name} was trained on {path}; in {folder} {changed}.",
                name=run.name,
                path=data.get("path"),
                folder=corpus.folder,
                changed=changed,
            ),
            _(
                "Resume it with the data it was started with (--data DIR if that was moved), or "
                "train a new --run NAME."
            ),
        )


def corpus_contents(corpus: Corpus) -> dict[str, Any]:
    """What a run keeps of its data, to know it again wherever it lies."""
    return {
        "path": os.path.abspath(corpus.folder),
        "train_tokens": len(corpus.tokens("train")),
        "validation_tokens": len(corpus.tokens("validation")),
        "validation_bytes": corpus.validation_bytes,
        "shards": {shard["name"]: shard["sha256"] for shard in corpus.manifest["shards"]},
    }


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What is different in the content of the data, in words; empty where nothing is."""
    counted = {"train_tokens": N_("train tokens"), "validation_tokens": N_("validation tokens")}
    for key, name in counted.items():
        if before.get(key) not in (None, now[key]):
            return _(
                "there are {now:,} {what} instead of {before:,}",
                now=now[key],
                what=_(name),
                before=before[key],
            )
    shards = before.get("shards") or now["shards"]
    for name in sorted({*shards, *now["shards"]}):
        if name not in now["shards"]:
            return _("{name} is missing", name=name)
        if name not in shards:
            return _("{name} has been added", name=name)
        if shards[name] != now["shards"][name]:
            return _("{name} has other tokens", name=name)
    return ""


def keep_configuration(run: RunFolder, config: TrainConfig, contents: Mapping[str, Any]) -> None:
    """Keep what a resumed run was asked to change, such as more steps, so that the next resume knows it."""
    values = run.read()
    data = {**values.get("data", {}), **contents}
    write_json(run.run_file, {**values, "configuration": to_dict(config), "data": data})


def resumed_configuration(run: RunFolder, config: TrainConfig) -> TrainConfig:
    """What a run goes on with: `config`, with what the run has found out about itself since it was started."""
    stored = from_dict(run.configuration())
    changes: dict[str, Any] = {"step_changes": stored.step_changes}
    if config.precision == "auto":
        changes["precision"] = stored.precision
    config = dataclasses.replace(config, **changes)
    is_same_budget = config.minutes > 0 and config.minutes == stored.minutes
    if is_same_budget and config.steps == steps_in_force(stored, 0):
        config = dataclasses.replace(config, steps=stored.steps)
    return config


def create_run_folder(
    run: RunFolder, config: TrainConfig, corpus: Corpus, tokenizer: Tokenizer
) -> None:
    """Make the folder with everything that explains the run; `run.json` comes last, and makes it a run."""
    write_tokenizer(run, corpus.tokenizer_folder)
    write_run_file(run, config, tokenizer, corpus_contents(corpus))


def write_tokenizer(run: RunFolder, folder: Path) -> None:
    """Make the run's folder, and copy the tokenizer in `folder` into it."""
    try:
        run.checkpoints_folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder, run.tokenizer_folder, dirs_exist_ok=True)
    except OSError as error:
        raise disk_failure(error, run.path) from error


def write_new_tokenizer(run: RunFolder, tokenizer: Tokenizer) -> None:
    """Make the run's folder, and write a tokenizer into it that lies nowhere yet."""
    try:
        run.checkpoints_folder.mkdir(parents=True, exist_ok=True)
        tokenizer.save(run.tokenizer_folder)
    except OSError as error:
        raise disk_failure(error, run.path) from error


def write_run_file(
    run: RunFolder,
    config: TrainConfig,
    tokenizer: Tokenizer,
    data: Mapping[str, Any],
    *,
    task: str = "pretraining",
    parent: Mapping[str, Any] | None = None,
    **more: Any,
) -> None:
    """Write `run.json`, which makes the folder a run."""
    values = {
        "format_version": FORMAT_VERSION,
        "task": task,
        "configuration": to_dict(config),
        "tokenizer_sha256": tokenizer.sha256,
        "data": data,
        "parameters": parameter_count(config.model),
        "parent": parent,
        "versions": versions(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    write_json(run.run_file, {**values, **more})


def versions() -> dict[str, str]:
    """Versions of what a run depends on."""
    backend = keras.backend.backend()
    return {"backend": backend, **versions_of("kgpt", "keras", backend, "numpy")}


def trained_gpt(config: TrainConfig) -> GPT:
    """A fresh GPT that learns what follows."""
    return build_gpt(
        config.model,
        config.precision,
        config.seed,
        model_class=TrainedGPT,
        tokens_at_once=config.batch_size * config.model.context_length,
        label_smoothing=config.label_smoothing,
        z_loss=config.z_loss,
        remat=config.remat,
    )


def compiled_model(
    config: TrainConfig,
    devices: Devices | None = None,
    make: Callable[[TrainConfig], GPT] = trained_gpt,
) -> GPT:
    """The model that `make` makes, with its optimiser, ready for `fit` on `devices` (by default on one)."""
    config, devices = resolved(config), devices or Devices()
    compiles = compiles_with_xla(config)
    with devices.scope():
        model = make(config)
        # a mirrored step is compiled by itself, between the exchanges
        compile_model(model, config, compiles and devices.mode != "mirrored")
    devices.install_step(model, config.gradient_accumulation, compiles)
    return model


def compile_model(model: keras.Model, config: TrainConfig, jit_compile: bool) -> None:
    """Give a built model its optimiser, and make `fit` tell the loss of each step."""
    optimizer = GPTOptimizer(
        config.optimizer, config.steps, scales_loss=config.precision == "float16"
    )
    model.compile(
        optimizer=optimizer,
        jit_compile=jit_compile,
        auto_scale_loss=False,  # the optimiser does it, and keeps its state in the checkpoint
    )
    # Keras offers no public way to see the loss of one step instead of the mean since the epoch began.
    object.__setattr__(model, "_loss_tracker", LastStepLoss())
    optimizer.build(model.trainable_variables)


def compiles_with_xla(config: TrainConfig) -> bool:
    """Whether XLA compiles the step. `auto`: yes, but for bfloat16 on a CPU, where it is slower."""
    if config.xla != "auto":
        return config.xla == "on"
    on_cpu = keras.backend.backend() == "tensorflow" and not _has_gpu()
    return not (on_cpu and config.precision in ("bfloat16", "float16"))


def _has_gpu() -> bool:
    return bool(gpus())


def remove_rows_after(run: RunFolder, step: int, repeats_evaluation: bool) -> None:
    """Drop the rows past the checkpoint that training goes on from, and those of an evaluation done again there."""
    for path in (run.metrics_file, run.samples_file):
        if not path.exists():
            continue
        all_evaluations = path == run.samples_file
        kept = []
        for row in read_json_lines(path):
            place = row.get("step")
            repeated = repeats_evaluation and (all_evaluations or "validation_loss" in row)
            if isinstance(place, int) and (place < step or (place == step and not repeated)):
                kept.append(row)
        write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))
