# %% [raw]
# pt: Autoatenção sem pesos
# en: Self-attention without weights
# question_pt: Como o vetor de uma palavra fica sabendo das palavras vizinhas?
# question_en: How does the vector of a word get to know the words around it?
# minutes: 12
# picture: 1

# %% [markdown] lang="pt"
# Em "A cachorra correu atrás da bola", o que *bola* quer dizer depende de quem está em volta: é a bola de uma
# brincadeira, em movimento, perseguida. Até aqui cada token tinha um vetor só seu, o mesmo em qualquer frase.

# %% [markdown] lang="en"
# In "A cachorra correu atrás da bola" (the dog ran after the ball), what *bola* means depends on the words
# around it: it is the ball of a game, moving, chased. So far each token has had a vector of its own, the same
# in every sentence.

# %%
import numpy as np

from kgpt.learning import check, colour, figure, heatmap, say, show

# %% [markdown] lang="pt"
# ## Seis palavras, seis vetores
#
# Num modelo de verdade os vetores são aprendidos e têm centenas de números. Aqui escolhemos dois à mão, para
# podermos desenhá-los: o primeiro diz se a palavra está mais para *coisa* (negativo) ou para *bicho*
# (positivo); o segundo, quanto *movimento* há nela. `T` é o número de palavras (o tempo da frase), `C` o
# tamanho do vetor (os canais): é assim que o kgpt batiza os eixos, e o nome da variável leva os eixos consigo.

# %% [markdown] lang="en"
# ## Six words, six vectors
#
# In a real model the vectors are learned and hold hundreds of numbers. Here we choose two by hand, so that we
# can draw them: the first says whether the word is more of a *thing* (negative) or an *animal* (positive); the
# second, how much *movement* there is in it. `T` is the number of words (the sentence's time), `C` the size of
# a vector (its channels): this is how kgpt names axes, and a variable's name carries its axes along.

# %%
words = "A cachorra correu atrás da bola".split()
x_TC = np.array(
    [
        [0.2, -0.2],  # A
        [1.6, 0.6],  # cachorra
        [-0.2, 1.6],  # correu
        [-0.3, 1.1],  # atrás
        [-0.1, -0.5],  # da
        [-1.4, 0.3],  # bola
    ]
)
x_TC.shape

# %% [markdown] lang="pt"
# ## A menor resposta
#
# Três passos, uma linha cada:
#
# 1. **Notas.** Quanto duas palavras têm a ver uma com a outra? O produto escalar já mede isso: é grande quando
#    os vetores apontam para o mesmo lado.
# 2. **Pesos.** O softmax faz das notas de cada linha frações positivas que somam 1. Cada linha vira uma
#    repartição de atenção.
# 3. **Mistura.** O vetor novo de cada palavra é a média de todos os vetores, com esses pesos.

# %% [markdown] lang="en"
# ## The smallest answer
#
# Three steps, a line each:
#
# 1. **Scores.** How much do two words have to do with each other? The dot product measures just that: it is
#    large when the vectors point the same way.
# 2. **Weights.** Softmax turns the scores of each row into positive fractions that sum to 1. Each row becomes a
#    budget of attention.
# 3. **Mix.** The new vector of each word is the mean of all vectors, with those weights.


# %%
def softmax(scores_TT):
    """Rows of positive numbers that sum to 1."""
    odds_TT = np.exp(scores_TT)
    return odds_TT / odds_TT.sum(axis=-1, keepdims=True)


scores_TT = x_TC @ x_TC.T
weights_TT = softmax(scores_TT)
y_TC = weights_TT @ x_TC

for word, weights_T in zip(words, weights_TT, strict=True):
    print(f"{word:>9}", " ".join(f"{weight:5.0%}" for weight in weights_T))

# %% [markdown] lang="pt"
# Leia a última linha: de tudo o que *bola* passa a ser, 56% vem dela mesma, 15% de *correu*, 15% de *atrás*, e
# quase nada de *cachorra*. É a **autoatenção**: "auto" porque a frase presta atenção em si mesma, e "sem pesos"
# porque não há nada para aprender. (Os "pesos de atenção" da tabela são calculados de novo para cada frase; os
# *pesos do modelo*, que se aprendem, chegam na aula 13.)

# %% [markdown] lang="en"
# Read the last row: of all that *bola* becomes, 56% comes from itself, 15% from *correu*, 15% from *atrás*, and
# next to nothing from *cachorra*. This is **self-attention**: "self" because the sentence attends to itself,
# and "without weights" because there is nothing to learn. (The "attention weights" of the table are computed
# anew for each sentence; the *model's weights*, which are learned, arrive in lesson 13.)

# %% [markdown] lang="pt"
# ## Um retrato
#
# À esquerda, as palavras como pontos. As linhas mostram de quem *bola* se alimenta (mais grossa, mais peso), e
# a estrela é onde ela vai parar: ganhou movimento. À direita, os pesos de todas: cada linha é quem olha, cada
# coluna quem é olhado.

# %% [markdown] lang="en"
# ## A picture
#
# On the left, the words as points. The lines show what *bola* feeds on (thicker means more weight), and the
# star is where it ends up: it has gained movement. On the right, the weights of all words: a row for the one
# that looks, a column for the one looked at.

# %%
picture, (plane, grid) = figure(10, 4.2, columns=2)
looking = words.index("bola")
for place, word in enumerate(words):
    width = 14 * weights_TT[looking, place]
    plane.plot(*zip(x_TC[looking], x_TC[place], strict=True), color=colour(4), linewidth=width)
    plane.plot(
        *x_TC[place], "o", color=colour(5 if place == looking else 0), markersize=8, zorder=3
    )
    offset = (-14, -20) if place == looking else (8, 7)
    plane.annotate(word, x_TC[place], xytext=offset, textcoords="offset points")
plane.plot(*y_TC[looking], "*", color=colour(5), markersize=18, zorder=3)
plane.annotate(
    say("bola, nesta frase", "bola, in this sentence"),
    y_TC[looking],
    xytext=(13, -5),
    textcoords="offset points",
    color=colour(5),
)
plane.margins(0.15)
plane.set(
    title=say("O que bola passa a ser", "What bola becomes"),
    xlabel=say("coisa ←   → bicho", "thing ←   → animal"),
    ylabel=say("movimento →", "movement →"),
)
heatmap(grid, weights_TT, words, words, digits=2)
grid.set(title=say("Quem olha (linha) para quem (coluna)", "Who looks (row) at whom (column)"))
show(picture)

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# "A cachorra correu atrás da bola" e "A bola correu atrás da cachorra" contam histórias opostas. Troque as duas
# de lugar e compare o que a atenção faz de cada palavra:

# %% [markdown] lang="en"
# ## Break it
#
# "A cachorra correu atrás da bola" and "A bola correu atrás da cachorra" (the ball ran after the dog) tell
# opposite stories. Swap the two and compare what attention makes of each word:

# %%
order = [0, 5, 2, 3, 4, 1]
print(" ".join(words[place] for place in order))
swapped_TC = x_TC[order]
new_y_TC = softmax(swapped_TC @ swapped_TC.T) @ swapped_TC

difference = np.abs(new_y_TC - y_TC[order]).max()
print(say("maior diferença:", "largest difference:"), f"{difference:.1e}")
check(
    say("a troca não mudou nada", "swapping changed nothing"),
    new_y_TC,
    y_TC[order],
    tolerance=1e-12,
)

# %% [markdown] lang="pt"
# Nada mudou! Para a atenção, a frase é um saco de palavras: ela soma, e soma não tem ordem. Quem traz a ordem
# são as **posições** da aula 11, somadas aos vetores antes da atenção. Sem elas, um GPT não saberia quem correu
# atrás de quem.

# %% [markdown] lang="en"
# Nothing changed! To attention a sentence is a bag of words: it adds up, and sums have no order. Order is
# brought in by the **positions** of lesson 11, added to the vectors before attention. Without them, a GPT would
# not know who ran after whom.

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** Calcule o vetor novo de *cachorra* sem produto de matrizes: um laço que soma peso vezes vetor, palavra
# por palavra.

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** Compute the new vector of *cachorra* without a matrix product: a loop that adds up weight times vector,
# word by word.

# %% tags=["exercise"]
y_C = ...

check(say("1: a soma à mão", "1: the sum by hand"), y_C, y_TC[1], tolerance=1e-12)

# %% tags=["solution"] jupyter={"source_hidden": true}
y_C = np.zeros(2)
for weight, x_C in zip(weights_TT[1], x_TC, strict=True):
    y_C += weight * x_C

check(say("1: a soma à mão", "1: the sum by hand"), y_C, y_TC[1], tolerance=1e-12)

# %% [markdown] lang="pt"
# **2.** `np.exp(1000)` é infinito, e infinito dividido por infinito não é número. Notas assim aparecem em
# modelos grandes. Escreva um softmax que aguenta: tirar de todas as notas a maior delas não muda o resultado
# (por quê?).

# %% [markdown] lang="en"
# **2.** `np.exp(1000)` is infinite, and infinity divided by infinity is no number. Such scores occur in large
# models. Write a softmax that survives them: taking the highest score off all of them does not change the
# result (why?).


# %% tags=["exercise"]
def stable_softmax(scores):
    return ...


large = np.array([1000.0, 1001.0, 1002.0])
check(
    say("2: softmax que aguenta", "2: a softmax that survives"),
    stable_softmax(large),
    softmax(large - 1000),
    tolerance=1e-12,
)


# %% tags=["solution"] jupyter={"source_hidden": true}
def stable_softmax(scores):
    odds = np.exp(
        scores - scores.max(axis=-1, keepdims=True)
    )  # exp(a - m) / sum(exp(b - m)): exp(-m) cancels
    return odds / odds.sum(axis=-1, keepdims=True)


check(
    say("2: softmax que aguenta", "2: a softmax that survives"),
    stable_softmax(large),
    softmax(large - 1000),
    tolerance=1e-12,
)

# %% [markdown] lang="pt"
# **3.** Se todas as notas forem zero, o que vira cada palavra? Preveja antes de calcular, e escreva a resposta
# sem usar softmax.

# %% [markdown] lang="en"
# **3.** If all scores are zero, what does each word become? Predict before you compute, and write the answer
# without softmax.

# %% tags=["exercise"]
bored_C = ...

check(
    say("3: atenção sem preferência", "3: attention without preference"),
    bored_C,
    (softmax(0 * scores_TT) @ x_TC)[0],
    tolerance=1e-12,
)

# %% tags=["solution"] jupyter={"source_hidden": true}
bored_C = x_TC.mean(axis=0)  # equal weights: the mean of all words, for every word

check(
    say("3: atenção sem preferência", "3: attention without preference"),
    bored_C,
    (softmax(0 * scores_TT) @ x_TC)[0],
    tolerance=1e-12,
)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# Em [`kgpt/model/causal_attention.py`](../../kgpt/model/causal_attention.py): `attention_weights` são os passos
# 1 e 2, e `masked_attention` os três. Os mesmos números? Consultas, chaves e valores (aula 13) são aqui a mesma
# coisa, os próprios vetores, e todos podem olhar para todos.

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# In [`kgpt/model/causal_attention.py`](../../kgpt/model/causal_attention.py): `attention_weights` is steps 1
# and 2, and `masked_attention` all three. The same numbers? Queries, keys and values (lesson 13) are one thing
# here, the vectors themselves, and everybody may look at everybody.

# %%
from kgpt.model.causal_attention import masked_attention

x_BKTC = x_TC[None, None].astype("float32")
everybody = np.ones((len(words), len(words)), dtype=bool)
from_kgpt = np.asarray(masked_attention(x_BKTC[:, :, None], x_BKTC, x_BKTC, everybody))[0, 0, 0]
check(say("igual ao kgpt", "equal to kgpt's"), y_TC, from_kgpt, tolerance=1e-6)

# %% [markdown] lang="pt"
# ## O que vem depois
#
# Aqui *parecido* é tudo o que a atenção sabe procurar: um verbo nunca acharia seu sujeito. Na [aula
# 13](lesson:13) ela aprende **o que** procurar.

# %% [markdown] lang="en"
# ## What comes next
#
# Here *similar* is all that attention knows to look for: a verb would never find its subject. In [lesson
# 13](lesson:13) it learns **what** to look for.
