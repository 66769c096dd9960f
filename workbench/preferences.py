"""What the user sets: a schema, and values from a file, the environment and the command line.

In: `kgpt/workbench.toml` in the user's configuration folder, `KGPT_WORKBENCH_*`, flags; each overrides the one before.
Out: a value for every name of the schema, the keys that are changed, and what is wrong with the rest: a damaged file or
a value out of range is its default and a sentence, never an end. Writing keeps the file's comments. Knows no Textual.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kgpt.errors import KgptFailure
from kgpt.language import N_, _

Value = str | float | bool
PREFIX = "KGPT_WORKBENCH_"
TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True)
class Preference:
    """One thing that can be set."""

    name: str
    title: str
    help: str
    default: Value
    choices: tuple[str, ...] = ()
    limits: tuple[float, float] = (0.0, 0.0)
    has_flag: bool = True
    waits: bool = False
    """A change shows with the next start."""

    @property
    def flag(self) -> str:
        """Its option on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its variable in the environment."""
        return PREFIX + self.name.upper()

    @property
    def expected(self) -> str:
        """What it may be."""
        if isinstance(self.default, bool):
            return _("true or false")
        if isinstance(self.default, float):
            return _("a number from {low} to {high}", low=self.limits[0], high=self.limits[1])
        return (
            _("one of {choices}", choices=", ".join(self.choices)) if self.choices else _("a text")
        )

    def read(self, raw: object) -> Value:
        """The value that a TOML value or a text stands for.

        Raises:
            ValueError: it is none that this may have.
        """
        if isinstance(self.default, bool):
            return self._read_bool(raw)
        if isinstance(self.default, float):
            if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
                raise ValueError
            number = float(raw)
            if not self.limits[0] <= number <= self.limits[1]:
                raise ValueError
            return number
        if not isinstance(raw, str) or (self.choices and raw not in self.choices):
            raise ValueError
        return raw

    def _read_bool(self, raw: object) -> bool:
        if isinstance(raw, bool):
            return raw
        if isinstance(raw, str) and raw.lower() in (*TRUE, *FALSE):
            return raw.lower() in TRUE
        raise ValueError


PREFERENCES = (
    Preference("theme", N_("theme"), N_("colours; empty: as it was left"), ""),
    Preference(
        "refresh",
        N_("refresh"),
        N_("seconds between two looks at files"),
        0.5,
        limits=(0.1, 60.0),
    ),
    Preference(
        "runs_folder",
        N_("runs folder"),
        N_("empty: saved_models"),
        "",
        has_flag=False,
        waits=True,
    ),
    Preference(
        "device", N_("engine device"), N_("where models write"), "auto", ("auto", "cpu", "gpu")
    ),
    Preference(
        "plain",
        N_("plain characters"),
        N_("no braille, no blocks, no signs beyond ASCII"),
        False,
    ),
    Preference(
        "language",
        N_("language"),
        N_("language of all texts"),
        "auto",
        ("auto", "en", "pt_BR"),
        waits=True,
    ),
)


@dataclass
class Preferences:
    """Values, where each comes from, the `[keys]` table, and what could not be read."""

    values: dict[str, Value] = field(
        default_factory=lambda: {item.name: item.default for item in PREFERENCES}
    )
    sources: dict[str, str] = field(default_factory=dict)
    """Of what is not the default: the file, the variable or the flag."""
    keys: dict[str, str] = field(default_factory=dict)
    """By binding id."""
    problems: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Value:
        """A value by its name."""
        return self.values[name]

    def take(self, found: Mapping[str, object], source: Callable[[Preference], str]) -> None:
        """Take over what is set in one place; what is wrong there is said and left."""
        for item in PREFERENCES:
            raw = found.get(item.name)
            if raw is None:
                continue
            try:
                self.values[item.name] = item.read(raw)
                self.sources[item.name] = source(item)
            except ValueError:
                text = _(
                    "{source}: {name} must be {expected}. Received: {value}",
                    source=source(item),
                    name=item.name,
                    expected=item.expected,
                    value=repr(raw),
                )
                self.problems.append(text)


def preferences_file() -> Path:
    """Where they lie: `$XDG_CONFIG_HOME`, else `~/.config`."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "kgpt" / "workbench.toml"


def load(
    path: Path, environment: Mapping[str, str], flags: Mapping[str, object] | None = None
) -> Preferences:
    """What is set: the file, over it the environment, over it the flags (by name; None where not given)."""
    preferences = Preferences()
    table = _read(path, preferences.problems)
    keys = table.pop("keys", {})
    if isinstance(keys, dict):
        preferences.keys = _flat(keys)
    else:
        preferences.problems.append(_("{path}: [keys] must be a table.", path=path))
    known = {item.name for item in PREFERENCES}
    for name in sorted(set(table) - known):
        text = _("{path}: there is no setting {name}.", path=path, name=repr(name))
        preferences.problems.append(text)
    preferences.take(table, lambda item: str(path))
    variables = {item.name: environment.get(item.variable) or None for item in PREFERENCES}
    preferences.take(variables, lambda item: item.variable)
    preferences.take(flags or {}, lambda item: item.flag)
    return preferences


def save(path: Path, values: Mapping[str, Value]) -> None:
    """Write these values into the file; whatever else it says, comments too, stays.

    Raises:
        KgptFailure: the file is damaged, or cannot be written.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    from kgpt.files import write_atomically

    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        document = tomlkit.parse(text)
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise KgptFailure(
            _("Not saved"),
            _("{path} cannot be read: {error}", path=path, error=error),
            _("Mend it or move it away."),
        ) from None
    defaults = {item.name: item.default for item in PREFERENCES}
    for name, value in values.items():
        if value != defaults[name]:
            document[name] = value
        elif name in document:
            del document[name]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KgptFailure(_("Not saved"), f"{path.parent}: {error.strerror}", "") from None
    write_atomically(path, tomlkit.dumps(document))


def _read(path: Path, problems: list[str]) -> dict[str, Any]:
    if not path.exists():
        return {}
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        text = _("{path} cannot be read, so nothing of it counts: {error}", path=path, error=error)
        problems.append(text)
        return {}


def _flat(table: Mapping[str, object], before: str = "") -> dict[str, str]:
    """`{"watch": {"log": "g"}}` as `{"watch.log": "g"}`, the way TOML reads a key with dots."""
    found: dict[str, str] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{name}.")
        else:
            found[before + name] = str(value)
    return found
