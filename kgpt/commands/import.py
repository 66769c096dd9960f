"""Make a run of a model from somewhere else, to write with it, measure it, train it further, export and serve it.

SOURCE is a folder: of Hugging Face's (config.json, weights in safetensors or pytorch_model.bin, whole or in shards,
the tokenizer's files), of OpenAI's GPT-2 (model.ckpt, hparams.json, encoder.json, vocab.bpe) or of keras-hub's; or the
id of a model on the Hugging Face Hub. The model is a GPT-2, or one that kgpt has exported as a Qwen3.
"""

from __future__ import annotations

import argparse
from typing import Any

from kgpt.commands.stages import show_stage
from kgpt.language import N_, _

EXAMPLES = N_(
    "examples:\n"
    "  kgpt import ./gpt2 --run gpt2\n"
    "  kgpt import distilgpt2 --run distilgpt2                    from the Hugging Face "
    "Hub\n"
    "  kgpt import models/124M --run gpt2 --context-length 256    OpenAI's files; less "
    "context, less memory\n"
    "  kgpt import ./gpt2 --run chat --add-token user --add-token assistant --add-token "
    "end\n"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add(
        "source",
        metavar="SOURCE",
        help=_("a model's folder, or its id on the Hugging Face Hub; a folder wins"),
    )
    add("--run", required=True, metavar="NAME", help=_("the run to make"))
    add(
        "--context-length",
        type=int,
        metavar="N",
        help=_(
            "tokens that the model sees at once (default: its own); more than its own repeat its "
            "positions"
        ),
    )
    add(
        "--add-token",
        action="append",
        default=[],
        metavar="TOKEN",
        help=_("a special token more, such as user or <|tool|>; repeatable"),
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Import and report."""
    from kgpt.interop.imports import import_model

    folder = import_model(
        args.source,
        args.run,
        saved_models=args.saved_models,
        context_length=args.context_length,
        add_tokens=args.add_token,
        report=show_stage,
    )
    about = folder.read()
    model = about["configuration"]["model"]
    if not args.json:
        print(
            _(
                "{path}  {parameters:,} parameters, {vocabulary_size:,} tokens, context "
                "{context_length:,}",
                path=folder.path,
                parameters=about["parameters"],
                vocabulary_size=model["vocabulary_size"],
                context_length=model["context_length"],
            )
        )
        print(
            _(
                'Next: kgpt sample {run} "your prompt"   ·   kgpt evaluate {run} --text FILE',
                run=args.run,
            )
        )
    return {
        "run": str(folder.path),
        "parameters": about["parameters"],
        "vocabulary_size": model["vocabulary_size"],
        "context_length": model["context_length"],
        "source": about["source"],
    }
