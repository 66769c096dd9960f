"""Configurations from and to plain values: dictionaries, TOML files, a run's `run.json`, `--set KEY=VALUE`.

In: nested values from any of them. Out: a `TrainConfig`, or an error that names the key. Standard library only.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kgpt.config import ModelConfig, OptimizerConfig, TrainConfig, require
from kgpt.errors import KgptError
from kgpt.language import _


def to_dict(config: TrainConfig | ModelConfig | OptimizerConfig) -> dict[str, Any]:
    """Plain nested dictionary of a configuration, ready for JSON."""
    return typing.cast(dict[str, Any], json.loads(json.dumps(dataclasses.asdict(config))))


def dotted(config: TrainConfig) -> dict[str, Any]:
    """Every value of a configuration by its dotted key, as `--set` takes it."""
    values: dict[str, Any] = {}
    for key, value in to_dict(config).items():
        table = value if isinstance(value, dict) else {"": value}
        values |= {f"{key}.{name}".rstrip("."): item for name, item in table.items()}
    return values


def merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested `values` with those of `over` in their place."""
    tables = {
        key: merged(values[key], value)
        for key, value in over.items()
        if isinstance(value, Mapping) and isinstance(values.get(key), Mapping)
    }
    return {**values, **over, **tables}


def from_dict(values: Mapping[str, Any], base: TrainConfig | None = None) -> TrainConfig:
    """A `TrainConfig` from nested `values`; keys that are absent keep the value of `base` (or the default)."""
    return typing.cast(TrainConfig, _replace(base or TrainConfig(), values, ""))


def model_from_dict(values: Mapping[str, Any]) -> ModelConfig:
    """A `ModelConfig` from plain values, every key checked."""
    return typing.cast(ModelConfig, _replace(ModelConfig(), values, "model"))


def _replace(config: Any, values: Mapping[str, Any], prefix: str) -> Any:
    known = {item.name for item in dataclasses.fields(config)}
    changes: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}.{key}".lstrip(".")
        if key not in known:
            near = difflib.get_close_matches(
                name, ["model", "optimizer", *dotted(TrainConfig())], n=1
            )
            suggestion = _("Did you mean {near}? ", near=near[0]) if near else ""
            raise KgptError(
                _("Unknown configuration key"),
                _("There is no key {name}.", name=name),
                _(
                    "{suggestion}Known here: {known}.",
                    suggestion=suggestion,
                    known=", ".join(sorted(known)),
                ),
            )
        current = getattr(config, key)
        if dataclasses.is_dataclass(current):
            require(isinstance(value, Mapping), name, _("a table of keys"), value)
            changes[key] = _replace(current, value, name)
        elif isinstance(value, list):
            changes[key] = tuple(value)
        else:
            changes[key] = value
    return dataclasses.replace(config, **changes)


def read_config_file(path: Path) -> dict[str, Any]:
    """Nested values from a TOML file, or from the `configuration` of a run's `run.json`.

    Raises:
        KgptError: there is no such file, or it is neither.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return _run_configuration(text) if path.suffix == ".json" else tomllib.loads(text)
    except FileNotFoundError:
        raise KgptError(
            _("Configuration file not found"),
            _("There is no file {path}.", path=path),
            _("Give a TOML file or a run's run.json."),
        ) from None
    except (OSError, ValueError) as error:
        raise KgptError(
            _("Configuration file not readable"),
            f"{path}: {error}",
            _("It must be TOML, or a run's run.json."),
        ) from None


def _run_configuration(text: str) -> dict[str, Any]:
    """The configuration in a `run.json`; a time budget that has become a number of steps is spent."""
    run = json.loads(text)
    values = run.get("configuration", run) if isinstance(run, dict) else run
    if not isinstance(values, dict):
        raise ValueError(_("it holds no configuration"))
    return {**values, "minutes": 0.0} if run.get("steps_fixed_at") else values


def parse_override(text: str) -> dict[str, Any]:
    """`model.num_layers=6` as nested values. The value is read as TOML; what is not TOML is a text."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise KgptError(
            _("Bad --set"),
            _("Expected KEY=VALUE. Received: {text!r}", text=text),
            _("For example: --set model.num_layers=6"),
        )
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    return nested(key.strip(), parsed)


def nested(key: str, value: Any) -> dict[str, Any]:
    """`a.b` and a value as {"a": {"b": value}}."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return typing.cast(dict[str, Any], value)


def to_toml(config: TrainConfig) -> str:
    """The configuration as a TOML document that `read_config_file` reads back to the same values."""
    values = to_dict(config)
    tables = {key: value for key, value in values.items() if isinstance(value, dict)}
    lines = [_toml_line(key, value) for key, value in values.items() if key not in tables]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(_toml_line(key, value) for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _toml_line(key: str, value: Any) -> str:
    """JSON's texts, numbers and lists are TOML's, but for one character that TOML wants escaped."""
    return f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
