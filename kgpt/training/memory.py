"""Peak memory of a training run, computed from its configuration part by part.

In: a `TrainConfig`. Out: a `MemoryPlan`: what is held all the time (the program, weights, optimiser) and what each of
the three phases of a run adds (a training step, an evaluation, the saving of a checkpoint); the largest phase makes
the peak. Formulas count values; the factors in front of them are measured (`python -m benchmarks planning` compares
both again). Neither Keras nor a backend is loaded.

Letters: B batch, T context, C width, F hidden width, H heads, K key and value heads, D channels
of a head, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

from kgpt.config import ModelConfig, TrainConfig
from kgpt.model.size import attention_matrices, feed_forward_matrices, parameters_by_part

FLOAT32 = 4
MEGABYTE = 10**6

PROGRAM = 640 * MEGABYTE
"""Python, NumPy, TensorFlow and Keras, imported, before there is a model."""

EVALUATION_BATCH = 16
"""Sequences that the evaluation of the validation split works on at once."""


@dataclass(frozen=True)
class StepCost:
    """What one way of compiling the training step costs: factors measured on a CPU."""

    compiled: int
    """Bytes that the compiler and its program keep, however small the model."""
    compiled_layer: int
    """The same for each layer."""
    width: float
    """Vectors of C values kept for the backward pass, a token and layer."""
    hidden: float
    """Vectors of F values, a token and layer."""
    scores: float
    """Matrices of H x T values in the compute type, a token and layer."""
    scores_once: float
    """Float32 matrices of H x T values that one layer at a time needs."""
    logits: float
    """Float32 vectors of V values, a token."""
    gradients: float
    """Copies of the gradients, in float32."""
    updated: float
    """Copies of weights and optimiser state that exist while new ones are written."""


XLA = StepCost(250 * MEGABYTE, 60 * MEGABYTE, 10.0, 2.0, 1.0, 1.0, 2.0, 1.0, 1.0)
GRAPH = StepCost(150 * MEGABYTE, 25 * MEGABYTE, 10.0, 5.0, 3.0, 1.0, 2.0, 1.5, 0.0)


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of a run at its peak, by part."""

    program: int
    """The interpreter, the libraries and the compiled step."""
    weights: int
    """Float32 weights, and their average where the run keeps one."""
    optimizer: int
    gradients: int
    activations: int
    """What the forward pass keeps for the backward pass."""
    logits: int
    """Scores of the vocabulary, their gradient, and the loss."""
    evaluation: int
    """What a forward pass over a batch of the validation split takes, in place of the three above."""
    checkpoint: int
    """What saving takes, in place of the four above."""

    @property
    def held(self) -> int:
        """There all the time."""
        return self.program + self.weights + self.optimizer

    @property
    def step(self) -> int:
        """A training step's own share."""
        return self.gradients + self.activations + self.logits

    @property
    def peak(self) -> int:
        """The most that exists at one moment."""
        return self.held + max(self.step, self.evaluation, self.checkpoint)

    @property
    def peak_phase(self) -> str:
        """The phase that makes the peak."""
        phases = {"training": self.step, "evaluation": self.evaluation, "saving": self.checkpoint}
        return max(phases, key=phases.__getitem__)


def memory_plan(config: TrainConfig, *, on_gpu: bool = False) -> MemoryPlan:
    """Peak memory of a run; on a GPU, the GPU's (whose factors are the CPU's, and not measured)."""
    model, parameters = config.model, sum(parameters_by_part(config.model).values())
    cost = XLA if compiles_with_xla(config, on_gpu=on_gpu) else GRAPH
    tokens = config.batch_size * model.context_length
    slots = optimizer_values(config)
    gradients = cost.gradients + (config.gradient_accumulation > 1)
    updated = cost.updated * FLOAT32 * (parameters + slots)
    program = PROGRAM + cost.compiled + cost.compiled_layer * model.num_layers
    activations = tokens * activation_bytes(model, value_bytes(config), cost)
    return MemoryPlan(
        program=program,
        weights=FLOAT32 * parameters * (2 if config.optimizer.ema_decay else 1),
        optimizer=FLOAT32 * slots,
        gradients=round(FLOAT32 * parameters * gradients + updated),
        activations=round(activations),
        logits=round(tokens * FLOAT32 * model.vocabulary_size * cost.logits),
        evaluation=evaluation_bytes(config),
        checkpoint=FLOAT32 * max(parameters, slots),
    )


def compiles_with_xla(config: TrainConfig, *, on_gpu: bool) -> bool:
    """Whether XLA compiles the step. `auto`: yes, but for bfloat16 on a CPU, where it is slower."""
    if config.xla != "auto":
        return config.xla == "on"
    return on_gpu or config.precision != "bfloat16"


def value_bytes(config: TrainConfig) -> int:
    """Bytes of a value between the layers."""
    return 2 if config.precision in ("bfloat16", "float16") else FLOAT32


def optimizer_values(config: TrainConfig) -> int:
    """Values that the optimiser keeps: AdamW two for each weight, Muon one for those of the matrices in the blocks."""
    parameters = sum(parameters_by_part(config.model).values())
    if config.optimizer.name == "adamw":
        return 2 * parameters
    return 2 * parameters - attention_matrices(config.model) - feed_forward_matrices(config.model)


def activation_bytes(model: ModelConfig, value: int, cost: StepCost) -> float:
    """Bytes a token that the backward pass needs from the forward pass.

    A layer keeps a number of vectors as wide as the model, as its queries, keys and values, and as its hidden layer,
    and matrices of attention scores (compare Korthikanti et al., 2022, arXiv:2205.05198, section 4.1).
    """
    c = model
    projected = (c.num_heads + 2 * c.kv_heads) * c.head_dim
    gate = 1.5 if c.activation == "swiglu" else 1.0
    vectors = cost.width * c.width + projected + gate * cost.hidden * c.hidden_width
    scores = c.num_heads * c.context_length
    layer = value * (vectors + cost.scores * scores)
    return c.num_layers * layer + FLOAT32 * cost.scores_once * scores


def evaluation_bytes(config: TrainConfig) -> int:
    """Bytes of a forward pass that keeps nothing: one layer's scores or the logits, whichever is more."""
    c = config.model
    scores = 2 * c.num_heads * c.context_length
    hidden = 4 * c.hidden_width + 4 * c.width
    return (
        EVALUATION_BATCH * c.context_length * FLOAT32 * max(scores + hidden, 2 * c.vocabulary_size)
    )
