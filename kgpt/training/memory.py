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
from kgpt.model.size import attention_matrices, feed_forward_matrices, parameter_count

FLOAT32 = 4
MEGABYTE = 10**6

GPU_PROGRAM = 900 * MEGABYTE
"""Memory of a GPU that its driver and libraries take: assumed."""

SAVING = 2.3
"""Copies of weights and optimiser state that exist while a checkpoint is written: the snapshot, and a file's bytes."""

BLOCKWISE_FROM, QUERY_BLOCK = 512, 256
"""From this context on attention works on so many queries at a time and keeps no scores (`causal_attention`)."""

CHUNK_BYTES, SMALLEST_CHUNK = 2**25, 256
"""Float32 logits that exist at a time, and tokens that they belong to at least (`cross_entropy`)."""

EVALUATION_TOKENS, EVALUATION_WINDOWS = 8192, 16
"""The most that the evaluation of the validation split works on at once (`evaluation.loss`)."""


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """What one way of compiling the training step costs: factors of `step_counts`, measured on a CPU."""

    program: float
    """Megabytes of the interpreter, the libraries and the compiler, however small the model."""
    layers: float
    """Megabytes that the compiled step takes for each layer."""
    parameters: float
    """Float32 copies of the weights: their gradients, and what is renewed but not yet in place."""
    width: float
    """Vectors as wide as the model that a token's backward pass needs of a layer."""
    hidden: float
    """Vectors as wide as the hidden layer, likewise."""
    scores: float
    """Rows of attention scores, likewise."""
    scores_once: float
    """Rows of float32 attention scores that the layer at work needs."""
    logits: float
    """Rows of float32 logits, for each token of a chunk of the loss."""
    head: float
    """Float32 copies of the head's matrix: its gradient, while the chunks of the loss add it up."""


XLA = StepCost(
    program=880,
    layers=79,
    parameters=1.9,
    width=8.2,
    hidden=3.2,
    scores=1.2,
    scores_once=1.5,
    logits=2.0,
    head=1.0,
)
"""With XLA, measured in float32."""

GRAPH = StepCost(
    program=670,
    layers=46,
    parameters=6.5,
    width=15.8,
    hidden=6.2,
    scores=2.4,
    scores_once=2.9,
    logits=2.5,
    head=1.0,
)
"""Without XLA, measured in bfloat16."""

NO_COPIES, COPIED = 0.6, ("parameters", "width", "hidden", "scores", "logits")
"""Share of these of the graph's costs that remains where everything is float32."""


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
    """What saving takes, in place of the four above; nothing of a GPU's."""
    saves_while_training: bool
    """Whether checkpoints are written in the background, while the next steps are made: then both add up."""

    @property
    def held(self) -> int:
        """There all the time."""
        return self.program + self.weights + self.optimizer

    @property
    def step(self) -> int:
        """A training step's own share."""
        return self.gradients + self.activations + self.logits

    @property
    def phases(self) -> dict[str, int]:
        """Bytes in all during each phase of a run."""
        training = self.step + (self.checkpoint if self.saves_while_training else 0)
        return {
            "training": self.held + training,
            "evaluation": self.held + self.evaluation,
            "saving": self.held + self.checkpoint,
        }

    @property
    def peak(self) -> int:
        """The most that exists at one moment."""
        return max(self.phases.values())


def memory_plan(config: TrainConfig, *, on_gpu: bool = False) -> MemoryPlan:
    """Peak memory of a run; on a GPU, the GPU's (whose factors are the CPU's, and not measured)."""
    parameters, slots = parameter_count(config.model), optimizer_values(config)
    cost = XLA if compiles_with_xla(config, on_gpu=on_gpu) else GRAPH
    part = {name: getattr(cost, name) * count for name, count in step_counts(config).items()}
    if cost is GRAPH and value_bytes(config) == FLOAT32:
        part |= {name: NO_COPIES * part[name] for name in COPIED}
    accumulated = FLOAT32 * parameters if config.gradient_accumulation > 1 else 0
    kept = part["width"] + part["hidden"] + part["scores"]
    if config.remat:
        kept = kept / config.model.num_layers + _layer_inputs(config)
    weights = FLOAT32 * parameters * (2 if config.optimizer.ema_decay else 1)
    return MemoryPlan(
        program=GPU_PROGRAM if on_gpu else round(part["program"] + part["layers"]),
        weights=weights,
        optimizer=FLOAT32 * slots,
        gradients=round(part["parameters"]) + accumulated,
        activations=round(kept + part["scores_once"]),
        logits=round(part["logits"] + part["head"]),
        evaluation=evaluation_bytes(config),
        # a snapshot lies in main memory
        checkpoint=0 if on_gpu else round(SAVING * (weights + FLOAT32 * slots)),
        saves_while_training=config.checkpoint_every % config.evaluate_every != 0,
    )


def step_counts(config: TrainConfig) -> dict[str, float]:
    """What the factors of a `StepCost` are multiplied with, in bytes.

    What a layer keeps is counted as in Korthikanti et al., 2022 (arXiv:2205.05198), section 4.1.
    """
    c, value = config.model, value_bytes(config)
    tokens = config.batch_size * c.context_length
    vectors = tokens * c.num_layers * value
    blockwise = c.context_length >= BLOCKWISE_FROM
    rows = QUERY_BLOCK * config.batch_size if blockwise else tokens
    row = c.num_heads * c.context_length
    return {
        "program": float(MEGABYTE),
        "layers": float(MEGABYTE * c.num_layers),
        "parameters": float(FLOAT32 * parameter_count(c)),
        "width": float(vectors * c.width),
        "hidden": vectors * c.hidden_width * (1.5 if c.activation == "swiglu" else 1.0),
        "scores": 0.0 if blockwise else float(vectors * row),
        "scores_once": float(FLOAT32 * rows * row),
        "logits": float(logit_bytes(tokens, c)),
        "head": float(FLOAT32 * c.padded_vocabulary_size * c.width),
    }


def logit_bytes(tokens: int, model: ModelConfig) -> int:
    """Bytes of the float32 logits that exist at once, at most: chunks are of equal size, and so may be smaller."""
    of_a_token = FLOAT32 * model.padded_vocabulary_size
    return min(tokens * of_a_token, max(SMALLEST_CHUNK * of_a_token, CHUNK_BYTES))


def _layer_inputs(config: TrainConfig) -> int:
    """Bytes of what is kept where the blocks' insides are computed again."""
    c = config.model
    tokens = config.batch_size * c.context_length
    return tokens * c.num_layers * c.width * value_bytes(config)


def compiles_with_xla(config: TrainConfig, *, on_gpu: bool) -> bool:
    """Whether XLA compiles the step. `auto`: yes, but for half precision on a CPU, where it is slower."""
    if config.xla != "auto":
        return config.xla == "on"
    return on_gpu or value_bytes(config) == FLOAT32


def value_bytes(config: TrainConfig) -> int:
    """Bytes of a value between the layers."""
    return 2 if config.precision in ("bfloat16", "float16") else FLOAT32


def optimizer_values(config: TrainConfig) -> int:
    """Values that the optimiser keeps: AdamW two for each weight, Muon one for those of the matrices in the blocks."""
    parameters = parameter_count(config.model)
    if config.optimizer.name == "adamw":
        return 2 * parameters
    return 2 * parameters - attention_matrices(config.model) - feed_forward_matrices(config.model)


def evaluation_bytes(config: TrainConfig) -> int:
    """Bytes of a forward pass that keeps nothing: one layer's scores and vectors, and a chunk of logits."""
    c = config.model
    # whole windows: as many tokens, or fewer, which this does not count, as more would then need less
    tokens = max(c.context_length, min(EVALUATION_WINDOWS * c.context_length, EVALUATION_TOKENS))
    queries = QUERY_BLOCK if c.context_length >= BLOCKWISE_FROM else c.context_length
    scores = 2 * tokens * c.num_heads * queries
    vectors = tokens * (4 * c.hidden_width + 6 * c.width)
    return FLOAT32 * (scores + vectors) + 3 * logit_bytes(tokens, c)
