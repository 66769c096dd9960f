# %% [raw]
# pt: Atenção causal, com dropout
# en: Causal attention, with dropout
# question_pt: O que acontece com quem estuda tendo o gabarito ao lado da prova?
# question_en: What becomes of somebody who studies with the answers beside the exam?
# minutes: 15
# picture: 1

# %% [markdown] lang="pt"
# Um GPT aprende adivinhando a próxima palavra, em todas as posições da frase ao mesmo tempo. Mas na atenção da
# aula 13 cada palavra vê todas, também a próxima.

# %% [markdown] lang="en"
# A GPT learns by guessing the next word, at all positions of the sentence at once. But in lesson 13's attention
# each word sees all of them, the next one too.

# %%
import keras
import numpy as np

from kgpt.learning import check, check_below, colour, figure, heatmap, number, say, show

keras.utils.set_random_seed(14)

# %% [markdown] lang="pt"
# ## Esconder o futuro
#
# A palavra `t` pode olhar para si e para as anteriores: um triângulo. Onde não pode, a nota vira −1.000.000.000
# **antes** do softmax; e^−1.000.000.000 é zero, e o resto da linha reparte a atenção inteira.

# %% [markdown] lang="en"
# ## Hide the future
#
# Word `t` may look at itself and those before it: a triangle. Where it may not, the score becomes
# −1,000,000,000 **before** softmax; e^−1,000,000,000 is zero, and the rest of the row shares out the whole of
# the attention.


# %% tags=["part"]
import math

from keras import ops


def causal_weights(q, k):
    """How much each token takes from itself and each before it; (..., T, D) to (..., T, T)."""
    time, size = q.shape[-2:]
    scores = ops.matmul(q, ops.swapaxes(k, -1, -2)) / math.sqrt(size)
    place_T = ops.arange(time)
    may_look_TT = place_T[:, None] >= place_T[None, :]
    return ops.softmax(ops.where(may_look_TT, scores, -1e9), axis=-1)


def causal_attention(q, k, v, keep=None, rate=0.0):
    """Mixed values (..., T, D). Where `keep` (..., T, T) is false, a weight is dropped."""
    weights = causal_weights(q, k)
    if keep is not None:
        weights = ops.where(keep, weights / (1 - rate), 0.0)
    return ops.matmul(weights, v)


# %% [markdown] lang="pt"
# ## A prova do crime
#
# Para flagrar a cola, um texto que ninguém pode adivinhar: lances de um dado. Cada próximo número custa ln 6 ≈
# 1,79, e não há modelo honesto que faça melhor. Duas camadas iguais, uma com o triângulo e outra sem, aprendem
# em 2.000 sequências de 8 lances.

# %% [markdown] lang="en"
# ## Caught in the act
#
# To catch a cheat, a text that nobody can guess: throws of a die. Each next number costs ln 6 ≈ 1.79, and no
# honest model does better. Two equal layers, one with the triangle and one without, learn from 2,000 sequences
# of 8 throws.


# %%
class DiceModel(keras.Model):
    """Numbers of the die (B, T) to scores of the next (B, T, 6), by one layer of attention."""

    def __init__(self, is_causal):
        super().__init__()
        self.is_causal = is_causal
        self.token, self.position = keras.layers.Embedding(6, 32), keras.layers.Embedding(8, 32)
        self.query, self.key, self.value = (keras.layers.Dense(32) for _ in range(3))
        self.head = keras.layers.Dense(6)

    def call(self, ids_BT):
        x_BTC = self.token(ids_BT) + self.position(ops.arange(8))
        q, k, v = self.query(x_BTC), self.key(x_BTC), self.value(x_BTC)
        if self.is_causal:
            return self.head(causal_attention(q, k, v))
        weights = ops.softmax(ops.matmul(q, ops.swapaxes(k, -1, -2)) / math.sqrt(32), axis=-1)
        return self.head(ops.matmul(weights, v))


throws = np.random.default_rng(0).integers(6, size=(2500, 9)).astype("int32")
ids_BT, next_BT = throws[:, :-1], throws[:, 1:]


def loss_by_position(is_causal):
    """Train, and give the loss of each position on sequences that were not trained on."""
    model = DiceModel(is_causal)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(ids_BT[:2000], next_BT[:2000], batch_size=50, epochs=8, verbose=0)
    scores_BTV = model.predict(ids_BT[2000:], verbose=0)
    losses_BT = keras.losses.sparse_categorical_crossentropy(
        next_BT[2000:], scores_BTV, from_logits=True
    )
    return np.array(losses_BT).mean(axis=0)


cheating_T, honest_T = loss_by_position(is_causal=False), loss_by_position(is_causal=True)
check_below(say("perda de quem cola", "the cheat's loss"), cheating_T[:-1].max(), 0.1)
check_below(
    say("perda honesta, distância de ln 6", "the honest loss, distance from ln 6"),
    abs(honest_T.mean() - math.log(6)),
    0.1,
)

# %%
picture, axes = figure(8, 3.4)
place = np.arange(1, 9)
axes.bar(
    place - 0.2, cheating_T, 0.38, color=colour(5), label=say("vê o futuro", "sees the future")
)
axes.bar(place + 0.2, honest_T, 0.38, color=colour(0), label=say("não vê", "does not"))
axes.axhline(math.log(6), color=colour(7), linestyle="--", linewidth=1.2)
axes.annotate("ln 6", (0.35, math.log(6)), xytext=(0, 4), textcoords="offset points")
axes.set(
    title=say("Adivinhar o próximo lance do dado", "Guessing the next throw of the die"),
    xlabel=say("posição", "position"),
    ylabel=say("perda", "loss"),
    ylim=(0, 2.8),
)
axes.legend(loc="upper right", ncols=2)
show(picture)

# %% [markdown] lang="pt"
# Quem vê o futuro "adivinha" um dado: copia o vizinho da direita. Só na última posição, onde não há vizinho, a
# máscara cai. E escrever é estar sempre na última posição: na hora de gerar texto, um modelo desses não sabe
# nada. A perda de treino dele era linda, e mentirosa.

# %% [markdown] lang="en"
# Who sees the future "guesses" a die: by copying the neighbour on the right. Only at the last position, where
# there is no neighbour, is it found out. And to write is to be at the last position, always: when text is to be
# generated, such a model knows nothing. Its training loss was beautiful, and a lie.

# %% [markdown] lang="pt"
# ## Dropout: esquecer de propósito
#
# Durante o treino, cada peso de atenção é apagado com probabilidade `rate`, por sorteio, e os que ficam são
# divididos por `1 − rate`, para que a média continue a mesma. O modelo aprende a não depender de uma palavra
# só. Quando o treino acaba, nada se apaga mais.

# %% [markdown] lang="en"
# ## Dropout: forgetting on purpose
#
# During training each attention weight is erased with probability `rate`, by lot, and those that stay are
# divided by `1 − rate`, so that the mean stays the same. The model learns not to depend on any single word.
# Once training is over, nothing is erased.

# %%
words = "A cachorra correu atrás da bola".split()
random = np.random.default_rng(5)
q_TD, k_TD, v_TD = random.normal(size=(3, 6, 8)).astype("float32")

rate = 0.3
keep_TT = random.random((6, 6)) >= rate
full_TT = np.array(ops.softmax(q_TD @ k_TD.T / math.sqrt(8), axis=-1))
causal_TT = np.array(causal_weights(q_TD, k_TD))
dropped_TT = np.where(keep_TT, causal_TT / (1 - rate), 0)

picture, panels = figure(11, 3.7, columns=3)
titles = (
    say("Todos veem todos", "Everybody sees everybody"),
    say("Causal", "Causal"),
    say("Causal, dropout 0,3", "Causal, dropout 0.3"),
)
future_TT = np.triu(np.full((6, 6), np.nan), 1)
pictured = (full_TT, causal_TT + future_TT, dropped_TT + future_TT)
for axes, title, values_TT in zip(panels, titles, pictured, strict=True):
    heatmap(axes, values_TT, words if axes is panels[0] else [""] * 6, words, digits=2, largest=1.0)
    axes.set(title=title)
show(picture)

keep_NTT = random.random((2000, 6, 6)) >= rate
check(
    say("na média, dropout não muda nada", "on average, dropout changes nothing"),
    np.mean(causal_attention(q_TD, k_TD, v_TD, keep_NTT, rate), axis=0),
    causal_attention(q_TD, k_TD, v_TD),
    tolerance=0.1,
)

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# **Esconda tarde demais.** E se a máscara viesse **depois** do softmax, zerando os pesos do futuro? Parece o
# mesmo. Troque só a última palavra e veja em que posições o resultado muda:

# %% [markdown] lang="en"
# ## Break it
#
# **Hide too late.** What if the mask came **after** softmax, setting the future's weights to zero? It looks the
# same. Change the last word alone and see at which positions the result changes:


# %%
def masked_too_late(q_TD, k_TD, v_TD):
    weights_TT = np.array(ops.softmax(q_TD @ k_TD.T / math.sqrt(8), axis=-1))
    return np.tril(weights_TT) @ v_TD


other_k_TD, other_v_TD = k_TD.copy(), v_TD.copy()
other_k_TD[-1], other_v_TD[-1] = 2.0, 2.0
late_T = np.abs(
    masked_too_late(q_TD, k_TD, v_TD) - masked_too_late(q_TD, other_k_TD, other_v_TD)
).max(axis=1)
right_T = np.abs(
    np.array(causal_attention(q_TD, k_TD, v_TD))
    - np.array(causal_attention(q_TD, other_k_TD, other_v_TD))
).max(axis=1)
print(
    " " * 10 + say("tarde demais", "too late").rjust(14) + say("na hora certa", "in time").rjust(15)
)
for word, late, right in zip(words, late_T, right_T, strict=True):
    print(f"{word:>10}{number(late, 3):>14}{number(right, 3):>15}")
check(
    say("na hora certa, o passado não muda", "in time, the past does not change"),
    right_T[:-1],
    np.zeros(5),
)
check(
    say("tarde demais, o futuro vaza", "too late, the future leaks"),
    bool(late_T[:-1].max() > 0.1),
    True,
)

# %% [markdown] lang="pt"
# O futuro vazou pelo denominador: o softmax dividiu por uma soma em que a última palavra já estava. As linhas
# nem somam mais 1. É um vazamento pequeno, que nenhuma mensagem de erro denuncia, e um modelo treinado assim
# aprende a lê-lo.

# %% [markdown] lang="en"
# The future leaked through the denominator: softmax divided by a sum that the last word was in already. The
# rows do not even sum to 1 any more. It is a small leak that no error message reports, and a model trained so
# learns to read it.

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** Faça o triângulo de 4 × 4 (`True`: pode olhar) comparando `np.arange(4)` consigo mesmo.

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** Make the triangle of 4 × 4 (`True`: may look) by comparing `np.arange(4)` with itself.

# %% tags=["exercise"]
triangle = ...

check(say("1: o triângulo", "1: the triangle"), triangle, np.tril(np.ones((4, 4), dtype=bool)))

# %% tags=["solution"] jupyter={"source_hidden": true}
triangle = np.arange(4)[:, None] >= np.arange(4)

check(say("1: o triângulo", "1: the triangle"), triangle, np.tril(np.ones((4, 4), dtype=bool)))

# %% [markdown] lang="pt"
# **2.** De todos os 1.024 × 1.024 pares de um contexto de 1.024 palavras, em quantos se pode olhar? (Quase a
# metade das contas da atenção é jogada fora; o kgpt, em contextos longos, nem as faz.)

# %% [markdown] lang="en"
# **2.** Of all 1,024 × 1,024 pairs in a context of 1,024 words, how many may be looked at? (Almost half of
# attention's work is thrown away; in long contexts kgpt does not even do it.)

# %% tags=["exercise"]
pairs = ...

check(say("2: pares permitidos", "2: pairs allowed"), pairs, int(np.tri(1024).sum()))

# %% tags=["solution"] jupyter={"source_hidden": true}
pairs = 1024 * 1025 // 2

check(say("2: pares permitidos", "2: pairs allowed"), pairs, int(np.tri(1024).sum()))

# %% [markdown] lang="pt"
# **3.** Se o passado não depende do futuro, as três primeiras palavras dão o mesmo resultado sozinhas e dentro
# da frase. Calcule a atenção só delas. (É por isso que um GPT, ao escrever, pode guardar chaves e valores das
# palavras já lidas: o *KV cache*.)

# %% [markdown] lang="en"
# **3.** If the past does not depend on the future, the first three words give the same result alone and inside
# the sentence. Compute the attention of these alone. (This is why a GPT that writes can keep the keys and
# values of words it has read: the *KV cache*.)

# %% tags=["exercise"]
first_three = ...

check(
    say("3: o começo sozinho", "3: the beginning alone"),
    first_three,
    causal_attention(q_TD, k_TD, v_TD)[:3],
    tolerance=1e-6,
)

# %% tags=["solution"] jupyter={"source_hidden": true}
first_three = causal_attention(q_TD[:3], k_TD[:3], v_TD[:3])

check(
    say("3: o começo sozinho", "3: the beginning alone"),
    first_three,
    causal_attention(q_TD, k_TD, v_TD)[:3],
    tolerance=1e-6,
)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# Em [`kgpt/model/causal_attention.py`](../../kgpt/model/causal_attention.py), de três modos com os mesmos
# números: `plain`, como aqui; `blockwise`, que anda pela frase em blocos, não guarda as notas e pula o futuro;
# e um núcleo pronto para GPUs. O sorteio do dropout está em
# [`kgpt/model/dropout.py`](../../kgpt/model/dropout.py): sai de uma semente, para que se possa repetir.
# Primeiro com dropout, depois em 600 palavras, bloco a bloco:

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# In [`kgpt/model/causal_attention.py`](../../kgpt/model/causal_attention.py), in three ways with the same
# numbers: `plain`, as here; `blockwise`, which walks through the sentence in blocks, keeps no scores and skips
# the future; and a ready-made kernel for GPUs. Dropout's lots are in
# [`kgpt/model/dropout.py`](../../kgpt/model/dropout.py): they come from a seed, so that they can be drawn
# again. First with dropout, then over 600 words, block by block:

# %%
from kgpt.model.causal_attention import blockwise, plain
from kgpt.model.dropout import kept

seed = np.uint32(2026)
scaled_q = q_TD / np.float32(math.sqrt(8))
from_kgpt = plain(scaled_q[None, None, None], k_TD[None, None], v_TD[None, None], rate, seed)
keep_TT = kept((6, 6), rate, seed)
ours = causal_attention(q_TD, k_TD, v_TD, keep_TT, rate)
check(
    say("igual ao kgpt, com dropout", "equal to kgpt's, with dropout"),
    ours,
    from_kgpt[0, 0, 0],
    tolerance=1e-5,
)

q_TD, k_TD, v_TD = random.normal(size=(3, 600, 8)).astype("float32")
scaled_q = q_TD / np.float32(math.sqrt(8))
from_kgpt = blockwise(scaled_q[None, None, None], k_TD[None, None], v_TD[None, None])
ours = causal_attention(q_TD, k_TD, v_TD)
check(
    say("igual ao kgpt, em blocos", "equal to kgpt's, in blocks"),
    ours,
    from_kgpt[0, 0, 0],
    tolerance=1e-5,
)

# %% [markdown] lang="pt"
# ## O que vem depois
#
# Uma camada de atenção faz uma pergunta por palavra. E quando é preciso fazer duas ao mesmo tempo? Na [aula
# 15](lesson:15) ela ganha mais cabeças.

# %% [markdown] lang="en"
# ## What comes next
#
# A layer of attention asks one question for each word. And when two have to be asked at once? In [lesson
# 15](lesson:15) it grows more heads.
