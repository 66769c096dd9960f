"""Talk with a run that was fine-tuned to answer; answers appear as they are written.

Ctrl-C stops an answer, Ctrl-D ends the conversation. Lines that begin with a slash are commands: /help shows them.
Without a terminal each line of stdin is a turn.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgpt.commands.generation_options import (
    add_choices,
    add_computation,
    chosen_options,
    collected,
    styled,
)
from kgpt.commands.stages import show_stage
from kgpt.errors import KgptError, KgptFailure
from kgpt.files import write_atomically
from kgpt.language import N_, _
from kgpt.protocol import GenerateOptions
from kgpt.runs import find_run

if TYPE_CHECKING:
    from kgpt.inference.chat import Chat
    from kgpt.inference.generation import Result
    from kgpt.text.conversations import Turn

EXAMPLES = N_(
    "examples:\n"
    "  kgpt chat assistente\n"
    '  kgpt chat assistente --system "Responda em uma frase." --temperature 0\n'
    '  echo "Qual é a capital da França?" | kgpt chat assistente --json'
)
DEFAULTS = GenerateOptions(max_tokens=256, temperature=0.3)
HELP = {
    "/reset": N_("forget the conversation"),
    "/again": N_("another answer to the last question"),
    "/undo": N_("take the last question and its answer back"),
    "/system [TEXT]": N_("what the assistant is told before; forgets the conversation"),
    "/set": N_("show the options; /set NAME VALUE changes one, such as /set temperature 0.7"),
    "/save FILE": N_("write the conversation: .json for messages, else as text"),
    "/help": N_("show this"),
    "/quit": N_("end (or Ctrl-D)"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `kgpt chat`."""
    parser.add_argument("name", metavar="RUN", help=_("a run that was fine-tuned to answer"))
    parser.add_argument("--system", metavar="TEXT", default="", help=_("what it is told before"))
    add_choices(parser.add_argument_group(_("choice of the tokens")).add_argument, DEFAULTS)
    add_computation(parser.add_argument_group(_("what computes")).add_argument)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Talk until the input ends; returns the messages."""
    from kgpt.inference.chat import load_chat

    options = chosen_options(args)
    folder = find_run(args.name, args.saved_models)
    folder.check_answers()
    chat = load_chat(folder, folder.checkpoint(args.checkpoint), args.decoder, _report)
    talk = Talk(chat, options, args.system, shows=not args.json)
    if talk.shows and sys.stdin.isatty():
        print(styled(_("{name}: /help shows the commands, Ctrl-D ends.", name=folder.name), "2"))
    for line in _lines():
        try:
            talk.take(line)
        except KeyboardInterrupt:  # between two pieces of an answer, or after the last
            if not sys.stdin.isatty():
                raise
            print()
        if talk.has_ended:
            break
    last = talk.last
    return {
        "run": folder.name,
        "messages": talk.messages(),
        **({"answer": last.text, "reason": last.reason, "tokens": last.tokens} if last else {}),
    }


class Talk:
    """A conversation in the terminal."""

    def __init__(self, chat: Chat, options: GenerateOptions, system: str, shows: bool) -> None:
        self.chat, self.options, self.shows = chat, options, shows
        self.has_ended = False
        self.last: Result | None = None
        """How the last answer came."""
        self.turns: list[Turn] = []
        self._begin(system)

    def take(self, line: str) -> None:
        """Answer a line, or do what it says; what cannot be done is told, and the conversation goes on."""
        text = line.strip()
        if not text:
            return
        try:
            if text.startswith("/"):
                self._command(text)
            else:
                self._ask(text)
        except (KgptError, KgptFailure) as error:
            if not sys.stdin.isatty():
                raise
            print(f"{error.title}: {error.message} {error.hint}", file=sys.stderr)

    def messages(self) -> list[dict[str, str]]:
        """The turns as OpenAI's API has them."""
        return [{"role": turn.role, "content": turn.text} for turn in self.turns]

    def _begin(self, system: str) -> None:
        from kgpt.text.conversations import Turn

        self.turns = [Turn("system", system.strip())] if system.strip() else []

    def _ask(self, text: str) -> None:
        from kgpt.text.conversations import Turn

        asked = [*self.turns, Turn("user", text)]
        pieces = self.chat.answer(asked, self.options)
        self.last = result = collected(pieces, self._show)
        if self.shows:
            print(flush=True)
            if result.reason in ("length", "cancelled"):
                print(styled(f"({result.reason})", "2"), flush=True)
        self.turns = [*asked, Turn("assistant", result.text.strip())]

    def _show(self, text: str) -> None:
        if self.shows:
            print(text, end="", flush=True)

    # === Commands ===

    def _command(self, text: str) -> None:
        name, _space, rest = text.partition(" ")
        known: dict[str, Callable[[str], object]] = {
            "/reset": lambda _rest: self._begin(self._system()),
            "/again": lambda _rest: self._again(),
            "/undo": lambda _rest: self._undo(),
            "/system": self._begin,
            "/set": self._set,
            "/save": self._save,
            "/help": lambda _rest: self._help(),
            "/quit": lambda _rest: self._end(),
        }
        if name not in known:
            raise KgptError(
                _("Unknown command"),
                _("There is no {name}.", name=name),
                _("/help shows what there is."),
            )
        known[name](rest.strip())

    def _system(self) -> str:
        return self.turns[0].text if self.turns and self.turns[0].role == "system" else ""

    def _undo(self) -> str:
        """Take the last question and its answer back; the question."""
        if not self.turns or self.turns[-1].role != "assistant":
            raise KgptError(
                _("Nothing said yet"), _("There is no question to take back."), _("Ask one.")
            )
        question = self.turns[-2].text
        self.turns = self.turns[:-2]
        return question

    def _again(self) -> None:
        question = self._undo()
        if self.options.seed is not None:  # the same seed would give the same answer
            self.options = dataclasses.replace(self.options, seed=self.options.seed + 1)
        self._ask(question)

    def _set(self, rest: str) -> None:
        name, _, value = rest.replace("=", " ").partition(" ")
        if name:
            key = name.replace("-", "_")
            try:
                given: Any = json.loads(value.strip())
            except ValueError:
                given = [value.strip()] if key == "stop" else value.strip()
            values = dataclasses.asdict(self.options)
            if isinstance(values.get(key), float) and type(given) is int:
                given = float(given)
            self.options = GenerateOptions.from_dict({**values, key: given})
        changed = {
            key: value
            for key, value in dataclasses.asdict(self.options).items()
            if key in ("max_tokens", "temperature") or value != getattr(GenerateOptions(), key)
        }
        print(styled("  ".join(f"{key}={value}" for key, value in changed.items()), "2"))

    def _save(self, rest: str) -> None:
        if not rest:
            raise KgptError(
                _("Where to?"), _("Expected a file."), _("For example: /save conversa.json")
            )
        if rest.endswith(".json"):
            content = json.dumps({"messages": self.messages()}, ensure_ascii=False, indent=1)
        else:
            content = "\n\n".join(f"{turn.role}: {turn.text}" for turn in self.turns)
        write_atomically(Path(rest).expanduser(), content + "\n")
        print(styled(_("{count} turns in {rest}", count=len(self.turns), rest=rest), "2"))

    def _help(self) -> None:
        width = max(map(len, HELP))
        print("\n".join(f"{name:{width}}  {_(text)}" for name, text in HELP.items()))

    def _end(self) -> None:
        self.has_ended = True


def _lines() -> Iterator[str]:
    """What is typed or piped in, line by line. Ctrl-C drops a line: it may have been meant for an answer that ended."""
    if not sys.stdin.isatty():
        yield from sys.stdin
        return
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  editing and recalling lines
    while True:
        try:
            line = input("> ")
        except KeyboardInterrupt:
            print(styled(_("\n(Ctrl-D ends)"), "2"))
        except EOFError:
            print()
            return
        else:
            yield line


def _report(stage: str) -> None:
    if "LiteRT" in stage:  # what takes longer than a start usually does
        show_stage(stage)
