"""A GPT as an ONNX graph: token ids and a cache in, logits and the cache with the new tokens out.

In: a `ModelConfig` and where its weights lie. Out: the model. Inputs and outputs are named as Optimum names them. Only
operators of ONNX 20 are used, which all have a kernel for CPUs.

Axes: B batch, T new tokens, S tokens in the cache and new ones, C channels, H query heads, K key and value heads,
G query heads for each of those, D channels of a head, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from kgpt.config import ModelConfig
from kgpt.model.shapes import HEAD, POSITIONS, TOKENS

OPSET, IR_VERSION = 20, 9
MASKED = float(np.finfo(np.float32).min)


def past(index: int, kind: str) -> str:
    """Name of a layer's cache as an input; `kind` is key or value."""
    return f"past_key_values.{index}.{kind}"


def present(index: int, kind: str) -> str:
    """Name of a layer's cache as an output."""
    return f"present.{index}.{kind}"


def gpt_graph(config: ModelConfig, weights: Sequence[Any]) -> Any:
    """The ONNX model; `weights` are its initializers, named by Keras path below `gpt/`."""
    graph = _Graph(config, [item.name for item in weights])
    graph.build()
    made = helper.make_graph(
        graph.nodes, "gpt", _inputs(config), _outputs(config), [*weights, *graph.constants]
    )
    operators = [helper.make_opsetid("", OPSET)]
    return helper.make_model(
        made, opset_imports=operators, ir_version=IR_VERSION, producer_name="kgpt"
    )


def _inputs(c: ModelConfig) -> list[Any]:
    integers = {
        "input_ids": ["batch", "tokens"],
        "attention_mask": ["batch", "seen"],
        "position_ids": ["batch", "tokens"],
    }
    values = [
        helper.make_tensor_value_info(name, TensorProto.INT64, axes)
        for name, axes in integers.items()
    ]
    return values + _caches(c, past, "past")


def _outputs(c: ModelConfig) -> list[Any]:
    axes = ["batch", "tokens", c.vocabulary_size]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, axes)
    return [logits, *_caches(c, present, "seen")]


def _caches(c: ModelConfig, name: Any, length: str) -> list[Any]:
    axes = ["batch", c.kv_heads, length, c.head_dim]
    return [
        helper.make_tensor_value_info(name(index, kind), TensorProto.FLOAT, axes)
        for index in range(c.num_layers)
        for kind in ("key", "value")
    ]


class _Graph:
    """Nodes as they are added; every method takes and gives names of values."""

    def __init__(self, config: ModelConfig, weights: Sequence[str]) -> None:
        self.config, self.weights = config, set(weights)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def build(self) -> None:
        """Add everything."""
        c = self.config
        x_BTC = self.add("Gather", TOKENS, "input_ids")
        if c.positions == "learned":
            x_BTC = self.add("Add", x_BTC, self.add("Gather", POSITIONS, "position_ids"))
        else:
            self.cos, self.sin = self.angles()
        self.bias = self.mask()
        for index in range(c.num_layers):
            block = f"block_{index}/"
            y_BTC = self.attention(index, self.norm(block + "attention_norm", x_BTC))
            x_BTC = self.add("Add", x_BTC, y_BTC)
            y_BTC = self.feed_forward(block, self.norm(block + "feed_forward_norm", x_BTC))
            x_BTC = self.add("Add", x_BTC, y_BTC)
        self.head(self.norm("final_norm", x_BTC))

    # === Parts ===

    def mask(self) -> str:
        """(B, 1, T, S): 0 where a token may look, a very low number where it may not."""
        tokens = self.size("input_ids", 1)
        seen = self.size("attention_mask", 1)
        zero, one = self.integer(0), self.integer(1)
        keys_S = self.add("Range", zero, seen, one)
        places_T = self.add("Range", self.add("Sub", seen, tokens), seen, one)
        places_T1 = self.add("Unsqueeze", places_T, self.integers(1))
        is_before_TS = self.add("LessOrEqual", keys_S, places_T1)
        is_text_BS = self.add("Cast", "attention_mask", to=TensorProto.BOOL)
        is_text_B11S = self.add("Unsqueeze", is_text_BS, self.integers(1, 2))
        may_look = self.add("And", is_before_TS, is_text_B11S)
        return self.add("Where", may_look, self.number(0.0), self.number(MASKED))

    def angles(self) -> tuple[str, str]:
        """Cosine and sine (B, T, 1, D / 2) of the angles by which the positions turn."""
        half = self.config.head_dim // 2
        steps = np.arange(half, dtype=np.float32)
        frequencies = np.exp(steps * np.float32(-math.log(self.config.rotary_base) / half))
        positions = self.add("Cast", "position_ids", to=TensorProto.FLOAT)
        positions = self.add("Unsqueeze", positions, self.integers(2, 3))
        angle = self.add("Mul", positions, self.constant(frequencies.astype(np.float32)))
        return self.add("Cos", angle), self.add("Sin", angle)

    def attention(self, index: int, x_BTC: str) -> str:
        """Attention with the cache of a layer, whose new state becomes an output."""
        c, name = self.config, f"block_{index}/attention/"
        q = self.heads(name, "query", c.num_heads, x_BTC)
        k = self.heads(name, "key", c.kv_heads, x_BTC)
        v = self.heads(name, "value", c.kv_heads, x_BTC)
        q = self.add("Mul", q, self.number(1.0 / math.sqrt(c.head_dim)))
        k = self.add("Concat", past(index, "key"), k, axis=2, output=present(index, "key"))
        v = self.add("Concat", past(index, "value"), v, axis=2, output=present(index, "value"))
        # Query heads that share keys stand below one another: (B, K, G * T, D).
        q = self.add("Reshape", q, self.integers(0, c.kv_heads, -1, c.head_dim))
        scores = self.add("MatMul", q, self.add("Transpose", k, perm=[0, 1, 3, 2]))
        scores = self.add("Reshape", scores, self.integers(0, c.num_heads, -1, 0))
        weights = self.add("Softmax", self.add("Add", scores, self.bias), axis=-1)
        weights = self.add("Reshape", weights, self.integers(0, c.kv_heads, -1, 0))
        y = self.add("MatMul", weights, v)
        y = self.add("Reshape", y, self.integers(0, c.num_heads, -1, c.head_dim))
        y = self.add("Transpose", y, perm=[0, 2, 1, 3])
        y_BTC = self.add("Reshape", y, self.integers(0, 0, c.width))
        return self.dense(name + "output", y_BTC)

    def heads(self, name: str, part: str, count: int, x_BTC: str) -> str:
        """Queries, keys or values (B, H, T, D), normalised and turned."""
        x = self.dense(name + part, x_BTC)
        x = self.add("Reshape", x, self.integers(0, 0, count, self.config.head_dim))
        if part != "value":
            if self.config.qk_norm:
                x = self.rms(f"{name}{part}_norm/scale", x)
            if self.config.positions == "rotary":
                x = self.turned(x)
        return self.add("Transpose", x, perm=[0, 2, 1, 3])

    def turned(self, x_BTHD: str) -> str:
        """Rotary positions, halves paired."""
        halves = self.new("halves")
        first, second = f"{halves}_first", f"{halves}_second"
        split = helper.make_node("Split", [x_BTHD], [first, second], axis=-1, num_outputs=2)
        self.nodes.append(split)
        parts = [
            self.add("Sub", self.add("Mul", first, self.cos), self.add("Mul", second, self.sin)),
            self.add("Add", self.add("Mul", second, self.cos), self.add("Mul", first, self.sin)),
        ]
        return self.add("Concat", *parts, axis=-1)

    def feed_forward(self, block: str, x_BTC: str) -> str:
        """The feed-forward layer of a block."""
        name, activation = block + "feed_forward/", self.config.activation
        up = self.dense(name + "up", x_BTC)
        if activation == "swiglu":
            gate = self.dense(name + "gate", x_BTC)
            hidden = self.add("Mul", self.add("Mul", gate, self.add("Sigmoid", gate)), up)
        elif activation == "relu2":
            positive = self.add("Relu", up)
            hidden = self.add("Mul", positive, positive)
        else:
            hidden = self.add("Gelu", up, approximate="tanh")
        return self.dense(name + "down", hidden)

    def norm(self, name: str, x_BTC: str) -> str:
        """LayerNorm or RMSNorm."""
        if self.config.norm == "rms":
            return self.rms(name + "/scale", x_BTC)
        shift = [name + "/beta"] if name + "/beta" in self.weights else []
        inputs = (x_BTC, name + "/gamma", *shift)
        return self.add("LayerNormalization", *inputs, epsilon=self.config.norm_epsilon)

    def rms(self, scale: str, x: str) -> str:
        """The vectors of the last axis, divided by their root mean square."""
        mean = self.add("ReduceMean", self.add("Mul", x, x), self.integers(-1))
        root = self.add("Sqrt", self.add("Add", mean, self.number(self.config.norm_epsilon)))
        return self.add("Mul", self.add("Div", x, root), scale)

    def dense(self, name: str, x: str) -> str:
        """A matrix, and its bias where it has one."""
        y, bias = self.add("MatMul", x, name + "/kernel"), name + "/bias"
        return self.add("Add", y, bias) if bias in self.weights else y

    def head(self, x_BTC: str) -> None:
        """The logits; rows that only fill up the tables get none."""
        c, is_padded = self.config, self.config.padded_vocabulary_size > self.config.vocabulary_size
        rows = self.add("Reshape", x_BTC, self.integers(-1, c.width))
        table = TOKENS if c.tied_head else HEAD
        logits = self.add("Gemm", rows, table, transB=int(c.tied_head))
        if is_padded:
            ends = self.integers(0), self.integers(c.vocabulary_size), self.integers(1)
            logits = self.add("Slice", logits, *ends)
        shape = self.add("Concat", self.add("Shape", "input_ids"), self.integers(-1), axis=0)
        self.add("Reshape", logits, shape, output="logits")

    # === Nodes and constants ===

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node; the result is the name of its output."""
        output = output or self.new(operator)
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def new(self, word: str) -> str:
        """A name that nothing has yet."""
        return f"{word.lower()}_{len(self.nodes)}"

    def size(self, value: str, axis: int) -> str:
        """Length of an axis, a scalar."""
        return self.add("Gather", self.add("Shape", value), self.integer(axis))

    def constant(self, value: Any) -> str:
        """A constant array."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def number(self, value: float) -> str:
        """A float32 scalar."""
        return self.constant(np.float32(value))

    def integer(self, value: int) -> str:
        """An int64 scalar."""
        return self.constant(np.int64(value))

    def integers(self, *values: int) -> str:
        """A vector of int64."""
        return self.constant(np.array(values, np.int64))
