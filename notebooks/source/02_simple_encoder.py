# %% [raw]
# pt: Um codificador simples
# en: A simple encoder
# question_pt: Que número cabe a cada token, e como se volta do número ao texto?
# question_en: Which number belongs to which token, and how do we get back from the numbers to the text?
# minutes: 10
# picture: 1

# %% [markdown] lang="pt"
# Na [aula 1](lesson:1) cortamos o texto em tokens. Agora cada token **diferente** recebe um número, o seu **id**. A lista de
# todos eles é o **vocabulário**; ir do texto aos ids é **codificar**, e voltar é **decodificar**.
#
# O corte já sabemos fazer, então usamos o do kgpt. O resto cabe em quatro linhas:

# %% [markdown] lang="en"
# In [lesson 1](lesson:1) we cut text into tokens. Now every **different** token receives a number, its **id**. The list of
# them all is the **vocabulary**; to go from text to ids is to **encode**, to come back is to **decode**.
#
# Cutting we know how to do, so we take kgpt's. The rest fits in four lines. (The sentence says that the Volga's mouth is in the
# Caspian Sea.)

# %%
from collections import Counter

from kgpt.learning import check, corpus, figure, number, say, show, token_boxes
from kgpt.text.pretokenization import PORTUGUESE

text = corpus(400_000)
tokens = PORTUGUESE.words([text])

vocabulary = {token: id for id, token in enumerate(sorted(set(tokens)))}
token_of = list(vocabulary)


def encode(text: str) -> list[int]:
    return [vocabulary[token] for token in PORTUGUESE.words([text])]


def decode(ids: list[int]) -> str:
    return "".join(token_of[id] for id in ids)


sentence = "O rio Volga tem sua foz no mar Cáspio."
ids = encode(sentence)
print(sentence)
print(ids)
check(say("ida e volta", "there and back"), decode(ids), sentence)

# %% [markdown] lang="pt"
# A frase virou uma lista de números, e dela saiu a frase de novo, sem tirar nem pôr. Em cada caixa, o token; embaixo, o id (o
# ponto no meio da linha mostra o espaço que o token carrega):

# %% [markdown] lang="en"
# The sentence became a list of numbers, and out of it came the sentence again, not a character more or less. In each box a token,
# below it its id (the raised dot shows the space a token carries):

# %%
drawing, axes = figure(9, 1.9)
token_boxes(axes, [token_of[id] for id in ids], ids, line=72)
axes.set_title(
    say("cada token e o seu número", "each token and its number"),
)
show(drawing)

# %% [markdown] lang="pt"
# Repare numa coisa: os números não querem dizer nada. O id 900 não é "maior" nem "melhor" que o 899, apenas vem depois na ordem
# alfabética. Se embaralhássemos os ids, nenhum texto mudaria. É por isso que um modelo nunca faz conta com o id: usa-o só para
# **procurar** um vetor numa tabela (é o *embedding*, na [aula 10](lesson:10)).
#
# Que tamanho tem esse vocabulário? Depende de quanto texto você leu para fazê-lo, e nunca para de crescer:

# %% [markdown] lang="en"
# Note one thing: the numbers mean nothing. Id 900 is neither "more" nor "better" than 899; it merely comes next in alphabetical
# order. Shuffle the ids and no text changes. That is why a model never calculates with an id: it only **looks up** a vector in a
# table with it (the embedding, in [lesson 10](lesson:10)).
#
# How large is this vocabulary? That depends on how much text you have read to make it, and it never stops growing:

# %%
seen: set[str] = set()
sizes, marks = [], range(2_000, len(tokens), 2_000)
for start, end in zip((0, *marks), marks):
    seen.update(tokens[start:end])
    sizes.append(len(seen))

drawing, axes = figure(8, 3.2)
axes.plot(marks, sizes)
axes.set_xlabel(say("tokens lidos", "tokens read"))
axes.set_ylabel(say("tokens diferentes", "different tokens"))
axes.set_title(say("o vocabulário não para de crescer", "the vocabulary keeps growing"))
axes.set_xlim(0)
axes.set_ylim(0)
show(drawing)
print(number(len(tokens), 0), "tokens,", number(len(vocabulary), 0), say("diferentes", "different"))
check(
    say("o último décimo ainda traz novidades", "the last tenth still brings new ones"),
    len(vocabulary) > len(set(tokens[: len(tokens) * 9 // 10])),
    True,
)

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# O que acontece com uma palavra que o vocabulário não tem? Um texto de hoje, digamos:

# %% [markdown] lang="en"
# ## Break it
#
# What happens to a word that the vocabulary lacks? Take a text of our day:

# %%
modern = "O rio baixou um aplicativo novo."
try:
    print(encode(modern))
    missing = ""
except KeyError as error:
    missing = error.args[0]
    print("KeyError:", error)
check(say("quem falta", "what is missing"), missing, " baixou")

# %% [markdown] lang="pt"
# O codificador cai na primeira palavra desconhecida. A enciclopédia nunca disse que alguém "baixou" nada. E juntar mais texto não
# resolve: o gráfico acima mostra que sempre haverá a próxima palavra nova. A [aula 3](lesson:3) trata disso.

# %% [markdown] lang="en"
# The encoder falls over the first unknown word: the encyclopedia never says that anybody downloaded ("baixou") anything. More text
# is no cure, for the picture above shows that there will always be another new word. [Lesson 3](lesson:3) deals with that.

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** Dê ids por **frequência**: o token mais comum recebe 0, o segundo 1, e assim por diante (no empate, a ordem alfabética
# decide). Qual é o token 0? (Dica: `collections.Counter` e `sorted(..., key=...)`.)

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** Give ids by **frequency**: the most common token receives 0, the next one 1, and so on (where two are as common,
# alphabetical order decides). Which token is 0? (Hint: `collections.Counter` and `sorted(..., key=...)`.)

# %% tags=["exercise"]
by_frequency = ...  # a dict from token to id

first = ... if by_frequency is ... else list(by_frequency)[:3]
check(say("exercício 1", "exercise 1"), first, [" de", ".", ".\n\n"])

# %% tags=["solution"] jupyter={"source_hidden": true}
counts = Counter(tokens)
ordered = sorted(counts, key=lambda token: (-counts[token], token))
by_frequency = {token: id for id, token in enumerate(ordered)}
first = list(by_frequency)[:3]
check(say("exercício 1", "exercise 1"), first, [" de", ".", ".\n\n"])

# %% [markdown] lang="pt"
# **2.** Para que serve a frequência? Quantos dos tokens mais comuns bastam para cobrir 90% do texto?

# %% [markdown] lang="en"
# **2.** What is frequency good for? How many of the most common tokens are enough to cover 90% of the text?

# %% tags=["exercise"]
enough = ...

often = [count for _, count in Counter(tokens).most_common()]
share = ... if enough is ... else sum(often[:enough]) / len(tokens)
check(say("exercício 2", "exercise 2"), share, 0.90, tolerance=0.0005)

# %% tags=["solution"] jupyter={"source_hidden": true}
covered, enough = 0, 0
while covered < 0.90 * len(tokens):
    covered += often[enough]
    enough += 1
print(
    number(enough, 0),
    say("tokens de", "tokens of"),
    number(len(often), 0),
    say("cobrem 90%", "cover 90%"),
)
share = covered / len(tokens)
check(say("exercício 2", "exercise 2"), share, 0.90, tolerance=0.0005)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# Em [kgpt/text/tokenizer.py](../../kgpt/text/tokenizer.py): `Tokenizer.vocabulary` é o mesmo dicionário, `encode` e `decode` têm
# os mesmos nomes. E [kgpt/text/encoder.py](../../kgpt/text/encoder.py) faz o mesmo depressa: guarda o que já encontrou e procura
# milhares de palavras de uma vez.
#
# O menor tokenizador do kgpt nem precisa ler texto para ter um vocabulário: os seus tokens são os 256 **bytes**, e nada lhe é
# desconhecido. Compare os comprimentos:

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# In [kgpt/text/tokenizer.py](../../kgpt/text/tokenizer.py): `Tokenizer.vocabulary` is the same dictionary, `encode` and `decode`
# have the same names. And [kgpt/text/encoder.py](../../kgpt/text/encoder.py) does the same fast: it keeps what it has met and looks
# thousands of words up at once.
#
# kgpt's smallest tokenizer need not even read a text to have a vocabulary: its tokens are the 256 **bytes**, and nothing is unknown
# to it. Compare the lengths:

# %%
from kgpt.text.tokenizer import Tokenizer

bytes_only = Tokenizer.bytes()
byte_ids = bytes_only.encode(sentence)
print(say("palavras:", "words:"), len(ids), " bytes:", len(byte_ids))
check(say("os bytes voltam", "the bytes come back"), bytes_only.decode(byte_ids), sentence)
check(say("ids são os bytes de UTF-8", "ids are UTF-8's bytes"), byte_ids, list(sentence.encode()))
check(
    say("nada lhe é desconhecido", "nothing is unknown"),
    bytes_only.decode(bytes_only.encode(modern)),
    modern,
)

# %% [markdown] lang="pt"
# ## O que vem depois
#
# Palavras dão textos curtos e um vocabulário sem fim; bytes, um vocabulário minúsculo e textos compridos. Antes do meio-termo
# ([aula 4](lesson:4)), a [aula 3](lesson:3) mostra o remendo de sempre para palavras desconhecidas, quanto ele custa, e os tokens
# que não são texto.

# %% [markdown] lang="en"
# ## What comes next
#
# Words make short texts and an endless vocabulary; bytes make a tiny vocabulary and long texts. Before the middle way
# ([lesson 4](lesson:4)), [lesson 3](lesson:3) shows the usual patch for unknown words, what it costs, and the tokens that are not
# text.
