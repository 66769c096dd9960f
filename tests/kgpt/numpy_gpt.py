"""An independent GPT in NumPy: weights by Keras path in, logits out. Written from the papers, in float64."""

from __future__ import annotations

import numpy as np

from kgpt.config import ModelConfig


def forward(weights: dict[str, np.ndarray], config: ModelConfig, ids_BT: np.ndarray) -> np.ndarray:
    w = _plain(weights)
    x = _blocks(w, config, ids_BT, config.num_layers)
    x = normalise(w, "final_norm", config, x)
    head = w["token_embedding/embeddings"].T if config.tied_head else w["head/kernel"]
    return (x @ head)[..., : config.vocabulary_size]


def weights_of_layer(weights, config: ModelConfig, ids_BT: np.ndarray, layer: int) -> np.ndarray:
    """What the heads of a layer look at (B, H, T, T)."""
    w, name = _plain(weights), f"block_{layer}/"
    x = normalise(w, name + "attention_norm", config, _blocks(w, config, ids_BT, layer))
    return np.stack(attention_weights(w, name, config, x), 1)


def _plain(weights):
    return {name.removeprefix("gpt/"): value.astype("float64") for name, value in weights.items()}


def _blocks(w, config, ids_BT, count):
    x = w["token_embedding/embeddings"][ids_BT]
    if config.positions == "learned":
        x = x + w["position_embedding/embeddings"][: ids_BT.shape[1]]
    for index in range(count):
        name = f"block_{index}/"
        x = x + attention(w, name, config, normalise(w, name + "attention_norm", config, x))
        x = x + feed_forward(w, name, config, normalise(w, name + "feed_forward_norm", config, x))
    return x


def normalise(w, name, config, x):
    if config.norm == "rms":
        return rms(x, w[f"{name}/scale"], config.norm_epsilon)
    centred = x - x.mean(-1, keepdims=True)
    y = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + config.norm_epsilon)
    return y * w[f"{name}/gamma"] + w.get(f"{name}/beta", 0.0)


def rms(x, scale, epsilon):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * scale


def dense(w, name, x):
    return x @ w[f"{name}/kernel"] + w.get(f"{name}/bias", 0.0)


def attention(w, block, config, x):
    v, size = dense(w, block + "attention/value", x), config.head_dim
    heads = []
    for head, weights in enumerate(attention_weights(w, block, config, x)):
        shared = head // (config.num_heads // config.kv_heads)
        heads.append(weights @ v[..., shared * size : (shared + 1) * size])
    return dense(w, block + "attention/output", np.concatenate(heads, -1))


def attention_weights(w, block, config, x):
    """For each head (B, T, T)."""
    size, time = config.head_dim, x.shape[1]
    name = block + "attention/"
    q, k = dense(w, name + "query", x), dense(w, name + "key", x)
    heads = []
    for head in range(config.num_heads):
        shared = head // (config.num_heads // config.kv_heads)
        q_h = q[..., head * size : (head + 1) * size]
        k_h = k[..., shared * size : (shared + 1) * size]
        if config.qk_norm:
            q_h = rms(q_h, w[name + "query_norm/scale"], config.norm_epsilon)
            k_h = rms(k_h, w[name + "key_norm/scale"], config.norm_epsilon)
        if config.positions == "rotary":
            q_h, k_h = turn(q_h, config.rotary_base), turn(k_h, config.rotary_base)
        scores = q_h @ k_h.transpose(0, 2, 1) / np.sqrt(size)
        scores = np.where(np.tril(np.ones((time, time), bool)), scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        heads.append(weights / weights.sum(-1, keepdims=True))
    return heads


def turn(x_BTD, base):
    """Rotary positions as a product of complex numbers."""
    half = x_BTD.shape[-1] // 2
    angle = np.arange(x_BTD.shape[1])[:, None] * base ** (-np.arange(half) / half)
    turned = (x_BTD[..., :half] + 1j * x_BTD[..., half:]) * np.exp(1j * angle)
    return np.concatenate([turned.real, turned.imag], -1)


def feed_forward(w, block, config, x):
    name = block + "feed_forward/"
    up = dense(w, name + "up", x)
    if config.activation == "swiglu":
        gate = dense(w, name + "gate", x)
        return dense(w, name + "down", gate / (1 + np.exp(-gate)) * up)
    if config.activation == "relu2":
        return dense(w, name + "down", np.where(up > 0, up * up, 0.0))
    gelu = 0.5 * up * (1 + np.tanh(np.sqrt(2 / np.pi) * (up + 0.044715 * up**3)))
    return dense(w, name + "down", gelu)
