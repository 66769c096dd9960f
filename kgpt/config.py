"""The configuration of a model and of its training: frozen dataclasses whose every value is checked when they are made.

`config_values` reads and writes them, `presets` names some. Standard library only.
"""

from __future__ import annotations

import dataclasses
import re
import sys
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

from kgpt.errors import KgptError

Positions = Literal["learned", "rotary"]
Norm = Literal["layer", "rms"]
Activation = Literal["gelu", "relu2", "swiglu"]
Initialization = Literal["gpt2", "zero-output"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
OnDivergence = Literal["stop", "rollback"]
Xla = Literal["auto", "on", "off"]
Distribute = Literal["off", "auto", "mirrored", "data", "model"]
OptimizerName = Literal["adamw", "muon"]
Schedule = Literal["cosine", "linear", "wsd"]

STEP_CHANGE = re.compile(r"[0-9]{1,12}:[1-9][0-9]{0,11}")

UNLIMITED_STEPS = 10**9
"""`steps` of a run that epochs or minutes limit."""

BUILT_IN_CORPUS = "encyclopedia"
BUILT_IN_VOCABULARY_SIZE = 4096
"""The text that is there without a file, prepared on first use."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The architecture. The defaults are GPT-2's 124M-parameter model, exactly."""

    vocabulary_size: int = 50257
    """Number of token ids. Training takes it from the tokenizer of its data."""
    vocabulary_multiple: int = 1
    """The tables of embedding and head are filled up to a multiple of this: 64 or 128 is faster on a GPU. The rows
    that are too many stand for no token: they get no score and enter no loss."""
    context_length: int = 1024
    """Tokens that the model sees at once."""
    num_layers: int = 12
    num_heads: int = 12
    num_kv_heads: int = 0
    """Key and value heads shared by groups of query heads (grouped-query attention); 0 means `num_heads`."""
    width: int = 768
    """Length of the vector that represents a token between the layers."""
    feed_forward_width: int = 0
    """Hidden units of each feed-forward layer; 0 means four times `width`."""
    positions: Positions = "learned"
    rotary_base: float = 10000.0
    norm: Norm = "layer"
    norm_epsilon: float = 1e-5
    qk_norm: bool = False
    """RMSNorm on each head's queries and keys (Henry et al., 2020, arXiv:2010.04245)."""
    activation: Activation = "gelu"
    bias: bool = True
    """Bias vectors in the dense layers and the layer norms."""
    tied_head: bool = True
    """The output projection is the token embedding transposed."""
    dropout: float = 0.0
    initialization: Initialization = "gpt2"
    """`zero-output`: what writes into the residual stream, and an untied head, start at zero."""

    def __post_init__(self) -> None:
        check_types(self, "model")
        positive = "vocabulary_size vocabulary_multiple context_length num_layers num_heads width"
        for name in positive.split():
            require(getattr(self, name) >= 1, f"model.{name}", "at least 1", getattr(self, name))
        require(
            self.width % self.num_heads == 0,
            "model.width",
            f"a multiple of model.num_heads={self.num_heads}",
            self.width,
        )
        require(
            self.num_kv_heads >= 0 and self.num_heads % self.kv_heads == 0,
            "model.num_kv_heads",
            f"a divisor of model.num_heads={self.num_heads} (or 0 for as many)",
            self.num_kv_heads,
        )
        require(
            self.positions == "learned" or self.head_dim % 2 == 0,
            "model.width",
            "an even width per head (rotary positions turn pairs)",
            self.width,
        )
        require(
            self.feed_forward_width >= 0,
            "model.feed_forward_width",
            "0 or more",
            self.feed_forward_width,
        )
        require(
            0.0 <= self.dropout < 1.0,
            "model.dropout",
            "from 0 up to, not including, 1",
            self.dropout,
        )
        require(self.norm_epsilon > 0, "model.norm_epsilon", "above 0", self.norm_epsilon)
        require(self.rotary_base > 1, "model.rotary_base", "above 1", self.rotary_base)

    @property
    def padded_vocabulary_size(self) -> int:
        """Rows of the token embedding, and of an untied head."""
        return -(-self.vocabulary_size // self.vocabulary_multiple) * self.vocabulary_multiple

    @property
    def head_dim(self) -> int:
        """Length of one head's query, key and value vectors."""
        return self.width // self.num_heads

    @property
    def kv_heads(self) -> int:
        """Number of key and value heads, resolved."""
        return self.num_kv_heads or self.num_heads

    @property
    def hidden_width(self) -> int:
        """Hidden units of each feed-forward layer, resolved."""
        return self.feed_forward_width or 4 * self.width


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """The optimiser and its learning-rate schedule."""

    name: OptimizerName = "adamw"
    """`muon` updates the matrices inside the blocks by Muon and everything else by AdamW."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW."""
    embedding_learning_rate: float = 0.0
    """Peak rate of AdamW for the token embedding and an untied head; 0 means `learning_rate`."""
    muon_learning_rate: float = 0.02
    muon_momentum: float = 0.95
    beta_1: float = 0.9
    beta_2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.1
    """Decoupled weight decay, on matrices only."""
    clip_norm: float = 1.0
    """Gradients are scaled down to this global norm; 0 leaves them alone."""
    schedule: Schedule = "cosine"
    """How the rate falls at the end. `wsd` (warm-up, stable, decay) stays at its peak for most of the steps, so that
    such a run can be resumed with more steps and becomes the run that had them from its beginning."""
    warmup_steps: int = 100
    final_fraction: float = 0.1
    """Learning rate of the last step, as a fraction of the peak."""
    decay_fraction: float = 0.0
    """Share of the steps after the warm-up over which the rate falls; it stays at its peak before. 0 means the
    schedule's own: 1 for cosine and linear, 0.2 for wsd."""
    ema_decay: float = 0.0
    """Keep an average of the weights, this much of it at each update; 0 keeps none. `--checkpoint best-ema` and
    `last-ema` name the averaged weights."""

    def __post_init__(self) -> None:
        check_types(self, "optimizer")
        for name in ("learning_rate", "muon_learning_rate", "epsilon"):
            require(getattr(self, name) > 0, f"optimizer.{name}", "above 0", getattr(self, name))
        for name in ("embedding_learning_rate", "weight_decay", "clip_norm", "warmup_steps"):
            require(getattr(self, name) >= 0, f"optimizer.{name}", "0 or more", getattr(self, name))
        for name in ("beta_1", "beta_2", "muon_momentum", "ema_decay"):
            require(
                0 <= getattr(self, name) < 1,
                f"optimizer.{name}",
                "from 0 up to, not including, 1",
                getattr(self, name),
            )
        for name in ("final_fraction", "decay_fraction"):
            require(
                0 <= getattr(self, name) <= 1,
                f"optimizer.{name}",
                "between 0 and 1",
                getattr(self, name),
            )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A whole training run: what `kgpt-train` needs to know, and what `run.json` keeps."""

    data: str = BUILT_IN_CORPUS
    """A prepared folder: a path, or a name in the data folder."""
    run: str = "demo"
    """Name of the run: a folder in `saved_models/`."""
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    steps: int = 2000
    """Optimiser updates in all."""
    epochs: float = 0.0
    """Passes over the training text; 0 means that `steps` counts. Training turns it into `steps`."""
    minutes: float = 0.0
    """Time budget for training; 0 means none. `steps` then becomes an upper bound."""
    step_changes: tuple[str, ...] = ()
    """Where the number of steps was changed on the way, as START:STEPS; training notes them, so that the learning
    rates can be had again. `0:1000` and `20:500`: 1,000 steps at first, 500 in all after the first twenty."""
    batch_size: int = 12
    """Sequences of `model.context_length` tokens that are worked on at once."""
    gradient_accumulation: int = 1
    """Batches that one update learns from, worked on one after another: the update of the larger batch."""
    precision: Precision = "auto"
    """What matrix products are computed in; weights and sums are float32. `auto`: float32 on a CPU; on a GPU bfloat16
    where it has it, else float16 where that is fast. A run keeps what was chosen when it was started."""
    xla: Xla = "auto"
    """Compile the training step with XLA: faster steps, a slower first one. `auto` chooses the faster for long runs."""
    distribute: Distribute = "off"
    """Several devices for one run. `mirrored` (TensorFlow) and `data` (JAX): each works on some rows of the batch.
    `model` (JAX): the matrices are cut over them. `auto`: all GPUs there are. Loss and update are the whole batch's."""
    evaluate_every: int = 250
    """Steps between evaluations on the whole validation split (also before the last step ends)."""
    checkpoint_every: int = 250
    label_smoothing: float = 0.0
    """Share of the target that is spread evenly over the vocabulary; training only."""
    z_loss: float = 0.0
    """Weight of log(sum of exp(logits))**2 in the loss, which keeps the logits small (1e-4, say); training only."""
    remat: bool = False
    """Compute each block's inside again in the backward pass instead of keeping it: less memory for more
    time, up to a third of it (measured on a CPU: none at 124M and context 1,024, a tenth at 6 layers x 384)."""
    check_memory: bool = True
    """Refuse to start a run that by calculation does not fit into the memory that is free."""
    keep: int = 2
    """Checkpoints kept beside the best one."""
    early_stopping: int = 0
    """Evaluations without a lower validation loss after which training ends; 0 never ends it."""
    on_divergence: OnDivergence = "stop"
    """What to do when the loss is no number or stays far above what it was. `rollback`: go back to the last checkpoint
    from before, and on with other data."""
    spike_deviations: float = 10.0
    """A loss is far above when five in a row exceed the median of the hundred before them by this many robust standard
    deviations, and by a tenth; 0 looks for no spikes."""
    max_rollbacks: int = 3
    log_every: int = 10
    tensorboard: bool = False
    """Write the rows of `metrics.jsonl` for TensorBoard too; needs the extra `tensorboard`."""
    seed: int = 1
    sample_prompts: tuple[str, ...] = ()
    """Prompts continued at each evaluation into `samples.jsonl`; the start of the validation text by default."""

    def __post_init__(self) -> None:
        check_types(self, "")
        for name in (
            "steps",
            "batch_size",
            "gradient_accumulation",
            "evaluate_every",
            "checkpoint_every",
            "keep",
            "log_every",
        ):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        for name in ("minutes", "epochs", "early_stopping", "spike_deviations", "max_rollbacks"):
            require(getattr(self, name) >= 0, name, "0 or more", getattr(self, name))
        require(
            0 <= self.label_smoothing < 1,
            "label_smoothing",
            "from 0 up to, not including, 1",
            self.label_smoothing,
        )
        require(self.z_loss >= 0, "z_loss", "0 or more", self.z_loss)
        require(0 <= self.seed < 2**32, "seed", "0 or more, below 2**32", self.seed)
        require(
            all(STEP_CHANGE.fullmatch(change) for change in self.step_changes),
            "step_changes",
            'a list of texts such as "20:500"',
            self.step_changes,
        )
        require(bool(self.data), "data", "a folder made by `kgpt prepare`", self.data)

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one update learns from."""
        return self.sequences_per_step * self.model.context_length

    @property
    def sequences_per_step(self) -> int:
        """Sequences that one update learns from."""
        return self.batch_size * self.gradient_accumulation


# === Checks ===


def require(holds: bool, name: str, expected: str, received: object) -> None:
    """Raise a `KgptError` that names the key, what it must be and what it was, unless `holds`."""
    if not holds:
        raise KgptError(
            "Configuration error",
            f"{name} must be {expected}. Received: {name}={received!r}",
            f"Change it on the command line with --set {name}=VALUE, or in your TOML file.",
        )


def check_types(config: Any, prefix: str) -> None:
    """Check every field of a dataclass against its annotation; integers pass for floats, NaN never does."""
    hints = typing.get_type_hints(type(config))
    for item in dataclasses.fields(config):
        value, hint = getattr(config, item.name), hints[item.name]
        name = f"{prefix}.{item.name}".lstrip(".")
        choices = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
        if choices:
            require(value in choices, name, "one of " + ", ".join(choices), value)
        elif hint is float:
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            require(is_number and abs(value) <= sys.float_info.max, name, "a finite number", value)
        elif typing.get_origin(hint) is tuple:
            require(
                isinstance(value, tuple) and all(isinstance(v, str) for v in value),
                name,
                "a list of texts",
                value,
            )
        elif not dataclasses.is_dataclass(hint):
            is_right = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
            words = {int: "a whole number", str: "a text", bool: "true or false"}
            require(is_right, name, words.get(hint, hint.__name__), value)
