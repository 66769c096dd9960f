"""Write with the model in this folder: python example.py "Era uma vez" 40. Needs ai-edge-litert, numpy, tokenizers."""

import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from tokenizers import Tokenizer

HERE = Path(__file__).parent
model = json.loads((HERE / "model.json").read_text("utf-8"))
tokenizer = Tokenizer.from_file(str(HERE / "tokenizer" / "tokenizer.json"))
embedding = np.load(HERE / "embedding.npy", mmap_mode="r")
positions = np.load(HERE / "positions.npy") if model["positions"] == "learned" else None
layers, heads, size, context = (model[key] for key in ("layers", "heads", "head_dim", "context"))
graph, compiled = f"decode_1x{context}", CompiledModel.from_file(str(HERE / "model.tflite"))
names = compiled.get_signature_list()[graph]
inputs = {name: compiled.create_input_buffer_by_name(graph, name) for name in names["inputs"]}
outputs = {name: compiled.create_output_buffer_by_name(graph, name) for name in names["outputs"]}

# Keys and values of the tokens so far, layer by layer; the mask hides the places that hold none.
keys = np.zeros((layers, heads, context, size), "float32")
values = np.zeros((layers, heads, size, context), "float32")
mask = np.full(context, -1e9, "float32")
text = sys.argv[1] if len(sys.argv) > 1 else ""
count = int(sys.argv[2]) if len(sys.argv) > 2 else 40
ids = tokenizer.encode(text).ids or [model["end_of_text"]]
ids = ids[-context // 2 :]
last = min(context, len(ids) + count) - 1
for place in range(last):
    x = embedding[ids[place]] + (0 if positions is None else positions[place])
    angle = place / model["rotary_base"] ** (np.arange(size // 2) / (size // 2))
    given = {"x": x, "mask": mask, "cos": np.cos(angle), "sin": np.sin(angle)}
    given |= {f"k{i}": keys[i] for i in range(layers)} | {f"v{i}": values[i] for i in range(layers)}
    for name, buffer in inputs.items():
        buffer.write(np.ascontiguousarray(given[name], "float32").ravel())
    compiled.run_by_name(graph, inputs, outputs)
    keys[:, :, place] = (
        outputs["keys"].read(layers * heads * size, np.float32).reshape(layers, heads, size)
    )
    values[..., place] = (
        outputs["values"].read(layers * heads * size, np.float32).reshape(layers, heads, size)
    )
    mask[place] = 0
    if place + 1 == len(ids):  # the prompt is read: take the most probable token
        ids.append(int(outputs["logits"].read(len(embedding), np.float32).argmax()))
        if ids[-1] == model["end_of_text"]:
            break
print(tokenizer.decode(ids))
