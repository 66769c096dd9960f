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
from kgpt.language import N_, _
from kgpt.protocol import DRAFT_TOKENS, GenerateOptions
from kgpt.runs import find_run

if TYPE_CHECKING:
    from kgpt.inference.generation import Generator, Result

EXAMPLES = N_(
    "examples:\n"
    '  kgpt sample demo "Marte é um planeta"\n'
    '  kgpt sample demo "A capital da França é" --temperature 0 --stop .\n'
    '  echo "Era uma vez" | kgpt sample demo - --num-samples 3 --seed 1\n'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `kgpt sample`."""
    parser.add_argument("name", metavar="RUN", help=_("a run: its name or its folder"))
    parser.add_argument(
        "prompt", metavar="PROMPT", nargs="?", default="", help=_("text to continue; - reads stdin")
    )
    add_choices(parser.add_argument_group(_("choice of the tokens")).add_argument)
    _add_search(parser.add_argument_group(_("several texts")).add_argument)
    _add_computation(parser.add_argument_group(_("what computes")).add_argument)


def _add_search(add: Callable[..., object]) -> None:
    add(
        "--num-samples",
        metavar="N",
        type=int,
        default=1,
        help=_("continuations, with seeds N, N+1, ..., or the best of --beams"),
    )
    add(
        "--beams",
        metavar="N",
        type=int,
        default=0,
        help=_("search for the most probable text with N beams, instead of sampling"),
    )
    add(
        "--length-penalty",
        metavar="X",
        type=float,
        help=_("with --beams: above 0 favours longer texts (1)"),
    )


def _add_computation(add: Callable[..., object]) -> None:
    add_computation(add)
    add(
        "--draft",
        metavar="RUN",
        help=_(
            "a smaller run with the same tokenizer proposes tokens: texts are as probable, and "
            "there sooner"
        ),
    )
    add(
        "--draft-tokens",
        metavar="N",
        type=int,
        help=_("tokens of a proposal ({draft_tokens})", draft_tokens=DRAFT_TOKENS),
    )


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
        print(
            _(
                "draft: {share:.0%} of {proposed} proposed tokens kept",
                share=share,
                proposed=found.proposed,
            ),
            file=sys.stderr,
        )
    return {"draft": {"proposed": found.proposed, "accepted": found.accepted}}


def _report(stage: str) -> None:
    if "LiteRT" in stage:  # what takes longer than a start usually does
        show_stage(stage)


def _options(args: argparse.Namespace) -> GenerateOptions:
    most = args.beams or args.num_samples
    if not 1 <= args.num_samples <= most:
        expected = (
            _("from 1 to {beams}, the number of beams", beams=args.beams)
            if args.beams
            else _("at least 1")
        )
        raise KgptError(
            _("Bad generation option"),
            _(
                "num_samples must be {expected}. Received: {num_samples}",
                expected=expected,
                num_samples=args.num_samples,
            ),
            _("See `kgpt sample --help`."),
        )
    if args.length_penalty is not None and not args.beams:
        raise KgptError(
            _("Bad generation option"),
            _("length_penalty belongs to beam search."),
            _("Add --beams N, or leave it out."),
        )
    if args.draft and args.beams:
        raise KgptError(
            _("Bad generation option"),
            _("A draft proposes what is sampled; beam search samples nothing."),
            _("Leave out --draft or --beams."),
        )
    if args.draft_tokens is not None and not args.draft:
        raise KgptError(
            _("Bad generation option"), _("draft_tokens belongs to a draft."), _("Add --draft RUN.")
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
            _show_prompt(
                prompt,
                _("sample {count}, seed {seed}", count=len(results) + 1, seed=seed),
                args.num_samples > 1,
            )
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
            _show_prompt(prompt, _("beam {rank}", rank=rank), args.num_samples > 1)
            _show(result.text)
            _show_end(result)
    return [dataclasses.asdict(result) for result in found]


def _read_prompt() -> str:
    content = sys.stdin.buffer.read()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise KgptError(
            _("Prompt is not UTF-8"),
            _(
                "Byte {start} of stdin (0x{content:02x}) begins no character.",
                start=error.start,
                content=content[error.start],
            ),
            _("Convert it first, for example with iconv."),
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
    line = _(
        "{tokens} tokens, {tokens_per_second:.0f} a second ({reason})",
        tokens=result.tokens,
        tokens_per_second=result.tokens_per_second,
        reason=result.reason,
    )
    print(f"\033[2m{line}\033[0m" if sys.stderr.isatty() else line, file=sys.stderr)
