# %% [raw]
# pt: Autoatenção treinável
# en: Trainable self-attention
# question_pt: Como a atenção aprende o que procurar?
# question_en: How does attention learn what to look for?
# minutes: 15
# picture: 1

# %% [markdown] lang="pt"
# Na aula 12 cada palavra olhava para quem se parecia com ela. Mas quem pergunta raramente se parece com a
# resposta: "de que cor é a bola da Bia?" não se parece com *azul*.

# %% [markdown] lang="en"
# In lesson 12 each word looked at whatever resembled it. But who asks rarely resembles the answer: "what colour
# is Bia's ball?" does not look like *blue*.

# %%
import keras
import numpy as np
from keras import ops
from matplotlib.patches import Rectangle

from kgpt.learning import check, check_below, colour, figure, heatmap, number, say, show

keras.utils.set_random_seed(13)

# %% [markdown] lang="pt"
# ## Pergunta, etiqueta, conteúdo
#
# Pense numa biblioteca. Você chega com uma **consulta** (o que procuro?), cada livro tem na lombada uma
# **chave** (o que ofereço?), e dentro dele está o **valor** (o que entrego). Ninguém exige que lombada e
# conteúdo sejam iguais.
#
# Três matrizes fazem isso com cada vetor: `q = x Wq`, `k = x Wk`, `v = x Wv`. As notas passam a comparar
# consultas com chaves, e a mistura é de valores. São essas matrizes que se treinam. `D` é o tamanho de
# consultas e chaves.

# %% [markdown] lang="en"
# ## Question, label, content
#
# Think of a library. You arrive with a **query** (what am I looking for?), each book carries a **key** on its
# spine (what do I offer?), and inside it lies the **value** (what I hand over). Nobody requires spine and
# content to be equal.
#
# Three matrices do this to each vector: `q = x Wq`, `k = x Wk`, `v = x Wv`. Scores now compare queries with
# keys, and what is mixed is values. These matrices are what is trained. `D` is the size of queries and keys.


# %%
def attention_weights(q_BTD, k_BTD, scale):
    """How much each token takes from each: rows that sum to 1."""
    scores_BTT = ops.matmul(q_BTD, ops.swapaxes(k_BTD, -1, -2)) * scale
    return ops.softmax(scores_BTT, axis=-1)


# %%
class SelfAttention(keras.layers.Layer):
    """One head: token vectors (B, T, C) in, mixed values (B, T, D) out."""

    def __init__(self, size):
        super().__init__()
        self.scale = 1 / np.sqrt(size)
        self.query, self.key, self.value = (
            keras.layers.Dense(size, use_bias=False) for _ in range(3)
        )

    def weights_of(self, x_BTC):
        return attention_weights(self.query(x_BTC), self.key(x_BTC), self.scale)

    def call(self, x_BTC):
        return ops.matmul(self.weights_of(x_BTC), self.value(x_BTC))


# %% [markdown] lang="pt"
# ## Um jogo: de que cor é a bola?
#
# Seis crianças, cada uma com uma bola de uma cor, sorteada a cada rodada: "Ana azul, Bia verde, ...", em
# qualquer ordem. No fim vem uma pergunta, só um nome: "Bia?". Cada token tem o nome nos seis primeiros números
# e a cor nos seis últimos; o da pergunta não tem cor. Chutar uma das seis cores custa uma perda de ln 6 ≈ 1,79.

# %% [markdown] lang="en"
# ## A game: what colour is the ball?
#
# Six children, each with a ball whose colour is drawn anew in each round: "Ana blue, Bia green, ...", in any
# order. At the end comes a question, just a name: "Bia?". Each token has the name in its first six numbers and
# the colour in its last six; the question's has no colour. To guess one of six colours costs a loss of ln 6 ≈
# 1.79.

# %%
names = ["Ana", "Bia", "Caio", "Davi", "Eva", "Fábio"]
colours = say("azul verde vermelha branca preta roxa", "blue green red white black purple").split()


def rounds(count, seed):
    """Token vectors (count, 7, 12) and the number of the right colour (count,)."""
    random = np.random.default_rng(seed)
    x_BTC, answer_B = np.zeros((count, 7, 12), "float32"), np.zeros(count, "int32")
    for row in range(count):
        children, balls = random.permutation(6), random.integers(6, size=6)
        x_BTC[row, range(6), children] = 1
        x_BTC[row, range(6), 6 + balls] = 1
        asked = random.integers(6)
        x_BTC[row, 6, children[asked]] = 1
        answer_B[row] = balls[asked]
    return x_BTC, answer_B


def tokens_of(x_TC):
    """One round in words."""
    pairs = [(names[x_C[:6].argmax()], x_C[6:]) for x_C in x_TC]
    return [f"{name} {colours[x.argmax()]}" if x.any() else f"{name}?" for name, x in pairs]


x_BTC, answer_B = rounds(4000, seed=1)
test_BTC, test_answer_B = rounds(500, seed=2)
print(" · ".join(tokens_of(test_BTC[0])), "→", colours[test_answer_B[0]])

# %% [markdown] lang="pt"
# O modelo: uma camada de atenção; do vetor da última palavra, a pergunta, uma matriz tira a nota de cada cor.

# %% [markdown] lang="en"
# The model: one layer of attention; from the vector of the last word, the question, a matrix makes a score for
# each colour.

# %%
attention = SelfAttention(size=16)
inputs = keras.Input((7, 12))
model = keras.Model(inputs, keras.layers.Dense(6)(attention(inputs)[:, -1]))
before_TT = np.array(attention.weights_of(test_BTC[:1]))[0]

model.compile(
    keras.optimizers.Adam(0.01),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
history = model.fit(x_BTC, answer_B, batch_size=64, epochs=10, verbose=0).history["loss"]
loss, accuracy = model.evaluate(test_BTC, test_answer_B, verbose=0)
after_TT = np.array(attention.weights_of(test_BTC[:1]))[0]

print(say("perda:", "loss:"), number(history[0]), "→", number(loss, 4))
print(say("cores certas:", "colours right:"), f"{accuracy:.0%}")
check_below(say("a perda em rodadas novas", "the loss on new rounds"), loss, 0.05)

# %% [markdown] lang="pt"
# ## Um retrato
#
# A mesma rodada, antes e depois do treino. Olhe para a última linha, a da pergunta: antes ela se espalha por
# todos; depois vai à criança certa. Ninguém disse à camada que nomes iguais devem se encontrar: isso está nas
# matrizes que o treino achou. Um resto fica na própria pergunta, que tem o mesmo nome e, sem cor, não
# atrapalha. E as outras linhas, que o modelo nem usa, acham o próprio nome também: as três matrizes são as
# mesmas para todas as palavras.

# %% [markdown] lang="en"
# ## A picture
#
# The same round, before training and after it. Look at the last row, the question's: before, it spreads over
# everybody; after, it goes to the right child. Nobody told the layer that equal names should meet: that lies in
# the matrices which training found. Some is left on the question itself, which has the same name and, without a
# colour, does no harm. And the other rows, which the model does not even use, find their own names too: the
# three matrices are the same for all words.

# %%
picture, (left, right) = figure(10.5, 4.4, columns=2)
labels = tokens_of(test_BTC[0])
heatmap(left, before_TT, labels, labels, digits=2, largest=1)
left.set(title=say("Antes do treino", "Before training"))
heatmap(right, after_TT, [""] * 7, labels, digits=2, largest=1)
right.set(title=say("Depois", "After"))
for axes in (left, right):
    axes.add_patch(Rectangle((-0.5, 5.5), 7, 1, fill=False, edgecolor=colour(5), linewidth=3))
show(picture)

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# **Tire a escala.** Por que dividir as notas por √D? Uma nota é uma soma de D produtos. Se consultas e chaves
# têm números de tamanho 1, a soma tem tamanho √D: com D = 512 as notas passam de 20, o softmax dá tudo a uma
# palavra só, e o gradiente, que passa por p (1 − p), desaparece. Sem gradiente, nada mais se aprende. Veja com
# consultas e chaves ao acaso:

# %% [markdown] lang="en"
# ## Break it
#
# **Take the scale away.** Why divide scores by √D? A score is a sum of D products. If queries and keys hold
# numbers of size 1, the sum has size √D: with D = 512 scores pass 20, softmax gives everything to a single
# word, and the gradient, which goes through p (1 − p), vanishes. Without a gradient nothing more is learned.
# See it with random queries and keys:

# %%
sizes = [4, 16, 64, 256, 1024]
random = np.random.default_rng(7)


def strongest_and_slope(size, scale):
    """Of random queries over 16 keys: the mean largest weight, and the mean p (1 - p) of that weight."""
    q_BTD, k_BTD = random.normal(size=(2, 400, 16, size)).astype("float32")
    p_BT = np.array(attention_weights(q_BTD, k_BTD, scale)).max(axis=-1)
    return p_BT.mean(), (p_BT * (1 - p_BT)).mean()


with_scale = np.array([strongest_and_slope(size, 1 / np.sqrt(size)) for size in sizes])
without = np.array([strongest_and_slope(size, 1.0) for size in sizes])

picture, panels = figure(10, 3.3, columns=2)
titles = (
    say("A palavra mais forte leva…", "The strongest word takes…"),
    say("Gradiente que resta, p (1 − p)", "Gradient left, p (1 − p)"),
)
for column, (axes, title) in enumerate(zip(panels, titles, strict=True)):
    axes.plot(
        sizes, without[:, column], "o-", color=colour(5), label=say("sem escala", "without scale")
    )
    axes.plot(
        sizes, with_scale[:, column], "s-", color=colour(0), label=say("com 1/√D", "with 1/√D")
    )
    axes.set_xscale("log", base=2)
    axes.set(title=title, xlabel="D", ylim=(0, None), xticks=sizes, xticklabels=sizes)
panels[0].legend()
show(picture)
check_below(
    say("gradiente sem escala", "gradient without scale"), without[-1, 1], 0.2 * with_scale[-1, 1]
)

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** Quantos números treináveis tem `attention`? Conte sem perguntar ao Keras: três matrizes, de 12 para 16.

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** How many trainable numbers does `attention` have? Count without asking Keras: three matrices, from 12
# to 16.

# %% tags=["exercise"]
count = ...

check(say("1: parâmetros", "1: parameters"), count, attention.count_params())

# %% tags=["solution"] jupyter={"source_hidden": true}
count = 3 * 12 * 16

check(say("1: parâmetros", "1: parameters"), count, attention.count_params())

# %% [markdown] lang="pt"
# **2.** Sorteie 100.000 pares de vetores com D = 64 números de tamanho 1. Qual é o desvio padrão dos produtos
# escalares depois de multiplicados pela escala certa? (A resposta é um número redondo; chegue a ele
# calculando.)

# %% [markdown] lang="en"
# **2.** Draw 100,000 pairs of vectors of D = 64 numbers of size 1. What is the standard deviation of their dot
# products once multiplied by the right scale? (The answer is a round number; get there by computing.)

# %% tags=["exercise"]
q_ND, k_ND = np.random.default_rng(3).normal(size=(2, 100_000, 64))
deviation = ...

check(say("2: desvio padrão", "2: standard deviation"), deviation, 1.0, tolerance=0.01)

# %% tags=["solution"] jupyter={"source_hidden": true}
deviation = ((q_ND * k_ND).sum(axis=1) / np.sqrt(64)).std()

check(say("2: desvio padrão", "2: standard deviation"), deviation, 1.0, tolerance=0.01)

# %% [markdown] lang="pt"
# **3.** E a atenção sem pesos da aula 12, neste jogo? O produto escalar da pergunta com a criança certa é 1 (o
# mesmo nome), consigo mesma também, com as outras cinco é 0. Que peso ela dá à criança certa? Só papel, lápis e
# `np.exp`.

# %% [markdown] lang="en"
# **3.** And the attention without weights of lesson 12, in this game? The dot product of the question with the
# right child is 1 (the same name), with itself too, with the other five it is 0. What weight does it give to
# the right child? Just paper, pencil and `np.exp`.

# %% tags=["exercise"]
weight = ...

untrained_BTT = np.array(attention_weights(test_BTC, test_BTC, scale=1.0))
place = int(after_TT[-1, :6].argmax())
check(
    say("3: peso na criança certa, sem treino", "3: weight on the right child, untrained"),
    weight,
    untrained_BTT[0, -1, place],
    tolerance=1e-5,
)

# %% tags=["solution"] jupyter={"source_hidden": true}
weight = np.exp(1) / (2 * np.exp(1) + 5)
print(f"{weight:.0%} → {after_TT[-1, place]:.0%}")

check(
    say("3: peso na criança certa, sem treino", "3: weight on the right child, untrained"),
    weight,
    untrained_BTT[0, -1, place],
    tolerance=1e-5,
)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# As três matrizes são `query`, `key` e `value` de `CausalSelfAttention` em
# [`kgpt/model/attention.py`](../../kgpt/model/attention.py); a escala está no fim de `project`, multiplicada já
# na consulta (dá no mesmo, e são menos números). O resto é
# [`causal_attention.py`](../../kgpt/model/causal_attention.py). Com as consultas, chaves e valores treinados
# aqui:

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# The three matrices are `query`, `key` and `value` of `CausalSelfAttention` in
# [`kgpt/model/attention.py`](../../kgpt/model/attention.py); the scale is at the end of `project`, multiplied
# into the query already (the same thing, with fewer numbers). The rest is
# [`causal_attention.py`](../../kgpt/model/causal_attention.py). With the queries, keys and values trained here:

# %%
from kgpt.model.causal_attention import masked_attention

q_BTD, k_BTD, v_BTD = (
    layer(test_BTC) for layer in (attention.query, attention.key, attention.value)
)
everybody = np.ones((7, 7), dtype=bool)
y_BKGTD = masked_attention(
    q_BTD[:, None, None] * attention.scale, k_BTD[:, None], v_BTD[:, None], everybody
)
check(
    say("igual ao kgpt", "equal to kgpt's"), attention(test_BTC), y_BKGTD[:, 0, 0], tolerance=1e-5
)

# %% [markdown] lang="pt"
# ## O que vem depois
#
# A pergunta vinha no fim e podia olhar a rodada inteira. Mas um GPT escreve da esquerda para a direita, e quem
# vê a resposta antes de responder não aprende nada. A [aula 14](lesson:14) esconde o futuro.

# %% [markdown] lang="en"
# ## What comes next
#
# The question came last and could look at the whole round. But a GPT writes from left to right, and who sees
# the answer before answering learns nothing. [Lesson 14](lesson:14) hides the future.
