"""A classifier: token ids in, a score for every label out. A GPT reads the text, and one matrix makes scores of it.

Axes: B batch, T time, C channels, L labels.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kgpt.config import ModelConfig
from kgpt.finetune_config import ClassifyConfig, Pooling, classify_config
from kgpt.model.dropout import derived, dropout, seed_from_state
from kgpt.model.gpt import GPT, build_gpt
from kgpt.model.parts import dense_layer
from kgpt.model.tensors import checkpoint_tensors, model_config
from kgpt.model.weights import assign
from kgpt.runs import Checkpoint, RunFolder

NO_TOKEN = -1
"""Fills rows behind their text."""


@keras.saving.register_keras_serializable(package="kgpt")
class Classifier(keras.Model):
    """A GPT with a head for labels: on the vector of a text's last token, or on mean, sum or maximum over its tokens.

    A sum is divided by the square root of the text's length, as TF-IDF's vectors are by their norm: one telling token
    counts more in it than in a mean, where its share is one in all.

    Ids (B, T) become float32 scores (B, L). Rows begin with their text; behind it they are filled with `NO_TOKEN`, to
    which no token looks, because attention is causal.

    Example:
        >>> gpt = build_gpt(ModelConfig(vocabulary_size=65, context_length=64, num_layers=1, num_heads=4, width=64))
        >>> classifier = Classifier(gpt, num_labels=2)
        >>> classifier(np.array([[3, 1, 4], [2, 7, -1]])).shape
        (2, 2)
    """

    def __init__(
        self,
        gpt: GPT | dict[str, Any],
        num_labels: int,
        pooling: Pooling = "last",
        head_dropout: float = 0.0,
        label_smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "classifier")
        super().__init__(**kwargs)
        if isinstance(gpt, GPT):
            self.gpt = gpt
        else:  # from a .keras file
            self.gpt = keras.saving.deserialize_keras_object(gpt)
            if not self.gpt.built:
                self.gpt.build()
        self.num_labels = num_labels
        self.pooling, self.head_dropout = pooling, head_dropout
        self.label_smoothing = label_smoothing
        self.config: ModelConfig = self.gpt.config
        if head_dropout:
            self.seed_generator = keras.random.SeedGenerator()
        self.head = dense_layer(num_labels, True, "label_head", "float32")

    def build(self, input_shape: Any = None) -> None:
        """Create the head's weights; those of the GPT are there."""
        self.head.build((None, self.config.width))
        self.built = True

    def call(self, ids_BT: Any, training: bool | None = None) -> Any:
        """Float32 scores (B, L), of which softmax makes probabilities."""
        is_token_BT = ops.not_equal(ids_BT, NO_TOKEN)
        x_BTC = self.gpt.hidden_states(ops.maximum(ids_BT, 0), training)
        x_BC = self.pooled(ops.cast(x_BTC, "float32"), ops.cast(is_token_BT, "float32"))
        if training and self.head_dropout:
            seed = derived(seed_from_state(self.seed_generator.next()), 0)
            x_BC = dropout(x_BC, self.head_dropout, seed)
        return self.head(x_BC)

    def pooled(self, x_BTC: Any, is_token_BT: Any) -> Any:
        """One vector a row, (B, C)."""
        if (
            self.pooling == "max"
        ):  # a row of nothing but filling has no weight, but must stay finite
            return ops.max(ops.where(is_token_BT[:, :, None] > 0, x_BTC, -1e9), axis=1)
        if self.pooling == "last":
            # 1 at the last token, 0 elsewhere: a product is quicker to differentiate than take
            following_BT = ops.pad(is_token_BT[:, 1:], [(0, 0), (0, 1)])
            is_token_BT = is_token_BT - following_BT
        sums_BC = ops.matmul(is_token_BT[:, None, :], x_BTC)[:, 0]
        length_B1 = ops.maximum(ops.sum(is_token_BT, axis=1, keepdims=True), 1.0)
        return sums_BC / (ops.sqrt(length_B1) if self.pooling == "sum" else length_B1)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The mean cross-entropy of labels `y` (B,), in nats; each row counts as much as `sample_weight` (B,) says."""
        log_probability_BL = ops.log_softmax(y_pred, axis=-1)
        target_BL = ops.one_hot(ops.cast(y, "int32"), self.num_labels)
        smooth = self.label_smoothing if training else 0.0
        target_BL = (1.0 - smooth) * target_BL + smooth / self.num_labels
        loss_B = -ops.sum(target_BL * log_probability_BL, axis=-1)
        weight_B = (
            ops.ones_like(loss_B) if sample_weight is None else ops.cast(sample_weight, "float32")
        )
        return ops.sum(loss_B * weight_B) / ops.maximum(ops.sum(weight_B), 1e-30)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "gpt": keras.saving.serialize_keras_object(self.gpt),
            "num_labels": self.num_labels,
            "pooling": self.pooling,
            "head_dropout": self.head_dropout,
            "label_smoothing": self.label_smoothing,
        }


def build_classifier(
    config: ModelConfig,
    settings: ClassifyConfig,
    precision: str = "float32",
    seed: int | None = None,
    label_smoothing: float = 0.0,
    remat: bool = False,
) -> Classifier:
    """A built classifier with fresh weights for the labels of `settings`."""
    gpt = build_gpt(config, precision, seed, remat=remat)
    model = Classifier(
        gpt, len(settings.labels), settings.pooling, settings.head_dropout, label_smoothing
    )
    model.build()
    return model


def load_checkpoint_classifier(run: RunFolder, checkpoint: Checkpoint) -> Classifier:
    """The classifier of a run with the weights of one of its checkpoints, adapters merged.

    Raises:
        KgptError: the run is no classifier, or the weights do not fit its configuration.
        KgptFailure: a file is missing or damaged.
    """
    run.check_labels()
    settings = classify_config(run.read().get("finetuning"))
    model = build_classifier(model_config(run), settings)
    path = checkpoint.path / checkpoint.weights_file
    assign(model.weights, checkpoint_tensors(run, checkpoint), path)
    return model
