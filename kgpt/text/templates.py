"""Templates: how a conversation is written down for a model that continues texts.

In: turns. Out: ids, and which of them are answers. The same template writes what a model is trained on and what it is
asked later, so that both are equal to the last id.

A template is a few texts with places to fill. Special tokens written out in the template become their ids; written
in what a user says, they stay the characters they are, so that nobody speaks for the assistant. An answer ends with the
end of text.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.text.conversations import Turn
from kgpt.text.special_tokens import END_OF_TEXT, SPECIAL_TOKEN, special_literals
from kgpt.text.tokenizer import Tokenizer

PLACE = re.compile(r"\{(\w+)\}")
PIECE = re.compile(rf"({SPECIAL_TOKEN.pattern}|{{\w+}})", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Template:
    """The texts that stand around what is said.

    Raises:
        KgptError: a text lacks the place that it is for, or has one that nothing fills.
    """

    name: str
    user: str
    """With `{instruction}`."""
    user_with_input: str = "{instruction}\n{input}"
    """As `user`, where an instruction comes with what it is about: with `{instruction}` and `{input}`."""
    beginning: str = ""
    """Stands once before all turns."""
    system: str = "{system}\n"
    """What the system says, with `{system}`; it comes after the beginning."""
    before_answer: str = ""
    """Written by the model, and not shown: a space here keeps the tokens that words have inside sentences."""

    def __post_init__(self) -> None:
        for key, places in {
            "beginning": set(),
            "system": {"system"},
            "user": {"instruction"},
            "user_with_input": {"instruction", "input"},
            "before_answer": set(),
        }.items():
            found = set(PLACE.findall(getattr(self, key)))
            if found != places:
                wanted = ", ".join(f"{{{place}}}" for place in sorted(places)) or _("no place")
                received = ", ".join(f"{{{place}}}" for place in sorted(found)) or "none"
                raise KgptError(
                    _("Bad template"),
                    _(
                        "{name}: expected {wanted} in `{key}`, received {received}.",
                        name=self.name,
                        wanted=wanted,
                        key=key,
                        received=received,
                    ),
                    _('For example: user = "Pergunta: {instruction}\\nResposta:"'),
                )

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Those written out in the texts, each once; the end of text, which every vocabulary has, is not among them."""
        texts = self.beginning + self.system + self.user + self.user_with_input
        return special_literals(SPECIAL_TOKEN.findall(texts))

    def to_values(self) -> dict[str, Any]:
        """Plain values, for `run.json`."""
        return dataclasses.asdict(self)


CHAT = Template(
    name="chat",
    system="<|system|> {system}",
    user="<|user|> {instruction}<|assistant|>",
    user_with_input="<|user|> {instruction}\n{input}<|assistant|>",
    before_answer=" ",
)
ALPACA = Template(
    name="alpaca",
    beginning="Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.",
    system="\n\n{system}",
    user="\n\n### Instruction:\n{instruction}\n\n### Response:\n",
    user_with_input="\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n",
)
ALPACA_PT = Template(
    name="alpaca-pt",
    beginning="Abaixo está uma instrução que descreve uma tarefa. Escreva uma resposta que a complete.",
    system="\n\n{system}",
    user="\n\n### Instrução:\n{instruction}\n\n### Resposta:\n",
    user_with_input="\n\n### Instrução:\n{instruction}\n\n### Entrada:\n{input}\n\n### Resposta:\n",
)
TEMPLATES = {template.name: template for template in (CHAT, ALPACA, ALPACA_PT)}


def find_template(name: str) -> Template:
    """The template of that name, or in that TOML file.

    Raises:
        KgptError: there is none, or it is broken.
    """
    if name in TEMPLATES:
        return TEMPLATES[name]
    path = Path(name)
    if not path.is_file():
        raise KgptError(
            _("No such template"),
            _(
                "Expected {templates} or a TOML file. Received: {name}",
                templates=", ".join(TEMPLATES),
                name=name,
            ),
            _('A file has a line such as: user = "Pergunta: {instruction}\\nResposta:"'),
        )
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KgptError(
            _("Bad template"),
            _("{path} is no TOML file: {error}.", path=path, error=error),
            _("Mend it."),
        ) from None
    return template_of({"name": path.stem, **values}, path)


def template_of(values: object, source: object = "run.json") -> Template:
    """The template in plain values.

    Raises:
        KgptError: something in them is missing, unknown, or of another type.
    """
    fields = {item.name: item for item in dataclasses.fields(Template)}
    if not isinstance(values, Mapping):
        raise KgptError(
            _("Bad template"),
            _("{source} holds no template.", source=source),
            _("Fine-tune again."),
        )
    unknown = sorted(set(values) - set(fields))
    if unknown or "user" not in values:
        what = (
            _("there is no `{unknown}`", unknown=unknown[0]) if unknown else _("`user` is missing")
        )
        raise KgptError(
            _("Bad template"),
            f"{source}: {what}.",
            _("A template has: {fields}; `user` must be there.", fields=", ".join(fields)),
        )
    if not all(isinstance(text, str) for text in values.values()):
        raise KgptError(
            _("Bad template"),
            _("{source}: expected texts alone.", source=source),
            _("Put them in quotes."),
        )
    return Template(**values)


# === Writing conversations down ===


def prompt_ids(template: Template, turns: Sequence[Turn], tokenizer: Tokenizer) -> list[int]:
    """The ids after which the assistant answers; the last turn is the user's."""
    return [token for ids, _ in _written(template, turns, tokenizer) for token in ids]


def conversation_ids(
    template: Template, turns: Sequence[Turn], tokenizer: Tokenizer
) -> tuple[list[int], list[bool]]:
    """The ids of a conversation, and of each whether the assistant writes it; the end of each answer counts."""
    ids: list[int] = []
    is_answer: list[bool] = []
    for part, answers in _written(template, turns, tokenizer):
        ids += part
        is_answer += [answers] * len(part)
    return ids, is_answer


def _written(
    template: Template, turns: Sequence[Turn], tokenizer: Tokenizer
) -> Iterator[tuple[list[int], bool]]:
    """Ids and whether they are an answer, part by part. An answer's ids never depend on what follows."""
    end = tokenizer.end_of_text
    plain = _Writer(template, tokenizer)
    yield [end], False
    plain.add(template.beginning)
    for turn in turns:
        if turn.role == "assistant":
            yield plain.ids(), False
            yield [*tokenizer.encode(template.before_answer + turn.text), end], True
        elif turn.role == "system":
            plain.add(template.system, {"system": turn.text})
        else:
            text = template.user_with_input if turn.given else template.user
            plain.add(text, {"instruction": turn.text, "input": turn.given})
    yield plain.ids(), False


class _Writer:
    """Collects text and special tokens, and encodes what lies between two of these as one text."""

    def __init__(self, template: Template, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        special = (*template.special_tokens, END_OF_TEXT)
        self._special = {token: tokenizer.vocabulary[token] for token in special}
        self._ids: list[int] = []
        self._text = ""

    def add(self, text: str, values: Mapping[str, str] | None = None) -> None:
        """A text of the template, with what fills its places."""
        for piece in PIECE.split(text):
            if piece in self._special:
                self._flush()
                self._ids.append(self._special[piece])
            elif values and PLACE.fullmatch(piece):
                self._text += values[piece[1:-1]]
            else:
                self._text += piece

    def ids(self) -> list[int]:
        """Everything since the last call."""
        self._flush()
        found, self._ids = self._ids, []
        return found

    def _flush(self) -> None:
        self._ids += self._tokenizer.encode(self._text)
        self._text = ""
