"""GPT-2s as others write them, with random weights, and what they compute, by NumPy and standard formats alone.

Tensors have OpenAI's names as transformers spells them (`h.0.attn.c_attn.weight`); matrices are inputs by outputs.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
from numpy_gpt import forward
from safetensors.numpy import save_file

from kgpt.config import ModelConfig
from kgpt.text.tokenizer import Tokenizer

TEXT = "Marte é um planeta vermelho. A capital da França é Paris. " * 3 + "ação, não, pão 😀 " * 3
LAYERS, HEADS, WIDTH, CONTEXT = 2, 4, 16, 24
CONFIG = {
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
    "n_positions": CONTEXT,
    "n_embd": WIDTH,
    "n_layer": LAYERS,
    "n_head": HEADS,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "resid_pdrop": 0.1,
    "embd_pdrop": 0.1,
    "attn_pdrop": 0.1,
}


def tokenizer() -> Tokenizer:
    return Tokenizer.train([TEXT], 300)


def gpt2_tensors(ids: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    shapes = {"wte.weight": (ids, WIDTH), "wpe.weight": (CONTEXT, WIDTH)}
    for layer in range(LAYERS):
        for norm in ("ln_1", "ln_2"):
            shapes |= {f"h.{layer}.{norm}.{kind}": (WIDTH,) for kind in ("weight", "bias")}
        for name, rows, columns in (
            ("attn.c_attn", WIDTH, 3 * WIDTH),
            ("attn.c_proj", WIDTH, WIDTH),
            ("mlp.c_fc", WIDTH, 4 * WIDTH),
            ("mlp.c_proj", 4 * WIDTH, WIDTH),
        ):
            shapes[f"h.{layer}.{name}.weight"] = (rows, columns)
            shapes[f"h.{layer}.{name}.bias"] = (columns,)
    shapes |= {"ln_f.weight": (WIDTH,), "ln_f.bias": (WIDTH,)}
    return {name: random.normal(0, 0.3, shape).astype("float32") for name, shape in shapes.items()}


def gpt2_logits(tensors: dict[str, np.ndarray], ids_T: list[int]) -> np.ndarray:
    """Logits (T, V) of the NumPy GPT, in float64."""
    size, width = tensors["wte.weight"].shape
    config = ModelConfig(
        vocabulary_size=size,
        context_length=len(tensors["wpe.weight"]),
        num_layers=LAYERS,
        num_heads=HEADS,
        width=width,
    )
    return forward(under_our_names(tensors), config, np.array([ids_T]))[0]


def under_our_names(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors by Keras path; queries, keys and values apart."""
    ours = {
        "token_embedding/embeddings": tensors["wte.weight"],
        "position_embedding/embeddings": tensors["wpe.weight"],
        "final_norm/gamma": tensors["ln_f.weight"],
        "final_norm/beta": tensors["ln_f.bias"],
    }
    for layer in range(LAYERS):
        theirs, block = f"h.{layer}.", f"block_{layer}/"
        for norm, name in (("ln_1", "attention_norm"), ("ln_2", "feed_forward_norm")):
            ours[f"{block}{name}/gamma"] = tensors[f"{theirs}{norm}.weight"]
            ours[f"{block}{name}/beta"] = tensors[f"{theirs}{norm}.bias"]
        for kind, name in (("weight", "kernel"), ("bias", "bias")):
            parts = np.split(tensors[f"{theirs}attn.c_attn.{kind}"], 3, -1)
            for part, value in zip(("query", "key", "value"), parts, strict=True):
                ours[f"{block}attention/{part}/{name}"] = value
            ours[f"{block}attention/output/{name}"] = tensors[f"{theirs}attn.c_proj.{kind}"]
            ours[f"{block}feed_forward/up/{name}"] = tensors[f"{theirs}mlp.c_fc.{kind}"]
            ours[f"{block}feed_forward/down/{name}"] = tensors[f"{theirs}mlp.c_proj.{kind}"]
    return ours


# === Folders ===


def write_gpt2(
    folder: Path, tensors: dict[str, np.ndarray], kind: str = "safetensors", **changes
) -> Path:
    """A folder of Hugging Face's. `kind`: safetensors, sharded, bare (no `transformer.`), half, bin or old-bin."""
    folder.mkdir(parents=True)
    words = tokenizer()
    config = {**CONFIG, "vocab_size": len(tensors["wte.weight"]), **changes}
    (folder / "config.json").write_text(json.dumps(config))
    write_words(folder, words, "vocab.json", "merges.txt")
    named = {f"transformer.{name}": value for name, value in tensors.items()}
    masks = {
        f"transformer.h.{n}.attn.bias": np.tril(np.ones((1, 1, 4, 4), "uint8"))
        for n in range(LAYERS)
    }
    if kind == "sharded":
        names, index = sorted(named), {}
        for part, chosen in enumerate((names[::2], names[1::2])):
            file = f"model-{part + 1:05d}-of-00002.safetensors"
            save_file({name: named[name] for name in chosen}, folder / file)
            index |= dict.fromkeys(chosen, file)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    elif kind == "bare":
        save_file(tensors, folder / "model.safetensors")
    elif kind == "half":
        halves = {name: value.astype("float16") for name, value in named.items()}
        save_file(halves, folder / "model.safetensors")
    elif kind == "bin":
        write_torch_file(folder / "pytorch_model.bin", {**named, **masks})
    else:
        tied = {"lm_head.weight": named["transformer.wte.weight"]}
        save_file({**named, **masks, **tied}, folder / "model.safetensors")
    return folder


def write_words(folder: Path, words: Tokenizer, vocabulary: str, merges: str) -> None:
    (folder / vocabulary).write_text(json.dumps(words.vocabulary))
    lines = "\n".join(map(" ".join, words.merges))
    (folder / merges).write_text(f"#version: 0.2\n{lines}\n")


def write_openai(folder: Path, tensors: dict[str, np.ndarray]) -> Path:
    """OpenAI's folder, its checkpoint written by TensorFlow's own saver."""
    import tensorflow as tf

    folder.mkdir(parents=True)
    sizes = {"n_vocab": len(tensors["wte.weight"]), "n_ctx": CONTEXT, "n_embd": WIDTH}
    (folder / "hparams.json").write_text(json.dumps({**sizes, "n_head": HEADS, "n_layer": LAYERS}))
    write_words(folder, tokenizer(), "encoder.json", "vocab.bpe")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = [
            tf.compat.v1.get_variable(openai_name(name), initializer=openai_value(name, value))
            for name, value in tensors.items()
        ]
        variables.append(tf.compat.v1.get_variable("global_step", initializer=np.int64(7)))
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(variables)
        saver.save(session, str(folder / "model.ckpt"), write_meta_graph=False)
    return folder


def openai_name(name: str) -> str:
    if name in ("wte.weight", "wpe.weight"):
        return f"model/{name[:3]}"
    *path, kind = name.split(".")
    place = "/".join(path).replace("h/", "h", 1) if path[0] == "h" else path[0]
    is_norm = path[-1].startswith("ln_")
    return f"model/{place}/" + {"weight": "g" if is_norm else "w", "bias": "b"}[kind]


def openai_value(name: str, value: np.ndarray) -> np.ndarray:
    return value[None] if value.ndim == 2 and name.startswith("h.") else value


# === PyTorch's files, written by hand ===

STORAGES = {"float32": "FloatStorage", "float16": "HalfStorage", "uint8": "ByteStorage"}


def write_torch_file(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """What torch.save writes: a zip archive of a pickle and a member for each storage."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(tensors))
        for key, value in enumerate(tensors.values()):
            archive.writestr(f"archive/data/{key}", np.ascontiguousarray(value).tobytes())


def pickled(
    tensors: dict[str, np.ndarray], strides: dict[str, tuple[int, ...]] | None = None
) -> bytes:
    """The pickle of a dictionary of tensors, opcode by opcode."""
    items = b""
    for key, (name, value) in enumerate(tensors.items()):
        contiguous = tuple(
            stride // value.itemsize for stride in np.empty(value.shape, value.dtype).strides
        )
        storage = b"ctorch\n" + STORAGES[str(value.dtype)].encode() + b"\n"
        place = (
            b"("
            + text("storage")
            + storage
            + text(str(key))
            + text("cpu")
            + number(value.size)
            + b"tQ"
        )
        shape = b"(" + b"".join(map(number, value.shape)) + b"t"
        steps = b"(" + b"".join(map(number, (strides or {}).get(name, contiguous))) + b"t"
        hooks = b"ccollections\nOrderedDict\n)R"
        arguments = b"(" + place + number(0) + shape + steps + b"\x89" + hooks + b"t"
        items += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"Rs"
    return b"\x80\x02}" + items + b"."


def text(value: str) -> bytes:
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def number(value: int) -> bytes:
    return b"J" + value.to_bytes(4, "little", signed=True)
