"""Training speed beside transformers' GPT-2 on PyTorch: same model, batch and precision, tokens/s, median of pairs.

Each pair times kgpt and the peer one after the other, in processes of their own, so that a noisy machine disturbs both.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

CASES = {
    "4 layers x 128, context 64, batch 12, vocabulary 65, float32": (65, 64, 4, 4, 128, 12, 60),
    "6 layers x 384, context 256, batch 16, vocabulary 8,192, float32": (
        8192,
        256,
        6,
        6,
        384,
        16,
        6,
    ),
}
PAIRS = 3


def main() -> None:
    """Measure and print."""
    for name, case in CASES.items():
        pairs = [(_timed("kgpt", case), _timed("torch", case)) for _ in range(PAIRS)]
        ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
        print(f"{name}: kgpt {ours:,.0f} tokens/s, transformers {theirs:,.0f}; ratio {ratio:.2f}")


def _timed(side: str, case: tuple[int, ...]) -> float:
    command = [sys.executable, "-m", "benchmarks.training", side, *map(str, case)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(output.splitlines()[-1])


def _kgpt(
    vocabulary: int, context: int, layers: int, heads: int, width: int, batch: int, steps: int
) -> float:
    import time

    import numpy as np

    from kgpt.config import ModelConfig, OptimizerConfig, TrainConfig
    from kgpt.training.preparation import compiled_model

    model_config = ModelConfig(
        vocabulary_size=vocabulary,
        context_length=context,
        num_layers=layers,
        num_heads=heads,
        width=width,
    )
    config = TrainConfig(
        model=model_config, optimizer=OptimizerConfig(), steps=100, batch_size=batch
    )
    model = compiled_model(config)
    ids = np.random.default_rng(0).integers(0, vocabulary, (batch, context + 1)).astype("int32")

    def forever():  # type: ignore[no-untyped-def]
        while True:
            yield ids[:, :-1], ids[:, 1:]

    model.fit(forever(), steps_per_epoch=3, verbose=0)
    start = time.perf_counter()
    model.fit(forever(), steps_per_epoch=steps, verbose=0)
    return batch * context * steps / (time.perf_counter() - start)


def _torch(
    vocabulary: int, context: int, layers: int, heads: int, width: int, batch: int, steps: int
) -> float:
    import time

    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=vocabulary, n_positions=context, n_layer=layers, n_head=heads, n_embd=width,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    ids = torch.randint(0, vocabulary, (batch, context + 1))

    def step() -> None:
        logits = model(ids[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(
            logits.reshape(-1, vocabulary), ids[:, 1:].reshape(-1)
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(3):
        step()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return batch * context * steps / (time.perf_counter() - start)


if __name__ == "__main__":
    print({"kgpt": _kgpt, "torch": _torch}[sys.argv[1]](*map(int, sys.argv[2:])))
