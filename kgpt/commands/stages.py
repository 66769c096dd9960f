"""What a command says of its own work while the user waits."""

from __future__ import annotations

import sys


def show_stage(stage: str) -> None:
    """Say on stderr what is being done."""
    print(f"{stage} ...", file=sys.stderr, flush=True)
