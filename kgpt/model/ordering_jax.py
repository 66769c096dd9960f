"""JAX's order of operations: an optimisation barrier, a scan. See `ordering`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax


def after(values: Any, earlier: Any) -> Any:
    """`values`, after `earlier`."""
    return jax.lax.optimization_barrier((values, earlier))[0]


def in_turn(step: Callable[..., Any], carry: Any, parts: Any, like: Any) -> tuple[Any, Any]:
    """`step` for each piece of the parts."""
    last, results = jax.lax.scan(step, carry, parts)
    return last, results
