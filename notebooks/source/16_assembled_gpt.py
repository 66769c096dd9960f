# %% [raw]
# pt: O bloco, e o GPT montado
# en: The block, and the GPT assembled
# question_pt: O que falta para que a atenção vire um GPT?
# question_en: What is missing to make a GPT of attention?
# minutes: 20
# picture: 1

# %% [markdown] lang="pt"
# A atenção leva informação de uma palavra a outra, e só. Alguém precisa *pensar* sobre o que chegou; o sinal
# precisa sobreviver a dezenas de camadas; e no começo e no fim há números de tokens, não vetores. Tudo isso
# cabe em oitenta linhas. Nesta aula você as escreve com as peças das aulas anteriores, e confere: com os mesmos
# pesos, os logits são os do kgpt.

# %% [markdown] lang="en"
# Attention carries information from one word to another, and that is all. Somebody has to *think* about what
# has arrived; the signal has to survive dozens of layers; and at the beginning and the end there are numbers of
# tokens, not vectors. All this fits into eighty lines. In this lesson you write them with the parts of the
# earlier ones, and check: with the same weights, the logits are kgpt's.

# %%
import dataclasses
import math

import keras
import numpy as np
from keras import ops

from kgpt.learning import check, check_below, colour, corpus, figure, number, parts, say, show

keras.utils.set_random_seed(16)
TokensAndPositions = parts("11").TokensAndPositions
MultiHeadAttention = parts("15").MultiHeadAttention

# %% [markdown] lang="pt"
# ## A planta
#
# De baixo para cima: cada id busca na tabela o vetor do token, soma-se o da posição (aula 11), e o resultado
# sobe por um corredor, o **fluxo residual**. Em cada bloco, atenção e rede densa leem o corredor, cada uma por
# uma normalização, e **somam** a ele o que descobriram. No alto, a tabela de tokens é usada outra vez, deitada:
# cada palavra do vocabulário ganha um logit.

# %% [markdown] lang="en"
# ## The plan
#
# From the bottom up: each id fetches its token's vector from the table, the position's is added (lesson 11),
# and the result walks up a corridor, the **residual stream**. In each block, attention and the dense network
# read the corridor, each through a normalisation, and **add** to it what they have found. At the top the table
# of tokens is used once more, transposed: each word of the vocabulary gets a logit.


# %%
def box(axes, across, up, text, ink):
    """A box around a text, whose middle is at (across, up)."""
    style = {"boxstyle": "round,pad=0.35", "facecolor": ink, "edgecolor": "none"}
    middle = {"ha": "center", "va": "center", "zorder": 3}
    drawn = axes.text(across, up, text, color="white", fontsize=12, bbox=style, **middle)
    return drawn.get_bbox_patch()


def arrow(axes, start, end, ink="#666666", to=None):
    """An arrow to a place, or as far as the edge of the box that is there."""
    style = {"arrowstyle": "-|>", "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0, "patchB": to}
    axes.annotate("", end, start, arrowprops={**style, "color": ink}, zorder=2)


picture, axes = figure(9, 5.6)
axes.set(xlim=(-0.4, 9.2), ylim=(-0.5, 10.3))
axes.axis("off")
axes.axvspan(-0.3, 9.2, 0.24, 0.70, color="#F1F3F6", zorder=0)
arrow(axes, (2, 0.2), (2, 9.55), colour(0))
for bottom, name, ink in (
    (3.6, say("atenção", "attention"), colour(5)),
    (5.9, say("rede densa", "dense network"), colour(2)),
):
    box(axes, 4.2, bottom - 0.6, say("normaliza", "normalise"), colour(7))
    arrow(axes, (2, bottom - 0.6), (7.3, bottom - 0.6), to=box(axes, 7.3, bottom - 0.6, name, ink))
    axes.plot([7.3, 7.3], [bottom - 0.6, bottom + 0.6], color="#666666", linewidth=1.6)
    arrow(axes, (7.3, bottom + 0.6), (2.15, bottom + 0.6))
    axes.plot(
        2,
        bottom + 0.6,
        "o",
        color="white",
        markeredgecolor=colour(0),
        markersize=17,
        markeredgewidth=2,
    )
    axes.text(2, bottom + 0.57, "+", ha="center", va="center", fontsize=14)
for bottom, text, ink in (
    (-0.1, say("ids dos tokens", "ids of tokens"), "#8A8F98"),
    (1.2, say("tabela de tokens + posições", "table of tokens + positions"), colour(0)),
    (7.6, say("normaliza", "normalise"), colour(7)),
    (8.7, say("tabela de tokens, deitada", "table of tokens, transposed"), colour(0)),
    (9.9, "logits", "#8A8F98"),
):
    box(axes, 2, bottom, text, ink)
axes.text(
    9.1,
    5.2,
    say("um bloco,\nrepetido", "a block,\nrepeated"),
    ha="right",
    va="center",
    style="italic",
)
show(picture)

# %% [markdown] lang="pt"
# ## As peças que faltavam
#
# **A rede densa** é o MLP da aula 6, um para cada palavra por si: abre o vetor para quatro vezes o tamanho,
# passa por uma GELU (uma ReLU de cantos arredondados) e fecha de novo. É nela que moram dois terços dos
# parâmetros dos blocos, e boa parte do que um GPT *sabe*.
#
# **A normalização** põe cada vetor em média 0 e desvio 1, e depois o estica por pesos aprendidos. Quem lê o
# corredor o encontra sempre na mesma escala, por mais que se tenha somado a ele.
#
# **O bloco** são duas linhas.

# %% [markdown] lang="en"
# ## The parts that were missing
#
# **The dense network** is lesson 6's MLP, one for each word by itself: it opens the vector to four times its
# size, passes it through a GELU (a ReLU with rounded corners) and closes it again. Two thirds of the blocks'
# parameters live there, and much of what a GPT *knows*.
#
# **The normalisation** gives each vector mean 0 and deviation 1, and then stretches it by learned weights. Who
# reads the corridor finds it at the same scale always, however much has been added to it.
#
# **The block** is two lines.


# %%
class FeedForward(keras.layers.Layer):
    """Each vector by itself: (B, T, C) to (B, T, C) through 4 C hidden units."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.up, self.down = keras.layers.Dense(4 * width), keras.layers.Dense(width)

    def call(self, x_BTC):
        return self.down(ops.gelu(self.up(x_BTC), approximate=True))


class Block(keras.layers.Layer):
    """Attention and feed-forward, each on the normalised stream and added to it."""

    def __init__(self, width, num_heads, **kwargs):
        super().__init__(**kwargs)
        self.attention_norm = keras.layers.LayerNormalization(epsilon=1e-5)
        self.attention = MultiHeadAttention(width, num_heads)
        self.feed_forward_norm = keras.layers.LayerNormalization(epsilon=1e-5)
        self.feed_forward = FeedForward(width)

    def call(self, x_BTC):
        x_BTC = x_BTC + self.attention(self.attention_norm(x_BTC))
        return x_BTC + self.feed_forward(self.feed_forward_norm(x_BTC))


class MyGPT(keras.Model):
    """Ids (B, T) to logits (B, T, V): entry t scores the token after ids[:, : t + 1]."""

    def __init__(self, vocabulary_size, context_length, num_layers, num_heads, width):
        super().__init__()
        self.embedding = TokensAndPositions(vocabulary_size, context_length, width)
        self.blocks = [Block(width, num_heads) for _ in range(num_layers)]
        self.final_norm = keras.layers.LayerNormalization(epsilon=1e-5)

    def call(self, ids_BT):
        x_BTC = self.embedding(ids_BT)
        for block in self.blocks:
            x_BTC = block(x_BTC)
        table_VC = self.embedding.token_embedding.embeddings
        return ops.matmul(self.final_norm(x_BTC), ops.transpose(table_VC))


# %% [markdown] lang="pt"
# Está tudo aí: é um GPT-2, do menor ao maior, conforme os cinco números que se dão a ele.
#
# ## A prova
#
# O modelo do kgpt com a mesma forma, pesos sorteados (os vieses também, para que nada passe por ser zero).
# Copiamos os pesos dele para as nossas peças, pelo nome, e damos aos dois os mesmos ids:

# %% [markdown] lang="en"
# That is all of it: a GPT-2, from the smallest to the largest, by the five numbers it is given.
#
# ## The proof
#
# kgpt's model of the same shape, weights drawn at random (biases too, so that nothing passes for being zero).
# We copy its weights to our parts, by name, and give both the same ids:

# %%
from kgpt.config import ModelConfig
from kgpt.model.gpt import build_gpt
from kgpt.model.size import parameter_count

shape = {"vocabulary_size": 300, "context_length": 32, "num_layers": 4, "num_heads": 4, "width": 96}
random = np.random.default_rng(16)
theirs = build_gpt(ModelConfig(**shape))
theirs.set_weights(
    [weight + random.normal(scale=0.2, size=weight.shape) for weight in theirs.get_weights()]
)

ours = MyGPT(**shape)
ids_BT = random.integers(300, size=(2, 32)).astype("int32")
ours(ids_BT)  # the first call creates the weights

pairs = [(ours.embedding, theirs), (ours, theirs), *zip(ours.blocks, theirs.blocks, strict=True)]
names = ["token_embedding", "position_embedding", "final_norm"]
names += ["attention_norm", "feed_forward_norm"]
names += [f"attention.{name}" for name in ("query", "key", "value", "output_projection")]
names += ["feed_forward.up", "feed_forward.down"]


def find(part, path):
    """The part of a part that a path such as `attention.query` names, or None."""
    for name in path.split("."):
        part = getattr(part, name, None)
    return part


for mine, model in pairs:
    for name in names:
        if find(mine, name) is not None:
            find(mine, name).set_weights(find(model, name).get_weights())

logits_BTV, expected_BTV = np.array(ours(ids_BT)), np.array(theirs(ids_BT))
print(
    say("logits de", "logits from"),
    number(logits_BTV.min(), 1),
    say("a", "to"),
    number(logits_BTV.max(), 1),
)
print(
    say("maior diferença", "largest difference"), f"{np.abs(logits_BTV - expected_BTV).max():.1e}"
)
check(
    say("logits iguais aos do kgpt", "logits equal to kgpt's"),
    logits_BTV,
    expected_BTV,
    tolerance=1e-3,
)
check(say("parâmetros", "parameters"), ours.count_params(), parameter_count(ModelConfig(**shape)))

# %% [markdown] lang="pt"
# ## Ele aprende?
#
# Um minuto não faz um escritor, mas dá para ver a perda cair. Bytes da enciclopédia, 256 ids possíveis; quem
# chuta perde ln 256 ≈ 5,55. (Como se treina de verdade é assunto da próxima aula.)

# %% [markdown] lang="en"
# ## Does it learn?
#
# A minute makes no writer, but one can see the loss fall. Bytes of the encyclopedia, 256 possible ids; who
# guesses loses ln 256 ≈ 5.55. (How training is really done is the next lesson's subject.)

# %%
text = np.frombuffer(corpus(100_000).encode(), dtype="uint8").astype("int32")
starts_N = random.integers(len(text) - 49, size=1600)
windows_NT = text[starts_N[:, None] + np.arange(49)]

learner = MyGPT(vocabulary_size=256, context_length=48, num_layers=2, num_heads=4, width=64)
learner.compile(
    keras.optimizers.Adam(3e-3),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    jit_compile=False,  # for so few steps, compiling would take longer than it saves
)
history = learner.fit(
    windows_NT[:, :-1], windows_NT[:, 1:], batch_size=16, epochs=2, shuffle=False, verbose=0
).history["loss"]
print(" → ".join(number(loss) for loss in [math.log(256), *history]))
check_below(say("a perda depois de 200 passos", "the loss after 200 steps"), history[-1], 2.8)

written = list(b"O Brasil ")
for _ in range(60):
    window = np.array(
        [[*written, *[0] * 48][:48]] if len(written) < 48 else [written[-48:]], dtype="int32"
    )
    logits_V = np.array(learner(window))[0, min(len(written), 48) - 1].astype("float64")
    chances_V = np.exp((logits_V - logits_V.max()) / 0.7)
    written.append(int(random.choice(256, p=chances_V / chances_V.sum())))
print(bytes(written).decode(errors="replace"))

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# **Tire as somas.** E se o bloco não somasse nada ao corredor, mas o substituísse pelo que achou? Empilhamos 12
# blocos com pesos sorteados e medimos o que resta de **diferente entre as palavras** de uma frase: o tamanho do
# que distingue cada vetor da média deles, em relação ao todo.

# %% [markdown] lang="en"
# ## Break it
#
# **Take the sums away.** What if the block added nothing to the corridor, but replaced it by what it found? We
# stack 12 blocks with random weights and measure what is left of the **difference between the words** of a
# sentence: the size of what sets each vector apart from their mean, as a share of the whole.


# %%
class BlockWithoutSums(Block):
    def call(self, x_BTC):
        x_BTC = self.attention(self.attention_norm(x_BTC))
        return self.feed_forward(self.feed_forward_norm(x_BTC))


def differences(block_class, depth=12):
    """After each block, how much of the vectors differs between the words."""
    keras.utils.set_random_seed(16)
    x_BTC = keras.random.normal((1, 16, 64))
    shares = []
    for _ in range(depth):
        x_BTC = block_class(64, 4)(x_BTC)
        apart = x_BTC - ops.mean(x_BTC, axis=1, keepdims=True)
        shares.append(np.linalg.norm(apart) / np.linalg.norm(x_BTC))
    return shares


with_sums, without_sums = differences(Block), differences(BlockWithoutSums)
picture, axes = figure(8, 3.4)
layers = range(1, len(with_sums) + 1)
axes.plot(
    layers, with_sums, "o-", markersize=4, color=colour(0), label=say("com somas", "with sums")
)
axes.plot(
    layers,
    without_sums,
    "s-",
    markersize=4,
    color=colour(5),
    label=say("sem somas", "without sums"),
)
axes.set(
    title=say("O que distingue uma palavra da outra", "What sets one word apart from another"),
    xlabel=say("bloco", "block"),
    ylabel=say("parte do vetor", "share of the vector"),
    ylim=(0, 1.02),
)
axes.legend()
show(picture)
check_below(
    say("sem somas, no último bloco", "without sums, at the last block"),
    without_sums[-1],
    0.5 * with_sums[-1],
)

# %% [markdown] lang="pt"
# Sem as somas a atenção vira um liquidificador: cada camada é uma média das palavras, e médias de médias acabam
# todas iguais ([Dong e outros, 2021](https://arxiv.org/abs/2103.03404)). O corredor guarda cada palavra
# enquanto as camadas trabalham. E, no treino, é por ele que o gradiente volta inteiro até a primeira.

# %% [markdown] lang="en"
# Without the sums attention becomes a blender: each layer is a mean of the words, and means of means end up all
# alike ([Dong et al., 2021](https://arxiv.org/abs/2103.03404)). The corridor keeps each word while the layers
# work. And in training it is along it that the gradient comes back whole to the first of them.

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** Quantos parâmetros tem o menor GPT-2? V = 50.257 tokens, 1.024 posições, L = 12 blocos, C = 768. Conte
# peça por peça: as duas tabelas, e em cada bloco atenção (quatro matrizes), rede densa (duas) e duas
# normalizações, todas com viés, mais a última normalização.

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** How many parameters has the smallest GPT-2? V = 50,257 tokens, 1,024 positions, L = 12 blocks, C = 768.
# Count part by part: the two tables, and in each block attention (four matrices), dense network (two) and two
# normalisations, all with biases, and the last normalisation.

# %% tags=["exercise"]
parameters = ...

check(
    say("1: parâmetros do GPT-2", "1: GPT-2's parameters"),
    parameters,
    parameter_count(ModelConfig()),
)

# %% tags=["solution"] jupyter={"source_hidden": true}
C = 768
attention, dense, norm = 4 * (C * C + C), (C * 4 * C + 4 * C) + (4 * C * C + C), 2 * C
parameters = 50257 * C + 1024 * C + 12 * (attention + dense + 2 * norm) + norm
print(number(parameters, 0))

check(
    say("1: parâmetros do GPT-2", "1: GPT-2's parameters"),
    parameters,
    parameter_count(ModelConfig()),
)

# %% [markdown] lang="pt"
# **2.** A GELU do GPT-2 é ½ x (1 + tanh(√(2/π) (x + 0,044715 x³))). Escreva-a com NumPy.

# %% [markdown] lang="en"
# **2.** GPT-2's GELU is ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))). Write it with NumPy.


# %% tags=["exercise"]
def gelu(x):
    return ...


x = np.linspace(-4, 4, 101).astype("float32")
check(say("2: GELU", "2: GELU"), gelu(x), ops.gelu(x, approximate=True), tolerance=1e-5)


# %% tags=["solution"] jupyter={"source_hidden": true}
def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


check(say("2: GELU", "2: GELU"), gelu(x), ops.gelu(x, approximate=True), tolerance=1e-5)

# %% [markdown] lang="pt"
# **3.** Um GPT-2 recém-criado ainda não prefere nenhum token. Que perda ele deve mostrar no primeiro passo do
# treino? (Se a sua for bem maior, procure um erro antes de gastar um dia de treino.)

# %% [markdown] lang="en"
# **3.** A new GPT-2 prefers no token yet. What loss should it show at the first step of training? (If yours is
# much larger, look for a mistake before you spend a day on training.)

# %% tags=["exercise"]
first_loss = ...

check(say("3: primeira perda", "3: first loss"), first_loss, 10.825, tolerance=0.01)

# %% tags=["solution"] jupyter={"source_hidden": true}
first_loss = math.log(50257)

check(say("3: primeira perda", "3: first loss"), first_loss, 10.825, tolerance=0.01)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# O bloco e a rede densa em [kgpt/model/layers.py](../../kgpt/model/layers.py), o modelo em
# [kgpt/model/gpt.py](../../kgpt/model/gpt.py), a conta dos parâmetros em
# [kgpt/model/size.py](../../kgpt/model/size.py). O que lá existe a mais são escolhas que vieram depois do
# GPT-2, cada uma um campo de `ModelConfig`. O modelo que `make demo` treina usa quase todas:

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# The block and the dense network in [kgpt/model/layers.py](../../kgpt/model/layers.py), the model in
# [kgpt/model/gpt.py](../../kgpt/model/gpt.py), the count of parameters in
# [kgpt/model/size.py](../../kgpt/model/size.py). What there is besides are choices that came after GPT-2, each
# a field of `ModelConfig`. The model that `make demo` trains uses most of them:

# %%
from kgpt.presets import preset

plain = dataclasses.asdict(ModelConfig())
for name, value in dataclasses.asdict(preset("demo").model).items():
    if value != plain[name]:
        print(f"{name:>20}  {plain[name]!s:>8} → {value}")

# %% [markdown] lang="pt"
# ## O que vem depois
#
# Você tem um GPT, igual ao de verdade. Agora ele precisa estudar: a [aula 17](lesson:17) o treina, e mostra
# como saber se ele aprendeu ou só decorou.

# %% [markdown] lang="en"
# ## What comes next
#
# You have a GPT, equal to the real one. Now it has to study: [lesson 17](lesson:17) trains it, and shows how to
# tell whether it has learned or merely memorised.
