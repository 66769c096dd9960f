"""Let a model continue a prompt; the text appears as it is written.

Without PROMPT the model begins a document of its own; `-` reads the prompt from stdin. A text that outgrows the
model's context goes on with the context's last half; a prompt must fit into it.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kgpt.commands.generation_options import (
    add_choices,
    add_computation,
    chosen_options,
    collected,
    styled,
)
from kgpt.commands.stages import show_stage
from kgpt.errors import KgptError
from kgpt.protocol import DRAFT_TOKENS, GenerateOptions
from kgpt.runs import find_run

if TYPE_CHECKING:
    from kgpt.inference.generation import Generator, Result

EXAMPLES = """examples:
  kgpt sample demo "Marte é um planeta"
  kgpt sample demo "A capital da França é" --temperature 0 --stop .
  echo "Era uma vez" | kgpt sample demo - --num-samples 3 --seed 1
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `kgpt sample`."""
    parser.add_argument("name", metavar="RUN", help="a run: its name or its folder")
    parser.add_argument(
        "prompt", metavar="PROMPT", nargs="?", default="", help="text to continue; - reads stdin"
    )
    add_choices(parser.add_argument_group("choice of the tokens").add_argument)
    _add_search(parser.add_argument_group("several texts").add_argument)
    _add_computation(parser.add_argument_group("what computes").add_argument)


def _add_search(add: Callable[..., object]) -> None:
    add(
        "--num-samples",
        type=int,
        default=1,
        help="continuations, with seeds N, N+1, ..., or the best of --beams",
    )
    add(
        "--beams",
        metavar="N",
        type=int,
        default=0,
        help="search for the most probable text with N beams, instead of sampling",
    )
    add(
        "--length-penalty",
        metavar="X",
        type=float,
        help="with --beams: above 0 favours longer texts (1)",
    )


def _add_computation(add: Callable[..., object]) -> None:
    add_computation(add)
    add(
        "--draft",
        metavar="RUN",
        help="a smaller run with the same tokenizer proposes tokens: texts are as probable, and there sooner",
    )
    add("--draft-tokens", metavar="N", type=int, help=f"tokens of a proposal ({DRAFT_TOKENS})")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Continue the prompt; returns the first result, and all of them under `samples` where more were asked for."""
    from kgpt.inference.generation import load_generator

    options = _options(args)
    prompt = _read_prompt() if args.prompt == "-" else args.prompt
    folder = find_run(args.name, args.saved_models)
    checkpoint = folder.checkpoint(args.checkpoint)
    draft = find_run(args.draft, args.saved_models) if args.draft else None
    count = DRAFT_TOKENS if args.draft_tokens is None else args.draft_tokens
    generator = load_generator(folder, checkpoint, args.decoder, _report, draft, count)
    results = (_searched if args.beams else _sampled)(generator, prompt, options, args)
    results = [{"run": folder.name, **values} for values in results]
    return {
        **results[0],
        **({"samples": results} if args.num_samples > 1 else {}),
        **_draft_counts(generator),
        "exit_code": 130 if results[-1]["reason"] == "cancelled" else 0,
    }


def _draft_counts(generator: Generator) -> dict[str, Any]:
    """How much of what the draft proposed was kept, told and returned."""
    found = generator.speculation
    if not found:
        return {}
    if found.proposed:
        share = found.accepted / found.proposed
        print(f"draft: {share:.0%} of {found.proposed} proposed tokens kept", file=sys.stderr)
    return {"draft": {"proposed": found.proposed, "accepted": found.accepted}}


def _report(stage: str) -> None:
    if "LiteRT" in stage:  # what takes longer than a start usually does
        show_stage(stage)


def _options(args: argparse.Namespace) -> GenerateOptions:
    most = args.beams or args.num_samples
    if not 1 <= args.num_samples <= most:
        expected = f"from 1 to {args.beams}, the number of beams" if args.beams else "at least 1"
        raise KgptError(
            "Bad generation option",
            f"num_samples must be {expected}. Received: {args.num_samples}",
            "See `kgpt sample --help`.",
        )
    if args.length_penalty is not None and not args.beams:
        raise KgptError(
            "Bad generation option",
            "length_penalty belongs to beam search.",
            "Add --beams N, or leave it out.",
        )
    if args.draft and args.beams:
        raise KgptError(
            "Bad generation option",
            "A draft proposes what is sampled; beam search samples nothing.",
            "Leave out --draft or --beams.",
        )
    if args.draft_tokens is not None and not args.draft:
        raise KgptError(
            "Bad generation option", "draft_tokens belongs to a draft.", "Add --draft RUN."
        )
    return chosen_options(args)


def _sampled(
    generator: Generator, prompt: str, options: GenerateOptions, args: argparse.Namespace
) -> list[dict[str, Any]]:
    """Continuations by chance, shown as they are written."""
    from kgpt.inference.generation import seeds

    results: list[dict[str, Any]] = []
    chosen = seeds(options.seed, args.num_samples)
    streams = generator.streams(prompt, options, chosen)
    for seed, pieces in zip(chosen, streams, strict=True):
        if not args.json:
            _show_prompt(prompt, f"sample {len(results) + 1}, seed {seed}", args.num_samples > 1)
        result = collected(pieces, (lambda text: None) if args.json else _show)
        if not args.json:
            _show_end(result)
        results.append({"seed": seed, **dataclasses.asdict(result)})
        if result.reason == "cancelled":
            break
    return results


def _searched(
    generator: Generator, prompt: str, options: GenerateOptions, args: argparse.Namespace
) -> list[dict[str, Any]]:
    """The best continuations of a beam search, shown when it has ended."""
    penalty = 1.0 if args.length_penalty is None else args.length_penalty
    found = generator.beam_search(prompt, options, args.beams, penalty)[: args.num_samples]
    for rank, result in enumerate(found, start=1):
        if not args.json:
            _show_prompt(prompt, f"beam {rank}", args.num_samples > 1)
            _show(result.text)
            _show_end(result)
    return [dataclasses.asdict(result) for result in found]


def _read_prompt() -> str:
    content = sys.stdin.buffer.read()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise KgptError(
            "Prompt is not UTF-8",
            f"Byte {error.start} of stdin (0x{content[error.start]:02x}) begins no character.",
            "Convert it first, for example with iconv.",
        ) from None
    return text.removesuffix("\n")  # the one that `echo` adds


# === The terminal ===


def _show_prompt(prompt: str, title: str, is_titled: bool) -> None:
    if is_titled:
        print(styled(f"--- {title}", "2"))
    print(styled(prompt, "1"), end="", flush=True)


def _show(text: str) -> None:
    print(text, end="", flush=True)


def _show_end(result: Result) -> None:
    print(flush=True)
    line = f"{result.tokens} tokens, {result.tokens_per_second:.0f} a second ({result.reason})"
    print(f"\033[2m{line}\033[0m" if sys.stderr.isatty() else line, file=sys.stderr)
