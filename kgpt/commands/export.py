"""Write a model in another format.

saved-model is a folder that TensorFlow loads by itself: text in, text out (or an answer, or labels), tokenizer
included. huggingface is one for transformers and all that reads its folders, a GPT-2 or a Qwen3. keras is a .keras
file, for keras.models.load_model where kgpt is installed. keras-hub is a preset for its GPT2CausalLM. litert is a
folder for ai-edge-litert, onnx one for onnxruntime, both with an example.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgpt.commands.stages import show_stage
from kgpt.errors import KgptError
from kgpt.language import N_, _

if TYPE_CHECKING:
    from kgpt.protocol import GenerateOptions
    from kgpt.runs import RunFolder

EXAMPLES = N_(
    "examples:\n"
    "  kgpt export demo --format saved-model --output exported/demo\n"
    "  kgpt export demo --format saved-model --output exported/greedy --temperature 0 "
    "--max-tokens 20\n"
    "  kgpt export demo --format saved-model --weights bfloat16 --output exported/half\n"
    "  kgpt export demo --format huggingface --output exported/hub\n"
    "  kgpt export gpt2 --format keras-hub --output exported/preset\n"
    "  kgpt export demo --format onnx --output exported/onnx\n"
    "  kgpt export demo --format keras --output demo.keras --checkpoint last\n"
    "  kgpt export demo --format litert --weights int8 --output exported/phone\n"
)
WEIGHTS = {
    "saved-model": ("float32", "bfloat16"),
    "huggingface": ("float32",),
    "keras": ("float32",),
    "keras-hub": ("float32",),
    "onnx": ("float32",),
    "litert": ("float32", "int8"),
}
"""How a format can store weights."""
EXPORTERS = {
    "saved-model": ("kgpt.interop.exports", "export_saved_model"),
    "huggingface": ("kgpt.interop.huggingface_export", "export_huggingface"),
    "keras": ("kgpt.interop.exports", "export_keras"),
    "keras-hub": ("kgpt.interop.keras_hub_export", "export_keras_hub"),
    "onnx": ("kgpt.interop.onnx_export", "export_onnx"),
    "litert": ("kgpt.interop.litert_export", "export_litert"),
}
"""Module and function that write a format; what they need is loaded when it is asked for."""
OF_CLASSIFIERS = ("saved-model", "keras")
"""Formats that a classifier can have too; the others are of models that write."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run", metavar="RUN", help=_("a run's name, or its path"))
    parser.add_argument("--format", required=True, choices=tuple(WEIGHTS), help=_("what to write"))
    parser.add_argument(
        "--output",
        required=True,
        metavar="DIR",
        help=_("the folder to write; for keras a .keras file, or a folder that gets model.keras"),
    )
    parser.add_argument(
        "--checkpoint",
        default="best",
        metavar="best|last|STEP",
        help=_("which weights (default: %(default)s)"),
    )
    parser.add_argument(
        "--weights",
        choices=("float32", "bfloat16", "int8"),
        help=_("saved-model: float32 or bfloat16; litert: float32 or int8 (default: float32)"),
    )
    parser.add_argument("--overwrite", action="store_true", help=_("replace an earlier export"))
    writing = parser.add_argument_group(
        _("what a SavedModel's serving_default does (its generate takes them with each text)")
    )
    writing.add_argument("--max-tokens", type=int, default=40, metavar="N", help=_("(default: 40)"))
    writing.add_argument(
        "--temperature", type=float, default=0.8, metavar="X", help=_("0 is greedy (default: 0.8)")
    )
    writing.add_argument(
        "--top-k", type=int, default=0, metavar="K", help=_("0 keeps all tokens (default: 0)")
    )
    writing.add_argument(
        "--seed", type=int, default=0, metavar="N", help=_("the same for every text (default: 0)")
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Export and report."""
    from kgpt.interop.destination import size_in_bytes
    from kgpt.runs import find_run

    weights, possible = args.weights or "float32", WEIGHTS[args.format]
    if weights not in possible:
        raise KgptError(
            _("No {weights} weights in {format}", weights=weights, format=args.format),
            _(
                "It stores {possible}. Received: --weights {weights}",
                possible=" or ".join(possible),
                weights=weights,
            ),
            _("Use --weights {possible}, or leave it out.", possible=possible[-1]),
        )
    folder = find_run(args.run, args.saved_models)
    folder.read()
    if folder.is_classifier:
        _check_classifier(args, folder)
    chosen = (folder, folder.checkpoint(args.checkpoint), Path(args.output))
    module, function = EXPORTERS[args.format]
    extra = {"saved-model": (_defaults(args), weights), "litert": (weights,)}.get(args.format, ())
    export = getattr(importlib.import_module(module), function)
    target = export(*chosen, *extra, overwrite=args.overwrite, report=show_stage)
    size = size_in_bytes(target)
    if not args.json:
        print(_("{target}  {size:.1f} MB", target=target, size=size / 1e6))
    return {"output": str(target), "format": args.format, "bytes": size, "step": chosen[1].step}


def _check_classifier(args: argparse.Namespace, folder: RunFolder) -> None:
    """Refuse formats that hold no classifier, and options about writing."""
    from kgpt.protocol import GenerateOptions

    if _defaults(args) != GenerateOptions(seed=0):
        folder.check_writes()
    if args.format not in OF_CLASSIFIERS:
        raise KgptError(
            _("No classifiers in {format}", format=args.format),
            _("Run {name} gives labels.", name=folder.name),
            _("Formats that hold it: {of_classifiers}.", of_classifiers=", ".join(OF_CLASSIFIERS)),
        )


def _defaults(args: argparse.Namespace) -> GenerateOptions:
    from kgpt.protocol import GenerateOptions

    return GenerateOptions(
        max_tokens=args.max_tokens,
        temperature=args.temperature,
        top_k=args.top_k,
        seed=args.seed,
    )
