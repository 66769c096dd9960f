# %% [raw]
# pt: CBoW: palavras viram vetores
# en: CBoW: words become vectors
# question_pt: Como uma máquina descobre que o Japão se parece com o Nepal, e não com o cobre?
# question_en: How does a machine find out that Japan is like Nepal and not like copper?
# minutes: 15
# picture: 1

# %% [markdown] lang="pt"
# "Diga-me com quem andas e te direi quem és." Vale para palavras: *Japão* e *Nepal* aparecem com os mesmos vizinhos (*a capital do ... é*), *cobre* com outros. O
# **CBoW** (*continuous bag of words*, Mikolov e outros, 2013) faz disso um exercício: esconda uma palavra e adivinhe-a pelos vizinhos. Para acertar, a rede
# precisa dar a cada palavra um **vetor**, e palavras de vizinhança parecida acabam com vetores parecidos.
#
# Lemos a parte da enciclopédia que fala de países, elementos químicos, instrumentos e animais; só palavras, em minúsculas:

# %% [markdown] lang="en"
# A word is known by the company it keeps. *Japão* and *Nepal* occur among the same neighbours (*a capital do ... é*, the capital of ... is), *cobre* (copper) among
# others. **CBoW** (*continuous bag of words*, Mikolov and others, 2013) makes an exercise of this: hide a word and guess it from its neighbours. To guess right, the
# network has to give each word a **vector**, and words of like company end up with like vectors.
#
# We read the part of the encyclopedia that is about countries, chemical elements, instruments and animals; words only, in lower case:

# %%
from collections import Counter

import numpy as np

from kgpt.learning import check, check_below, corpus, figure, named_points, number, say, show
from kgpt.text.pretokenization import PORTUGUESE

text = corpus(500_000, subjects=["countries", "elements", "instruments", "animals"])
words = [word.strip().lower() for word in PORTUGUESE.words([text])]
words = [word for word in words if word.isalpha()]
VOCABULARY_SIZE = 700
common = [word for word, _ in Counter(words).most_common(VOCABULARY_SIZE - 1)]
word_of = [*common, "?"]  # lesson 3: the last id stands for all other words
id_of = {word: id for id, word in enumerate(word_of)}
ids = np.array([id_of.get(word, VOCABULARY_SIZE - 1) for word in words])
print(number(len(ids), 0), say("palavras", "words"))

# %% [markdown] lang="pt"
# A **janela** são os vizinhos: duas palavras antes e duas depois. De cada lugar do texto sai um exemplo:

# %% [markdown] lang="en"
# The **window** is the neighbours: two words before and two after. Each place of the text gives an example:


# %% tags=["part"]
import numpy as np


def neighbours(ids, places_N, window):
    """The ids around each place (N, 2 * window), and the id in its middle (N,)."""
    offsets = np.array([*range(-window, 0), *range(1, window + 1)])
    return ids[places_N[:, None] + offsets], ids[places_N]


# %%
around_NW, middle_N = neighbours(ids, np.arange(40, 45), window=2)
for around, middle in zip(around_NW, middle_N):
    before, after = around[:2], around[2:]
    print(
        *(word_of[id] for id in before),
        "[___]",
        *(word_of[id] for id in after),
        " →",
        word_of[middle],
    )

# %% [markdown] lang="pt"
# A rede é a da [aula 6](lesson:6) sem a curva: uma matriz `E` com uma linha para cada palavra (o vetor dela), a **média** das linhas dos vizinhos, e uma matriz `O`
# que dá uma nota a cada palavra do vocabulário. O gradiente começa como lá: *o que a rede disse menos o que era certo*.

# %% [markdown] lang="en"
# The network is that of [lesson 6](lesson:6) without the curve: a matrix `E` with a row for each word (its vector), the **mean** of the neighbours' rows, and a matrix
# `O` that gives a score to each word of the vocabulary. The gradient begins as it did there: *what the network said minus what was right*.


# %% tags=["part"]
def new_vectors(vocabulary_size, width, seed):
    """The rows that are looked up (V, D), and the columns that give scores (D, V)."""
    random = np.random.default_rng(seed)
    looked_up_VD = random.normal(0.0, 0.1, (vocabulary_size, width)).astype("float32")
    return [looked_up_VD, np.zeros((width, vocabulary_size), "float32")]


def loss_and_gradients(vectors, around_NW, middle_N):
    looked_up_VD, scoring_DV = vectors
    rows = np.arange(len(middle_N))
    mean_ND = looked_up_VD[around_NW].mean(axis=1)
    logits_NV = mean_ND @ scoring_DV
    powers_NV = np.exp(logits_NV - logits_NV.max(axis=1, keepdims=True))
    probability_NV = powers_NV / powers_NV.sum(axis=1, keepdims=True)
    loss = -np.log(probability_NV[rows, middle_N]).mean()

    blame_NV = probability_NV
    blame_NV[rows, middle_N] -= 1.0
    blame_NV /= len(middle_N)
    blame_ND = blame_NV @ scoring_DV.T / around_NW.shape[1]
    looked_up_gradient_VD = np.zeros_like(looked_up_VD)
    np.add.at(looked_up_gradient_VD, around_NW, blame_ND[:, None])  # to each neighbour its share
    return loss, [looked_up_gradient_VD, mean_ND.T @ blame_NV]


def train(vectors, ids, *, window, steps, batch_size=128, learning_rate=10.0, seed=0):
    """Change the vectors in place, at a rate that falls to nothing; the loss of each step."""
    random = np.random.default_rng(seed)
    losses = []
    for step in range(steps):
        places_N = random.integers(window, len(ids) - window, batch_size)
        loss, gradients = loss_and_gradients(vectors, *neighbours(ids, places_N, window))
        for array, gradient in zip(vectors, gradients):
            array -= learning_rate * (1 - step / steps) * gradient
        losses.append(float(loss))
    return losses


# %%
vectors = new_vectors(VOCABULARY_SIZE, 24, seed=0)
losses = train(vectors, ids, window=2, steps=3_000)
print(say("chutando ao acaso:", "guessing at random:"), number(np.log(VOCABULARY_SIZE)))
print(say("no fim:", "in the end:"), number(np.mean(losses[-200:])))
check_below(say("perda", "loss"), np.mean(losses[-200:]), 2.0)

# %% [markdown] lang="pt"
# Quão parecidas são duas palavras? Mede-se o ângulo entre os vetores: o **cosseno** é 1 quando apontam para o mesmo lado, 0 quando não têm nada a ver. Eis os vizinhos mais
# próximos de algumas:

# %% [markdown] lang="en"
# How alike are two words? Measure the angle between their vectors: the **cosine** is 1 where they point the same way, 0 where they have nothing to do with each other.
# Here are the nearest neighbours of a few (Japan, copper, lion, violin, Europe):


# %% tags=["part"]
def cosines(looked_up_VD, id):
    """How alike the vector of `id` and every vector are, from -1 to 1."""
    lengths_V = np.linalg.norm(looked_up_VD, axis=1)
    return looked_up_VD @ looked_up_VD[id] / (lengths_V * lengths_V[id])


# %%
def nearest(word: str, count: int = 5, looked_up_VD=vectors[0]) -> list[str]:
    order = np.argsort(-cosines(looked_up_VD, id_of[word]))
    return [word_of[id] for id in order[1 : count + 1]]


for word in ("japão", "cobre", "leão", "violino", "europa"):
    print(f"{word:>9}:", ", ".join(nearest(word)))

# %% [markdown] lang="pt"
# Ninguém lhe disse o que é um continente. Para ver o conjunto, espremem-se as 24 dimensões em duas (as duas direções em que os vetores mais variam, a **análise de
# componentes principais**):

# %% [markdown] lang="en"
# Nobody told it what a continent is. To see the whole, the 24 dimensions are squeezed into two (the two directions in which vectors vary most, **principal component
# analysis**):

# %%
groups = {
    say(
        "países", "countries"
    ): "japão nepal chile egito mali brasil espanha argentina colômbia tailândia",
    say("elementos", "elements"): "hélio lítio carbono ferro cobre zinco ouro urânio neônio prata",
    say(
        "instrumentos", "instruments"
    ): "violino violão banjo oboé piano harpa tuba flauta guitarra viola",
    say("animais", "animals"): "leão tigre lobo gato cavalo boi elefante raposa onça águia baleia",
}
groups = {name: [word for word in text.split() if word in id_of] for name, text in groups.items()}
feminine = set(
    "espanha argentina colômbia tailândia prata harpa tuba flauta guitarra viola raposa onça águia baleia".split()
)
shown = [word for members in groups.values() for word in members]
points_ND = vectors[0][[id_of[word] for word in shown]]
points_ND = points_ND / np.linalg.norm(points_ND, axis=1, keepdims=True)
centred_ND = points_ND - points_ND.mean(axis=0)
_, _, directions = np.linalg.svd(centred_ND, full_matrices=False)
flat_N2 = centred_ND @ directions[:2].T
is_feminine_N = np.array([word in feminine for word in shown])
gap = flat_N2[is_feminine_N, 0].mean() - flat_N2[~is_feminine_N, 0].mean()
flat_N2[:, 0] *= np.sign(
    gap
)  # a direction and its opposite are as good; feminine words to the right

group_N = np.repeat(np.arange(len(groups)), [len(members) for members in groups.values()])
drawing, axes = figure(9, 6)
axes.set_xticks([])
axes.set_yticks([])
axes.set_title(say("o que a rede descobriu sozinha", "what the network found out by itself"))
named_points(axes, flat_N2, shown, group_N, kinds=list(groups), hollow=is_feminine_N)
axes.scatter(
    [],
    [],
    facecolor="white",
    edgecolor="#444444",
    s=42,
    label=say("femininas: vazadas", "feminine: hollow"),
)
axes.legend(loc="best")
show(drawing)
check(
    say("femininas e masculinas se separam", "feminine and masculine lie apart"),
    bool(abs(gap) > 0.3),
    True,
)

# %% [markdown] lang="pt"
# Duas descobertas de uma vez. Na vertical, as coisas se juntam com as da sua espécie. E na horizontal? É o **gênero**: *harpa*, *tuba* e *Espanha* de um lado, *violino*, *ouro* e *Japão* do outro. Ninguém lhe
# falou de gênero; ela o tirou dos artigos e das preposições da vizinhança (*a, da, na* ou *o, do, no*).
#
# Meçamos o primeiro achado, comparando os cossenos dentro de um grupo com os de grupos diferentes:

# %% [markdown] lang="en"
# Two discoveries at once. From top to bottom, things gather with their own kind. And from left to right? That is **grammatical gender**: *harpa* (harp), *tuba* and *Espanha* (Spain) on one side, *violino*, *ouro*
# (gold) and *Japão* on the other. Nobody told it about gender; it took that from the articles and prepositions nearby (*a, da, na* or *o, do, no*).
#
# Let us measure the first finding, comparing the cosines within a group with those of different groups:

# %%
similar_NN = points_ND @ points_ND.T
same = group_N[:, None] == group_N
others = ~np.eye(len(shown), dtype=bool)
within, across = similar_NN[same & others].mean(), similar_NN[~same].mean()
print(
    say("cosseno dentro do grupo", "cosine within a group"),
    number(within),
    say("fora", "outside"),
    number(across),
)
check(say("parentes se parecem mais", "kin are more alike"), bool(within > across + 0.1), True)

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# Embaralhe o texto. As palavras são as mesmas, tão frequentes quanto antes; só os vizinhos perderam o sentido:

# %% [markdown] lang="en"
# ## Break it
#
# Shuffle the text. The words are the same, as frequent as before; only the neighbours have lost their meaning:

# %%
shuffled = np.random.default_rng(0).permutation(ids)
meaningless = new_vectors(VOCABULARY_SIZE, 24, seed=0)
lost = train(meaningless, shuffled, window=2, steps=600)
for word in ("japão", "violino"):
    print(f"{word:>9}:", ", ".join(nearest(word, looked_up_VD=meaningless[0])))
print(say("perda:", "loss:"), number(np.mean(lost[-200:])))
check(
    say("sem vizinhança, não se aprende", "no company, no learning"),
    bool(np.mean(lost[-200:]) > 5.0),
    True,
)

# %% [markdown] lang="pt"
# A perda empaca perto do que se consegue sabendo só a frequência das palavras. O sentido estava todo na ordem.

# %% [markdown] lang="en"
# The loss gets stuck near what can be had from the words' frequencies alone. The meaning was all in the order.

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** Procurar uma linha (`E[id]`) é o mesmo que multiplicar por um vetor **one-hot**, que tem 1 na posição `id` e 0 no resto. Faça esse vetor para a palavra `japão`
# e confira.

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** To look a row up (`E[id]`) is the same as to multiply by a **one-hot** vector, which has 1 at position `id` and 0 elsewhere. Make that vector for the word `japão`
# and check.

# %% tags=["exercise"]
one_hot = ...
product = ... if one_hot is ... else one_hot @ vectors[0]
check(say("exercício 1", "exercise 1"), product, vectors[0][id_of["japão"]], tolerance=1e-6)

# %% tags=["solution"] jupyter={"source_hidden": true}
one_hot = np.zeros(VOCABULARY_SIZE)
one_hot[id_of["japão"]] = 1.0
product = one_hot @ vectors[0]
check(say("exercício 1", "exercise 1"), product, vectors[0][id_of["japão"]], tolerance=1e-6)

# %% [markdown] lang="pt"
# **2.** O vetor médio de alguns países resume "ser país". Calcule o vetor médio de `countries` e ache a palavra, fora da lista, de maior cosseno com ele. Ela é um país?

# %% [markdown] lang="en"
# **2.** The mean vector of a few countries sums up "being a country". Work out the mean vector of `countries`, and find the word outside the list with the largest cosine
# to it. Is it a country?

# %% tags=["exercise"]
countries = "japão nepal vietnã espanha chade".split()
mean_D = ...
right = vectors[0][[id_of[word] for word in countries]].mean(axis=0)
check(say("exercício 2", "exercise 2"), mean_D, right, tolerance=1e-6)

# %% tags=["solution"] jupyter={"source_hidden": true}
mean_D = sum(vectors[0][id_of[word]] for word in countries) / len(countries)
with_mean = np.concatenate([vectors[0], mean_D[None]])
order = np.argsort(-cosines(with_mean, VOCABULARY_SIZE))
print([word_of[id] for id in order[:12] if id < VOCABULARY_SIZE and word_of[id] not in countries])
check(say("exercício 2", "exercise 2"), mean_D, right, tolerance=1e-6)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# A matriz `E` é o `token_embedding` de [kgpt/model/gpt.py](../../kgpt/model/gpt.py), e `O` é a cabeça do modelo, no mesmo arquivo (`head_matrix`). No GPT-2 as duas são **a
# mesma matriz**, uma virada da outra: quem tem vetores parecidos recebe também notas parecidas. E um GPT faz o mesmo exercício do CBoW, com duas diferenças: os vizinhos
# são só os de antes, e a ordem deles conta.

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# The matrix `E` is `token_embedding` in [kgpt/model/gpt.py](../../kgpt/model/gpt.py), and `O` is the model's head, in the same file (`head_matrix`). In GPT-2 the two are **the
# same matrix**, one turned on its side: tokens with like vectors receive like scores. And a GPT does CBoW's exercise, with two differences: its neighbours are only those
# before, and their order counts.

# %% [markdown] lang="pt"
# ## O que vem depois
#
# Palavras fora das 700 viraram `?` e se perderam. A [aula 4](lesson:4) sabia evitar isso: na [aula 9](lesson:9) o CBoW lê pedaços de palavras.

# %% [markdown] lang="en"
# ## What comes next
#
# Words outside the 700 became `?` and were lost. [Lesson 4](lesson:4) knew how to avoid that: in [lesson 9](lesson:9) CBoW reads pieces of words.
