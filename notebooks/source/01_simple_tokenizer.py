# %% [raw]
# pt: Um tokenizador simples
# en: A simple tokenizer
# question_pt: Por onde cortar uma frase para que um computador possa lê-la?
# question_en: Where should a sentence be cut so that a computer can read it?
# minutes: 10
# picture: 1

# %% [markdown] lang="pt"
# Um modelo de linguagem não lê letras, nem palavras: lê números. Antes dele trabalha uma peça mais modesta, o
# **tokenizador**, que corta o texto em pedaços — os **tokens** — e dá a cada pedaço um número. Nesta aula só cortamos; os
# números ficam para a [próxima](lesson:2).
#
# O corte mais simples que existe é nos espaços:

# %% [markdown] lang="en"
# A language model reads neither letters nor words: it reads numbers. Before it stands a humbler piece, the **tokenizer**,
# which cuts text into pieces, the **tokens**, and gives each piece a number. In this lesson we only cut; the numbers come
# in the [next one](lesson:2).
#
# The simplest cut there is: at the spaces.

# %%
from kgpt.learning import bars, check, corpus, figure, number, say, show, token_boxes

sentence = "O rio nasce na serra, cruza a cidade e chega ao mar. O mar é longe?"
words = sentence.split(" ")
print(words)

# %% [markdown] lang="pt"
# Funciona, mas olhe bem para a lista: `serra,` veio com a vírgula grudada, e há dois mares, `mar.` e `mar`. Para o computador
# são textos diferentes, portanto tokens diferentes; tudo o que o modelo aprender sobre um deles não valerá para o outro.
#
# O remédio é tratar os sinais de pontuação como tokens à parte. Uma **expressão regular** diz isso numa linha: um token é ou
# uma sequência de letras e algarismos (`\w+`), ou um sinal qualquer que não seja espaço (`[^\w\s]`).

# %% [markdown] lang="en"
# It works, but look at the list again: `serra,` came with the comma stuck to it, and there are two seas, `mar.` and `mar`. To
# a computer these are different texts, hence different tokens, and whatever a model learns about one is lost on the other.
#
# The cure is to make punctuation marks tokens of their own. A **regular expression** says so in one line: a token is either
# a run of letters and digits (`\w+`), or any single mark that is not a space (`[^\w\s]`).

# %%
import re


def tokenize(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text)


tokens = tokenize(sentence)
print(tokens)
check(say("'mar' aparece duas vezes", "'mar' occurs twice"), tokens.count("mar"), 2)

# %% [markdown] lang="pt"
# Veja os dois cortes lado a lado. Cada caixa é um token:

# %% [markdown] lang="en"
# Here are the two cuts, one above the other. Each box is a token:

# %%
drawing, (above, below) = figure(9, 3.0, rows=2)
token_boxes(above, words, line=74)
above.set_title(say(f"nos espaços: {len(words)} tokens", f"at the spaces: {len(words)} tokens"))
token_boxes(below, tokens, line=74)
below.set_title(
    say(f"palavras e sinais: {len(tokens)} tokens", f"words and marks: {len(tokens)} tokens")
)
show(drawing)

# %% [markdown] lang="pt"
# Isso importa num texto de verdade? O kgpt traz uma pequena enciclopédia em português, escrita na hora a partir de tabelas de
# fatos. Contemos quantos tokens **diferentes** cada corte encontra nela: é o tamanho do vocabulário que o modelo teria de
# aprender.

# %% [markdown] lang="en"
# Does it matter on a real text? kgpt carries a small encyclopedia in Portuguese, written on the spot from tables of facts.
# Let us count how many **different** tokens each cut finds in it: that is the vocabulary a model would have to learn.

# %%
from collections import Counter

text = corpus(400_000)
by_spaces = Counter(text.split())
by_words = Counter(tokenize(text))
print(say("nos espaços", "at the spaces"), number(len(by_spaces), 0))
print(say("palavras e sinais", "words and marks"), number(len(by_words), 0))
check(
    say("o vocabulário encolhe mais de um quarto", "the vocabulary shrinks by over a quarter"),
    len(by_words) < 0.75 * len(by_spaces),
    True,
)

# %% [markdown] lang="pt"
# E quem são os tokens mais comuns? Em qualquer língua, poucos tokens fazem quase todo o serviço: artigos, preposições,
# pontuação. O resto é uma cauda comprida de palavras que quase nunca aparecem. (É a lei de Zipf; ela volta na
# [aula 4](lesson:4).)

# %% [markdown] lang="en"
# And which tokens are the most common? In any language a few tokens do nearly all the work: articles, prepositions, marks.
# The rest is a long tail of words that hardly ever occur. (This is Zipf's law; it returns in [lesson 4](lesson:4).)

# %%
common = by_words.most_common(12)
counts = sorted(by_words.values(), reverse=True)

drawing, (left, right) = figure(9, 3.6, columns=2)
bars(left, [token for token, _ in common], [count for _, count in common])
left.set_title(say("os doze mais comuns", "the twelve most common"))
left.set_xlabel(say("vezes", "times"))
right.loglog(range(1, len(counts) + 1), counts)
right.set_title(say("todos, do mais ao menos comum", "all, from most to least common"))
right.set_xlabel(say("posto", "rank"))
right.set_ylabel(say("vezes", "times"))
show(drawing)

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# O nosso corte joga os espaços fora. Se alguém lhe der os tokens de volta, você consegue refazer o texto? Tente: juntar com
# espaços é o melhor que se pode fazer.

# %% [markdown] lang="en"
# ## Break it
#
# Our cut throws the spaces away. If somebody hands the tokens back to you, can you rebuild the text? Try: joining them with
# spaces is the best one can do.

# %%
difficult = "Guarda-chuva custa R$ 49,90 (ou 2x de R$ 24,95)!"
rebuilt = " ".join(tokenize(difficult))
print(difficult)
print(rebuilt)
check(say("o texto não voltou igual", "the text did not come back"), rebuilt == difficult, False)

# %% [markdown] lang="pt"
# Não voltou: onde havia e onde não havia espaço, os tokens já não sabem dizer. Um modelo que escrevesse assim escreveria tudo com
# espaços antes das vírgulas. Um bom tokenizador **não perde nada**: de volta sai exatamente o que entrou. O segundo exercício
# conserta isso.

# %% [markdown] lang="en"
# It did not: where a space was and where none was, the tokens can no longer tell. A model that wrote this way would put spaces
# before all its commas. A good tokenizer **loses nothing**: what comes back is exactly what went in. The second exercise mends
# it.

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** `49,90` virou três tokens. Mude a expressão para que um número com vírgula decimal seja um token só. (Dica: a primeira
# alternativa que casa é a que vale, então ponha a sua antes de `\w+`.)

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** `49,90` became three tokens. Change the expression so that a number with a decimal comma is one token. (Hint: the first
# alternative that matches wins, so put yours before `\w+`.)

# %% tags=["exercise"]
pattern = ...  # for example r"...|\w+|[^\w\s]"

answer = ... if pattern is ... else re.findall(pattern, "R$ 49,90, ou 24,95")
check(say("exercício 1", "exercise 1"), answer, ["R", "$", "49,90", ",", "ou", "24,95"])

# %% tags=["solution"] jupyter={"source_hidden": true}
pattern = r"\d+,\d+|\w+|[^\w\s]"
answer = re.findall(pattern, "R$ 49,90, ou 24,95")
check(say("exercício 1", "exercise 1"), answer, ["R", "$", "49,90", ",", "ou", "24,95"])

# %% [markdown] lang="pt"
# **2.** Não perca nada: faça com que cada token carregue consigo o espaço que vem antes dele, se houver um. Juntar os tokens com
# `"".join(...)` deve devolver o texto. (Dica: `" ?"` casa com um espaço ou com nada.)

# %% [markdown] lang="en"
# **2.** Lose nothing: let each token carry the space before it, if there is one. Joining the tokens with `"".join(...)` must give
# the text back. (Hint: `" ?"` matches a space or nothing.)


# %% tags=["exercise"]
def tokenize_whole(text: str) -> list[str]: ...


tokens = tokenize_whole(difficult)
check(say("exercício 2", "exercise 2"), tokens and "".join(tokens), difficult)


# %% tags=["solution"] jupyter={"source_hidden": true}
def tokenize_whole(text: str) -> list[str]:
    return re.findall(r" ?\w+| ?[^\w\s]|\s", text)


tokens = tokenize_whole(difficult)
print(tokens)
check(say("exercício 2", "exercise 2"), "".join(tokens), difficult)
check(
    say("a enciclopédia inteira volta", "the encyclopedia comes back"),
    "".join(tokenize_whole(text)) == text,
    True,
)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# Em [kgpt/text/pretokenization.py](../../kgpt/text/pretokenization.py): três expressões regulares, a do GPT-2, a do GPT-4 e
# uma feita para o português. São parentes próximas da sua resposta ao exercício 2 — o espaço pertence à palavra que vem depois
# dele, e nada se perde:

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# In [kgpt/text/pretokenization.py](../../kgpt/text/pretokenization.py): three regular expressions, GPT-2's, GPT-4's and one made
# for Portuguese. They are close relatives of your answer to exercise 2: a space belongs to the word after it, and nothing is
# lost.

# %%
from kgpt.text.pretokenization import GPT2, PORTUGUESE

for rule in (GPT2, PORTUGUESE):
    pieces = rule.words([difficult])
    print(f"{rule.name:>10}", pieces)
    check(say("nada se perde", "nothing is lost"), "".join(pieces), difficult)

# %% [markdown] lang="pt"
# ## O que vem depois
#
# Já temos os pedaços. Falta o número de cada um: na [aula 2](lesson:2) construímos um vocabulário e um codificador, e descobrimos
# o que acontece com uma palavra que ele nunca viu.

# %% [markdown] lang="en"
# ## What comes next
#
# We have the pieces. What is missing is a number for each: in [lesson 2](lesson:2) we build a vocabulary and an encoder, and find
# out what happens to a word it has never seen.
