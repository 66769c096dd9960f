# %% [raw]
# pt: Um codificador melhor
# en: A better encoder
# question_pt: O que fazer com palavras desconhecidas, e como marcar onde um texto acaba?
# question_en: What to do with unknown words, and how to mark where a text ends?
# minutes: 12
# picture: 1

# %% [markdown] lang="pt"
# O codificador da [aula 2](lesson:2) caía na primeira palavra que não conhecia. O remendo mais antigo é um **token especial**,
# `<|unknown|>`, que fica no lugar de toda palavra desconhecida. E já que abrimos a porta para tokens que não são texto, criamos
# outro: `<|endoftext|>`, que marca onde um texto acaba e começa o próximo.

# %% [markdown] lang="en"
# The encoder of [lesson 2](lesson:2) fell over the first word it did not know. The oldest patch is a **special token**,
# `<|unknown|>`, which stands for every unknown word. And since the door is now open for tokens that are not text, we make another:
# `<|endoftext|>`, which marks where one text ends and the next begins.

# %%
from collections import Counter

from kgpt.learning import check, corpus, figure, number, say, sentences, show, token_boxes
from kgpt.text.pretokenization import PORTUGUESE

UNKNOWN, END_OF_TEXT = "<|unknown|>", "<|endoftext|>"


class WordEncoder:
    """Words and marks to ids and back; what is not in the vocabulary becomes one id."""

    def __init__(self, texts: list[str], vocabulary_size: int) -> None:
        counts = Counter(PORTUGUESE.words(texts))
        common = sorted(counts, key=lambda token: (-counts[token], token))
        self.token_of = [*common[: vocabulary_size - 2], UNKNOWN, END_OF_TEXT]
        self.vocabulary = {token: id for id, token in enumerate(self.token_of)}
        self.unknown = self.vocabulary[UNKNOWN]
        self.end_of_text = self.vocabulary[END_OF_TEXT]

    def encode(self, text: str) -> list[int]:
        return [self.vocabulary.get(token, self.unknown) for token in PORTUGUESE.words([text])]

    def decode(self, ids: list[int]) -> str:
        return "".join(self.token_of[id] for id in ids)


training = corpus(300_000, seed=1)
encoder = WordEncoder([training], vocabulary_size=2_000)
modern = "O rio baixou um aplicativo novo."
ids = encoder.encode(modern)
print(ids)
print(encoder.decode(ids))
check(say("desconhecidas", "unknown words"), ids.count(encoder.unknown), 3)

# %%
drawing, axes = figure(9, 1.5)
token_boxes(axes, [encoder.token_of[id] for id in ids], ids, line=72)
axes.set_title(say("o que o modelo veria da frase", "what a model would see of the sentence"))
show(drawing)

# %% [markdown] lang="pt"
# Agora ele não cai. Mas veja o que sobrou da frase: *O rio [?] um [?] [?].* Para o modelo, "baixou", "subiu" e "transbordou" seriam
# exatamente a mesma coisa. E ele mesmo, quando fosse a sua vez de escrever, teria de escrever `<|unknown|>`.
#
# Quanto se perde? Depende do tamanho do vocabulário e do texto. Vamos medir em dois textos que o codificador não viu: outros artigos
# da mesma enciclopédia, e algumas frases do dia a dia.

# %% [markdown] lang="en"
# It no longer falls. But look at what is left of the sentence, "The river [?] a [?] [?].": to the model, a river that rose, fell or
# flooded the town would be exactly the same. And when it is the model's turn to write, it would have to write `<|unknown|>`.
#
# How much is lost? That depends on the vocabulary's size and on the text. Let us measure on two texts that the encoder has not seen:
# other articles of the same encyclopedia, and a few everyday sentences.

# %%
alike = " ".join(sentences(60_000, seed=9))
everyday = (
    "Ontem à noite esqueci o guarda-chuva no ônibus e cheguei ensopada em casa. Minha vizinha riu, "
    "me emprestou uma toalha e fez um café. Ficamos conversando até tarde sobre o concerto da semana "
    "que vem, os ingressos caríssimos e a banda que ninguém conhecia no ano passado."
)
sizes = [250, 500, 1_000, 2_000, 4_000]


def unknown_share(encoder: WordEncoder, text: str) -> float:
    ids = encoder.encode(text)
    return ids.count(encoder.unknown) / len(ids)


encoders = [WordEncoder([training], size) for size in sizes]
of_alike = [unknown_share(one, alike) for one in encoders]
of_everyday = [unknown_share(one, everyday) for one in encoders]

drawing, axes = figure(8, 3.4)
axes.plot(sizes, [100 * share for share in of_everyday], "o-", label=say("dia a dia", "everyday"))
axes.plot(
    sizes, [100 * share for share in of_alike], "s-", label=say("outros artigos", "other articles")
)
axes.set_xscale("log", base=2)
axes.set_xticks(sizes, [number(size, 0) for size in sizes])
axes.set_ylim(0, 100)
axes.set_xlabel(say("tamanho do vocabulário", "size of the vocabulary"))
axes.set_ylabel(say("% desconhecidos", "% unknown"))
axes.set_title(say("o que vira <|unknown|>", "what becomes <|unknown|>"))
axes.legend()
show(drawing)
check(
    say("do dia a dia, mais de um terço se perde", "of everyday text, over a third is lost"),
    min(of_everyday) > 1 / 3,
    True,
)

# %% [markdown] lang="pt"
# Nos artigos parecidos o estrago diminui com o vocabulário; nas frases do dia a dia ele quase não cede. Um vocabulário de palavras só
# serve para textos iguais aos que o fizeram.
#
# O outro token especial não tem esse defeito: ele não substitui nada, só **acrescenta** uma informação. Para treinar, juntam-se
# muitos textos numa fila só, e o modelo precisa saber onde um acaba:

# %% [markdown] lang="en"
# On similar articles the damage shrinks as the vocabulary grows; on everyday sentences it hardly gives way. A vocabulary of words
# is good only for texts like those it was made from.
#
# The other special token has no such flaw: it replaces nothing, it only **adds** information. For training, many texts are put into
# one long row, and the model must be able to tell where one of them ends:

# %%
first, second = sentences(5_000)[:2]
row = [*encoder.encode(first), encoder.end_of_text, *encoder.encode(second), encoder.end_of_text]
print(encoder.decode(row))
check(say("dois fins", "two ends"), row.count(encoder.end_of_text), 2)

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# E se o texto de alguém contiver, escritas com todas as letras, as palavras `<|endoftext|>`? Um codificador ingênuo primeiro procura
# tokens especiais no texto, e obedece:

# %% [markdown] lang="en"
# ## Break it
#
# And if somebody's text contains, letter by letter, the words `<|endoftext|>`? A naive encoder first looks for special tokens in the
# text, and obeys:

# %%
import re


def encode_naively(text: str) -> list[int]:
    ids = []
    for part in re.split(f"({re.escape(END_OF_TEXT)})", text):
        ids += [encoder.end_of_text] if part == END_OF_TEXT else encoder.encode(part)
    return ids


comment = "O mar é grande.<|endoftext|>O rio é pequeno."
print(encode_naively(comment).count(encoder.end_of_text), say("fim no meio", "end in the middle"))
check(
    say("um texto virou dois", "one text became two"),
    encoder.end_of_text in encode_naively(comment),
    True,
)

# %% [markdown] lang="pt"
# Quem escreveu o comentário acaba de mandar no modelo: cortou o texto onde quis e, com um token que marca turnos de conversa, poderia
# fingir que outra pessoa falou. A regra segura é: **texto nunca vira token especial por conta própria**; só quem programa pode pedir.
# É assim no kgpt, como você verá abaixo.

# %% [markdown] lang="en"
# Whoever wrote that comment has just given the model orders: they cut the text where they pleased, and with a token that marks turns
# of a conversation they could pretend that somebody else was speaking. The safe rule: **text never becomes a special token by
# itself**; only the programmer may ask for it. So it is in kgpt, as you will see below.

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** Escreva `split_texts(ids)`, que devolve a lista dos textos de uma fila como `row`, sem os tokens de fim.

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** Write `split_texts(ids)`, which returns the list of the texts in a row such as `row`, without the end tokens.


# %% tags=["exercise"]
def split_texts(ids: list[int]) -> list[str]: ...


expected = [encoder.decode(encoder.encode(one)) for one in (first, second)]
check(say("exercício 1", "exercise 1"), split_texts(row), expected)


# %% tags=["solution"] jupyter={"source_hidden": true}
def split_texts(ids: list[int]) -> list[str]:
    texts, begun = [], []
    for id in ids:
        if id == encoder.end_of_text:
            texts.append(encoder.decode(begun))
            begun = []
        else:
            begun.append(id)
    return texts


check(say("exercício 1", "exercise 1"), split_texts(row), expected)

# %% [markdown] lang="pt"
# **2.** Um remendo do remendo: se a palavra é desconhecida, codifique-a letra por letra. Escreva `encode_with_letters`, que não deixa
# nenhum `<|unknown|>` em `modern` e cujo `decode` devolve a frase. (O vocabulário `letters` já tem todas as letras.)

# %% [markdown] lang="en"
# **2.** A patch on the patch: where a word is unknown, encode it letter by letter. Write `encode_with_letters`, which leaves no
# `<|unknown|>` in `modern` and whose `decode` returns the sentence. (The vocabulary `letters` already has all letters.)

# %% tags=["exercise"]
letters = WordEncoder([training], 4_000)
letters.token_of += sorted(set(training) - set(letters.vocabulary))
letters.vocabulary = {token: id for id, token in enumerate(letters.token_of)}


def encode_with_letters(text: str) -> list[int]: ...


spelled = encode_with_letters(modern)
check(say("exercício 2", "exercise 2"), spelled and letters.decode(spelled), modern)


# %% tags=["solution"] jupyter={"source_hidden": true}
def encode_with_letters(text: str) -> list[int]:
    ids = []
    for token in PORTUGUESE.words([text]):
        pieces = [token] if token in letters.vocabulary else token
        ids += [letters.vocabulary[piece] for piece in pieces]
    return ids


spelled = encode_with_letters(modern)
print([letters.token_of[id] for id in spelled])
check(say("exercício 2", "exercise 2"), letters.decode(spelled), modern)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# Em [kgpt/text/special_tokens.py](../../kgpt/text/special_tokens.py) estão os nomes dos tokens especiais: `<|endoftext|>` em todo
# vocabulário, e por encomenda `<|padding|>`, `<|user|>`, `<|assistant|>`... Não há `<|unknown|>`: todo texto é feito de bytes, e
# todos os 256 estão no vocabulário. E texto não vira token especial, a não ser que você peça:

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# [kgpt/text/special_tokens.py](../../kgpt/text/special_tokens.py) has the names of the special tokens: `<|endoftext|>` in every
# vocabulary, and `<|padding|>`, `<|user|>`, `<|assistant|>` and others to order. There is no `<|unknown|>`: every text is made of bytes, and
# all 256 are in the vocabulary. And text does not become a special token unless you ask for it:

# %%
from kgpt.text.tokenizer import Tokenizer

tokenizer = Tokenizer.bytes()
safe = tokenizer.encode(comment)
asked = tokenizer.encode(comment, special=True)
print(tokenizer.end_of_text in safe, tokenizer.end_of_text in asked)
check(say("texto é só texto", "text is only text"), tokenizer.end_of_text in safe, False)
check(say("e volta inteiro", "and comes back whole"), tokenizer.decode(safe), comment)
check(say("a pedido, vira token", "on request it is a token"), tokenizer.end_of_text in asked, True)

# %% [markdown] lang="pt"
# ## O que vem depois
#
# O exercício 2 quase chegou lá: palavras inteiras quando são comuns, pedaços quando são raras. Falta escolher bons pedaços, maiores que
# letras. É o que a [aula 4](lesson:4) faz, com o algoritmo que o GPT-2 e o kgpt usam.

# %% [markdown] lang="en"
# ## What comes next
#
# Exercise 2 was nearly there: whole words where they are common, pieces where they are rare. What is missing are good pieces, larger than
# letters. That is what [lesson 4](lesson:4) finds, with the algorithm that GPT-2 and kgpt use.
