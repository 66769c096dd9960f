"""The cleaning steps of a corpus, applied to one document after the other.

In: steps as the user writes them (`nfc`, `min-length=200`, `language=pt+en`), then documents. Out: each document
cleaned, with the names of the steps that changed it, or of the step that dropped it.

A document that comes in several pieces (more than `PIECE_CHARACTERS` characters) is changed piece by piece and passes
all filters, as no piece can speak for the whole; but it is longer than any `max-length`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kgpt.errors import KgptError
from kgpt.language import N_, _
from kgpt.suggestions import did_you_mean
from kgpt.text.cleaning import characters, filters, lines, masks, words
from kgpt.text.cleaning.values import Change, Keep

EMPTY = "empty"
"""What drops a document of which nothing, or nothing but white space, is left."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What became of a document or a piece of one."""

    text: str
    """The text; where it was dropped, as it was then."""
    changed_by: tuple[str, ...]
    """The names of the steps that changed it, in their order."""
    dropped_by: str | None
    """The name of the step that dropped it, `EMPTY`, or None."""


@dataclass(frozen=True, slots=True)
class Step:
    """A kind of step: exactly one of `change` and `keep` makes it from its value ("" where none is given)."""

    name: str
    value: str
    """How the value is written; empty: there is none; in brackets: it may be left out."""
    description: str
    change: Callable[[str], Change] | None = None
    keep: Callable[[str], Keep] | None = None


STEPS = (
    Step("nfc", "", N_("compose characters (Unicode NFC)"), characters.nfc),
    Step("control", "", N_("remove control and invisible characters; line ends become \\n"), characters.control),
    Step("encoding", "", N_("mend text that was decoded wrongly: 'Ã©' becomes 'é' (ftfy)"), characters.encoding),
    Step("lower", "", N_("lower case"), characters.lower),
    Step("digits", "", N_("the digits 1 to 9 become 0"), characters.digits),
    Step("emails", "", N_("e-mail addresses become <email>"), masks.emails),
    Step("phones", "", N_("phone numbers become <phone>"), masks.phones),
    Step("repeated-lines", "[CHARACTERS]",
         N_("remove later copies of lines of 30 characters and more"), lines.repeated),
    Step("boilerplate", "", N_("remove cookie notices, menus, copyright lines, in Portuguese and English"),
         lines.boilerplate),
    Step("stop-words", "LANGUAGE|FILE", N_("remove frequent words (package stop-words, or a word a line)"),
         words.stop_words),
    Step("stem", "LANGUAGE", N_("cut words down to their stems, in lower case (Snowball)"), words.stem),
    Step("min-length", "CHARACTERS", N_("drop shorter documents"), keep=filters.min_length),
    Step("max-length", "CHARACTERS", N_("drop longer documents"), keep=filters.max_length),
    Step("language", "LANGUAGE[+...]", N_("drop documents in other languages (py3langid)"), keep=filters.language),
    Step("spam-words", "pt|en|FILE[+...][:PERCENT]",
         N_("drop documents with two listed words or more that are 5 percent of their words"), keep=filters.spam_words),
    Step("offensive-words", "pt|en|FILE[+...][:PERCENT]",
         N_("drop documents of whose words 1 percent or more are listed"), keep=filters.offensive_words),
)  # fmt: skip


class Cleaner:
    """Cleans documents by the steps given, in the order given."""

    def __init__(self, steps: Sequence[str]) -> None:
        """Build the steps, each `name` or `name=value`.

        Raises:
            KgptError: a step is unknown, given twice, or has a value that it does not take; a package or a file is
                missing.
        """
        known = {step.name: step for step in STEPS}
        self._steps: list[tuple[str, Change | None, Keep | None]] = []
        for text in steps:
            name, has_value, value = text.partition("=")
            step = known.get(name.strip())
            if step is None:
                raise _unknown(name)
            if any(step.name == built for built, _value, _function in self._steps):
                raise KgptError(
                    _("A cleaning step is given twice"),
                    _("{name} occurs more than once.", name=step.name),
                    _("Give it once."),
                )
            value = value.strip()
            _check_presence(step, bool(has_value), value)
            self._steps.append(
                (
                    step.name,
                    step.change(value) if step.change else None,
                    step.keep(value) if step.keep else None,
                )
            )

    @classmethod
    def of_changes(cls, steps: Sequence[str]) -> Cleaner:
        """A cleaner that drops no document.

        Raises:
            KgptError: a step is a filter, or as for any cleaner.
        """
        cleaner = cls(steps)
        for name, _change, keep in cleaner._steps:
            if keep is not None:
                raise KgptError(
                    _("A step that drops texts"),
                    _("{name} changes no text; here each text gets a label.", name=name),
                    _(
                        "Steps that change texts: {names}.",
                        names=", ".join(step.name for step in STEPS if step.change),
                    ),
                )
        return cleaner

    def clean(self, text: str, is_whole: bool = True) -> Cleaned:
        """A document cleaned, or a piece of one (`is_whole` False)."""
        changed_by = []
        for name, change, keep in self._steps:
            if change is not None:
                changed = change(text)
                if changed != text:
                    changed_by.append(name)
                    text = changed
            elif keep is not None and not keep(text, is_whole):
                return Cleaned(text, tuple(changed_by), name)
        is_empty = is_whole and (not text or text.isspace())
        return Cleaned(text, tuple(changed_by), EMPTY if is_empty else None)


def step_names() -> tuple[str, ...]:
    """The names of all steps."""
    return tuple(step.name for step in STEPS)


def describe_steps() -> tuple[tuple[str, str, str], ...]:
    """Each step: its name, how its value is written (or nothing), and what it does in a line."""
    return tuple((step.name, step.value, _(step.description)) for step in STEPS)


def _unknown(name: str) -> KgptError:
    return KgptError(
        _("Unknown cleaning step"),
        _("There is no step {name!r}.", name=name.strip())
        + did_you_mean(name.strip().lower(), step_names()),
        _("The steps are: {step_names}.", step_names=", ".join(step_names())),
    )


def _check_presence(step: Step, has_value: bool, value: str) -> None:
    if not step.value and has_value:
        raise KgptError(
            _("A cleaning step takes no value"),
            _("{name}={value} was given.", name=step.name, value=value),
            _("Write {name} alone.", name=step.name),
        )
    if step.value and not value and (has_value or not step.value.startswith("[")):
        raise KgptError(
            _("A cleaning step needs a value"),
            _("{name} was given without one.", name=step.name),
            _(
                "Write {name}={strip}.",
                name=step.name,
                strip=step.value.strip("[]") if step.value.startswith("[") else step.value,
            ),
        )
