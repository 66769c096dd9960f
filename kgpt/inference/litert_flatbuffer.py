"""One LiteRT file from several, with matrices in the place of their inputs: each once for all graphs, float32 or int8.

The converter would copy and compare every matrix for every graph, which takes minutes and gigabytes. So it is given
graphs that take their matrices as inputs, and those become constants here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from kgpt.inference.folding import Array

IDENTIFIER = b"TFL3"
HYBRID_VERSION = 12
"""Of the fully connected operator: matrices in int8 with a scale for each row, inputs quantized as they come."""


def joined(parts: Sequence[bytes], kernels: Mapping[str, Array], variant: str) -> bytes:
    """The graphs of all files in one; the inputs named in `kernels` (inputs, outputs) are constants, in `variant`."""
    model, *others = [schema.ModelT.InitFromPackedBuf(part) for part in parts]
    for other in others:
        _append(model, other)
    matrices = {}
    for name, kernel in kernels.items():
        matrix, quantization = np.ascontiguousarray(kernel.T), None
        if variant == "int8":
            matrix, quantization = _quantized(matrix)
        buffer = schema.BufferT()
        buffer.data = matrix.reshape(-1).view(np.uint8)
        matrices[name] = len(model.buffers), quantization
        model.buffers.append(buffer)
    for signature in model.signatureDefs:
        _fill(model, signature, matrices)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def _append(model: Any, other: Any) -> None:
    """Add another file's graphs."""
    codes, buffers, graphs = map(len, (model.operatorCodes, model.buffers, model.subgraphs))
    for graph in other.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer += buffers if tensor.buffer else 0  # the first is nobody's
        for operator in graph.operators:
            operator.opcodeIndex += codes
    for signature in other.signatureDefs:
        signature.subgraphIndex += graphs
    model.operatorCodes += other.operatorCodes
    model.buffers += other.buffers
    model.subgraphs += other.subgraphs
    model.signatureDefs += other.signatureDefs


def _fill(model: Any, signature: Any, matrices: Mapping[str, tuple[int, Any]]) -> None:
    """Make constants of a graph's inputs."""
    graph = model.subgraphs[signature.subgraphIndex]
    given = [item for item in signature.inputs if item.name.decode() in matrices]
    places = {item.tensorIndex for item in given}
    for item in given:
        tensor = graph.tensors[item.tensorIndex]
        tensor.buffer, tensor.quantization = matrices[item.name.decode()]
        if tensor.quantization:
            tensor.type = schema.TensorType.INT8
    signature.inputs = [item for item in signature.inputs if item.tensorIndex not in places]
    graph.inputs = np.array([index for index in graph.inputs if index not in places], np.int32)
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        is_product = code.builtinCode == schema.BuiltinOperator.FULLY_CONNECTED
        if is_product and graph.tensors[operator.inputs[1]].type == schema.TensorType.INT8:
            code.version = HYBRID_VERSION
            operator.builtinOptions.asymmetricQuantizeInputs = True


def _quantized(matrix: Array) -> tuple[Any, Any]:
    """Whole numbers from -127 to 127, and the scale of each row."""
    scale = np.maximum(np.abs(matrix).max(axis=1), 1e-30).astype(np.float32) / np.float32(127)
    quantization = schema.QuantizationParametersT()
    quantization.scale = scale
    quantization.zeroPoint = np.zeros(len(scale), dtype=np.int64)
    quantization.quantizedDimension = 0
    return np.rint(matrix / scale[:, None]).astype(np.int8), quantization
