# %% [raw]
# pt: Pares de bytes (BPE), à mão
# en: Byte-pair encoding by hand
# question_pt: Quais pedaços de palavra merecem ser tokens?
# question_en: Which pieces of words deserve to be tokens?
# minutes: 18
# picture: 1

# %% [markdown] lang="pt"
# Palavras inteiras: textos curtos, mas sempre falta alguma. Bytes: nunca falta nada, mas os textos ficam compridos. A
# **codificação por pares de bytes** (BPE) fica no meio, e a ideia cabe numa frase: *comece com bytes e vá juntando, um de cada vez, o
# par de vizinhos mais frequente*.
#
# Cada junção é uma **mesclagem** e cria um token novo. Pares comuns viram sílabas, sílabas viram palavras; o que é raro continua em
# pedaços. Vamos treinar um tokenizador assim à mão, e no fim ele tem de dar **exatamente** os mesmos ids que o do kgpt.

# %% [markdown] lang="en"
# Whole words: short texts, but one is always missing. Bytes: nothing is ever missing, but texts are long. **Byte-pair encoding** (BPE)
# is the middle way, and the idea fits in a sentence: *begin with bytes, and join, one at a time, the pair of neighbours that occurs most
# often*.
#
# Each joining is a **merge** and makes a new token. Common pairs become syllables, syllables become words; what is rare stays in pieces.
# We train such a tokenizer by hand, and in the end it has to give **exactly** the ids that kgpt's gives.

# %%
from collections import Counter

from kgpt.learning import check, colour, corpus, figure, number, say, show, token_boxes
from kgpt.text.byte_symbols import BYTE_SYMBOLS, spelled_words
from kgpt.text.pretokenization import PORTUGUESE

text = corpus(60_000)
words = Counter(spelled_words(PORTUGUESE.words([text])))
print(
    number(sum(words.values()), 0),
    say("palavras,", "words,"),
    number(len(words), 0),
    say("diferentes", "different"),
)
print(words.most_common(5))

# %% [markdown] lang="pt"
# Duas coisas antes de juntar. Primeiro, o texto é cortado em palavras, como na [aula 1](lesson:1), e nenhuma mesclagem atravessa a borda de
# uma palavra; por isso basta contar cada palavra diferente uma vez. Segundo, cada byte é escrito como **um caractere visível** (o truque do
# GPT-2): o espaço vira `Ġ`, e o `é`, que em UTF-8 ocupa dois bytes, vira `Ã©`.
#
# Agora o algoritmo, sem truque nenhum:

# %% [markdown] lang="en"
# Two things before we join anything. First, the text is cut into words, as in [lesson 1](lesson:1), and no merge crosses the border of a
# word; so each different word needs counting only once. Second, each byte is written as **one visible character** (GPT-2's trick): the
# space becomes `Ġ`, and `é`, which takes two bytes in UTF-8, becomes `Ã©`.
#
# Now the algorithm, with no tricks at all:


# %%
def count_pairs(split: dict[str, list[str]]) -> Counter[tuple[str, str]]:
    """How often each pair of neighbours occurs, in all words."""
    pairs: Counter[tuple[str, str]] = Counter()
    for word, tokens in split.items():
        for pair in zip(tokens, tokens[1:]):
            pairs[pair] += words[word]
    return pairs


def join(tokens: list[str], pair: tuple[str, str]) -> list[str]:
    """The tokens with each occurrence of `pair`, from left to right, made one."""
    joined: list[str] = []
    index = 0
    while index < len(tokens):
        if tuple(tokens[index : index + 2]) == pair:
            joined.append(tokens[index] + tokens[index + 1])
            index += 2
        else:
            joined.append(tokens[index])
            index += 1
    return joined


def train(num_merges: int) -> tuple[dict[str, int], list[tuple[str, str]], list[int]]:
    """Vocabulary, merges, and the length of the text in tokens after each merge."""
    vocabulary = {symbol: id for id, symbol in enumerate(sorted(BYTE_SYMBOLS))}
    split = {word: list(word) for word in words}
    merges, lengths = [], []
    for _ in range(num_merges):
        pairs = count_pairs(split)
        # The most frequent; of several, the one whose parts were known first.
        best = min(pairs, key=lambda pair: (-pairs[pair], vocabulary[pair[0]], vocabulary[pair[1]]))
        merges.append(best)
        vocabulary.setdefault(best[0] + best[1], len(vocabulary))
        for word, tokens in split.items():
            if best[0] in tokens:
                split[word] = join(tokens, best)
        lengths.append(sum(words[word] * len(tokens) for word, tokens in split.items()))
    return vocabulary, merges, lengths


NUM_MERGES = 300
vocabulary, merges, lengths = train(NUM_MERGES)
print([left + right for left, right in merges[:24]])
print([left + right for left, right in merges[-8:]])

# %% [markdown] lang="pt"
# As primeiras mesclagens são pares de letras do português (`Ġd`, `ra`, `os`); as últimas já são palavras inteiras, ou quase. Ninguém ensinou
# português ao algoritmo: ele só contou.
#
# Para **codificar** um texto novo, refazemos as mesclagens na ordem em que foram aprendidas: em cada palavra, junta-se sempre o par cuja
# mesclagem é a mais antiga, até não haver mais nenhuma.

# %% [markdown] lang="en"
# The first merges are pairs of letters that Portuguese likes (`Ġd`, `ra`, `os`); the last ones are whole words already, or nearly. Nobody taught the
# algorithm any Portuguese: it merely counted.
#
# To **encode** a new text, we repeat the merges in the order in which they were learned: in each word the pair with the oldest merge is
# joined, until no pair has one.

# %%
rank = {pair: index for index, pair in enumerate(merges)}


def encode_word(word: str) -> list[str]:
    tokens = list(word)
    while len(tokens) > 1:
        pair = min(zip(tokens, tokens[1:]), key=lambda pair: rank.get(pair, NUM_MERGES))
        if pair not in rank:
            break
        tokens = join(tokens, pair)
    return tokens


def encode(text: str) -> list[int]:
    return [
        vocabulary[token]
        for word in spelled_words(PORTUGUESE.words([text]))
        for token in encode_word(word)
    ]


def decode(ids: list[int]) -> str:
    byte_of = {symbol: byte for byte, symbol in enumerate(BYTE_SYMBOLS)}
    token_of = list(vocabulary)
    return bytes(byte_of[symbol] for id in ids for symbol in token_of[id]).decode()


modern = "O rio baixou um aplicativo novo."
ids = encode(modern)
print(ids)
check(
    say("ida e volta, sem palavra desconhecida", "there and back, no unknown word"),
    decode(ids),
    modern,
)

# %% [markdown] lang="pt"
# Veja a mesma frase com poucas e com muitas mesclagens. As caixas vão se fundindo:

# %% [markdown] lang="en"
# The same sentence with few merges and with many. Watch the boxes grow together:

# %%
sentence = "A capital do país fica perto do rio."
drawing, rows = figure(9, 4.0, rows=4)
for axes, known in zip(rows, (0, 20, 100, NUM_MERGES)):
    rank = {pair: index for index, pair in enumerate(merges[:known])}
    boxes = [
        token.replace("Ġ", " ")
        for word in spelled_words(PORTUGUESE.words([sentence]))
        for token in encode_word(word)
    ]
    token_boxes(axes, boxes, line=70)
    axes.set_title(
        say(f"{known} mesclagens: {len(boxes)} tokens", f"{known} merges: {len(boxes)} tokens")
    )
show(drawing)
rank = {pair: index for index, pair in enumerate(merges)}

# %% [markdown] lang="pt"
# (`Ã` e `Ń` são os dois bytes do `í` de *país*: um caractere acentuado só vira um token quando a sua mesclagem chega.)
#
# E o texto inteiro? Cada mesclagem o encurta um pouco menos que a anterior, porque as mais rendosas vêm primeiro:

# %% [markdown] lang="en"
# (`Ã` and `Ń` are the two bytes of the `í` in *país*, country: an accented character becomes one token only when its merge comes.)
#
# And the whole text? Each merge shortens it a little less than the one before, for the most profitable come first:

# %%
start = sum(count * len(word) for word, count in words.items())
drawing, axes = figure(8, 3.2)
axes.plot(range(NUM_MERGES + 1), [start / length for length in (start, *lengths)])
axes.axhline(start / sum(words.values()), color=colour(1), linestyle="--")
axes.text(
    2,
    start / sum(words.values()) - 0.05,
    say("palavras inteiras", "whole words"),
    color=colour(1),
    va="top",
)
axes.set_xlabel(say("mesclagens", "merges"))
axes.set_ylabel(say("bytes por token", "bytes a token"))
axes.set_title(say("quanto texto cabe num token", "how much text a token holds"))
axes.set_xlim(0)
axes.set_ylim(1)
show(drawing)

# %% [markdown] lang="pt"
# ### Igual ao do kgpt?
#
# O do kgpt é escrito em Rust e lê gigabytes. Treinado no mesmo texto, com o mesmo corte, para o mesmo número de ids, tem de chegar às
# mesmas mesclagens, na mesma ordem, e aos mesmos ids:

# %% [markdown] lang="en"
# ### Equal to kgpt's?
#
# kgpt's is written in Rust and reads gigabytes. Trained on the same text, cut the same way, for the same number of ids, it has to arrive at
# the same merges, in the same order, and at the same ids:

# %%
from kgpt.text.tokenizer import Tokenizer

tokenizer = Tokenizer.train([text], len(vocabulary) + 1, pre_tokenization="portuguese")
check(say("as mesmas mesclagens", "the same merges"), merges, list(tokenizer.merges))
unseen = corpus(20_000, seed=7)
check(
    say("os mesmos ids num texto novo", "the same ids of a new text"),
    encode(unseen),
    tokenizer.encode(unseen),
)
print(number(len(tokenizer.encode(unseen)), 0), say("ids comparados", "ids compared"))

# %% [markdown] lang="pt"
# (O `+ 1` é o lugar de `<|endoftext|>`, que vem no fim do vocabulário: [aula 3](lesson:3).)
#
# ## Quebre e veja
#
# A ordem das mesclagens é parte do tokenizador. Inverta-a, e o texto ainda vai e volta, mas os ids são outros:

# %% [markdown] lang="en"
# (The `+ 1` is the place of `<|endoftext|>`, at the end of the vocabulary: [lesson 3](lesson:3).)
#
# ## Break it
#
# The order of the merges is part of the tokenizer. Turn it round, and text still comes back, but the ids are others:

# %%
rank = {pair: index for index, pair in enumerate(reversed(merges))}
turned = encode(sentence)
rank = {pair: index for index, pair in enumerate(merges)}
token_of = list(vocabulary)
print([token_of[id] for id in encode(sentence)])
print([token_of[id] for id in turned])
check(say("o texto volta", "the text comes back"), decode(turned), sentence)
check(say("mas os ids mudaram", "but the ids have changed"), turned == encode(sentence), False)

# %% [markdown] lang="pt"
# Um modelo treinado com os ids certos e usado com os outros leria uma língua que nunca viu, e nada avisaria: não há erro, só texto ruim. Por
# isso o kgpt guarda o tokenizador junto de cada modelo.

# %% [markdown] lang="en"
# A model trained with the right ids and used with the others would read a language it has never seen, and nothing would say so: there is no
# error, only bad text. That is why kgpt keeps the tokenizer beside every model.

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** Sem rodar nada: de `"ababab"` e da mesclagem `("a", "b")`, quais tokens saem? E da mesclagem `("b", "a")`?

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** Without running anything: which tokens do `"ababab"` and the merge `("a", "b")` give? And the merge `("b", "a")`?

# %% tags=["exercise"]
with_ab = ...
with_ba = ...
check(say("exercício 1, ab", "exercise 1, ab"), with_ab, join(list("ababab"), ("a", "b")))
check(say("exercício 1, ba", "exercise 1, ba"), with_ba, join(list("ababab"), ("b", "a")))

# %% tags=["solution"] jupyter={"source_hidden": true}
with_ab = ["ab", "ab", "ab"]
with_ba = ["a", "ba", "ba", "b"]
check(say("exercício 1, ab", "exercise 1, ab"), with_ab, join(list("ababab"), ("a", "b")))
check(say("exercício 1, ba", "exercise 1, ba"), with_ba, join(list("ababab"), ("b", "a")))

# %% [markdown] lang="pt"
# **2.** Qual é a palavra mais longa que já é um token só neste vocabulário (o token começa com `Ġ`, o espaço)? Responda com a palavra,
# sem o espaço e com os seus acentos. (Dica: `decode` aceita uma lista de um id só.)

# %% [markdown] lang="en"
# **2.** Which is the longest word that is a single token of this vocabulary (the token begins with `Ġ`, the space)? Answer with the
# word, without its space and with its accents. (Hint: `decode` takes a list of one id.)

# %% tags=["exercise"]
longest = ...
known = (token for token in vocabulary if token in words and token[0] == "Ġ")
expected = max((decode([vocabulary[token]])[1:] for token in known), key=len)
check(say("exercício 2", "exercise 2"), longest, expected)

# %% tags=["solution"] jupyter={"source_hidden": true}
whole = [token for token in vocabulary if token.startswith("Ġ") and token in words]
longest = max((decode([vocabulary[token]]).strip() for token in whole), key=len)
print(longest)
check(say("exercício 2", "exercise 2"), longest, expected)

# %% [markdown] lang="pt"
# **3.** Quantos tokens a mais por palavra custa o inglês a este tokenizador, que só leu português? Calcule `tokens / palavras`
# das duas frases e divida o resultado do inglês pelo do português.

# %% [markdown] lang="en"
# **3.** How many more tokens a word does English cost this tokenizer, which has read only Portuguese? Calculate `tokens / words` of both
# sentences, and divide the English result by the Portuguese one.

# %% tags=["exercise"]
portuguese = "O rio nasce na serra e chega ao mar perto da capital."
english = "The river rises in the hills and meets the sea near the capital."
ratio = ...  # English tokens a word, divided by Portuguese tokens a word
more = (
    len(encode(english))
    / len(english.split())
    / (len(encode(portuguese)) / len(portuguese.split()))
)
check(say("exercício 3", "exercise 3"), ratio, more, tolerance=0.01)

# %% tags=["solution"] jupyter={"source_hidden": true}
per_word = [len(encode(one)) / len(one.split()) for one in (portuguese, english)]
ratio = per_word[1] / per_word[0]
print([number(value) for value in per_word], number(ratio))
check(say("exercício 3", "exercise 3"), ratio, more, tolerance=0.01)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# O treino está em [kgpt/text/tokenizer_training.py](../../kgpt/text/tokenizer_training.py) (que conta depressa e deixa as mesclagens à biblioteca
# `tokenizers`, em Rust), os caracteres dos bytes em [kgpt/text/byte_symbols.py](../../kgpt/text/byte_symbols.py), e o tokenizador inteiro em
# [kgpt/text/tokenizer.py](../../kgpt/text/tokenizer.py). No terminal: `kgpt prepare seu.txt --vocab-size 8192` treina um no seu texto, e
# `kgpt tokenize` mostra o que ele faz com uma frase.

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# Training is in [kgpt/text/tokenizer_training.py](../../kgpt/text/tokenizer_training.py) (which counts fast and leaves the merges to the library
# `tokenizers`, in Rust), the bytes' characters in [kgpt/text/byte_symbols.py](../../kgpt/text/byte_symbols.py), and the whole tokenizer in
# [kgpt/text/tokenizer.py](../../kgpt/text/tokenizer.py). In a terminal, `kgpt prepare your.txt --vocab-size 8192` trains one on your text, and
# `kgpt tokenize` shows what it does with a sentence.

# %% [markdown] lang="pt"
# ## O que vem depois
#
# O texto agora é uma fila de números, e nada se perde. Hora de construir quem os lê. Começamos pelo menor cérebro possível, de um neurônio só: o
# perceptron, na [aula 5](lesson:5).

# %% [markdown] lang="en"
# ## What comes next
#
# Text is now a row of numbers, and nothing is lost. Time to build what reads them. We begin with the smallest brain there is, a single neuron:
# the perceptron, in [lesson 5](lesson:5).
