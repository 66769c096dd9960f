"""Low-rank adapters (Hu et al., 2021, arXiv:2106.09685): small matrices that are trained in the place of large ones.

In: a model, and which matrices shall have an adapter. Out: the model with adapters beside them, all else frozen.
`tensors.merged` adds trained adapters to the matrices, so that nobody who reads them needs to know.
"""

from __future__ import annotations

from typing import Any

from kgpt.config import ModelConfig
from kgpt.errors import KgptError
from kgpt.finetune_config import LoraConfig
from kgpt.language import _
from kgpt.model.gpt import GPT
from kgpt.model.parts import AdaptableDense
from kgpt.model.tensors import is_adapter


def add_adapters(model: GPT, lora: LoraConfig) -> None:
    """Freeze a built model, and put adapters beside the matrices that `lora.targets` names, in every block.

    The model's outputs stay what they are until the adapters are trained, because B is zero at first.

    Raises:
        KgptError: none of the targets is in the model, or the rank is above what a matrix can have.
    """
    check_adapters(model.config, lora)
    for variable in model.weights:
        variable.trainable = False  # a layer that is not trainable would hide its adapters too
    for layer in (layer for block in model.blocks for layer in _matrices(block, lora.targets)):
        layer.add_adapter(lora.rank, lora.scale, lora.dropout)


def check_adapters(config: ModelConfig, lora: LoraConfig) -> None:
    """Refuse adapters that a model of this shape cannot have. Raises as `add_adapters`."""
    keys, hidden = config.kv_heads * config.head_dim, config.hidden_width
    narrow = {name: config.width for name in ("query", "output")}
    narrow |= {name: min(config.width, keys) for name in ("key", "value")}
    narrow |= {name: min(config.width, hidden) for name in ("gate", "up", "down")}
    if config.activation != "swiglu":
        del narrow["gate"]
    found = [narrow[name] for name in lora.targets if name in narrow]
    if not found:
        raise KgptError(
            _("No such matrices"),
            _("This model has none of {targets}.", targets=", ".join(lora.targets)),
            _("Its blocks have query, key, value, output, up and down; gate with SwiGLU alone."),
        )
    most = min(found)
    if lora.rank > most:
        raise KgptError(
            _("Rank too high"),
            _(
                "The smallest of the matrices has rank {most}. Received: --lora-rank {rank}",
                most=most,
                rank=lora.rank,
            ),
            _("Use {max} or less, or train all weights without adapters.", max=max(1, most // 2)),
        )


def has_adapters(model: Any) -> bool:
    """Whether adapters have been put into a model."""
    return any(is_adapter(variable.path) for variable in model.weights)


def _matrices(block: Any, targets: tuple[str, ...]) -> list[AdaptableDense]:
    layers = (*block.attention._flatten_layers(), *block.feed_forward._flatten_layers())
    return [
        layer for layer in layers if isinstance(layer, AdaptableDense) and layer.name in targets
    ]
