# %% [raw]
# pt: Quanta memória, quanto tempo
# en: How much memory, how much time
# question_pt: O que dá para treinar com 8, 12 ou 24 GB?
# question_en: What can be trained with 8, 12 or 24 GB?
# minutes: 15
# picture: 1

# %% [markdown] lang="pt"
# Um treino que morre por falta de memória depois de meia hora é o pior dos professores. Quase tudo se sabe
# antes, com lápis e papel: quantos números o treino guarda, quantas contas faz. Nesta aula você faz a conta à
# mão, confere com a do kgpt e a usa para escolher um modelo que caiba na placa que você tem. Nada é treinado, e
# nem o Keras é carregado.

# %% [markdown] lang="en"
# A training run that dies for lack of memory after half an hour is the worst of teachers. Nearly everything can
# be known beforehand, with pencil and paper: how many numbers training keeps, how many operations it does. In
# this lesson you do the sum by hand, check it against kgpt's, and use it to choose a model that fits the card
# you have. Nothing is trained, and not even Keras is loaded.

# %%
import dataclasses

import numpy as np

from kgpt.config import ModelConfig
from kgpt.errors import KgptError
from kgpt.learning import check, colour, figure, number, say, show
from kgpt.model.size import parameter_count, training_flops_per_token
from kgpt.presets import preset
from kgpt.training.machine import Machine, gigabytes
from kgpt.training.memory import memory_plan
from kgpt.training.planning import check_fits, find_remedy, fits

# %% [markdown] lang="pt"
# ## O que fica na memória
#
# Por parâmetro, com AdamW e números de 4 bytes: o **peso** (4), o **gradiente** (4) e as duas médias do
# **otimizador** (8). São 16 bytes por parâmetro, antes de ler a primeira palavra. Para o menor GPT-2:

# %% [markdown] lang="en"
# ## What lies in memory
#
# For each parameter, with AdamW and numbers of 4 bytes: the **weight** (4), the **gradient** (4) and the
# **optimiser**'s two averages (8). That is 16 bytes a parameter, before the first word is read. For the
# smallest GPT-2:

# %%
small = dataclasses.replace(preset("gpt2-124m"), precision="bfloat16")
parameters = parameter_count(small.model)
plan = memory_plan(small, on_gpu=True)

print(number(parameters, 0), "×  4 =", gigabytes(4 * parameters), say("de pesos", "of weights"))
print(
    number(parameters, 0), "×  8 =", gigabytes(8 * parameters), say("de otimizador", "of optimiser")
)
print(
    number(parameters, 0),
    "× 16 =",
    gigabytes(16 * parameters),
    say("ao todo, com gradientes", "in all, with gradients"),
)
check(
    say("pesos, como no plano do kgpt", "weights, as in kgpt's plan"), 4 * parameters, plan.weights
)
check(say("otimizador, como no plano", "optimiser, as in the plan"), 8 * parameters, plan.optimizer)

# %% [markdown] lang="pt"
# O resto depende do que se lê de uma vez. As **ativações** são o que cada camada guarda para a volta da
# retropropagação: crescem com o número de sequências (o **lote**) vezes o seu comprimento, vezes camadas, vezes
# largura. Dobre o lote, e só elas dobram:

# %% [markdown] lang="en"
# The rest depends on what is read at once. **Activations** are what each layer keeps for the way back of
# backpropagation: they grow with the number of sequences (the batch) times their length, times layers, times
# width. Double the batch, and they alone double:

# %%
double = memory_plan(dataclasses.replace(small, batch_size=16), on_gpu=True)
kept, kept_double = plan.activations, double.activations
eight, sixteen = say("lote de 8:", "batch of 8:"), say("lote de 16:", "batch of 16:")
print(eight, gigabytes(kept), "→", sixteen, gigabytes(kept_double))
check(say("ativações dobram", "activations double"), kept_double, 2 * kept)
check(say("os pesos não", "weights do not"), double.weights, plan.weights)

# %% [markdown] lang="pt"
# ## Um retrato
#
# Os quatro tamanhos do GPT-2, lote de 8 sequências de 1.024 tokens, em bfloat16 numa GPU. As linhas são as
# placas comuns. A barra tem ainda o que o programa e as bibliotecas ocupam; os gradientes contam quase em
# dobro, porque na hora da atualização o peso velho e o novo existem juntos. (Para salvar, pesos e otimizador
# são copiados para a memória principal: à placa isso não custa nada.)

# %% [markdown] lang="en"
# ## A picture
#
# GPT-2's four sizes, a batch of 8 sequences of 1,024 tokens, in bfloat16 on a GPU. The lines are common cards.
# The bar also has what the program and its libraries take; gradients count almost twice, because at the update
# the old weight and the new one exist together. (To save, weights and optimiser are copied into main memory:
# that costs the card nothing.)

# %%
sizes = ["gpt2-124m", "gpt2-355m", "gpt2-774m", "gpt2-1558m"]
cards = [8, 12, 24]
part_names = {
    "program": say("programa", "program"),
    "weights": say("pesos", "weights"),
    "optimizer": say("otimizador", "optimiser"),
    "gradients": say("gradientes", "gradients"),
    "activations": say("ativações", "activations"),
    "logits": say("logits", "logits"),
}


def config_of(name, **changes):
    return dataclasses.replace(preset(name), precision="bfloat16", **changes)


picture, axes = figure(9.5, 3.8)
left = np.zeros(4)
for index, (part, name) in enumerate(part_names.items()):
    bytes_of_part = np.array(
        [getattr(memory_plan(config_of(size), on_gpu=True), part) / 1e9 for size in sizes]
    )
    axes.barh(sizes, bytes_of_part, left=left, color=colour(index), label=name, height=0.62)
    left += bytes_of_part
for row, total in enumerate(left):
    label = axes.text(total + 0.6, row, f"{number(total, 0)} GB", va="center", fontsize=10)
    label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1.5})
for card in cards:
    axes.axvline(card, color="#222222", linestyle="--", linewidth=1.3)
    axes.text(card, -0.8, f" {card} GB", fontsize=10)
axes.invert_yaxis()
axes.grid(False, axis="y")
axes.set(
    xlim=(0, 66), ylim=(3.5, -1.0), xlabel=say("GB num passo de treino", "GB in a training step")
)
axes.set_title(say("Para onde vai a memória", "Where memory goes"))
axes.legend(loc="upper right", fontsize=10)
show(picture)

# %% [markdown] lang="pt"
# ## O que cabe onde
#
# Falta memória? Há o que fazer sem mudar o modelo. O lote se divide em partes, com os gradientes acumulados: a
# mesma atualização, um pouco mais devagar. Ou as ativações são jogadas fora e calculadas de novo na volta
# (*remat*): até um terço mais lento. O kgpt tenta as saídas nessa ordem:

# %% [markdown] lang="en"
# ## What fits where
#
# Not enough memory? There are ways that leave the model as it is. The batch is divided into parts whose
# gradients add up: the same update, a little slower. Or activations are thrown away and computed again on the
# way back (*remat*): up to a third slower. kgpt tries the ways out in this order:


# %%
def card(gigabyte):
    return Machine(gigabyte * 10**9, f"{gigabyte} GB", gpu=say("uma placa", "a card"))


modern = ["modern-124m", "modern-355m", "modern-774m", "modern-1558m"]
print(" " * 14 + "".join(f"{gigabyte:>24} GB" for gigabyte in cards))
for name in [*sizes, *modern]:
    answers = []
    for gigabyte in cards:
        config = config_of(name)
        remedy = find_remedy(config, card(gigabyte))
        if fits(config, card(gigabyte)):
            answers.append(say("cabe", "fits"))
        elif remedy is None:
            answers.append(say("não cabe", "does not fit"))
        else:
            changed = remedy.config
            words = f"{changed.batch_size} × {changed.gradient_accumulation}"
            words += ", remat" if changed.remat else ""
            words += (
                f", T = {changed.model.context_length}"
                if changed.model.context_length < 1024
                else ""
            )
            answers.append(words)
    print(f"{name:<14}" + "".join(f"{answer:>27}" for answer in answers))
check(say("124M cabe em 8 GB", "124M fits into 8 GB"), fits(config_of("gpt2-124m"), card(8)), True)
check(
    say("355M não, de jeito nenhum", "355M does not, in no way"),
    find_remedy(config_of("gpt2-355m"), card(8)) is None,
    True,
)

# %% [markdown] lang="pt"
# ("2 × 4" é um lote de 2 com gradientes de quatro partes.) Os modelos `modern` têm o otimizador Muon, que
# guarda uma média por peso das matrizes em vez de duas: por isso o de 355M ainda entra em 8 GB. Note que acima
# de certo tamanho nada ajuda: pesos, gradientes e otimizador não dependem do lote.

# %% [markdown] lang="en"
# ("2 × 4" is a batch of 2 with the gradients of four parts.) The `modern` models have the Muon optimiser, which
# keeps one average for each weight of the matrices instead of two: this is why the one of 355M still gets into
# 8 GB. Note that beyond some size nothing helps: weights, gradients and optimiser do not depend on the batch.

# %% [markdown] lang="pt"
# ## E o tempo?
#
# Cada peso de uma matriz entra em uma multiplicação e uma soma por token na ida, e no dobro disso na volta: **6
# contas por parâmetro e token**. A atenção soma 12 · camadas · largura · contexto. E quantos tokens? Cerca de
# 20 por parâmetro é o melhor uso das contas ([Hoffmann e outros, 2022](https://arxiv.org/abs/2203.15556)).

# %% [markdown] lang="en"
# ## And time?
#
# Each weight of a matrix enters into one multiplication and one addition a token on the way there, and twice
# that on the way back: **6 operations a parameter and token**. Attention adds 12 · layers · width · context.
# And how many tokens? About 20 a parameter is the best use of the operations ([Hoffmann et al.,
# 2022](https://arxiv.org/abs/2203.15556)).

# %%
c = small.model
matrices = c.num_layers * 12 * c.width**2 + c.vocabulary_size * c.width
by_hand = 6 * matrices + 12 * c.num_layers * c.width * c.context_length
check(
    say("contas por token, como no kgpt", "operations a token, as in kgpt"),
    by_hand,
    training_flops_per_token(c),
)

rates = {
    say("notebook, 0,1 trilhão/s", "laptop, 0.1 trillion/s"): 1e11,
    say("placa modesta, 10", "modest card, 10"): 1e13,
    say("placa boa, 60", "good card, 60"): 6e13,
    say("acelerador, 400", "accelerator, 400"): 4e14,
}
vocabularies = {"demo": 4096, "char-gpu": 257}
models = [
    dataclasses.replace(preset(name).model, vocabulary_size=vocabularies.get(name, 50257))
    for name in ("demo", "char-gpu", *sizes)
]
counts = [parameter_count(model) for model in models]
picture, axes = figure(9, 3.8)
for index, (name, rate) in enumerate(rates.items()):
    hours = [
        20 * count * training_flops_per_token(model) / rate / 3600
        for count, model in zip(counts, models, strict=True)
    ]
    axes.loglog(counts, hours, "o-", color=colour(index), markersize=5, label=name)
for hours, name in (
    (10, say("uma noite", "a night")),
    (720, say("um mês", "a month")),
    (8760, say("um ano", "a year")),
):
    axes.axhline(hours, color="#999999", linewidth=1, linestyle=":")
    axes.text(counts[0] * 0.72, hours * 1.15, name, fontsize=9, color="#555555")
axes.set(
    xlim=(counts[0] * 0.7, counts[-1] * 1.3),
    title=say(
        "Horas de treino, com 20 tokens por parâmetro",
        "Hours of training, with 20 tokens a parameter",
    ),
    xlabel=say("parâmetros", "parameters"),
    ylabel=say("horas", "hours"),
)
axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
show(picture)

# %% [markdown] lang="pt"
# As velocidades são o que a máquina **sustenta** em treino, que costuma ser um terço do que o fabricante
# anuncia; são suposições, para dar a ordem de grandeza. A sua, o kgpt mede: `kgpt plan --preset gpt2-124m
# --measure` treina alguns passos e diz tempo e pico de memória. Dobrar o modelo quadruplica o tempo: duas vezes
# mais contas por token, e duas vezes mais tokens.

# %% [markdown] lang="en"
# The speeds are what a machine **sustains** in training, which is usually a third of what its maker announces;
# they are assumptions, to give the order of magnitude. kgpt measures yours: `kgpt plan --preset gpt2-124m
# --measure` trains for a few steps and says time and peak memory. Doubling the model quadruples the time: twice
# the operations a token, and twice the tokens.

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# Peça um lote de 64 ao GPT-2 de 124M numa placa de 8 GB. O kgpt faz esta conta antes de começar, e recusa:

# %% [markdown] lang="en"
# ## Break it
#
# Ask for a batch of 64 with the 124M GPT-2 on a card of 8 GB. kgpt does this sum before it starts, and refuses:

# %%
refused = False
try:
    check_fits(config_of("gpt2-124m", batch_size=64), card(8))
except KgptError as error:
    refused = True
    print(error.title, error.message, error.hint, sep="\n")
check(say("recusado antes de começar", "refused before it starts"), refused, True)

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** Quantos bytes o GPT-2 de 355M (354.823.168 parâmetros) pede só de pesos, gradientes e AdamW, em números
# de 4 bytes?

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** How many bytes does the 355M GPT-2 (354,823,168 parameters) ask for in weights, gradients and AdamW
# alone, with numbers of 4 bytes?

# %% tags=["exercise"]
fixed = ...

check(say("1: bytes fixos", "1: fixed bytes"), fixed, 5_677_170_688)

# %% tags=["solution"] jupyter={"source_hidden": true}
fixed = 16 * parameter_count(preset("gpt2-355m").model)
print(gigabytes(fixed))

check(say("1: bytes fixos", "1: fixed bytes"), fixed, 5_677_170_688)

# %% [markdown] lang="pt"
# **2.** Qual é o maior lote do GPT-2 de 124M que cabe em 12 GB, sem acumular nem recalcular? Use `fits` num
# laço.

# %% [markdown] lang="en"
# **2.** What is the largest batch of the 124M GPT-2 that fits into 12 GB, without accumulation and without
# recomputing? Use `fits` in a loop.

# %% tags=["exercise"]
largest = ...

expected = int((0.95 * 12e9 - (plan.peak - plan.activations)) // (plan.activations / 8))
check(say("2: maior lote", "2: largest batch"), largest, expected)

# %% tags=["solution"] jupyter={"source_hidden": true}
largest = max(
    size for size in range(1, 65) if fits(config_of("gpt2-124m", batch_size=size), card(12))
)
print(largest)

check(say("2: maior lote", "2: largest batch"), largest, expected)

# %% [markdown] lang="pt"
# **3.** Quantas horas leva o GPT-2 de 124M numa placa que sustenta 20 trilhões de contas por segundo, com 20
# tokens por parâmetro?

# %% [markdown] lang="en"
# **3.** How many hours does the 124M GPT-2 take on a card that sustains 20 trillion operations a second, with
# 20 tokens a parameter?

# %% tags=["exercise"]
hours = ...

check(say("3: horas", "3: hours"), hours, 29.55, tolerance=0.05)

# %% tags=["solution"] jupyter={"source_hidden": true}
hours = 20 * parameters * training_flops_per_token(ModelConfig()) / 20e12 / 3600
print(number(hours, 2))

check(say("3: horas", "3: hours"), hours, 29.55, tolerance=0.05)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# [kgpt/training/memory.py](../../kgpt/training/memory.py) conta os bytes, parte por parte (as fórmulas contam
# números; os fatores na frente delas foram medidos, em CPU);
# [kgpt/training/planning.py](../../kgpt/training/planning.py) procura o que cabe;
# [kgpt/model/size.py](../../kgpt/model/size.py) conta parâmetros e contas. No terminal, tudo isso é `kgpt plan
# --preset gpt2-124m --memory 8GB`, e `kgpt plan --device h100 --devices 8` planeja máquinas que você ainda não
# alugou.

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# [kgpt/training/memory.py](../../kgpt/training/memory.py) counts the bytes, part by part (formulas count
# numbers; the factors in front of them were measured, on CPUs);
# [kgpt/training/planning.py](../../kgpt/training/planning.py) looks for what fits;
# [kgpt/model/size.py](../../kgpt/model/size.py) counts parameters and operations. In the terminal all this is
# `kgpt plan --preset gpt2-124m --memory 8GB`, and `kgpt plan --device h100 --devices 8` plans for machines you
# have not rented yet.

# %% [markdown] lang="pt"
# ## O que vem depois
#
# O modelo cabe, foi treinado, e responde na sua tela. Na [aula 24](lesson:24) ele passa a atender os outros: um
# servidor.

# %% [markdown] lang="en"
# ## What comes next
#
# The model fits, has been trained, and answers on your screen. In [lesson 24](lesson:24) it begins to serve
# others: a server.
