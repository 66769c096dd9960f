# %% [raw]
# pt: Para onde a atenção olha
# en: What attention looks at
# question_pt: "A cachorra correu atrás da bola, mas ela era muito rápida": de qual palavra *ela* se alimenta?
# question_en: "A cachorra correu atrás da bola, mas ela era muito rápida": which word does *ela* draw on?
# minutes: 20
# picture: 1

# %% [markdown] lang="pt"
# Quem era muito rápida, a cachorra ou a bola? Você respondeu sem pensar: depois de *mas*, a que fugiu. As duas
# são femininas, então a gramática não decide. Circulam na internet muitos desenhos em que um modelo "resolve"
# frases assim: uma linha grossa liga *ela* à palavra certa, e pronto, a máquina entendeu. Nesta aula você
# treina um modelo que comprovadamente sabe a resposta, olha a atenção dele camada por camada, e põe ao lado
# dois fiscais: a **ablação** (tirar a palavra e ver o que muda) e o **acaso**.

# %% [markdown] lang="en"
# "The dog ran after the ball, but *ela* was very fast." Both nouns are feminine in Portuguese, so *ela* (she,
# it) could be either; after *mas* (but) one takes it to be the one that got away. Many pictures go around in
# which a model "resolves" such sentences: a thick line joins *ela* to the right word, and there, the machine
# has understood. In this lesson you train a model that demonstrably knows the answer, look at its attention
# layer by layer, and put two inspectors beside it: **ablation** (take the word out and see what changes) and
# **chance**.

# %%
import itertools
import random

import keras
import numpy as np

from kgpt.config import ModelConfig
from kgpt.evaluation.antecedents import CHANCE, Sentence, agreement
from kgpt.inference.ablation import ablate, next_token_probabilities
from kgpt.inference.attention_reading import by_word, rolled_out
from kgpt.inference.words import text_of, words_of
from kgpt.learning import check, check_below, colour, figure, heatmap, number, say, show
from kgpt.model.gpt import build_gpt
from kgpt.text.tokenizer import Tokenizer

# %% [markdown] lang="pt"
# ## Uma língua pequena, com gabarito
#
# Para saber se a atenção acerta é preciso saber a resposta certa. Fazemos frases de dois substantivos com uma
# regra: depois de *mas*, o pronome é o segundo; depois de *porque*, o primeiro. E cada substantivo faz uma
# coisa só sua (a bola quica, a gata mia), de modo que, para escrever a palavra depois do pronome, o modelo
# **precisa** saber de quem se fala. Quinze pares de substantivos, e o da nossa frase, ficam fora do treino.

# %% [markdown] lang="en"
# ## A small language, with the answers
#
# To know whether attention is right one has to know the right answer. We make sentences of two nouns with a
# rule: after *mas* (but), the pronoun is the second; after *porque* (because), the first. And each noun does a
# thing of its own (the ball bounces, the cat miaows), so that to write the word after the pronoun the model
# **has to** know who is meant. Fifteen pairs of nouns, and that of our sentence, are kept out of training.

# %%
NOUNS = {  # what each does, and how it is
    "cachorra": ("latiu", "brava"),
    "gata": ("miou", "esperta"),
    "menina": ("riu", "pequena"),
    "galinha": ("cacarejou", "gorda"),
    "bola": ("quicou", "rápida"),
    "pipa": ("subiu", "colorida"),
    "cachorro": ("latiu", "bravo"),
    "gato": ("miou", "esperto"),
    "menino": ("riu", "pequeno"),
    "pato": ("grasnou", "molhado"),
    "carrinho": ("bateu", "veloz"),
    "balão": ("estourou", "leve"),
}
THINGS = ("bola", "pipa", "carrinho", "balão")
VERBS = ("correu atrás", "fugiu", "correu para perto")
PLACES = ("", " no parque", " de manhã", " outra vez")
LINKS = {", mas": 1, ", porque": 0}  # which of the two the pronoun is


def is_feminine(noun):
    return noun.endswith("a")


def sentence(first, second, verb, place, link):
    nouns, antecedent = (first, second), LINKS[link]
    pronouns = (" ela", " ele") if is_feminine(nouns[antecedent]) else (" ele", " ela")
    before = f"{'A' if is_feminine(first) else 'O'} {first} {verb} {'da' if is_feminine(second) else 'do'} {second}"
    return Sentence("pt", before + place + link, *pronouns, nouns, antecedent)


everything = [
    sentence(first, second, *rest)
    for first, second in itertools.product(NOUNS, NOUNS)
    for rest in itertools.product(VERBS, PLACES, LINKS)
    if first not in THINGS and NOUNS[first][0] != NOUNS[second][0]
]
pairs = sorted({each.nouns for each in everything} - {("cachorra", "bola")})
alike = [pair for pair in pairs if is_feminine(pair[0]) == is_feminine(pair[1])]
unlike = [pair for pair in pairs if pair not in alike]
draw = random.Random(22)
held_out = {("cachorra", "bola"), *draw.sample(alike, 7), *draw.sample(unlike, 8)}
train = [each for each in everything if each.nouns not in held_out]
test = [each for each in everything if each.nouns in held_out]


def endings(each):
    """The two ways in which a sentence goes on after its pronoun."""
    verb, adjective = NOUNS[each.nouns[each.antecedent]]
    return f" {verb}.", f" era muito {adjective}."


texts = [each.text + ending for each in train for ending in endings(each)]
print(len(texts), say("frases, como:", "sentences, such as:"))
print(*texts[1000:1004], sep="\n")

# %% [markdown] lang="pt"
# ## Treinar o modelo
#
# Um tokenizador do kgpt, em que cada palavra destas vira um token, e um GPT-2 minúsculo: 2 camadas de 4
# cabeças, 64 canais. Os fins das linhas são enchimento e não contam na perda.

# %% [markdown] lang="en"
# ## Train the model
#
# A tokenizer of kgpt's, in which each of these words becomes a token, and a tiny GPT-2: 2 layers of 4 heads, 64
# channels. The ends of rows are filling and do not count in the loss.

# %%
tokenizer = Tokenizer.train(texts, 420)
rows = tokenizer.encode_batch(texts)
length = max(map(len, rows))
ids_NT = np.array(
    [row + [tokenizer.end_of_text] * (length - len(row)) for row in rows], dtype="int32"
)
counts_NT = np.arange(length) < np.array([len(row) for row in rows])[:, None]

config = ModelConfig(
    vocabulary_size=tokenizer.vocabulary_size,
    context_length=32,
    num_layers=2,
    num_heads=4,
    width=64,
)
epochs, steps = 12, -(-len(rows) // 64)
model = build_gpt(config, seed=22)
model.compile(
    keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.005, epochs * steps)),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    weighted_metrics=[],
    jit_compile=True,
)
losses = model.fit(
    ids_NT[:, :-1],
    ids_NT[:, 1:],
    sample_weight=counts_NT[:, 1:].astype("float32"),
    batch_size=64,
    epochs=epochs,
    verbose=0,
).history["loss"]
print(say("perda:", "loss:"), " → ".join(number(loss) for loss in losses))

# %% [markdown] lang="pt"
# ## Ele sabe?
#
# Antes de perguntar *como*, pergunte *se*. Em 384 frases com pares nunca vistos juntos: depois do pronome, o
# modelo acha mais provável o que faz o antecedente ou o que faz o outro? Quem chuta acerta metade.

# %% [markdown] lang="en"
# ## Does it know?
#
# Before you ask *how*, ask *whether*. In 384 sentences with pairs never seen together: after the pronoun, does
# the model find more probable what the antecedent does, or what the other does? Who guesses is right half of
# the time.


# %%
class Reading:
    """Sentences read by a model up to their pronoun: probabilities, attention, ablation, all at once."""

    def __init__(self, model, sentences, after=""):
        self.model, self.sentences = model, sentences
        self.rows = [tokenizer.encode(each.text + after) for each in sentences]
        self.spans = [
            self.spans_of(row, each.nouns) for row, each in zip(self.rows, sentences, strict=True)
        ]
        which = 1 if after else 0
        self.next_B2 = np.array(
            [
                [tokenizer.encode(f" {NOUNS[noun][which]}")[0] for noun in each.nouns]
                for each in sentences
            ]
        )
        length = max(map(len, self.rows))
        ids_BT = np.array([row + [0] * (length - len(row)) for row in self.rows], dtype="int32")
        self.layers = [np.asarray(weights, dtype="float64") for weights in model.attentions(ids_BT)]

    def spans_of(self, row, nouns):
        contents = [tokenizer.token_bytes(token) for token in row]
        by_text = {text_of(contents, span): span for span in words_of(contents)}
        return [by_text[noun] for noun in nouns]

    def draws(self, matrices_BTT):
        """What the last token takes from the two nouns, for `agreement`."""
        pairs = [
            by_word(matrix_TT[len(row) - 1], spans)
            for matrix_TT, row, spans in zip(matrices_BTT, self.rows, self.spans, strict=True)
        ]
        return self.scored(pairs)

    def scored(self, pairs):
        by_sentence = dict(zip(self.sentences, map(tuple, pairs), strict=True))
        return lambda each: by_sentence[each]

    def prefers(self):
        """How probable is what each of the two nouns does."""
        chances_BV = next_token_probabilities(self.model, self.rows)
        return self.scored(np.take_along_axis(chances_BV, self.next_B2, axis=1))

    def ablation(self):
        """How much less probable the right word is without each noun, as a share of what it was."""
        right_B1 = self.next_B2[
            np.arange(len(self.rows)), [each.antecedent for each in self.sentences]
        ][:, None]

        def probability(rows):
            return np.take_along_axis(next_token_probabilities(self.model, rows), right_B1, axis=1)[
                :, 0
            ]

        whole_B = probability(self.rows)
        without = [
            probability([row[:a] + row[b:] for row, (a, b) in zip(self.rows, spans, strict=True)])
            for spans in zip(*self.spans, strict=True)
        ]
        return self.scored(np.stack([1 - each_B / whole_B for each_B in without], axis=1))


reading = Reading(model, test)
knows = agreement(test, reading.prefers())
print(len(test), say("frases, certas:", "sentences, right:"), f"{number(100 * knows.share, 1)}%")
check_below(say("frases erradas", "sentences wrong"), 1 - knows.share, 0.1)

# %% [markdown] lang="pt"
# Ele sabe. (Sem essa conta, tudo o que vem abaixo seria leitura de borra de café.)
#
# ## De que *ela* se alimenta, camada por camada
#
# A nossa frase, e ao lado a mesma com *porque*, em que *ela* é a cachorra. Em cada retrato: as duas camadas
# (média das cabeças); o *rollout*, que multiplica as camadas e diz de que **entrada** veio o que está no fim; e
# a ablação: quanto a palavra certa fica menos provável quando se tira cada palavra.

# %% [markdown] lang="en"
# It knows. (Without this count, all that comes below would be reading tea leaves.)
#
# ## What *ela* draws on, layer by layer
#
# Our sentence, and beside it the same one with *porque*, in which *ela* is the dog. In each picture: the two
# layers (mean of the heads); the *rollout*, which multiplies the layers and says from which **input** came what
# is at the end; and the ablation: how much less probable the right word becomes when each word is taken out.

# %%
picture, panels = figure(11, 4.4, columns=2)
row_names = [
    say("camada 1", "layer 1"),
    say("camada 2", "layer 2"),
    "rollout",
    say("ablação", "ablation"),
]
for axes, link in zip(panels, LINKS, strict=True):
    ours = sentence("cachorra", "bola", "correu atrás", "", link)
    row = tokenizer.encode(ours.text)
    contents = [tokenizer.token_bytes(token) for token in row]
    words = words_of(contents)
    layers = [
        np.asarray(each[0], dtype="float64").mean(axis=0)
        for each in model.attentions(np.array([row]))
    ]
    right = tokenizer.encode(f" {NOUNS[ours.nouns[ours.antecedent]][0]}")[0]
    without = ablate(model, row, words, tokenizer.end_of_text, right)
    values = [by_word(layer_TT[-1], words) for layer_TT in (*layers, rolled_out(layers))]
    values.append(np.maximum(0, 1 - np.array(without.without) / without.probability))
    labels = [text_of(contents, span) for span in words]
    heatmap(axes, values, row_names if axes is panels[0] else [""] * 4, labels, digits=2, largest=1)
    axes.axhline(2.5, color="white", linewidth=5)
    place = labels.index(ours.nouns[ours.antecedent])
    axes.get_xticklabels()[place].set(color=colour(5), fontweight="bold")
    axes.set(title=ours.text + "…")
show(picture)

# %% [markdown] lang="pt"
# O antecedente está em laranja. Na linha da ablação, dos dois substantivos só ele importa: tire o outro, e nada
# muda. A atenção conta outra história: a camada 1 olha mais para *bola* nas **duas** frases, também quando
# *ela* é a cachorra, e a camada 2 se espalha por palavrinhas como *atrás* e *porque*. Não é distração. Ao ler
# *mas* ou *porque* o modelo já tinha de adivinhar o pronome, e pode ter deixado ali o que achou: depois da
# primeira camada, o vetor numa posição já não é só "a palavra" daquela posição.
#
# A ablação também pede cuidado. Sem *ela* a frase acaba antes da hora, e sem o primeiro *A* ela começa como o
# modelo nunca viu: a queda aí não diz que *A* seja o antecedente. Por isso comparamos só os dois substantivos
# entre si.

# %% [markdown] lang="en"
# The antecedent is in orange. In the row of the ablation, of the two nouns it alone matters: take the other one
# out, and nothing changes. Attention tells another story: layer 1 looks at *bola* more in **both** sentences,
# also when *ela* is the dog, and layer 2 spreads over small words such as *atrás* and *porque*. It is no
# distraction. When it read *mas* or *porque* the model had to guess the pronoun already, and may have left
# there what it found: after the first layer, the vector at a position is no longer just "the word" of that
# position.
#
# Ablation needs care too. Without *ela* the sentence ends too early, and without the first *A* it begins as the
# model has never seen: the drop there does not say that *A* is the antecedent. This is why we compare only the
# two nouns with each other.

# %% [markdown] lang="pt"
# ## Uma frase não prova nada
#
# Agora as 384, e o acaso ao lado. Em cada frase, cada medida escolhe um dos dois substantivos; a barra diz onde
# a taxa de acerto está em 19 de 20 casos. Separamos as frases em que o **gênero** já decide (*a gata* e *o
# pato*) daquelas em que não (*a cachorra* e *a bola*).

# %% [markdown] lang="en"
# ## One sentence proves nothing
#
# Now all 384, with chance beside them. In each sentence each measure chooses one of the two nouns; the bar says
# where the rate of right choices lies in 19 of 20 cases. We part the sentences in which **gender** decides
# already (*a gata* and *o pato*) from those in which it does not (*a cachorra* and *a bola*).

# %%
by_layer = [each.mean(axis=1) for each in reading.layers]
rollout = [rolled_out(matrices) for matrices in zip(*by_layer, strict=True)]
measures = {
    say("substantivo mais perto", "nearest noun"): lambda each: (0.0, 1.0),
    say("atenção, camada 1", "attention, layer 1"): reading.draws(by_layer[0]),
    say("atenção, camada 2", "attention, layer 2"): reading.draws(by_layer[1]),
    say("atenção, rollout", "attention, rollout"): reading.draws(rollout),
    say("ablação", "ablation"): reading.ablation(),
    say("o próprio modelo", "the model itself"): reading.prefers(),
}
alike = [each for each in test if is_feminine(each.nouns[0]) == is_feminine(each.nouns[1])]
unlike = [each for each in test if each not in alike]
found = {}
picture, axes = figure(9.5, 4.0)
for index, (asked, name) in enumerate(
    (
        (unlike, say("o gênero decide", "gender decides")),
        (alike, say("o gênero não decide", "gender does not decide")),
    )
):
    found[index] = [agreement(asked, score) for score in measures.values()]
    shares = np.array([each.share for each in found[index]])
    limits = np.array([each.interval for each in found[index]]).T
    places = np.arange(len(measures)) + 0.24 * (index - 0.5)
    errors = np.maximum(0, [shares - limits[0], limits[1] - shares])
    axes.errorbar(
        shares,
        places,
        xerr=errors,
        fmt="os"[index],
        color=colour((2, 5)[index]),
        capsize=3,
        label=name,
    )
axes.axvline(CHANCE, color="#222222", linestyle="--", linewidth=1.3)
axes.text(CHANCE, -0.62, say(" acaso", " chance"))
axes.set_yticks(range(len(measures)), list(measures))
axes.invert_yaxis()
axes.set(
    xlim=(0.2, 1.02), ylim=(5.5, -1.0), xlabel=say("acha o antecedente", "finds the antecedent")
)
axes.set_title(
    say("O que encontra o antecedente de um pronome", "What finds the antecedent of a pronoun")
)
axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
show(picture)
for name, gender, none in zip(measures, *found.values(), strict=True):
    print(f"{name:>24}", *(f"{number(100 * each.share, 1):>7}%" for each in (gender, none)))
check_below(
    say("ablação, erros", "ablation, mistakes"), 1 - agreement(test, reading.ablation()).share, 0.1
)
for head in range(4):
    share = agreement(alike, reading.draws(reading.layers[0][:, head])).share
    check(
        say(f"camada 1, cabeça {head + 1}: metade", f"layer 1, head {head + 1}: half"), share, 0.5
    )

# %% [markdown] lang="pt"
# A camada 1 acha o antecedente quando basta concordar em gênero, e chuta quando não basta: cada cabeça dela
# acerta **exatamente** a metade, e nem poderia ser diferente. Ela compara *ela* com cada substantivo sem ter
# lido o *mas* ou o *porque*, que ainda são outros vetores; com um ou com outro, prefere o mesmo. (Na média das
# cabeças sobram uns pontos, porque *mas* e *porque* tiram atenção de cabeças diferentes.) A camada 2 poderia
# usar o que a primeira juntou, mas como apontador de antecedentes fica até abaixo do acaso. E o modelo acerta
# tudo, e a ablação também.
#
# Num modelo deste tamanho treinado em prosa de verdade é pior: nenhuma leitura da atenção saiu do acaso, e a
# ablação só num de dois modelos ([medidas do kgpt](../../benchmarks/RESULTS.md)). Um desenho de atenção mostra
# **por onde passa** informação, não de que palavra ela é.

# %% [markdown] lang="en"
# Layer 1 finds the antecedent when it is enough to agree in gender, and guesses when it is not: each of its
# heads is right **exactly** half of the time, and it could not be otherwise. It compares *ela* with each noun
# without having read the *mas* or the *porque*, which are still other vectors; with either of them, it prefers
# the same noun. (In the mean of the heads a few points are left, because *mas* and *porque* take attention away
# from different heads.) Layer 2 could use what the first has gathered, but as a pointer to antecedents it even
# stays below chance. And the model is right every time, and so is ablation.
#
# In a model of this size that was trained on real prose it is worse: no reading of attention got away from
# chance, and ablation in one of two models only ([kgpt's measurements](../../benchmarks/RESULTS.md)). A picture
# of attention shows **which way** information goes, not which word it is of.

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# **A cabeça mágica.** É fácil se enganar. Pegue cinco modelos **sem treino nenhum**, escolha entre suas
# quarenta cabeças a que mais acerta em doze frases, e conte só o resultado dela. Depois meça a mesma cabeça nas
# outras frases:

# %% [markdown] lang="en"
# ## Break it
#
# **The magic head.** It is easy to fool oneself. Take five models **without any training**, choose among their
# forty heads the one that is right most often in twelve sentences, and report that one alone. Then measure the
# same head on the other sentences:

# %%
untrained = [Reading(build_gpt(config, seed=seed), test) for seed in range(5)]
chosen = random.Random(3).sample(test, 12)
others = [each for each in test if each not in chosen]
heads = {
    (place + 1, layer + 1, head + 1): without_training.draws(
        without_training.layers[layer][:, head]
    )
    for place, without_training in enumerate(untrained)
    for layer, head in itertools.product(range(2), range(4))
}
best = max(heads, key=lambda place: agreement(chosen, heads[place]).share)
on_chosen, on_others = agreement(chosen, heads[best]), agreement(others, heads[best])
print(say("melhor de 40 (modelo, camada, cabeça):", "best of 40 (model, layer, head):"), best)
print(
    f"{on_chosen.share:.0%}",
    say("nas doze em que foi escolhida", "on the twelve by which it was chosen"),
)
print(f"{on_others.share:.0%}", say("nas outras", "on the others"))
check(say("a mágica some", "the magic is gone"), bool(on_others.share < on_chosen.share), True)
check_below(say("distância do acaso", "distance from chance"), abs(on_others.share - CHANCE), 0.15)

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** Uma medida sem modelo nenhum: escolher sempre o substantivo mais próximo do pronome. Que taxa de acerto
# ela tem nas frases de `test`? Responda sem programa, olhando como as frases foram feitas.

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** A measure without any model: always choose the noun nearest to the pronoun. How often is it right in
# the sentences of `test`? Answer without a program, by looking at how the sentences were made.

# %% tags=["exercise"]
share = ...

check(
    say("1: o mais próximo", "1: the nearest"),
    share,
    agreement(test, lambda each: (0.0, 1.0)).share,
)

# %% tags=["solution"] jupyter={"source_hidden": true}
share = 0.5  # each sentence is there with `mas` and with `porque`

check(
    say("1: o mais próximo", "1: the nearest"),
    share,
    agreement(test, lambda each: (0.0, 1.0)).share,
)

# %% [markdown] lang="pt"
# **2.** Faça uma ablação à mão: tire o token *bola* de "A cachorra correu atrás da bola, mas ela" e pergunte ao
# modelo, com `next_token_probabilities`, que chance ainda tem *quicou*.

# %% [markdown] lang="en"
# **2.** Do an ablation by hand: take the token *bola* out of "A cachorra correu atrás da bola, mas ela" and ask
# the model, with `next_token_probabilities`, what chance *quicou* (bounced) still has.

# %% tags=["exercise"]
ours = sentence("cachorra", "bola", "correu atrás", "", ", mas")
row = tokenizer.encode(ours.text)
chance = ...

words = words_of([tokenizer.token_bytes(token) for token in row])
bounced = tokenizer.encode(" quicou")[0]
expected = ablate(model, row, words, tokenizer.end_of_text, bounced).without[5]
check(say("2: sem a bola", "2: without the ball"), chance, expected, tolerance=1e-4)

# %% tags=["solution"] jupyter={"source_hidden": true}
ball = tokenizer.encode(" bola")[0]
without_ball = [token for token in row if token != ball]
chance = next_token_probabilities(model, [without_ball])[0][bounced]
before = next_token_probabilities(model, [row])[0][bounced]
print(f"{number(100 * before, 1)}% → {number(100 * chance, 1)}%")

check(say("2: sem a bola", "2: without the ball"), chance, expected, tolerance=1e-4)

# %% [markdown] lang="pt"
# **3.** E depois de "… ela era muito", onde o modelo tem de escrever o adjetivo: em que camada (1 ou 2) a
# atenção acha mais o antecedente? `Reading(model, test, " era muito")` lê as frases até ali.

# %% [markdown] lang="en"
# **3.** And after "… ela era muito", where the model has to write the adjective: in which layer (1 or 2) does
# attention find the antecedent more often? `Reading(model, test, " era muito")` reads the sentences up to
# there.

# %% tags=["exercise"]
layer = ...

later = Reading(model, test, " era muito")
rates = [agreement(test, later.draws(each.mean(axis=1))).share for each in later.layers]
check(say("3: a camada", "3: the layer"), layer, int(np.argmax(rates)) + 1)

# %% tags=["solution"] jupyter={"source_hidden": true}
print([f"{rate:.0%}" for rate in rates])
layer = 1 + max(
    range(2),
    key=lambda place: agreement(test, later.draws(later.layers[place].mean(axis=1))).share,
)

check(say("3: a camada", "3: the layer"), layer, int(np.argmax(rates)) + 1)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# [kgpt/inference/attention_reading.py](../../kgpt/inference/attention_reading.py) lê a atenção e faz o rollout,
# [kgpt/inference/ablation.py](../../kgpt/inference/ablation.py) tira as palavras,
# [kgpt/evaluation/antecedents.py](../../kgpt/evaluation/antecedents.py) tem frases de verdade e os intervalos.
# Em `kgpt-workbench`, a tela **Attention** mostra tudo isto de qualquer modelo seu: as setas andam pelos tokens
# e camadas, `a` faz a ablação. E `python -m benchmarks.attention RUN` mede um modelo como fizemos aqui.

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# [kgpt/inference/attention_reading.py](../../kgpt/inference/attention_reading.py) reads attention and rolls it
# out, [kgpt/inference/ablation.py](../../kgpt/inference/ablation.py) takes words out,
# [kgpt/evaluation/antecedents.py](../../kgpt/evaluation/antecedents.py) has real sentences and the intervals.
# In `kgpt-workbench` the **Attention** screen shows all this of any model of yours: the arrows walk tokens and
# layers, `a` does the ablation. And `python -m benchmarks.attention RUN` measures a model as we did here.

# %% [markdown] lang="pt"
# ## O que vem depois
#
# Você olhou por dentro de um modelo pequeno. Quanto custaria um grande, e cabe na sua placa? É a [aula
# 23](lesson:23).

# %% [markdown] lang="en"
# ## What comes next
#
# You have looked inside a small model. What would a large one cost, and does it fit your card? That is [lesson
# 23](lesson:23).
