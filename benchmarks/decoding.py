"""How fast models write: kgpt beside transformers, keras-hub and llama.cpp, GPT-2 124M with random weights.

    python -m benchmarks.decoding [--case NAME ...] [--peer NAME ...] [--rounds 3]

Each measurement is a process of its own, all of them at the same case alternate, and the table has the medians. One
stream: tokens a second at about 128 or 1,024 tokens of context; prompt: tokens read a second. llama.cpp needs the
packages llama-cpp-python (built from its source) and gguf; a peer that is not installed is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.random_run import random_run

SHAPE = {"layers": 12, "heads": 12, "width": 768, "context": 1024}
VOCABULARY = 50257
CASES = {
    "float32, one stream, context 128": ("float32", 1, 64, 64),
    "float32, one stream, context 1,024": ("float32", 1, 960, 48),
    "int8, one stream, context 128": ("int8", 1, 64, 64),
    "int8, one stream, context 1,024": ("int8", 1, 960, 48),
    "float32, 8 streams, context 128": ("float32", 8, 64, 64),
    "float32, prompt of 128": ("float32", 1, 128, 0),
    "int8, prompt of 128": ("int8", 1, 128, 0),
}
"""Weights, streams, tokens of the prompt, tokens to write (0: the prompt is what is timed)."""
PEERS = ("kgpt", "llama.cpp", "transformers", "keras-hub")
PACKAGES = {"llama.cpp": "llama_cpp", "transformers": "transformers", "keras-hub": "keras_hub"}


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoding", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES), metavar="NAME")
    parser.add_argument("--peer", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.child:
        peer, case = args.child
        print(json.dumps(MEASURES[peer](args.folder, *CASES[case])))
        return
    peers = [peer for peer in args.peer if find_spec(PACKAGES.get(peer, "kgpt"))]
    with tempfile.TemporaryDirectory() as folder:
        for case in args.case:
            rates: dict[str, list[float]] = {peer: [] for peer in peers}
            for _ in range(args.rounds):
                for peer in peers:
                    rate = _in_a_process(peer, case, folder)
                    if rate:
                        rates[peer].append(rate)
            found = {peer: statistics.median(values) for peer, values in rates.items() if values}
            print(f"{case:36}" + "  ".join(f"{peer} {rate:,.0f}" for peer, rate in found.items()))
            ours = found.pop("kgpt", 0.0)
            ratios = "  ".join(f"{ours / rate:.2f} x {peer}" for peer, rate in found.items())
            print(f"{'':36}{ratios}", flush=True)


def _in_a_process(peer: str, case: str, folder: str) -> float:
    command = [sys.executable, "-m", "benchmarks.decoding", "--child", peer, case]
    command += ["--folder", folder]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{peer} failed:\n{done.stderr[-3000:]}")
    return float(json.loads(done.stdout.splitlines()[-1]) or 0.0)


def _rate(
    read: Callable[[], Any], write: Callable[[int], Any], streams: int, prompt: int, tokens: int
) -> float:
    """Tokens a second: of the prompt if none is written, else of what follows; once before it is timed."""
    rates = []
    for attempt in range(4):
        start = time.perf_counter()
        read()
        if tokens:
            write(4)
            start = time.perf_counter()
            write(tokens - 4)
        count = streams * (tokens - 4 if tokens else prompt)
        if attempt:
            rates.append(count / (time.perf_counter() - start))
    return statistics.median(rates)


# === In the child ===


def _prompts(streams: int, length: int) -> list[list[int]]:
    return np.random.default_rng(0).integers(0, VOCABULARY, (streams, length)).tolist()


def _kgpt(folder: Path, weights: str, streams: int, prompt: int, tokens: int) -> float | None:
    from kgpt.inference.litert_files import load_litert_decoder
    from kgpt.runs import RunFolder

    run = RunFolder(folder / "gpt2")
    if not run.run_file.exists():
        random_run(run.path, **SHAPE)
    decoder = load_litert_decoder(run, run.checkpoint(), weights)
    prompts = _prompts(streams, prompt)
    logits: list[Any] = [None]

    def read() -> None:
        logits[0] = decoder.prefill(prompts)

    def write(count: int) -> None:
        for _ in range(count):
            logits[0] = decoder.step([int(token) for token in logits[0].argmax(axis=-1)])

    return _rate(read, write, streams, prompt, tokens)


def _transformers(
    folder: Path, weights: str, streams: int, prompt: int, tokens: int
) -> float | None:
    if weights != "float32":
        return None
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = GPT2LMHeadModel(GPT2Config()).eval()
    ids = torch.tensor(_prompts(streams, prompt))
    state: dict[str, Any] = {}

    def take(output: Any) -> None:
        state["cache"] = output.past_key_values
        state["next"] = output.logits[:, -1].argmax(-1, keepdim=True)

    def read() -> None:
        take(model(ids, use_cache=True, logits_to_keep=1))

    def write(count: int) -> None:
        for _ in range(count):
            take(model(state["next"], past_key_values=state["cache"], use_cache=True))

    with torch.inference_mode():
        return _rate(read, write, streams, prompt, tokens)


def _keras_hub(folder: Path, weights: str, streams: int, prompt: int, tokens: int) -> float | None:
    if weights != "float32" or not tokens:  # it has no prompt reading of its own
        return None
    import keras_hub

    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=VOCABULARY,
        num_layers=SHAPE["layers"],
        num_heads=SHAPE["heads"],
        hidden_dim=SHAPE["width"],
        intermediate_dim=4 * SHAPE["width"],
        max_sequence_length=SHAPE["context"],
        dropout=0.0,
    )
    model = keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=None)
    model.compile(sampler="greedy")
    length = prompt + tokens
    ids = np.zeros((streams, length), dtype="int32")
    ids[:, :prompt] = _prompts(streams, prompt)
    mask = np.zeros((streams, length), dtype=bool)
    mask[:, :prompt] = True
    rates = []
    for attempt in range(3):
        start = time.perf_counter()
        model.generate({"token_ids": ids, "padding_mask": mask}, stop_token_ids=None)
        if attempt:  # its prompt is among the time: it is read in one go
            rates.append(streams * tokens / (time.perf_counter() - start))
    return statistics.median(rates)


def _llama_cpp(folder: Path, weights: str, streams: int, prompt: int, tokens: int) -> float | None:
    if streams > 1:
        return None
    from llama_cpp import Llama

    file = folder / f"{weights}.gguf"
    if not file.exists():
        _write_gguf(file, "q8_0" if weights == "int8" else "f32")
    threads = len(os.sched_getaffinity(0))
    model = Llama(
        str(file),
        n_ctx=SHAPE["context"],
        n_threads=threads,
        n_threads_batch=threads,
        n_batch=512,
        verbose=False,
    )
    ids = _prompts(1, prompt)[0]

    def read() -> None:
        model.reset()
        model.eval(ids)

    def write(count: int) -> None:
        for _ in range(count):
            model.eval([7])

    return _rate(read, write, 1, prompt, tokens)


def _write_gguf(file: Path, kind: str) -> None:
    import gguf

    writer = gguf.GGUFWriter(str(file), "gpt2")
    layers, heads, width = SHAPE["layers"], SHAPE["heads"], SHAPE["width"]
    writer.add_context_length(SHAPE["context"])
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(4 * width)
    writer.add_head_count(heads)
    writer.add_layer_norm_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([f"t{index}" for index in range(VOCABULARY)])
    writer.add_token_types([1] * VOCABULARY)
    writer.add_token_merges(["t 1"])
    writer.add_eos_token_id(VOCABULARY - 1)
    random = np.random.default_rng(1)

    def add(name: str, *shape: int, quantize: bool = True) -> None:
        values = random.normal(0, 0.02, shape).astype(np.float32)
        if kind == "q8_0" and quantize and len(shape) == 2:
            values = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, values, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, values)

    add("token_embd.weight", VOCABULARY, width)
    add("position_embd.weight", SHAPE["context"], width, quantize=False)
    for layer in range(layers):
        for norm in ("attn_norm", "ffn_norm"):
            add(f"blk.{layer}.{norm}.weight", width)
            add(f"blk.{layer}.{norm}.bias", width)
        for name, outputs, inputs in (
            ("attn_qkv", 3 * width, width),
            ("attn_output", width, width),
            ("ffn_up", 4 * width, width),
            ("ffn_down", width, 4 * width),
        ):
            add(f"blk.{layer}.{name}.weight", outputs, inputs)
            add(f"blk.{layer}.{name}.bias", outputs)
    add("output_norm.weight", width)
    add("output_norm.bias", width)
    add("output.weight", VOCABULARY, width)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


MEASURES: dict[str, Callable[..., float | None]] = {
    "kgpt": _kgpt,
    "transformers": _transformers,
    "keras-hub": _keras_hub,
    "llama.cpp": _llama_cpp,
}

if __name__ == "__main__":
    main(sys.argv[1:])
