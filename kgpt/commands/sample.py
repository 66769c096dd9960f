"""Let a model continue a prompt; the text appears as it is written.

Without PROMPT the model begins a document of its own; `-` reads the prompt from stdin. A text that outgrows the
model's context goes on with the context's last half; a prompt must fit into it.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from kgpt.errors import KgptError
from kgpt.protocol import GenerateOptions
from kgpt.runs import find_run

if TYPE_CHECKING:
    from kgpt.inference.generation import Piece, Result

EXAMPLES = """examples:
  kgpt sample demo "Marte é um planeta"
  kgpt sample demo "A capital da França é" --temperature 0 --stop .
  echo "Era uma vez" | kgpt sample demo - --num-samples 3 --seed 1
"""
DEFAULTS = GenerateOptions()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `kgpt sample`."""
    parser.add_argument("name", metavar="RUN", help="a run: its name or its folder")
    parser.add_argument(
        "prompt", metavar="PROMPT", nargs="?", default="", help="text to continue; - reads stdin"
    )
    add = parser.add_argument_group("generation").add_argument
    add("--max-tokens", type=int, default=DEFAULTS.max_tokens, help="tokens at most (%(default)s)")
    add(
        "--temperature",
        type=float,
        default=DEFAULTS.temperature,
        help="0 always takes the most probable token (%(default)s)",
    )
    add("--top-k", type=int, default=DEFAULTS.top_k, help="keep the K most probable tokens; 0: all")
    add("--top-p", type=float, default=DEFAULTS.top_p, help="keep tokens up to this sum; 1: all")
    add(
        "--min-p",
        type=float,
        default=DEFAULTS.min_p,
        help="drop tokens below this share of the most probable one; 0: none",
    )
    add(
        "--repetition-penalty",
        type=float,
        default=DEFAULTS.repetition_penalty,
        help="above 1: fewer repetitions (%(default)s)",
    )
    add("--stop", metavar="TEXT", action="append", default=[], help="end before TEXT (repeatable)")
    add("--num-samples", type=int, default=1, help="continuations, with seeds N, N+1, ...")
    add("--seed", metavar="N", type=int, help="same seed, same text (default: another each time)")
    add("--checkpoint", metavar="best|last|STEP", default="best", help="default: %(default)s")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Continue the prompt; returns the first sample's result, and all of them under `samples`."""
    from kgpt.inference.generation import load_generator, seeds

    if args.num_samples < 1:
        raise KgptError(
            "Bad generation option",
            f"num_samples must be at least 1. Received: {args.num_samples}",
            "See `kgpt sample --help`.",
        )
    names = [item.name for item in dataclasses.fields(GenerateOptions) if item.name != "stop"]
    chosen = {name: getattr(args, name) for name in names}
    options = GenerateOptions(stop=tuple(args.stop), **chosen)
    prompt = _read_prompt() if args.prompt == "-" else args.prompt
    folder = find_run(args.name, args.saved_models)
    generator = load_generator(folder, folder.checkpoint(args.checkpoint))
    results: list[dict[str, Any]] = []
    for seed in seeds(options.seed, args.num_samples):
        pieces = generator.stream(prompt, dataclasses.replace(options, seed=seed))
        if not args.json:
            _show_prompt(prompt, f"sample {len(results) + 1}, seed {seed}", args.num_samples > 1)
        result = _collect(pieces, (lambda text: None) if args.json else _show)
        if not args.json:
            _show_end(result)
        results.append({"run": folder.name, "seed": seed, **dataclasses.asdict(result)})
        if result.reason == "cancelled":
            break
    return _summary(results, args.num_samples)


def _collect(pieces: Iterator[Piece], show: Callable[[str], None]) -> Result:
    """The result of a stream, shown as it comes; Ctrl-C ends it, and what was written stays."""
    from kgpt.inference.generation import Recorder

    recorder = Recorder()
    try:
        for piece in pieces:
            recorder.add(piece)
            show(piece.text)
    except KeyboardInterrupt:
        print(file=sys.stderr)
    return recorder.result()


def _summary(results: list[dict[str, Any]], num_samples: int) -> dict[str, Any]:
    cancelled = results[-1]["reason"] == "cancelled"
    return {
        **results[0],
        **({"samples": results} if num_samples > 1 else {}),
        "exit_code": 130 if cancelled else 0,
    }


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
        print(_styled(f"--- {title}", "2"))
    print(_styled(prompt, "1"), end="", flush=True)


def _show(text: str) -> None:
    print(text, end="", flush=True)


def _show_end(result: Result) -> None:
    print(flush=True)
    line = f"{result.tokens} tokens, {result.tokens_per_second:.0f} a second ({result.reason})"
    print(f"\033[2m{line}\033[0m" if sys.stderr.isatty() else line, file=sys.stderr)


def _styled(text: str, code: str) -> str:
    return f"\033[{code}m{text}\033[0m" if text and sys.stdout.isatty() else text
