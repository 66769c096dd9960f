"""From a model's weights to a LiteRT file: the static graphs that `kgpt.inference.litert` runs.

Each length has a graph of its own (`litert_graphs`); all share one copy of the weights (`litert_flatbuffer`). Several
processes convert them, which load TensorFlow, as this module does not.

Axes: B rows, S places of the cache, C channels, D channels of a head.
"""

from __future__ import annotations

import dataclasses
import gc
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgpt.config import ModelConfig
from kgpt.files import write_atomically
from kgpt.inference.folding import MATRICES, Dense, FoldedGPT, folded
from kgpt.inference.litert_flatbuffer import joined
from kgpt.inference.litert_shapes import (
    Shapes,
    decode_name,
    extend_name,
    prefill_name,
    shapes_for,
    together_name,
)
from kgpt.language import _
from kgpt.model.tensors import load_tensors, model_config, with_base
from kgpt.runs import RunFolder

if TYPE_CHECKING:
    from kgpt.inference.litert_graphs import Graphs

MOST_PROCESSES = 4
"""More would each take a gigabyte, and save little."""
LAYERS_A_PROCESS = 24
"""Of all graphs together; for fewer it does not pay to load TensorFlow once more."""


def convert(
    weights: FoldedGPT,
    config: ModelConfig,
    shapes: Shapes,
    variant: str = "float32",
    processes: int = 1,
) -> bytes:
    """The LiteRT file: weights in float32, or in int8 with a scale for each row and inputs quantized as they come."""
    work = partial(_converted, _outline(weights), config, shapes, processes)
    if processes == 1:
        parts = [work(0)]
    else:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, spawn, initializer=gc.disable) as pool:
            parts = list(pool.map(work, range(processes)))
    kernels = {name: layer.kernel for name, layer in weights.layers().items()}
    return joined(parts, kernels, variant)


@dataclasses.dataclass(frozen=True)
class _Outline:
    """What a graph has to know of a matrix."""

    shape: tuple[int, ...]


def _outline(weights: FoldedGPT) -> FoldedGPT:
    """The same without what is in the matrices: small enough to be sent to other processes."""

    def of(dense: Dense) -> Any:
        kernel: Any = _Outline(dense.kernel.shape)
        return dataclasses.replace(dense, kernel=kernel)

    blocks = [
        dataclasses.replace(block, **{name: of(getattr(block, name)) for name in MATRICES})
        for block in weights.blocks
    ]
    nothing: Any = None
    return FoldedGPT(nothing, None, blocks, of(weights.head))


def _converted(
    weights: FoldedGPT, config: ModelConfig, shapes: Shapes, processes: int, number: int
) -> bytes:
    """The part of the graphs that one of the processes converts, with their matrices as inputs."""
    import tensorflow as tf

    from kgpt.inference.litert_graphs import Graphs

    every = list(_signatures(Graphs(weights, config), shapes).items())
    signatures = {name: make() for name, make in every[number::processes]}
    with tempfile.TemporaryDirectory() as place:
        tf.saved_model.save(tf.Module(), place, signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(place, signature_keys=list(signatures))
        converter.exclude_conversion_metadata = True  # it takes time, and nobody reads it
        return bytes(converter.convert())


def _signatures(graphs: Graphs, shapes: Shapes) -> dict[str, Callable[[], Any]]:
    """What makes each graph, by its name."""
    make, found = partial(_function, graphs), dict[str, Callable[[], Any]]()
    for rows in shapes.rows:
        for size in shapes.sizes:
            found[decode_name(rows, size)] = partial(
                make, graphs.step, rows, last=False, cache=(rows, size)
            )
    for places in shapes.prompts:
        found[prefill_name(places)] = partial(make, graphs.prompt, places)
    if shapes.extension:
        size = graphs.config.context_length
        found[extend_name(shapes.extension, size)] = partial(
            make, graphs.extend, shapes.extension, cache=(1, size)
        )
    for size in shapes.together_sizes:
        found[together_name(shapes.together, size)] = partial(
            make, graphs.together, shapes.together, last=False, cache=(1, size)
        )
    return found


def _function(
    graphs: Graphs,
    body: Callable[..., Any],
    tokens: int,
    *,
    last: bool = True,
    cache: tuple[int, int] | None = None,
) -> Any:
    """A concrete function of named arrays and of the matrices: of new tokens, and of a cache of (rows, size)."""
    c = graphs.config
    shapes: dict[str, tuple[int, ...]] = {"x": (tokens, c.width)}
    if last:
        shapes["last"] = (1,)
    if c.positions == "rotary":
        shapes["cos"] = shapes["sin"] = (tokens, c.head_dim // 2)
    if cache is not None:
        rows, size = shapes["mask"] = cache
        for layer in range(c.num_layers):
            shapes[f"k{layer}"] = (rows, c.kv_heads, size, c.head_dim)
            shapes[f"v{layer}"] = (rows, c.kv_heads, c.head_dim, size)

    import tensorflow as tf

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def named(**given: Any) -> Any:
        graphs.use(given)
        values = [given[name] for name in ("x", "last", "mask") if name in given]
        values.append((given["cos"], given["sin"]) if "cos" in given else None)
        if cache is not None:
            values.append([(given[f"k{i}"], given[f"v{i}"]) for i in range(c.num_layers)])
        return body(*values)

    return named.get_concrete_function(
        **{
            name: tf.TensorSpec(shape, tf.int32 if name == "last" else tf.float32, name)
            for name, shape in {**shapes, **graphs.shapes}.items()
        }
    )


def main(arguments: list[str]) -> None:
    """The child of `litert_files.convert`: RUN WEIGHTS VARIANT OUTPUT. Prints what it is doing."""
    run, weights, variant, output = arguments
    folder = RunFolder(Path(run))
    config = model_config(folder)
    print(_("folding the weights"), flush=True)
    model = folded(with_base(folder, load_tensors(Path(weights))), config)
    print(_("writing the graphs"), flush=True)
    shapes = shapes_for(config.context_length)
    layers = config.num_layers * (len(shapes.rows) * len(shapes.sizes) + len(shapes.prompts))
    processes = min(os.cpu_count() or 1, MOST_PROCESSES, max(1, layers // LAYERS_A_PROCESS))
    content = convert(model, config, shapes, variant, processes)
    write_atomically(Path(output), content)


if __name__ == "__main__":
    main(sys.argv[1:])
