"""The base of a fine-tuned run: checked, its weights kept where adapters need them, and found again.

In: the base run, one of its checkpoints, what fine-tuning changes of them. Out: what `run.json` says of the `parent`;
in a run with adapters `base/` with the base's weights, so that it can stand alone, and `adapter/` with the best
adapters, for whoever wants these alone.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np

from kgpt.config import ModelConfig, TrainConfig
from kgpt.config_values import from_dict
from kgpt.errors import KgptError
from kgpt.files import disk_failure, remove, write_json
from kgpt.finetune_config import LoraConfig
from kgpt.language import _
from kgpt.model.lora import check_adapters
from kgpt.model.tensors import (
    WEIGHTS_FILE,
    base_tensors,
    checkpoint_tensors,
    is_adapter,
    load_tensors,
    save_tensors,
)
from kgpt.model.vocabulary import grown
from kgpt.runs import Checkpoint, RunFolder, find_run
from kgpt.text.tokenizer import Tokenizer

Tensors = Mapping[str, np.ndarray]


def check_base(
    base: RunFolder, config: TrainConfig, lora: LoraConfig, fixed: Mapping[str, Any]
) -> None:
    """Refuse a base that cannot be one, and a configuration in which a key of `fixed` has another value.

    Raises:
        KgptError: the base labels texts, has another tokenizer than its model, or what is asked for does not fit it.
    """
    base.read()
    if base.is_classifier:
        raise KgptError(
            _("No base"),
            _(
                "Run {name} is a classifier itself; a base is a run that writes text.",
                name=base.name,
            ),
            _("Name the run that it was made from, or any other that was pretrained or imported."),
        )
    for key, allowed in fixed.items():
        if getattr(config, key) != allowed:
            raise KgptError(
                _("Not in this fine-tuning"),
                _(
                    "Expected {key}={allowed!r}. Received: {key}={config!r}",
                    key=key,
                    allowed=allowed,
                    config=getattr(config, key),
                ),
                _("Leave it out; a smaller --batch-size needs less memory."),
            )
    if lora.rank:
        check_adapters(config.model, lora)
    if config.model.vocabulary_size != Tokenizer.load(base.tokenizer_folder).vocabulary_size:
        raise KgptError(
            _("Vocabulary does not match the model"),
            _(
                "The tokenizer of {name} is another than the one that its model was trained with.",
                name=base.name,
            ),
            _("Restore the run's tokenizer folder."),
        )


def parent_values(
    run: RunFolder,
    base: RunFolder,
    checkpoint: Checkpoint,
    lora: LoraConfig,
    tensors: Tensors,
    *,
    is_changed: bool = False,
) -> dict[str, Any]:
    """What `run.json` says of the base. With adapters its weights are put into the run.

    Args:
        run: the new run, whose folder is there.
        base: the run that it begins with.
        checkpoint: of the base.
        lora: the adapters, if there are any.
        tensors: the weights that training begins with.
        is_changed: whether these are others than those of the checkpoint's file.

    Raises:
        KgptFailure: the disk is full.
    """
    source = checkpoint.path / checkpoint.weights_file
    if not lora.rank:
        with open(source, "rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    else:
        sha256 = _keep(run, checkpoint, tensors, is_changed)
    return {
        "run": base.name,
        "path": os.path.abspath(base.path),
        "step": checkpoint.step,
        "weights_sha256": sha256,
    }


def _keep(run: RunFolder, checkpoint: Checkpoint, tensors: Tensors, is_changed: bool) -> str:
    source, target = checkpoint.path / checkpoint.weights_file, run.base_file
    target.parent.mkdir(exist_ok=True)
    if is_changed or any(map(is_adapter, load_tensors(source))):  # adapters of the base are merged
        return save_tensors(target, tensors, {})
    try:
        os.link(source, target)  # the same bytes: several adapters on one base take its space once
    except FileExistsError:
        pass
    except OSError:
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            remove(target)
            raise disk_failure(error, target) from error
    with open(target, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def base_weights(
    run: RunFolder, values: Mapping[str, Any], lora: LoraConfig, model: ModelConfig
) -> Tensors | None:
    """What a resumed run needs of its base: with adapters the weights, else nothing once it has a checkpoint.

    `model` is the run's, whose vocabulary may be larger than the base's.

    Raises:
        KgptError: the base is not there any more, or has been changed.
        KgptFailure: it is damaged.
    """
    if lora.rank:
        return base_tensors(run, values)
    if run.checkpoints():
        return None
    return first_weights(values, model)


def first_weights(values: Mapping[str, Any], model: ModelConfig) -> Tensors:
    """The weights of the base that `run.json` names, with a vocabulary as `model` has it.

    Raises:
        KgptError: the base is not there any more.
        KgptFailure: it is damaged.
    """
    parent = values.get("parent") or {}
    base = find_run(str(parent.get("path")))
    tensors = checkpoint_tensors(base, base.checkpoint(str(parent.get("step"))))
    return grown(tensors, from_dict(base.configuration()).model, model)


def write_adapter(run: RunFolder) -> None:
    """Write the adapters of the best checkpoint into `adapter/`, with what explains them.

    Raises:
        KgptFailure: the disk is full.
    """
    values, best = run.read(), run.checkpoint("best")
    tensors = load_tensors(best.path / best.weights_file)
    run.adapter_folder.mkdir(exist_ok=True)
    sha256 = save_tensors(run.adapter_folder / WEIGHTS_FILE, tensors, {"step": str(best.step)})
    about = {key: values[key] for key in ("format_version", "task", "finetuning", "parent")}
    write_json(run.adapter_folder / "adapter.json", {**about, "step": best.step, "sha256": sha256})
