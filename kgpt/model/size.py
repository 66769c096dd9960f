"""How large a model is and what a token costs, computed from its configuration alone.

In: a `ModelConfig`. Out: parameters by part, and floating-point operations a token. Neither Keras nor a backend is
needed, so that a plan can be made in a moment.
"""

from __future__ import annotations

from kgpt.config import ModelConfig


def parameter_count(config: ModelConfig) -> int:
    """Trained values of a model (124,439,808 for GPT-2's smallest)."""
    return sum(parameters_by_part(config).values())


def parameters_by_part(config: ModelConfig) -> dict[str, int]:
    """Trained values of each part of a model; a part that the configuration leaves out is absent.

    A tied head has no parameters of its own.
    """
    c = config
    hidden_matrices = 3 if c.activation == "swiglu" else 2
    feed_forward_biases = (hidden_matrices - 1) * c.hidden_width + c.width if c.bias else 0
    kv_width = c.kv_heads * c.head_dim
    norm = c.width * (2 if c.norm == "layer" and c.bias else 1)
    qk_norms = 2 * c.head_dim if c.qk_norm else 0
    parts = {
        "token embedding": c.padded_vocabulary_size * c.width,
        "position embedding": c.context_length * c.width if c.positions == "learned" else 0,
        "attention": attention_matrices(c) + c.num_layers * (2 * c.width + 2 * kv_width) * c.bias,
        "feed-forward": feed_forward_matrices(c) + c.num_layers * feed_forward_biases,
        "norms": c.num_layers * (2 * norm + qk_norms) + norm,
        "head": 0 if c.tied_head else c.padded_vocabulary_size * c.width,
    }
    return {name: count for name, count in parts.items() if count}


def attention_matrices(config: ModelConfig) -> int:
    """Values in the query, key, value and output matrices of all layers."""
    c = config
    return c.num_layers * (2 * c.width**2 + 2 * c.width * c.kv_heads * c.head_dim)


def feed_forward_matrices(config: ModelConfig) -> int:
    """Values in the feed-forward matrices of all layers."""
    c = config
    return c.num_layers * (3 if c.activation == "swiglu" else 2) * c.width * c.hidden_width


def matrix_parameters(config: ModelConfig) -> int:
    """Values that every token is multiplied with: the matrices of the blocks, and the head, tied or not."""
    head = config.vocabulary_size * config.width
    return attention_matrices(config) + feed_forward_matrices(config) + head


def training_flops_per_token(config: ModelConfig) -> int:
    """Floating-point operations that training on one token takes, forward and backward.

    6 * matrix parameters + 12 * layers * width * context: a multiplication and an addition for each value, once
    forward and twice backward (Kaplan et al., 2020, arXiv:2001.08361, table 1, which counts the forward pass), and the
    scores and sums of attention counted over the whole context, as PaLM's model FLOPs utilisation has them
    (Chowdhery et al., 2022, arXiv:2204.02311, appendix B). Causal kernels that skip half of the scores do less work
    than this counts. Forward alone is a third of it.
    """
    c = config
    return 6 * matrix_parameters(c) + 12 * c.num_layers * c.width * c.context_length
