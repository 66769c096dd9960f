"""A model's variables and the tensors of a checkpoint, both by Keras path.

In: a model, tensors. Out: the tensors of the model, or a model whose every weight was found, checked and set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.model.gpt import GPT, build_gpt
from kgpt.model.tensors import checkpoint_tensors, is_adapter, model_config
from kgpt.runs import Checkpoint, RunFolder


def tensors_of(variables: Iterable[Any]) -> dict[str, np.ndarray]:
    """Values of Keras variables by path."""
    return {variable.path: np.array(variable) for variable in variables}


def assign(variables: Iterable[Any], tensors: Mapping[str, np.ndarray], source: object) -> None:
    """Set every variable from the tensor of its path; nothing may be missing, left over or of another shape.

    Raises:
        KgptError: names and shapes do not match; nothing has been changed then.
    """
    by_path = check_fit(variables, tensors, source)
    for path, variable in by_path.items():
        variable.assign(tensors[path])


def check_fit(
    variables: Iterable[Any], tensors: Mapping[str, np.ndarray], source: object
) -> dict[str, Any]:
    """The variables by path, each of which has a tensor of its shape.

    Raises:
        KgptError: names and shapes do not match.
    """
    by_path = {variable.path: variable for variable in variables}
    missing, extra = sorted(set(by_path) - set(tensors)), sorted(set(tensors) - set(by_path))
    if missing or extra:
        raise KgptError(
            _("Weights do not fit the model"),
            _(
                "{source}: {count} missing {missing}, {count_2} not expected {extra}.",
                source=source,
                count=len(missing),
                missing=missing[:3],
                count_2=len(extra),
                extra=extra[:3],
            ),
            _("The configuration in run.json must be the one that the weights were trained with."),
        )
    for path, variable in by_path.items():
        if tuple(variable.shape) != tensors[path].shape:
            raise KgptError(
                _("Weights do not fit the model"),
                _(
                    "{source}: {path} has shape {shape}, expected {shape_2}.",
                    source=source,
                    path=path,
                    shape=tensors[path].shape,
                    shape_2=tuple(variable.shape),
                ),
                _(
                    "The configuration in run.json must be the one that the weights were trained with."
                ),
            )
    return by_path


def model_weights(model: keras.Model) -> list[Any]:
    """The variables that make the model: its weights, without the state of random generators.

    Of a model with adapters these are the ones that train: the rest is its base's, and stays.
    """
    if any(is_adapter(variable.path) for variable in model.weights):
        return list(model.trainable_weights)
    return list(model.weights)


def load_checkpoint_model(
    run: RunFolder, checkpoint: Checkpoint, precision: str = "float32"
) -> GPT:
    """The model of a run with the weights of one of its checkpoints.

    Raises:
        KgptError: the run writes no text, or the weights do not fit its configuration.
        KgptFailure: a file is missing or damaged.
    """
    run.check_writes()
    model = build_gpt(model_config(run), precision)
    tensors = checkpoint_tensors(run, checkpoint)
    assign(model.weights, tensors, checkpoint.path / checkpoint.weights_file)
    return model
