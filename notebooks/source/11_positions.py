# %% [raw]
# pt: Posições
# en: Positions
# question_pt: Como o modelo sabe se foi o cachorro que mordeu o homem, ou o homem que mordeu o cachorro?
# question_en: How does a model know whether the dog bit the man or the man bit the dog?
# minutes: 15
# picture: 1

# %% [markdown] lang="pt"
# "O cachorro mordeu o homem" e "o homem mordeu o cachorro" têm as mesmas palavras. Para o CBoW das aulas [8](lesson:8) a [10](lesson:10), que tira a média, são a mesma coisa. A atenção, que
# vem na próxima aula, também soma vetores e também não vê a ordem. É preciso pôr a ordem **dentro dos vetores**.

# %% [markdown] lang="en"
# "O cachorro mordeu o homem" (the dog bit the man) and "o homem mordeu o cachorro" (the man bit the dog) have the same words. To the CBoW of lessons [8](lesson:8) to [10](lesson:10), which takes a
# mean, they are the same thing. Attention, in the next lesson, also adds vectors up and does not see order either. Order has to be put **into the vectors**.

# %%
import keras
import numpy as np
from keras import ops

from kgpt.learning import bars, check, check_below, colour, figure, heatmap, number, say, show
from kgpt.text.tokenizer import Tokenizer

keras.utils.set_random_seed(1)
sentences = ["o cachorro mordeu o homem", "o homem mordeu o cachorro"]
words = sorted({word for sentence in sentences for word in sentence.split()})
ids_BT = np.array([[words.index(word) for word in sentence.split()] for sentence in sentences])
table = keras.layers.Embedding(len(words), 32)
means_BC = np.asarray(table(ids_BT)).mean(axis=1)
print(ids_BT)
check(
    say("a média não vê a ordem", "a mean does not see order"),
    means_BC[0],
    means_BC[1],
    tolerance=1e-6,
)

# %% [markdown] lang="pt"
# ## A solução do GPT-2: uma segunda tabela
#
# Um vetor para cada token, outro para cada **posição**, e soma-se. As posições são contadas de zero; os dois vetores são aprendidos. O *homem* na posição 1 e o *homem* na posição 4 passam a ser vetores
# diferentes:

# %% [markdown] lang="en"
# ## GPT-2's solution: a second table
#
# One vector for each token, another for each **position**, and add them. Positions are counted from zero; both vectors are learned. *homem* at position 1 and *homem* at position 4 become different
# vectors:

# %% tags=["part"]
import keras
from keras import ops


class TokensAndPositions(keras.layers.Layer):
    """Ids (B, T) to vectors (B, T, C): the token's plus its position's."""

    def __init__(self, vocabulary_size, context_length, width, **kwargs):
        super().__init__(**kwargs)
        normal = keras.initializers.RandomNormal(stddev=0.02)
        self.token_embedding = keras.layers.Embedding(vocabulary_size, width, normal)
        self.position_embedding = keras.layers.Embedding(context_length, width, normal)

    def build(self, input_shape):
        self.token_embedding.build((None, None))
        self.position_embedding.build((None, None))

    def call(self, ids_BT):
        positions_T = ops.arange(ops.shape(ids_BT)[1])
        return self.token_embedding(ids_BT) + self.position_embedding(positions_T)


# %%
embedding = TokensAndPositions(len(words), context_length=8, width=32)
x_BTC = np.asarray(embedding(ids_BT))
man = words.index("homem")
print(words, [np.flatnonzero(row == man).tolist() for row in ids_BT])
apart = np.abs(x_BTC[0, 4] - x_BTC[1, 1]).max()
check(say("o mesmo token, dois vetores", "the same token, two vectors"), bool(apart > 0.01), True)

# %% [markdown] lang="pt"
# (Cuidado: a **média** continuaria a não ver nada, porque soma todos os tokens e todas as posições. A ordem aparece assim que algo trata cada vetor por si, como a curva da [aula 6](lesson:6) ou a
# atenção.)
#
# ## Uma tabela que ninguém precisa aprender
#
# O transformer original (Vaswani e outros, 2017) usava uma tabela fixa, de **senos e cossenos**. É um relógio com muitos ponteiros: cada par de colunas gira numa velocidade, o primeiro depressa, o último
# tão devagar que mal se move.

# %% [markdown] lang="en"
# (Careful: the **mean** would still see nothing, since it adds up all tokens and all positions. Order shows as soon as something treats each vector by itself, such as the curve of [lesson 6](lesson:6) or
# attention.)
#
# ## A table that nobody has to learn
#
# The original transformer (Vaswani and others, 2017) used a fixed table of **sines and cosines**. It is a clock with many hands: each pair of columns turns at a speed of its own, the first fast, the last so
# slowly that it hardly moves.


# %%
def sinusoids(num_positions: int, width: int, base: float = 10_000.0) -> np.ndarray:
    """(T, C): sines in the first half of the columns, cosines in the second."""
    speed_D = base ** (-np.arange(width // 2) / (width // 2))
    angle_TD = np.arange(num_positions)[:, None] * speed_D
    return np.concatenate([np.sin(angle_TD), np.cos(angle_TD)], axis=1)


clock_TC = sinusoids(64, 48)
drawing, (left, right) = figure(9.5, 3.8, columns=2, width_ratios=[1.25, 1])
heatmap(left, clock_TC, centred=True)
left.set_title(say("um relógio de 24 ponteiros", "a clock with 24 hands"))
left.set_xlabel(say("coluna do vetor (senos | cossenos)", "column of the vector (sines | cosines)"))
left.set_ylabel(say("posição", "position"))
left.set_xticks([0, 12, 24, 36, 47])
left.set_yticks([0, 16, 32, 48, 63])
likeness_TT = clock_TC @ clock_TC.T / 24
for index, place in enumerate((8, 32, 56)):
    right.plot(likeness_TT[place], color=colour(index))
    right.axvline(place, color=colour(index), linestyle=":", linewidth=1)
right.set_title(say("as vizinhas se parecem", "neighbours are alike"))
right.set_xlabel(say("posição", "position"))
right.set_ylabel(say("produto com as posições 8, 32 e 56", "product with positions 8, 32 and 56"))
show(drawing)
check(
    say("só a distância importa", "only the distance matters"),
    likeness_TT[8, 11],
    likeness_TT[50, 53],
    tolerance=1e-12,
)

# %% [markdown] lang="pt"
# A última conta é a razão de ser dos senos: o produto entre as posições 8 e 11 é o mesmo que entre 50 e 53. Três passos de distância são três passos, em qualquer lugar do texto.
#
# ## Girar em vez de somar
#
# Os modelos de hoje vão direto ao ponto: nada é somado. Giram-se os vetores, cada par de colunas pelo ângulo da sua posição, no instante em que dois deles são comparados. São as **posições rotatórias**
# (*RoPE*, Su e outros, 2021):

# %% [markdown] lang="en"
# The last check is what the sines are for: the product of positions 8 and 11 is the same as that of 50 and 53. Three steps are three steps, anywhere in the text.
#
# ## Turning instead of adding
#
# Today's models go straight to the point: nothing is added. Vectors are turned, each pair of columns by its position's angle, at the moment when two of them are compared. These are **rotary positions**
# (*RoPE*, Su and others, 2021):


# %%
def turn(x_TD: np.ndarray, positions_T: np.ndarray, base: float = 10_000.0) -> np.ndarray:
    """Each vector turned by its position: column i together with column i + D / 2."""
    half = x_TD.shape[1] // 2
    angle_TD = positions_T[:, None] * base ** (-np.arange(half) / half)
    cos, sin = np.cos(angle_TD), np.sin(angle_TD)
    first, second = x_TD[:, :half], x_TD[:, half:]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=1)


random = np.random.default_rng(0)
query_D, key_D = random.normal(size=(2, 16))
places = np.array([3, 10, 47, 200])
products = [
    float(
        (turn(query_D[None], np.array([place])) @ turn(key_D[None], np.array([place + 5])).T).item()
    )
    for place in places
]
print([number(product, 6) for product in products])
check(
    say("5 de distância, sempre o mesmo produto", "5 apart, always the same product"),
    products,
    [products[0]] * 4,
    tolerance=1e-9,
)
lengths = np.linalg.norm(turn(np.tile(query_D, (4, 1)), places), axis=1)
check(
    say("girar não muda o comprimento", "turning keeps lengths"),
    lengths,
    [np.linalg.norm(query_D)] * 4,
    tolerance=1e-9,
)

# %% [markdown] lang="pt"
# No desenho, um vetor de duas colunas nas posições 0 a 11: o ponteiro rápido à esquerda, um mais lento à direita.

# %% [markdown] lang="en"
# In the picture, a vector of two columns at positions 0 to 11: a fast hand on the left, a slower one on the right.

# %%
drawing, pair = figure(7.4, 3.7, columns=2)
for axes, speed, name in zip(
    pair, (0.5, 0.1), (say("ponteiro rápido", "a fast hand"), say("ponteiro lento", "a slow hand"))
):
    for position in range(12):
        angle = position * speed
        tip = (np.cos(angle), np.sin(angle))
        axes.plot([0, tip[0]], [0, tip[1]], color=colour(0), alpha=0.25 + 0.06 * position)
        axes.text(1.12 * tip[0], 1.12 * tip[1], str(position), ha="center", va="center", fontsize=9)
    axes.set_xlim(-1.3, 1.3)
    axes.set_ylim(-1.3, 1.3)
    axes.set_aspect("equal")
    axes.set_title(name)
    axes.axis("off")
show(drawing)

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# Tire as posições e peça a um modelinho uma coisa que depende da ordem: dizer qual dos dois tokens, `a` ou `b`, veio **primeiro** num texto de oito. Sem posições ele fica no cara ou coroa.

# %% [markdown] lang="en"
# ## Break it
#
# Take positions away and ask a little model for something that depends on order: to say which of two tokens, `a` or `b`, came **first** in a text of eight. Without positions it tosses a coin.

# %%
texts_BT = random.integers(2, 10, (3_000, 8))
where = np.array([random.choice(8, 2, replace=False) for _ in texts_BT])
rows = np.arange(len(texts_BT))
texts_BT[rows, where[:, 0]] = 0  # a
texts_BT[rows, where[:, 1]] = 1  # b
a_first_B = (where[:, 0] < where[:, 1]).astype(int)


def share_right(first_layer: keras.layers.Layer) -> float:
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((8,), dtype="int32"),
            first_layer,
            keras.layers.Dense(32, activation="relu"),  # each vector by itself
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(2),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(texts_BT[:2_500], a_first_B[:2_500], batch_size=100, epochs=12, verbose=0)
    return float(model.evaluate(texts_BT[2_500:], a_first_B[2_500:], verbose=0)[1])


with_positions = share_right(TokensAndPositions(10, 8, 16))
without = share_right(keras.layers.Embedding(10, 16))
drawing, axes = figure(7, 1.7)
bars(
    axes,
    [say("com posições", "with positions"), say("sem posições", "without positions")],
    [100 * with_positions, 100 * without],
    highlighted=[0],
)
axes.axvline(50, color="#444444", linestyle="--")
axes.set_xlim(0, 100)
axes.set_xlabel(
    say(
        "% certas, de 500 que não viu (50 = acaso)", "% right, of 500 it has not seen (50 = chance)"
    )
)
show(drawing)
check_below(
    say("sem posições: distância do acaso", "without: distance from chance"),
    abs(without - 0.5),
    0.08,
)
check(say("com posições: mais de 85%", "with positions: over 85%"), with_positions > 0.85, True)

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** A tabela de posições do GPT-2 tem 1.024 linhas de 768 números. Quantos pesos são? E o que o modelo faz com o token de número 1.025 (posição 1.024)? Responda `True` se houver uma linha para ele,
# `False` se não.

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** GPT-2's table of positions has 1,024 rows of 768 numbers. How many weights are these? And what does the model do with token number 1,025 (position 1024)? Answer `True` if there is a row for it, `False`
# if not.

# %% tags=["exercise"]
weights = ...
has_a_row = ...
check(say("exercício 1, pesos", "exercise 1, weights"), weights, 1024 * 768)
check(say("exercício 1, linha", "exercise 1, row"), has_a_row, 1024 in range(1024))

# %% tags=["solution"] jupyter={"source_hidden": true}
weights = 1024 * 768
has_a_row = False  # rows 0 to 1023: with learned positions the context has an end
check(say("exercício 1, pesos", "exercise 1, weights"), weights, 786_432)
check(say("exercício 1, linha", "exercise 1, row"), has_a_row, 1024 in range(1024))

# %% [markdown] lang="pt"
# **2.** Girar pela posição `p` e depois pela posição `q` é girar por quanto? Preencha `together` e confira com `turn`.

# %% [markdown] lang="en"
# **2.** Turning by position `p` and then by position `q` is turning by how much? Fill `together` in and check with `turn`.

# %% tags=["exercise"]
p, q = np.array([4]), np.array([9])
together = ...  # one position, as an array such as p
twice = turn(turn(query_D[None], p), q)
once = ... if together is ... else turn(query_D[None], together)
check(say("exercício 2", "exercise 2"), once, twice, tolerance=1e-9)

# %% tags=["solution"] jupyter={"source_hidden": true}
together = p + q
check(say("exercício 2", "exercise 2"), turn(query_D[None], together), twice, tolerance=1e-9)
back = turn(turn(query_D[None], p), -p)
check(
    say("e girar de volta desfaz", "and turning back undoes it"),
    back,
    query_D[None],
    tolerance=1e-9,
)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# As duas maneiras estão no kgpt, à escolha (`model.positions`): `learned`, a tabela do GPT-2, em [kgpt/model/gpt.py](../../kgpt/model/gpt.py) (`embed`), e `rotary`, a dos modelos de hoje, em
# [kgpt/model/attention.py](../../kgpt/model/attention.py) (`rotate`). As nossas dão os mesmos números:

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# Both ways are in kgpt, to choose from (`model.positions`): `learned`, GPT-2's table, in [kgpt/model/gpt.py](../../kgpt/model/gpt.py) (`embed`), and `rotary`, that of today's models, in
# [kgpt/model/attention.py](../../kgpt/model/attention.py) (`rotate`). Ours give the same numbers:

# %%
from kgpt import ModelConfig
from kgpt.model.attention import rotate
from kgpt.model.gpt import build_gpt

gpt = build_gpt(
    ModelConfig(vocabulary_size=300, context_length=16, num_layers=1, num_heads=2, width=32)
)
ours = TokensAndPositions(300, 16, 32)
ours.build((None, None))
ours.set_weights([gpt.token_embedding.get_weights()[0], gpt.position_embedding.get_weights()[0]])
bytes_BT = np.array([Tokenizer.bytes().encode("o homem mordeu")])
theirs_BTC = gpt.embed(bytes_BT, np.arange(bytes_BT.shape[1])[None])
check(
    say("igual à soma do kgpt", "equal to kgpt's sum"), ours(bytes_BT), theirs_BTC, tolerance=1e-7
)

x_TD = random.normal(size=(12, 16)).astype("float32")
kgpt_turns = rotate(x_TD[None, :, None, :], np.arange(12)[None], 10_000.0)[0, :, 0, :]
check(
    say("igual ao giro do kgpt", "equal to kgpt's turning"),
    turn(x_TD, np.arange(12)),
    kgpt_turns,
    tolerance=1e-5,
)

# %% [markdown] lang="pt"
# ## O que vem depois
#
# Cada token agora é um vetor que sabe o que é e onde está. Falta que eles conversem: na [aula 12](lesson:12) começa a **atenção**.

# %% [markdown] lang="en"
# ## What comes next
#
# Each token is now a vector that knows what it is and where it is. What they still need is to talk to each other: with [lesson 12](lesson:12), **attention** begins.
