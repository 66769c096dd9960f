"""transformers' names for a GPT-2's and a Qwen3's tensors.

In: a `ModelConfig`. Out: the table of correspondences for `GPT2LMHeadModel` or `Qwen3ForCausalLM`.
"""

from __future__ import annotations

from collections.abc import Iterator

from kgpt.config import ModelConfig
from kgpt.interop.correspondence import Correspondence
from kgpt.model.shapes import HEAD, POSITIONS, TOKENS, Shape

GPT2_DENSE = {
    "attn.c_attn": ("attention/query", "attention/key", "attention/value"),
    "attn.c_proj": ("attention/output",),
    "mlp.c_fc": ("feed_forward/up",),
    "mlp.c_proj": ("feed_forward/down",),
}
"""GPT-2's layers in a block, in OpenAI's names, which transformers has kept, and what of ours they are made of."""
GPT2_NORMS = {"ln_1": "attention_norm", "ln_2": "feed_forward_norm"}

_QWEN3_DENSE = {
    "self_attn.q_proj": "attention/query",
    "self_attn.k_proj": "attention/key",
    "self_attn.v_proj": "attention/value",
    "self_attn.o_proj": "attention/output",
    "mlp.gate_proj": "feed_forward/gate",
    "mlp.up_proj": "feed_forward/up",
    "mlp.down_proj": "feed_forward/down",
}
_QWEN3_SCALES = {
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "feed_forward_norm",
    "self_attn.q_norm": "attention/query_norm",
    "self_attn.k_norm": "attention/key_norm",
}


def gpt2_dense_shapes(config: ModelConfig) -> dict[str, Shape]:
    """Shape (inputs, outputs) of each matrix in a block of GPT-2."""
    c = config
    return {
        "attn.c_attn": (c.width, 3 * c.width),
        "attn.c_proj": (c.width, c.width),
        "mlp.c_fc": (c.width, c.hidden_width),
        "mlp.c_proj": (c.hidden_width, c.width),
    }


def gpt2_layout(config: ModelConfig) -> list[Correspondence]:
    """`GPT2LMHeadModel`. Its matrices are stored as ours are: inputs by outputs."""
    return list(_gpt2(config))


def _gpt2(c: ModelConfig) -> Iterator[Correspondence]:
    vector = (c.width,)
    yield Correspondence("transformer.wte.weight", (TOKENS,), (c.padded_vocabulary_size, c.width))
    yield Correspondence("transformer.wpe.weight", (POSITIONS,), (c.context_length, c.width))
    for index in range(c.num_layers):
        theirs, ours = f"transformer.h.{index}.", f"block_{index}/"
        for norm, our_norm in GPT2_NORMS.items():
            yield Correspondence(f"{theirs}{norm}.weight", (f"{ours}{our_norm}/gamma",), vector)
            yield Correspondence(f"{theirs}{norm}.bias", (f"{ours}{our_norm}/beta",), vector)
        for name, shape in gpt2_dense_shapes(c).items():
            kernels = tuple(f"{ours}{part}/kernel" for part in GPT2_DENSE[name])
            biases = tuple(f"{ours}{part}/bias" for part in GPT2_DENSE[name])
            yield Correspondence(f"{theirs}{name}.weight", kernels, shape)
            yield Correspondence(f"{theirs}{name}.bias", biases, shape[1:])
    yield Correspondence("transformer.ln_f.weight", ("final_norm/gamma",), vector)
    yield Correspondence("transformer.ln_f.bias", ("final_norm/beta",), vector)
    if not c.tied_head:
        yield _head(c)


def qwen3_layout(config: ModelConfig) -> list[Correspondence]:
    """`Qwen3ForCausalLM`. Its matrices are outputs by inputs."""
    return list(_qwen3(config))


def _qwen3(c: ModelConfig) -> Iterator[Correspondence]:
    kv_width = c.kv_heads * c.head_dim
    outputs_inputs = {
        "self_attn.q_proj": (c.width, c.width),
        "self_attn.k_proj": (kv_width, c.width),
        "self_attn.v_proj": (kv_width, c.width),
        "self_attn.o_proj": (c.width, c.width),
        "mlp.gate_proj": (c.hidden_width, c.width),
        "mlp.up_proj": (c.hidden_width, c.width),
        "mlp.down_proj": (c.width, c.hidden_width),
    }
    yield Correspondence(
        "model.embed_tokens.weight", (TOKENS,), (c.padded_vocabulary_size, c.width)
    )
    for index in range(c.num_layers):
        theirs, ours = f"model.layers.{index}.", f"block_{index}/"
        for name, part in _QWEN3_SCALES.items():
            length = c.head_dim if name.startswith("self_attn") else c.width
            yield Correspondence(f"{theirs}{name}.weight", (f"{ours}{part}/scale",), (length,))
        for name, part in _QWEN3_DENSE.items():
            kernel = (f"{ours}{part}/kernel",)
            yield Correspondence(f"{theirs}{name}.weight", kernel, outputs_inputs[name], True)
    yield Correspondence("model.norm.weight", ("final_norm/scale",), (c.width,))
    if not c.tied_head:
        yield _head(c)


def _head(c: ModelConfig) -> Correspondence:
    return Correspondence("lm_head.weight", (HEAD,), (c.padded_vocabulary_size, c.width), True)
