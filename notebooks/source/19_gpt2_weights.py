# %% [raw]
# pt: Os pesos do GPT-2, de um arquivo
# en: GPT-2's weights, from a file
# question_pt: Um modelo treinado é um arquivo cheio de números. Como esses números viram um GPT que funciona?
# question_en: A trained model is a file full of numbers. How do these numbers become a GPT that works?
# minutes: 15
# picture: 1

# %% [markdown] lang="pt"
# Em 2019 a OpenAI publicou o GPT-2, e os pesos estão até hoje na internet: um arquivo de meio gigabyte. Carregá-lo parece magia,
# mas é contabilidade: cada número tem um nome e um lugar, e tudo o que há para fazer é pôr cada um no lugar certo. Errar é
# fácil, e o erro costuma ser **silencioso**: o programa roda e escreve bobagens.
#
# Não vamos baixar nada. Fazemos na hora um GPT-2 em miniatura, com pesos sorteados, no mesmo formato, com os mesmos nomes;
# lemos o arquivo byte a byte; calculamos o modelo em NumPy puro; e conferimos que o kgpt, ao importar a mesma pasta, chega
# aos mesmos números. O que vale para a miniatura vale para o original: no fim está o comando.

# %% [markdown] lang="en"
# In 2019 OpenAI published GPT-2, and its weights are on the net to this day: a file of half a gigabyte. Loading it looks like magic
# and is book-keeping: each number has a name and a place, and all there is to do is to put each into its place. Mistakes
# are easy to make and mostly **silent**: the program runs, and writes nonsense.
#
# We download nothing. We make a miniature GPT-2 on the spot, with random weights, in the same format, with the same names;
# read the file byte by byte; compute the model in plain NumPy; and check that kgpt, importing the same folder, arrives at
# the same numbers. What holds for the miniature holds for the original: the command is at the end.

# %%
import json
import tempfile
from pathlib import Path

import numpy as np

from kgpt.learning import check, check_below, colour, corpus, figure, number, say, show
from kgpt.text.tokenizer import Tokenizer

LAYERS, HEADS, WIDTH, CONTEXT = 2, 4, 48, 64
place = tempfile.TemporaryDirectory()
folder = Path(place.name) / "gpt2-mini"
folder.mkdir()

tokenizer = Tokenizer.train([corpus(60_000)], 600)
tokenizer.save(folder)
config = {
    "model_type": "gpt2",
    "vocab_size": 600,
    "n_positions": CONTEXT,
    "n_embd": WIDTH,
    "n_layer": LAYERS,
    "n_head": HEADS,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
}
(folder / "config.json").write_text(json.dumps(config))
print(json.dumps(config, indent=1))

# %% [markdown] lang="pt"
# ## Os nomes
#
# Eis o inventário de um GPT-2. Compare com as suas aulas: `wte` é a tabela de embeddings (10), `wpe` a de posições (11),
# `attn.c_attn` são consulta, chave e valor **lado a lado numa só matriz** (13 e 15), `attn.c_proj` a saída da atenção,
# `mlp` a rede densa, `ln` as normalizações (16). Não há matriz de saída: o GPT-2 usa a própria `wte`, transposta.

# %% [markdown] lang="en"
# ## The names
#
# Here is the inventory of a GPT-2. Compare it with your lessons: `wte` is the table of embeddings (10), `wpe` that of
# positions (11), `attn.c_attn` holds query, key and value **side by side in one matrix** (13 and 15), `attn.c_proj` is
# attention's output, `mlp` the dense network, `ln` the norms (16). There is no output matrix: GPT-2 uses `wte` itself,
# transposed.

# %%
from safetensors.numpy import save_file


def inventory(vocabulary, context, layers, width):
    """Names and shapes of a GPT-2's tensors, in order."""
    shapes = {"wte.weight": (vocabulary, width), "wpe.weight": (context, width)}
    for layer in range(layers):
        block = {
            "ln_1.weight": (width,),
            "ln_1.bias": (width,),
            "attn.c_attn.weight": (width, 3 * width),
            "attn.c_attn.bias": (3 * width,),
            "attn.c_proj.weight": (width, width),
            "attn.c_proj.bias": (width,),
            "ln_2.weight": (width,),
            "ln_2.bias": (width,),
            "mlp.c_fc.weight": (width, 4 * width),
            "mlp.c_fc.bias": (4 * width,),
            "mlp.c_proj.weight": (4 * width, width),
            "mlp.c_proj.bias": (width,),
        }
        shapes |= {f"h.{layer}.{name}": shape for name, shape in block.items()}
    return shapes | {"ln_f.weight": (width,), "ln_f.bias": (width,)}


random = np.random.default_rng(19)
shapes = inventory(600, CONTEXT, LAYERS, WIDTH)
tensors = {name: random.normal(0, 0.25, shape).astype("float32") for name, shape in shapes.items()}
save_file(tensors, folder / "model.safetensors")
for name in list(shapes)[:8]:
    print(f"{name:24}", shapes[name])
print("...", number(sum(value.size for value in tensors.values()), 0), say("números", "numbers"))

# %% [markdown] lang="pt"
# E o GPT-2 de verdade? O mesmo inventário com `(50257, 1024, 12, 768)`. Aqui está, tensor por tensor, cada um
# tão comprido quanto os bytes que ocupa:

# %% [markdown] lang="en"
# And the real GPT-2? The same inventory with `(50257, 1024, 12, 768)`. Here it is, tensor by tensor, each as
# long as the bytes it takes:

# %%
kinds = {
    "wte": say("tokens (wte)", "tokens (wte)"),
    "wpe": say("posições (wpe)", "positions (wpe)"),
    "attn": say("atenção", "attention"),
    "mlp": say("rede densa", "dense network"),
    "ln": say("normalizações", "norms"),
}
SIZES = {"124M": (12, 768), "355M": (24, 1024), "774M": (36, 1280), "1.5B": (48, 1600)}


def kind_of(name):
    return next(kind for kind in kinds if kind in name)


def draw_strip(axis, shapes, row, scale, height=0.7):
    """A strip for each tensor, as long as its share of `scale`; equal kinds have equal colours."""
    left = 0.0
    for name, shape in shapes.items():
        length = np.prod(shape) / scale
        ink = colour(list(kinds).index(kind_of(name)))
        axis.barh(
            row, length, left=left, height=height, color=ink, edgecolor="white", linewidth=0.4
        )
        left += length
    return left


fig, (upper, lower) = figure(9, 5.2, rows=2, height_ratios=[1, 2.2])
real = inventory(50257, 1024, 12, 768)
end = draw_strip(upper, real, 0, 1e6 / 4)
upper.set_title(say("O arquivo do GPT-2 (124M): 148 tensores", "GPT-2's file (124M): 148 tensors"))
upper.set_xlabel("MB (float32)")
upper.set_yticks([])
upper.set_xlim(0, end)
for row, (layers, width) in enumerate(SIZES.values()):
    parts = inventory(50257, 1024, layers, width)
    total = sum(np.prod(shape) for shape in parts.values())
    by_kind = {
        f"{kind}.": (sum(np.prod(s) for n, s in parts.items() if kind_of(n) == kind),)
        for kind in kinds
    }
    draw_strip(lower, by_kind, row, total / 100)
    lower.text(101, row, f"{number(total / 1e6, 0)} M", va="center")
lower.set_yticks(range(4), SIZES)
lower.invert_yaxis()
lower.set_xlim(0, 112)
lower.set_xticks(range(0, 101, 20))
lower.set_xlabel(say("% dos parâmetros", "% of the parameters"))
lower.set_title(
    say(
        "Onde estão os parâmetros, nos quatro tamanhos",
        "Where the parameters are, in the four sizes",
    )
)
handles = [upper.barh(0, 0, color=colour(index)) for index in range(len(kinds))]
lower.legend(handles, kinds.values(), ncols=5, loc="upper center", bbox_to_anchor=(0.46, -0.22))
show(fig)
print(len(real), say("tensores", "tensors"))
check(
    say("parâmetros do GPT-2", "parameters of GPT-2"),
    sum(int(np.prod(s)) for s in real.values()),
    124_439_808,
)

# %% [markdown] lang="pt"
# No menor GPT-2, quase um terço dos parâmetros é a tabela de tokens. Nos grandes ela quase some: quem cresce são os blocos,
# e dentro deles a rede densa é sempre o dobro da atenção.
#
# ## O arquivo, byte a byte
#
# O formato *safetensors* cabe em três linhas: 8 bytes dizem o tamanho de um cabeçalho; o cabeçalho é JSON e diz, de cada
# tensor, tipo, forma e onde começa e acaba; depois vêm os números, um atrás do outro. Nada se executa ao abrir, e é por
# isso que ele substituiu os antigos arquivos *pickle*, que podiam rodar um programa de quem os escreveu.

# %% [markdown] lang="en"
# In the smallest GPT-2 nearly a third of the parameters is the table of tokens. In the large ones it almost vanishes: what
# grows are the blocks, and in them the dense network is always twice the attention.
#
# ## The file, byte by byte
#
# The *safetensors* format fits into three lines: 8 bytes give the size of a header; the header is JSON and says of each
# tensor its type, its shape, and where it begins and ends; then come the numbers, one after the other. Nothing is executed
# on opening, which is why it has replaced the old *pickle* files, which could run a program of whoever wrote them.


# %%
def read_safetensors(path):
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    header.pop("__metadata__", None)
    found = {}
    for name, about in header.items():
        start, end = about["data_offsets"]
        found[name] = np.frombuffer(data[start:end], "<f4").reshape(about["shape"])
    return found


w = read_safetensors(folder / "model.safetensors")
check(say("todos os tensores", "all tensors"), sorted(w), sorted(tensors))
check("wte", w["wte.weight"], tensors["wte.weight"])
print((folder / "model.safetensors").read_bytes()[:90])

# %% [markdown] lang="pt"
# ## O modelo inteiro em NumPy
#
# Tudo o que você construiu nas aulas 10 a 16, em trinta linhas, agora alimentado por nomes.

# %% [markdown] lang="en"
# ## The whole model in NumPy
#
# All that you built in lessons 10 to 16, in thirty lines, now fed by names.


# %%
def layer_norm(w, name, x):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def dense(w, name, x):
    return x @ w[f"{name}.weight"] + w[f"{name}.bias"]


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def attention(w, name, x_TC):
    time, width = x_TC.shape
    parts = np.split(dense(w, f"{name}.c_attn", x_TC), 3, axis=-1)
    q, k, v = (part.reshape(time, HEADS, -1).transpose(1, 0, 2) for part in parts)
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(width // HEADS)
    scores = np.where(np.tril(np.ones((time, time), bool)), scores, -np.inf)
    chances = np.exp(scores - scores.max(-1, keepdims=True))
    chances /= chances.sum(-1, keepdims=True)
    return dense(w, f"{name}.c_proj", (chances @ v).transpose(1, 0, 2).reshape(time, width))


def gpt2(w, ids):
    w = {name: value.astype("float64") for name, value in w.items()}
    x = w["wte.weight"][ids] + w["wpe.weight"][: len(ids)]
    for layer in range(LAYERS):
        x = x + attention(w, f"h.{layer}.attn", layer_norm(w, f"h.{layer}.ln_1", x))
        hidden = gelu(dense(w, f"h.{layer}.mlp.c_fc", layer_norm(w, f"h.{layer}.ln_2", x)))
        x = x + dense(w, f"h.{layer}.mlp.c_proj", hidden)
    return layer_norm(w, "ln_f", x) @ w["wte.weight"].T


ids = tokenizer.encode("A cachorra correu atrás da bola, mas ela era muito rápida.")
mine = gpt2(w, ids)
print(len(ids), "tokens →", mine.shape)

# %% [markdown] lang="pt"
# ## Agora o kgpt
#
# Importar é uma chamada. Sai um treino (*run*) como qualquer outro: dá para escrever com ele, medir, ajustar, exportar,
# servir.

# %% [markdown] lang="en"
# ## Now kgpt
#
# Importing is one call. Out comes a run like any other: you can write with it, measure it, fine-tune, export, serve it.

# %%
import kgpt
from kgpt.interop.imports import import_model

saved_models = Path(place.name) / "runs"
import_model(str(folder), "mini", saved_models=saved_models)
model = kgpt.open_run("mini", saved_models=saved_models).load_model()
theirs = np.asarray(model(np.array([ids], dtype="int32")))[0]

difference = np.abs(theirs - mine).max()
print(
    say("notas entre", "scores between"),
    number(mine.min(), 1),
    say("e", "and"),
    number(mine.max(), 1),
)
check(say("logits iguais aos do kgpt", "logits equal to kgpt's"), mine, theirs, tolerance=1e-3)
print(say("maior diferença:", "largest difference:"), f"{difference:.1e}")

# %% [markdown] lang="pt"
# O que resta de diferença é arredondamento: o kgpt calcula em `float32`, o nosso NumPy em `float64`.
#
# ## Quebre e veja
#
# `c_attn` guarda consulta, chave e valor lado a lado, *nessa ordem*. Suponha que você leia chave e valor trocados. As
# formas batem, nada reclama, o programa roda. Compare as notas:

# %% [markdown] lang="en"
# What difference is left is rounding: kgpt computes in `float32`, our NumPy in `float64`.
#
# ## Break it
#
# `c_attn` keeps query, key and value side by side, *in this order*. Suppose you read key and value the wrong way round. The
# shapes fit, nothing complains, the program runs. Compare the scores:

# %%
swapped = dict(w)
for layer in range(LAYERS):
    for kind in ("weight", "bias"):
        name = f"h.{layer}.attn.c_attn.{kind}"
        q, k, v = np.split(w[name], 3, axis=-1)
        swapped[name] = np.concatenate([q, v, k], axis=-1)
wrong = gpt2(swapped, ids)

fig, axes = figure(8, 3.9, columns=2, sharex=True, sharey=True)
for axis, values, title, ink in (
    (axes[0], mine, say("no lugar certo", "in the right place"), 2),
    (axes[1], wrong, say("chave e valor trocados", "key and value swapped"), 5),
):
    axis.plot(theirs.ravel(), values.ravel(), ".", color=colour(ink), markersize=1.5, alpha=0.5)
    axis.set_title(title)
    axis.set_xlabel(say("notas do kgpt", "kgpt's scores"))
    axis.set_aspect("equal")
axes[0].set_ylabel(say("notas do nosso NumPy", "our NumPy's scores"))
show(fig)
check_below(
    say("a troca não passa despercebida", "the swap does not go unnoticed"),
    0.5,
    np.abs(wrong - theirs).max(),
)

# %% [markdown] lang="pt"
# À esquerda uma reta, à direita uma nuvem. Por isso todo importador precisa de um teste como o nosso: calcular o mesmo de
# dois jeitos e comparar números, não formas.
#
# E se o arquivo vier estragado? Aí o kgpt diz o que há, e não deixa nada pela metade:

# %% [markdown] lang="en"
# On the left a line, on the right a cloud. This is why every importer needs a test like ours: compute the same in two
# ways, and compare numbers, not shapes.
#
# And if the file is damaged? Then kgpt says what is wrong, and leaves nothing half done:

# %%
import shutil

renamed = Path(place.name) / "renamed"
shutil.copytree(folder, renamed)
save_file(
    {name.replace("h.1.ln_2.bias", "h.1.ln_2.b"): value for name, value in tensors.items()},
    renamed / "model.safetensors",
)
try:
    import_model(str(renamed), "broken", saved_models=saved_models)
except kgpt.KgptError as error:
    message = error.message.replace(place.name, "...")
    print(error.title, message, error.hint, sep="\n")
check(
    say("nenhum treino pela metade", "no half-made run"), (saved_models / "broken").exists(), False
)

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1. Consulta, chave, valor.** De `h.0.attn.c_attn.weight`, tire a matriz dos **valores** e compare com a que o kgpt
# guardou.

# %% [markdown] lang="en"
# ## Exercises
#
# **1. Query, key, value.** From `h.0.attn.c_attn.weight` take the matrix of the **values**, and compare it with the one
# that kgpt has kept.

# %% tags=["exercise"]
values_of_block_0 = ...  # your answer, from w["h.0.attn.c_attn.weight"]

of_kgpt = np.asarray(model.blocks[0].attention.value.kernel)
check(say("valores do bloco 0", "values of block 0"), values_of_block_0, of_kgpt)

# %% tags=["solution"] jupyter={"source_hidden": true}
values_of_block_0 = w["h.0.attn.c_attn.weight"][:, 2 * WIDTH :]
check(say("valores do bloco 0", "values of block 0"), values_of_block_0, of_kgpt)

# %% [markdown] lang="pt"
# **2. Quanto pesa?** Quantos parâmetros tem o maior GPT-2 (48 blocos, largura 1.600)? E quantos gigabytes (10⁹ bytes) em
# `float32`? Responda com um par de números; use `inventory`.

# %% [markdown] lang="en"
# **2. How heavy?** How many parameters has the largest GPT-2 (48 blocks, width 1,600)? And how many gigabytes (10⁹ bytes)
# in `float32`? Answer with a pair of numbers; use `inventory`.

# %% tags=["exercise"]
largest = ...  # your answer: (parameters, gigabytes)

from kgpt.model.size import parameter_count

counted = parameter_count(kgpt.preset("gpt2-1558m").model)
check(say("o maior GPT-2", "the largest GPT-2"), largest, [counted, counted * 4 / 1e9], 1e-9)

# %% tags=["solution"] jupyter={"source_hidden": true}
parameters = sum(int(np.prod(shape)) for shape in inventory(50257, 1024, 48, 1600).values())
largest = [parameters, parameters * 4 / 1e9]
check(say("o maior GPT-2", "the largest GPT-2"), largest, [counted, counted * 4 / 1e9], 1e-9)
print(number(parameters, 0), number(largest[1], 2), "GB")

# %% [markdown] lang="pt"
# **3. O futuro não conta.** Graças à máscara causal, as notas da posição `t` não podem depender dos tokens depois de `t`.
# Prove: calcule com o NumPy as notas de só os 5 primeiros tokens e compare com as 5 primeiras linhas de `mine`.

# %% [markdown] lang="en"
# **3. The future does not count.** Thanks to the causal mask, the scores at position `t` cannot depend on tokens after `t`.
# Prove it: compute, in NumPy, the scores of the first 5 tokens alone and compare them with the first 5 rows of `mine`.

# %% tags=["exercise"]
first_five = ...  # your answer

check(say("o passado basta", "the past is enough"), first_five, mine[:5], 1e-9)

# %% tags=["solution"] jupyter={"source_hidden": true}
first_five = gpt2(w, ids[:5])
check(say("o passado basta", "the past is enough"), first_five, mine[:5], 1e-9)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# * [`kgpt/interop/huggingface_layout.py`](../../kgpt/interop/huggingface_layout.py): a tabela dos nomes, lida nos dois
#   sentidos, para importar e para exportar.
# * [`kgpt/interop/imports.py`](../../kgpt/interop/imports.py): os tensores passam um por um, sem caber todos na memória.
# * [`kgpt/interop/torch_files.py`](../../kgpt/interop/torch_files.py): lê os arquivos *pickle* antigos sem executar nada.
# * [`kgpt/model/tensors.py`](../../kgpt/model/tensors.py): safetensors, da leitura à soma de verificação.
#
# Com o GPT-2 de verdade (pasta baixada por você, ou o nome no Hugging Face Hub):
#
# ```sh
# kgpt import ./gpt2 --run gpt2
# kgpt sample gpt2 "The meaning of life is" --temperature 0.8
# ```
#
# ## O que vem depois
#
# Um modelo pronto é um começo. Na [aula 20](lesson:20) ele ganha um ofício: separar spam do resto.

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# * [`kgpt/interop/huggingface_layout.py`](../../kgpt/interop/huggingface_layout.py): the table of names, read both ways, to
#   import and to export.
# * [`kgpt/interop/imports.py`](../../kgpt/interop/imports.py): tensors pass one by one, so they need not all fit in memory.
# * [`kgpt/interop/torch_files.py`](../../kgpt/interop/torch_files.py): reads the old *pickle* files, executing nothing.
# * [`kgpt/model/tensors.py`](../../kgpt/model/tensors.py): safetensors, from reading to checksums.
#
# With the real GPT-2 (a folder you have fetched, or its name on the Hugging Face Hub):
#
# ```sh
# kgpt import ./gpt2 --run gpt2
# kgpt sample gpt2 "The meaning of life is" --temperature 0.8
# ```
#
# ## What comes next
#
# A ready model is a beginning. In [lesson 20](lesson:20) it gets a trade: telling spam from the rest.
