"""The `kgpt` command: finds the subcommand, runs it, and turns its errors into messages and exit codes.

One file a subcommand, each with `add_arguments(parser)` and `run(args)`, which returns the object that `--json`
prints. A subcommand's module is imported only when it is called, and imports what is heavy inside `run`.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from kgpt.errors import KgptError
from kgpt.language import N_, _, prefer
from kgpt.suggestions import did_you_mean

COMMANDS = {
    "prepare": N_("turn text into a tokenizer and token shards"),
    "train": N_("train a model (also `kgpt-train`)"),
    "plan": N_("say what a training run takes, and whether it fits"),
    "finetune": N_("let a base learn a job from a file, such as labelling texts"),
    "classify": N_("label texts with a fine-tuned classifier"),
    "chat": N_("talk with a model that was fine-tuned to answer"),
    "sample": N_("let a model continue a prompt"),
    "evaluate": N_("loss, perplexity and bits per byte of a run"),
    "import": N_("make a run of a GPT-2 from Hugging Face, OpenAI or keras-hub"),
    "export": N_("write a model in another format, such as a TensorFlow SavedModel"),
    "serve": N_("answer requests over HTTP, as OpenAI's API does"),
    "runs": N_("list the runs"),
    "report": N_("write a run as one page of HTML"),
    "tokenize": N_("show the tokens of a text"),
}
"""Subcommand and the line that `kgpt --help` says of it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `kgpt ARGUMENTS` and return its exit code: 0 done, 1 failed, 2 the caller's mistake, 130 interrupted."""
    prefer("")
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = next((word for word in given if not word.startswith("-")), "")
    if name and name not in COMMANDS:
        return _unknown_command(name)
    try:
        parser = _top_parser(only=name)
        args = parser.parse_args(given)
    except KeyboardInterrupt:  # the machine may be slow, and the caller quick
        return _interrupted()
    if not getattr(args, "command", None):
        parser.print_help()
        return 0
    return _run(args)


def train_main() -> int:
    """Entry point of `kgpt-train`."""
    return main(["train", *sys.argv[1:]])


def _unknown_command(name: str) -> int:
    suggestion = did_you_mean(name, COMMANDS)
    message = _("There is no command {name!r}.{suggestion}", name=name, suggestion=suggestion)
    _print_error(
        KgptError(
            _("Unknown command"), message, _("Commands: {commands}.", commands=", ".join(COMMANDS))
        )
    )
    return KgptError.exit_code


class _Parser(argparse.ArgumentParser):
    """A parser whose errors look like those of the commands."""

    def error(self, message: str) -> NoReturn:
        hint = _("`{prog} --help` shows what it takes.", prog=self.prog)
        _print_error(KgptError(_("Bad arguments"), message, hint))
        raise SystemExit(KgptError.exit_code)

    def _parse_optional(self, arg_string: str) -> Any:
        """Take `-.jsonl`, standard input in a format, for a value, as argparse itself does with `-`."""
        return None if arg_string.startswith("-.") else super()._parse_optional(arg_string)


def _top_parser(only: str) -> argparse.ArgumentParser:
    from importlib.metadata import version

    parser = _Parser(
        prog="kgpt",
        description=_("Build, train, measure, sample and export GPT models with Keras 3."),
        epilog=_("Start with: kgpt-train   (trains a small model on the built-in encyclopedia)"),
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"kgpt {version('kgpt')}",
        help=_("show program's version number and exit"),
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, line in COMMANDS.items():
        subparser = subparsers.add_parser(
            name, help=_(line), formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == only:
            module = importlib.import_module(f"kgpt.commands.{name}")
            subparser.description = _(module.__doc__ or "")
            subparser.epilog = _(module.EXAMPLES)
            module.add_arguments(subparser)
            if not hasattr(module, "KINDS"):
                add_common_options(subparser)
    return parser


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """The options that every command takes; of one with several kinds, each kind."""
    common = parser.add_argument_group(_("common options"))
    common.add_argument(
        "--json", action="store_true", help=_("print one JSON object as the last line of stdout")
    )
    common.add_argument("--debug", action="store_true", help=_("show tracebacks"))
    common.add_argument(
        "--saved-models",
        metavar="DIR",
        help=_("folder of the runs (default: $KGPT_SAVED_MODELS or saved_models)"),
    )


def _run(args: argparse.Namespace) -> int:
    from kgpt.commands.native_noise import filtered

    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal without UTF-8 shows "?" for an emoji
        sys.stdout.reconfigure(errors="replace")
    if args.debug:
        return _succeed(args)
    with filtered():
        try:
            return _succeed(args)
        except KgptError as error:
            _print_error(error)
            return error.exit_code
        except KeyboardInterrupt:
            return _interrupted()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return 0
        except Exception as error:
            message = str(error).strip()[:2000]
            title = _("Failed: {name}", name=type(error).__name__)
            _print_error(KgptError(title, message, _("Run again with --debug to see where.")))
            return 1


def _succeed(args: argparse.Namespace) -> int:
    result: dict[str, Any] = importlib.import_module(f"kgpt.commands.{args.command}").run(args)
    exit_code = int(result.pop("exit_code", 0))
    if args.json:
        from kgpt.files import json_safe

        print(json.dumps(json_safe(result), ensure_ascii=False))
    sys.stdout.flush()  # a reader that has left is noticed here, not at the interpreter's end
    return exit_code


def _interrupted() -> int:
    print(_("\nInterrupted."), file=sys.stderr)
    return 130


def _print_error(error: KgptError) -> None:
    print(f"kgpt: {error.title}", file=sys.stderr)
    for line in (error.message, error.hint):
        if line:
            print(f"  {line}", file=sys.stderr)
