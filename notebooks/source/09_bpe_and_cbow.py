# %% [raw]
# pt: BPE e CBoW juntos
# en: BPE and CBoW together
# question_pt: Que vetor cabe a uma palavra que nunca apareceu no texto?
# question_en: Which vector belongs to a word that never occurred in the text?
# minutes: 12
# picture: 1

# %% [markdown] lang="pt"
# O CBoW da [aula 8](lesson:8) dava vetores a palavras inteiras, e tudo o que não estava entre as 700 virava `?`. A [aula 4](lesson:4) tem o remédio: com o BPE não há palavra
# desconhecida, só palavras em mais ou menos pedaços. Então damos vetores aos **pedaços**; o de uma palavra é a média dos vetores dos pedaços dela.
#
# O tokenizador já construímos, por isso usamos o do kgpt; o CBoW também, e ele vem da aula 8 com `parts("8")`.

# %% [markdown] lang="en"
# The CBoW of [lesson 8](lesson:8) gave vectors to whole words, and all that was not among the 700 became `?`. [Lesson 4](lesson:4) has the cure: with BPE no word is unknown,
# words merely come in more pieces or fewer. So we give vectors to the **pieces**; a word's vector is the mean of those of its pieces.
#
# The tokenizer we have built already, so we use kgpt's; CBoW too, and it comes from lesson 8 with `parts("8")`.

# %%
import numpy as np

from kgpt.learning import (
    check,
    check_below,
    corpus,
    figure,
    heatmap,
    number,
    parts,
    say,
    show,
    token_boxes,
)
from kgpt.text.tokenizer import Tokenizer

cbow = parts("8")
SUBJECTS = ["countries", "elements", "instruments", "animals"]
text = corpus(500_000, subjects=SUBJECTS).lower()
tokenizer = Tokenizer.train([text], 700, pre_tokenization="portuguese")
ids = np.array(tokenizer.encode(text))
print(
    number(len(ids), 0),
    "tokens,",
    number(len(ids) / len(text.split())),
    say("por palavra", "a word"),
)

drawing, axes = figure(9, 1.5)
sample = text[text.index("a capital d") :].split(".")[0] + "."
pieces = tokenizer.encode(sample)
token_boxes(axes, [tokenizer.decode([id]) for id in pieces], pieces, line=76)
axes.set_title(say("o que o CBoW lê agora", "what CBoW reads now"))
show(drawing)

# %% [markdown] lang="pt"
# São 700 ids, como antes, mas agora cobrem **todo** texto. Como uma palavra ocupa mais lugares, a janela precisa crescer um pouco:

# %% [markdown] lang="en"
# There are 700 ids, as before, but now they cover **all** text. As a word takes more places, the window has to grow a little:

# %%
vectors = cbow.new_vectors(tokenizer.vocabulary_size, 24, seed=0)
losses = cbow.train(vectors, ids, window=3, steps=3_000)
print(number(np.mean(losses[:20])), "→", number(np.mean(losses[-200:])))
check_below(say("perda", "loss"), np.mean(losses[-200:]), 3.0)

# %% [markdown] lang="pt"
# Repare que a perda não se compara com a da aula 8: lá eram palavras, aqui são pedaços, e um pedaço do meio de uma palavra é fácil de adivinhar. (É por isso que o kgpt mede
# modelos em **bits por byte**, que não dependem do corte.)
#
# Agora o vetor de uma palavra qualquer, inteira ou em pedaços:

# %% [markdown] lang="en"
# Note that the loss cannot be compared with lesson 8's: there it was of words, here of pieces, and a piece from the middle of a word is easy to guess. (That is why kgpt measures
# models in **bits per byte**, which do not depend on the cut.)
#
# Now the vector of any word at all, whole or in pieces:


# %%
def word_vector(word: str) -> np.ndarray:
    """The mean of the vectors of the word's pieces, with a length of 1."""
    mean_D = vectors[0][tokenizer.encode(" " + word)].mean(axis=0) - vectors[0].mean(axis=0)
    return mean_D / np.linalg.norm(mean_D)


def likeness(one: str, other: str) -> float:
    return float(word_vector(one) @ word_vector(other))


known = ["tajiquistão", "uzbequistão", "rutênio", "promécio"]
invented = ["xilobaquistão", "brasilênio"]
for word in (*known, *invented):
    cut = [tokenizer.decode([id]) for id in tokenizer.encode(" " + word)]
    print(
        f"{word:>14}", cut, "" if word in text else say("(não está no texto)", "(not in the text)")
    )
check(
    say("inventadas de verdade", "truly invented"),
    [word in text for word in invented],
    [False, False],
)

# %% [markdown] lang="pt"
# Dois nomes que inventamos agora: um país (termina como tantos outros) e um elemento químico. O modelo nunca os viu, mas viu os pedaços. A quem ele os compara?

# %% [markdown] lang="en"
# Two names that we have just made up: a country (it ends as many do) and a chemical element. The model has never seen them, but it has seen their pieces. With whom does it
# compare them?

# %%
countries = ["tajiquistão", "uzbequistão", "cazaquistão", "paquistão"]
elements = ["rutênio", "promécio", "germânio", "berquélio"]
rows = [*countries, invented[0], *elements, invented[1]]
table = np.array([[likeness(one, other) for other in rows] for one in rows])
drawing, axes = figure(8.4, 5.2)
image = heatmap(axes, table, rows, rows, digits=1, centred=True, largest=1.0)
drawing.colorbar(image, label=say("cosseno", "cosine"))
axes.set_title(say("palavras inventadas acham a família", "invented words find their family"))
for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
    if label.get_text() in invented:
        label.set_color("#D55E00")
        label.set_weight("bold")
show(drawing)

for word, family, strangers in (
    (invented[0], countries, elements),
    (invented[1], elements, countries),
):
    near = np.mean([likeness(word, one) for one in family])
    far = np.mean([likeness(word, one) for one in strangers])
    print(word, number(near), number(far))
    check(
        say(f"{word} achou a família", f"{word} has found its family"), bool(near > far + 0.1), True
    )

# %% [markdown] lang="pt"
# Os finais *-istão* e *-ênio* são pedaços, e carregam sentido. Mas a média é grosseira, e nem sempre acerta: experimente `carambônio`, que ela põe entre os países. Um GPT faz o mesmo, camada após camada, com muito mais contexto.
#
# ## Quebre e veja
#
# E se o vocabulário for só de bytes (256 ids, nenhuma mesclagem)? Nada é desconhecido, mas uma letra sozinha diz pouco, e todas as palavras começam a se parecer:

# %% [markdown] lang="en"
# The endings *-istão* (-stan) and *-ênio* (-ium) are pieces, and they carry meaning. But a mean is crude and not always right: try `carambônio`, which it puts among the countries. A GPT does the same, layer after layer, with far more context.
#
# ## Break it
#
# And if the vocabulary is bytes alone (256 ids, no merges)? Nothing is unknown, but a letter by itself says little, and all words begin to look alike:

# %%
kept = (tokenizer, vectors)
tokenizer = Tokenizer.bytes()
byte_ids = np.array(tokenizer.encode(text))
vectors = cbow.new_vectors(tokenizer.vocabulary_size, 24, seed=0)
byte_losses = cbow.train(vectors, byte_ids, window=3, steps=1_000)


def contrast() -> float:
    """How much more alike words of one family are than words of different ones."""
    same = [
        likeness(a, b) for group in (countries, elements) for a in group for b in group if a < b
    ]
    different = [likeness(a, b) for a in countries for b in elements]
    return float(np.mean(same) - np.mean(different))


of_bytes = contrast()
tokenizer, vectors = kept
of_pieces = contrast()
print(say("contraste com bytes:", "contrast with bytes:"), number(of_bytes))
print(say("contraste com pedaços:", "contrast with pieces:"), number(of_pieces))
check(say("pedaços distinguem melhor", "pieces tell more apart"), of_pieces > of_bytes, True)

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** Invente um animal ou um instrumento (que não esteja no texto) e ponha-o em `mine`. O vetor dele existe? Com quem, de `candidates`, ele mais se parece? Guarde o nome em
# `closest`.

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** Invent an animal or an instrument (in Portuguese, not in the text) and put it into `mine`. Does it have a vector? Whom of `candidates` is it most like? Put that name into
# `closest`.

# %% tags=["exercise"]
candidates = ["violão", "leão", "cobre", "vietnã"]
mine = ...
closest = ...
right = ... if mine is ... else max(candidates, key=lambda one: likeness(mine, one))
check(say("exercício 1", "exercise 1"), closest, right)

# %% tags=["solution"] jupyter={"source_hidden": true}
mine = "violubo"
closest = sorted(candidates, key=lambda one: -likeness(mine, one))[0]
print(mine, "→", closest)
check(
    say("exercício 1", "exercise 1"), closest, max(candidates, key=lambda one: likeness(mine, one))
)

# %% [markdown] lang="pt"
# **2.** A média tem um defeito grave. Que cosseno esperar entre duas palavras feitas dos **mesmos pedaços em outra ordem**? Responda antes de calcular.

# %% [markdown] lang="en"
# **2.** The mean has a grave flaw. Which cosine do you expect of two words made of **the same pieces in another order**? Answer before you calculate.

# %% tags=["exercise"]
expected_cosine = ...
first, second = [10, 400, 77], [77, 10, 400]
means = [vectors[0][ids].mean(axis=0) for ids in (first, second)]
measured = float(means[0] @ means[1] / np.linalg.norm(means[0]) / np.linalg.norm(means[1]))
check(say("exercício 2", "exercise 2"), expected_cosine, measured, tolerance=1e-5)

# %% tags=["solution"] jupyter={"source_hidden": true}
expected_cosine = 1.0  # a mean does not know any order
check(say("exercício 2", "exercise 2"), expected_cosine, measured, tolerance=1e-5)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# Em [kgpt/text/tokenizer.py](../../kgpt/text/tokenizer.py), `Tokenizer.train` aceita o tamanho do vocabulário e o corte, como `kgpt prepare --vocab-size`. Escolher o tamanho é a
# troca desta aula: mais ids, textos mais curtos e pedaços com mais sentido; menos ids, tabelas menores e mais exemplos para cada vetor. Os bits por byte estão em
# [kgpt/evaluation/loss.py](../../kgpt/evaluation/loss.py).

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# In [kgpt/text/tokenizer.py](../../kgpt/text/tokenizer.py), `Tokenizer.train` takes the vocabulary's size and the cut, as `kgpt prepare --vocab-size` does. Choosing the size is this
# lesson's trade: more ids, shorter texts and pieces that mean more; fewer ids, smaller tables and more examples for each vector. Bits per byte are in
# [kgpt/evaluation/loss.py](../../kgpt/evaluation/loss.py).

# %% [markdown] lang="pt"
# ## O que vem depois
#
# A tabela de vetores tem nome em toda biblioteca: **embedding**. A [aula 10](lesson:10) refaz o CBoW com a do Keras, que é a que o GPT usa. E o defeito do exercício 2, a ordem perdida,
# é o assunto da [aula 11](lesson:11).

# %% [markdown] lang="en"
# ## What comes next
#
# The table of vectors has a name in every library: the **embedding**. [Lesson 10](lesson:10) makes CBoW again with Keras', which is the one a GPT uses. And the flaw of exercise 2, the lost
# order, is the subject of [lesson 11](lesson:11).
