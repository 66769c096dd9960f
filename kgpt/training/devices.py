"""The devices and assumptions of a plan on paper: a table shipped with kgpt, and a file of one's own over it.

In: `devices.toml`, and optionally a TOML file with some of its keys. Out: an `Assumptions` and a `Device`, every number
checked.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgpt.config import Precision
from kgpt.config_values import merged
from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.suggestions import did_you_mean

TABLE = Path(__file__).with_name("devices.toml")

HINT = "kgpt/training/devices.toml, which is part of the package, has every key with its meaning."


@dataclass(frozen=True, kw_only=True)
class Device:
    """One accelerator. Rates are a second's; bandwidths are each way for each device."""

    name: str
    memory_gb: float
    memory_gb_per_second: float
    bfloat16_tflops: float = 0.0
    float16_tflops: float = 0.0
    """0: as fast as bfloat16."""
    float32_tflops: float
    node_devices: int
    """Devices that a fast network joins."""
    node_gb_per_second: float
    network_gb_per_second: float
    watts: float
    price_per_hour: float

    @property
    def best_precision(self) -> Precision:
        """What a run that leaves its precision open trains in."""
        return (
            "bfloat16" if self.bfloat16_tflops else "float16" if self.float16_tflops else "float32"
        )

    def flops(self, precision: str) -> float:
        """Peak floating-point operations a second of matrix products in a precision; 0 where it has none."""
        tflops = {
            "float32": self.float32_tflops,
            "bfloat16": self.bfloat16_tflops,
            "float16": self.float16_tflops or self.bfloat16_tflops,
            "auto": self.bfloat16_tflops or self.float16_tflops or self.float32_tflops,
        }[precision]
        return tflops * 1e12


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What a plan on paper takes for granted; `devices.toml` says what each number means."""

    efficiency: float
    overlap: float
    bandwidth_efficiency: float
    usable_memory: float
    reserved_gb: float
    logit_tokens: int
    batch_tokens: int
    availability: float
    power_share: float
    overhead_power: float


SHARES = (
    "efficiency",
    "overlap",
    "bandwidth_efficiency",
    "usable_memory",
    "availability",
    "power_share",
)
"""Assumptions that lie between 0 and 1."""

MAY_BE_EQUAL = (
    "overlap",
    "reserved_gb",
    "overhead_power",
    "bfloat16_tflops",
    "float16_tflops",
    "price_per_hour",
)
"""Numbers that may be as small as their limit."""


def read_assumptions(name: str, own_file: Path | None = None) -> tuple[Device, Assumptions]:
    """The device `name` and the assumptions, those of `own_file` over those that kgpt ships.

    Raises:
        KgptError: there is no such device or file, or a key or value of the file is not what it must be.
    """
    tables = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    if own_file is not None:
        tables = merged(tables, _own_tables(own_file))
    devices = tables["devices"]
    key = name.lower().replace("_", "-").replace(" ", "-")
    if key not in devices:
        raise KgptError(
            _("Unknown device"),
            _("There is no device {name!r}.", name=name) + did_you_mean(key, devices, cutoff=0.4),
            _(
                "Devices: {devices}. Others can be described in a file: --assumptions FILE.",
                devices=", ".join(devices),
            ),
        )
    device = _checked(Device, f"devices.{key}", devices[key])
    return device, _checked(Assumptions, "assumptions", tables["assumptions"])


def _own_tables(path: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KgptError(_("No such file"), _("There is no file {path}.", path=path), HINT) from None
    except (OSError, ValueError) as error:
        raise KgptError(_("File of assumptions not readable"), f"{path}: {error}", HINT) from None
    for key, table in tables.items():
        if key not in ("assumptions", "devices"):
            message = _(
                "{path} has {key!r}; [assumptions] and [devices.NAME] are known.",
                path=path,
                key=key,
            )
            raise KgptError(_("Unknown assumption"), message, HINT)
        if not isinstance(table, Mapping):
            message = _(
                "{key} in {path} must be a table. Received: {table!r}",
                key=key,
                path=path,
                table=table,
            )
            raise KgptError(_("Bad assumption"), message, HINT)
    return tables


def _checked(kind: type[Any], place: str, values: Any) -> Any:
    """A dataclass from a table, its keys and numbers checked."""
    fields = {item.name: item for item in dataclasses.fields(kind)}
    if not isinstance(values, Mapping):
        raise KgptError(
            _("Bad assumption"),
            _("{place} must be a table. Received: {values!r}", place=place, values=values),
            HINT,
        )
    for key, value in values.items():
        if key not in fields:
            raise KgptError(
                _("Unknown assumption"),
                _(
                    "There is no {place}.{key}.{suggestion}",
                    place=place,
                    key=key,
                    suggestion=did_you_mean(key, fields),
                ),
                HINT,
            )
        _check_value(f"{place}.{key}", key, value)
    missing = [
        key
        for key, item in fields.items()
        if key not in values and item.default is dataclasses.MISSING
    ]
    if missing:
        raise KgptError(
            _("Assumption missing"),
            _("{place} has no {missing}.", place=place, missing=", ".join(missing)),
            HINT,
        )
    return kind(**values)


def _check_value(place: str, key: str, value: Any) -> None:
    whole = key in ("node_devices", "logit_tokens", "batch_tokens")
    lowest = 1 if key == "overhead_power" else 0
    is_number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if key == "name":
        right, expected = isinstance(value, str), "a text"
    else:
        expected = _("a whole number") if whole else _("a number")
        expected += " between 0 and 1" if key in SHARES else f" above {lowest}"
        right = is_number and math.isfinite(value) and value > lowest
        right = right and (key not in SHARES or value <= 1)
        if key in MAY_BE_EQUAL:
            expected += f", or {lowest}"
            right = right or (is_number and value == lowest)
    if not right:
        message = _(
            "{place} must be {expected}. Received: {value!r}",
            place=place,
            expected=expected,
            value=value,
        )
        raise KgptError(_("Bad assumption"), message, HINT)
