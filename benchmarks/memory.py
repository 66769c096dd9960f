"""Memory of a loss and of attention, with their gradients: kgpt's way beside the plain one, in processes of their own.

    python -m benchmarks.memory [--quick]

Loss: vocabulary 50,257, width 768, 16 x 1,024 tokens, float32 (`--quick`: 4 x 1,024). Attention: 12 heads of 64
channels, one row, contexts from 1,024 to 4,096. Memory is the process's peak less what it had before its first step.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

VOCABULARY, WIDTH, HEADS, HEAD_DIM = 50257, 768, 12, 64
CONTEXTS = (1024, 2048, 4096)


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    arguments = list(arguments or sys.argv[1:])
    if arguments[:1] == ["--child"]:
        kind, how, size = arguments[1:]
        print(json.dumps(_measure(kind, how, int(size))))
        return
    tokens = (4 if "--quick" in arguments else 16) * 1024
    plain, chunked = (_in_a_process("loss", how, tokens) for how in ("plain", "kgpt"))
    gap = abs(plain["value"] - chunked["value"]) / plain["value"]
    share = chunked["memory"] / plain["memory"]
    print(
        f"loss of {tokens:,} tokens, vocabulary {VOCABULARY:,}: plain {plain['memory'] / 1e9:.2f} GB, ",
        end="",
    )
    print(f"kgpt {chunked['memory'] / 1e9:.2f} GB, {share:.1%}; losses differ by {gap:.1e}")
    print(f"\n{'context':>8}{'plain':>12}{'kgpt':>12}   MB of one layer's attention")
    for context in CONTEXTS:
        found = [_in_a_process("attention", how, context)["memory"] for how in ("plain", "kgpt")]
        print(f"{context:8,}" + "".join(f"{memory / 1e6:12.0f}" for memory in found), flush=True)


def _in_a_process(kind: str, how: str, size: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.memory", "--child", kind, how, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{kind}, {how}, {size} failed:\n{done.stderr[-2000:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


# === In the child ===


def _measure(kind: str, how: str, size: int) -> dict[str, float]:
    import keras
    import tensorflow as tf

    from kgpt.training.trial import peak_memory

    keras.utils.set_random_seed(0)
    inputs, function = (_loss if kind == "loss" else _attention)(how, size)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def step(*values: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(values)
            result = function(*values)
        return result, tape.gradient(result, values)

    program = step.get_concrete_function(*inputs)
    before = peak_memory()
    result, _ = program(*inputs)
    value = float(result)
    return {"memory": peak_memory() - before, "value": value}


def _loss(how: str, tokens: int) -> tuple[list[Any], Callable[..., Any]]:
    import tensorflow as tf

    from kgpt.model.cross_entropy import CrossEntropy, chunk_size

    x_NC, head_VC = tf.random.normal((tokens, WIDTH)), tf.random.normal((VOCABULARY, WIDTH)) * 0.05
    target_N = tf.random.uniform((tokens,), maxval=VOCABULARY, dtype=tf.int32)

    def plain(x_NC: Any, head_VC: Any) -> Any:
        logits_NV = tf.matmul(x_NC, head_VC, transpose_b=True)
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=target_N, logits=logits_NV)
        )

    def chunked(x_NC: Any, head_VC: Any) -> Any:
        loss = CrossEntropy(VOCABULARY, vocabulary_first=True)
        chunk = chunk_size(tokens, VOCABULARY)
        return loss.mean(x_NC, head_VC, target_N, tf.ones((tokens,)), chunk)

    return [x_NC, head_VC], plain if how == "plain" else chunked


def _attention(how: str, context: int) -> tuple[list[Any], Callable[..., Any]]:
    import tensorflow as tf

    from kgpt.model.causal_attention import blockwise, plain

    shapes = [(1, HEADS, 1, context, HEAD_DIM), *[(1, HEADS, context, HEAD_DIM)] * 2]
    inputs = [tf.random.normal(shape) for shape in shapes]
    attend = plain if how == "plain" else blockwise
    return inputs, lambda q, k, v: tf.reduce_mean(attend(q, k, v) ** 2)


if __name__ == "__main__":
    main(sys.argv[1:])
