# %% [raw]
# pt: Treinar: perda, perplexidade e decoreba
# en: Training: loss, perplexity and learning by heart
# question_pt: Como saber se o modelo aprendeu a língua ou só decorou o texto?
# question_en: How can we tell whether the model has learned the language or only the text by heart?
# minutes: 15
# picture: 2

# %% [markdown] lang="pt"
# Na aula 16 o GPT ficou pronto, mas com pesos sorteados. Falta treinar, e treinar pede um número que diga, a cada passo,
# quão errado ele está. Esse número é a **perda**. Aqui você a calcula na mão, vê o que ela vale antes de qualquer
# aprendizado, treina três vezes e olha o desastre mais comum do ramo acontecer na sua tela: o *sobreajuste*, a decoreba
# de quem tira dez na lista de exercícios e zero na prova.

# %% [markdown] lang="en"
# In lesson 16 the GPT was ready, but with random weights. It has to be trained, and training needs a number that says, at
# each step, how wrong it is. That number is the **loss**. Here you compute it by hand, see what it is before anything is
# learned, train three times, and watch the trade's most common disaster happen on your own screen: *overfitting*, the
# student who knows the exercise sheet by heart and fails the exam.

# %%
import dataclasses

import keras
import numpy as np

from kgpt.learning import check, check_below, colour, figure, number, say, show
from kgpt.learning.small_model import small_config, small_corpus

corpus = small_corpus()
tokenizer = corpus.tokenizer
train_ids = np.asarray(corpus.tokens("train"))
validation_ids = np.asarray(corpus.tokens("validation"))
print(say("tokens para treinar:", "tokens to train on:"), number(len(train_ids), 0))
print(
    say("tokens guardados para a prova:", "tokens kept for the exam:"),
    number(len(validation_ids), 0),
)
print(tokenizer.decode(train_ids[:60]))

# %% [markdown] lang="pt"
# O texto tem duas partes que não se misturam: o **treino**, que o modelo lê, e a **validação**, que ele nunca vê. Sem a
# segunda, não há como responder à pergunta desta aula.
#
# ## A perda na mão
#
# Em cada posição o modelo dá uma probabilidade a cada token. A perda daquela posição é `-ln` da probabilidade que ele deu
# ao token *que veio de fato*: certeza e acerto, perto de 0; certeza e erro, um número grande. A perda do texto é a média.

# %% [markdown] lang="en"
# The text has two parts that do not mix: **training**, which the model reads, and **validation**, which it never sees.
# Without the second there is no way to answer this lesson's question.
#
# ## The loss by hand
#
# At each position the model gives each token a probability. The loss of that position is `-ln` of the probability it gave
# to the token *that really came*: sure and right, near 0; sure and wrong, a large number. The text's loss is the mean.


# %%
def loss_by_hand(logits_TV, targets_T):
    """Mean of -ln p(target) over T positions."""
    shifted = logits_TV - logits_TV.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return float(-log_p[np.arange(len(targets_T)), targets_T].mean())


from kgpt.training.preparation import compiled_model


def fresh_model(**changes):
    """An untrained model with its optimiser: one block, 64 wide, context of 32 tokens."""
    config = small_config(steps=120)
    shape = {"num_layers": 1, "width": 64, "feed_forward_width": 128, "context_length": 32}
    optimizer = dataclasses.replace(config.optimizer, **changes.pop("optimizer", {}))
    model = dataclasses.replace(config.model, **shape, **changes)
    return compiled_model(dataclasses.replace(config, model=model, optimizer=optimizer))


model = fresh_model()
window = validation_ids[:33]
inputs, targets = window[:-1], window[1:]  # the target of each token is the token after it
logits = np.asarray(model(inputs[None].astype("int32")))[0]
mine = loss_by_hand(logits, targets)
of_keras = keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True)
check(say("igual à do Keras", "equal to Keras'"), mine, float(np.mean(of_keras)), tolerance=1e-5)
print(number(mine, 4))

# %% [markdown] lang="pt"
# ## Quanto vale não saber nada
#
# Um modelo que não sabe nada dá a mesma probabilidade, `1/1024`, a cada um dos 1.024 tokens. A perda é então
# `ln 1024 = 6,931`. Se o seu modelo recém-criado mostra outra coisa, há um erro antes mesmo do primeiro passo: este é o
# teste mais barato que existe.
#
# A **perplexidade**, `exp(perda)`, diz o mesmo em outra unidade: entre quantos tokens igualmente prováveis o modelo
# hesita. Aqui, entre 1.024.

# %% [markdown] lang="en"
# ## What knowing nothing is worth
#
# A model that knows nothing gives each of the 1,024 tokens the same probability, `1/1024`. The loss is then
# `ln 1024 = 6.931`. If your brand-new model shows anything else, there is a mistake before the very first step: the
# cheapest test there is.
#
# **Perplexity**, `exp(loss)`, says the same in another unit: between how many equally probable tokens the model
# hesitates. Here, between 1,024.

# %%
check(say("perda de quem não sabe nada", "loss of who knows nothing"), mine, np.log(1024), 1e-3)
print(say("perplexidade:", "perplexity:"), number(np.exp(mine), 0))

# %% [markdown] lang="pt"
# O segundo marco é quase tão barato: contar. Quem só sabe com que frequência cada token aparece no treino, sem olhar o
# contexto, já faz melhor. Um GPT que não ganha disto não aprendeu língua nenhuma.

# %% [markdown] lang="en"
# The second landmark is nearly as cheap: counting. Who knows only how often each token comes in the training text,
# without looking at any context, does better already. A GPT that does not beat this has learned no language.

# %%
counts = np.bincount(train_ids, minlength=1024) + 1.0  # + 1: nothing is impossible
frequency_loss = float(-np.log(counts / counts.sum())[validation_ids].mean())
print(say("só contando:", "by counting alone:"), number(frequency_loss, 3))

# %% [markdown] lang="pt"
# ## Treinar
#
# Um passo de treino: pegue um lote de janelas do texto, calcule a perda, derive, mexa nos pesos (aulas 6 e 7). O lote do
# passo 17 é sempre o mesmo lote, porque o kgpt o calcula de `(semente, passo)`; e cada janela aparece uma vez por
# **época**.
#
# Vamos treinar o mesmo modelo em situações diferentes e medir, de tempos em tempos, duas perdas: a do texto que ele lê e
# a da prova.

# %% [markdown] lang="en"
# ## Training
#
# One training step: take a batch of windows of the text, compute the loss, differentiate, move the weights (lessons 6 and
# 7). The batch of step 17 is always the same batch, because kgpt computes it from `(seed, step)`; and every window comes
# once in each **epoch**.
#
# We train the same model in different situations and measure two losses now and then: that of the text it reads, and that
# of the exam.

# %%
from kgpt.evaluation.loss import LossEvaluator
from kgpt.text.shards import Tokens
from kgpt.training.batches import Batches

PLACES = [0, 5, 10, 15, 20, 30, 40, 60, 80, 100, 120]


def stream(ids):
    return Tokens([ids], ids.dtype)


def train(model, ids, steps=120):
    """Rows of (step, loss on 2,000 tokens of the training text, loss on the validation text)."""
    batches = Batches(stream(ids), batch_size=16, context_length=32, seed=1)
    evaluator = LossEvaluator(model, tokenizer.end_of_text)
    rows = []
    for step in range(steps + 1):
        if step in PLACES:
            seen = evaluator.measure(stream(ids[:2000]), num_bytes=1).loss
            exam = evaluator.measure(stream(validation_ids), corpus.validation_bytes).loss
            rows.append((step, seen, exam))
        if step < steps:
            model.train_on_batch(*batches.at(step))
    return np.array(rows)


little = train(model, train_ids[:2000])
for step, seen, exam in little[[0, 2, 4, 6, 10]]:
    print(f"{step:4.0f}   {number(seen, 2)}   {number(exam, 2)}")


# %%
def draw(axis, rows, title, ceiling=7.2):
    axis.plot(rows[:, 0], rows[:, 1], "--", color=colour(0), label=say("treino", "training"))
    axis.plot(rows[:, 0], rows[:, 2], color=colour(5), label=say("validação", "validation"))
    best = rows[rows[:, 2].argmin()]
    axis.plot(*best[[0, 2]], "o", color=colour(5), markersize=9)
    axis.axhline(frequency_loss, color="#999999", linewidth=1, linestyle=":")
    axis.set_title(title)
    axis.set_xlabel(say("passo", "step"))
    axis.set_ylim(0, ceiling)


fig, axis = figure(8, 3.8)
draw(axis, little, say("2.000 tokens: o modelo decora", "2,000 tokens: the model learns by heart"))
axis.fill_between(little[:, 0], little[:, 1], little[:, 2], color=colour(5), alpha=0.08)
axis.set_ylabel(say("perda (nats por token)", "loss (nats a token)"))
axis.annotate(say("só contando", "counting alone"), (13, frequency_loss + 0.1), color="#777777")
axis.annotate(say("decoreba", "by heart"), (70, 3), color=colour(5), fontsize=13)
axis.legend(loc="upper right")
show(fig)

# %% [markdown] lang="pt"
# Eis a assinatura do sobreajuste: a linha tracejada desce sem parar, a cheia desce, vira e **sobe**. No passo 120 o modelo
# sabe seu pedacinho de texto quase palavra por palavra e está pior na prova do que no melhor momento (a bolinha), pior até do que quem só conta. A perda de treino, sozinha, mentiria para você.

# %% [markdown] lang="en"
# This is the signature of overfitting: the dashed line falls and falls, the solid one falls, turns and **rises**. At step
# 120 the model knows its little piece of text almost word for word, and does worse in the exam than at its best moment
# (the dot), worse even than counting alone. The training loss alone would lie to you.

# %%
best = little[:, 2].min()
check_below(say("decorou: perda de treino", "by heart: training loss"), little[-1, 1], 0.6)
check_below(
    say(
        "piorou na prova: o melhor momento contra o fim",
        "worse in the exam: best moment against the end",
    ),
    best + 0.3,
    little[-1, 2],
)

# %% [markdown] lang="pt"
# ## Três remédios
#
# 1. **Parar a tempo**: guardar os pesos da bolinha. O kgpt sempre guarda o melhor ponto (`best`) além do último.
# 2. **Dropout** (aula 14): apagar números ao acaso durante o treino, para que nenhum detalhe seja confiável sozinho.
# 3. **Mais texto**: o único remédio que ataca a causa.

# %% [markdown] lang="en"
# ## Three cures
#
# 1. **Stop in time**: keep the weights of the dot. kgpt always keeps the best point (`best`) beside the last one.
# 2. **Dropout** (lesson 14): wipe out numbers at random while training, so that no single detail can be relied on.
# 3. **More text**: the only cure that goes for the cause.

# %%
dropped = train(fresh_model(dropout=0.4), train_ids[:2000])
trained = fresh_model()
plenty = train(trained, train_ids)

fig, axes = figure(9.5, 3.8, columns=3, sharey=True)
draw(axes[0], little, say("2.000 tokens", "2,000 tokens"))
draw(axes[1], dropped, say("2.000 + dropout 0,4", "2,000 + dropout 0.4"))
draw(axes[2], plenty, say("64 mil tokens", "64 thousand tokens"))
for axis, rows in zip(axes, (little, dropped, plenty), strict=True):
    axis.fill_between(rows[:, 0], rows[:, 1], rows[:, 2], color=colour(5), alpha=0.08)
    axis.annotate(
        number(rows[-1, 2], 2), (104, rows[-1, 2] + 0.2), color=colour(5), fontweight="bold"
    )
axes[0].set_ylabel(say("perda (nats por token)", "loss (nats a token)"))
axes[2].legend(loc="upper right")
show(fig)

# %% [markdown] lang="pt"
# O dropout freia a decoreba (a tracejada desce bem menos), mas na prova quase nada muda: em 2.000 tokens simplesmente não
# está escrito o que ela pergunta. Com 64 mil, o mesmo modelo, com o mesmo número de passos, chega
# muito mais baixo, e as duas linhas andam juntas: o que ele aprende serve para texto que nunca viu.

# %% [markdown] lang="en"
# Dropout slows learning by heart (the dashed line falls much less), but in the exam next to nothing changes: what it asks
# simply is not written in 2,000 tokens. With 64 thousand the same model, in the same number of steps, gets far lower,
# and the two lines walk together: what it learns holds for text it has never seen.

# %%
check_below(say("prova com muito texto", "the exam, with much text"), plenty[-1, 2], 2.0)
check_below(
    say("distância entre prova e treino", "distance of exam and training"),
    plenty[-1, 2] - plenty[-1, 1],
    0.6,
)
check_below(say("melhor do que contar", "better than counting"), plenty[-1, 2], frequency_loss)
print(say("perplexidade na prova:", "perplexity in the exam:"), number(np.exp(plenty[-1, 2]), 1))

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# O botão mais perigoso do treino é a **taxa de aprendizado**, o tamanho do passo. Multiplique-a por 100 e cada passo pula
# por cima do vale.

# %% [markdown] lang="en"
# ## Break it
#
# Training's most dangerous knob is the **learning rate**, the size of the step. Make it a hundred times larger, and each
# step jumps right over the valley.

# %%
wild = {"learning_rate": 1.0, "embedding_learning_rate": 3.0, "muon_learning_rate": 3.0}
broken = train(fresh_model(optimizer=wild), train_ids, steps=30)

fig, axis = figure(8, 3.2)
for index, (rows, label) in enumerate(
    ((plenty, say("taxa normal", "usual rate")), (broken, say("taxa × 100", "rate × 100")))
):
    axis.plot(rows[:, 0], rows[:, 2], "o-", color=colour([2, 5][index]), label=label)
axis.axhline(np.log(1024), color="#999999", linewidth=1, linestyle=":")
axis.annotate(say("não saber nada", "knowing nothing"), (23, np.log(1024) * 1.08), color="#777777")
axis.set_xlim(0, 30)
axis.set_yscale("log")
axis.set_xlabel(say("passo", "step"))
axis.set_ylabel(say("perda na prova", "loss in the exam"))
axis.legend()
show(fig)
check_below(
    say("pior do que não saber nada", "worse than knowing nothing"), np.log(1024), broken[-1, 2]
)

# %% [markdown] lang="pt"
# Pior do que não saber nada: o modelo ficou *muito seguro de bobagens*. Quando a perda de um treino seu passar de
# `ln(vocabulário)`, desconfie primeiro da taxa.
#
# ## Exercícios
#
# **1. Bits por byte.** A perda por token depende do tokenizador: tokens maiores são mais difíceis de prever, mas são
# menos. Para comparar modelos com tokenizadores diferentes, converta para **bits por byte** do texto. O que você precisa:
# a perda em nats por token, o número de tokens, o número de bytes, e `ln 2` nats por bit.

# %% [markdown] lang="en"
# Worse than knowing nothing: the model has become *very sure of nonsense*. When the loss of a training of yours goes above
# `ln(vocabulary)`, suspect the rate first.
#
# ## Exercises
#
# **1. Bits per byte.** The loss per token depends on the tokenizer: larger tokens are harder to predict, but there are
# fewer of them. To compare models with different tokenizers, convert to **bits per byte** of text. What you need: the loss
# in nats a token, the number of tokens, the number of bytes, and `ln 2` nats a bit.

# %% tags=["exercise"]
nats, tokens, num_bytes = plenty[-1, 2], len(validation_ids), corpus.validation_bytes

bits_per_byte = ...  # your answer

from kgpt.evaluation.tokens import Loss

of_kgpt = Loss(loss=nats, tokens=tokens, bytes=num_bytes, figures={}).bits_per_byte
check(say("bits por byte", "bits per byte"), bits_per_byte, of_kgpt, 1e-9)

# %% tags=["solution"] jupyter={"source_hidden": true}
bits_per_byte = nats / np.log(2) * tokens / num_bytes
check(say("bits por byte", "bits per byte"), bits_per_byte, of_kgpt, 1e-9)
print(number(bits_per_byte, 3))

# %% [markdown] lang="pt"
# **2. Parar a tempo.** Escreva `stop_step(rows, patience)`: o passo em que o treino para, isto é, o primeiro em que já
# houve `patience` medições seguidas sem uma perda de validação menor que a melhor até então. (Se nunca acontece, o último
# passo.)

# %% [markdown] lang="en"
# **2. Stop in time.** Write `stop_step(rows, patience)`: the step at which training stops, that is, the first by which
# there have been `patience` measurements in a row without a validation loss lower than the best so far. (If that never
# happens, the last step.)


# %% tags=["exercise"]
def stop_step(rows, patience):
    return ...  # your answer


example = np.array(
    [[0, 0, 5.0], [10, 0, 3.0], [20, 0, 3.5], [30, 0, 2.9], [40, 0, 3.0], [50, 0, 3.1]]
)
check(say("paciência 2", "patience 2"), stop_step(example, 2), 50)
check(say("paciência 1", "patience 1"), stop_step(example, 1), 20)


# %% tags=["solution"] jupyter={"source_hidden": true}
def stop_step(rows, patience):
    best, since = np.inf, 0
    for step, _, exam in rows:
        best, since = (exam, 0) if exam < best else (best, since + 1)
        if since == patience:
            return int(step)
    return int(rows[-1, 0])


check(say("paciência 2", "patience 2"), stop_step(example, 2), 50)
check(say("paciência 1", "patience 1"), stop_step(example, 1), 20)
print(
    say(
        "no treino curto, paciência 3 pararia no passo",
        "on little text, patience 3 would stop at step",
    ),
    stop_step(little, 3),
)

# %% [markdown] lang="pt"
# **3. Quantas épocas?** Cada passo leu 16 janelas de 32 tokens. Em 120 passos, quantas vezes o modelo leu, em média, cada
# token do texto curto (2.000 tokens)? E do longo? Responda com um par de números, arredondados para inteiro.

# %% [markdown] lang="en"
# **3. How many epochs?** Each step read 16 windows of 32 tokens. In 120 steps, how often has the model read each token of
# the short text (2,000 tokens), on average? And of the long one? Answer with a pair of numbers, rounded to whole ones.

# %% tags=["exercise"]
times_read = ...  # your answer: (short, long)

expected_times = [
    round(120 * Batches(stream(ids), 16, 32, 1).tokens_until(1) / len(ids))
    for ids in (train_ids[:2000], train_ids)
]
check(say("vezes lido", "times read"), times_read, expected_times)

# %% tags=["solution"] jupyter={"source_hidden": true}
times_read = [round(120 * 16 * 32 / 2000), round(120 * 16 * 32 / len(train_ids))]
check(say("vezes lido", "times read"), times_read, expected_times)
print(times_read)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# * [`kgpt/training/trainer.py`](../../kgpt/training/trainer.py): o laço de verdade, que salva, retoma e mede.
# * [`kgpt/training/batches.py`](../../kgpt/training/batches.py): o lote de cada passo, a partir de `(semente, passo)`.
# * [`kgpt/training/losses.py`](../../kgpt/training/losses.py) e
#   [`kgpt/model/cross_entropy.py`](../../kgpt/model/cross_entropy.py): a mesma perda, sem guardar todas as notas de uma vez.
# * [`kgpt/evaluation/loss.py`](../../kgpt/evaluation/loss.py): a perda da prova, somada em `float64`.
# * [`kgpt/training/divergence.py`](../../kgpt/training/divergence.py): percebe sozinho quando a perda explode.
#
# ```sh
# kgpt-train --data machado --run machado --epochs 3 --set early_stopping=3 --set model.dropout=0.1
# kgpt evaluate machado
# ```
#
# ## O que vem depois
#
# O modelo treinado dá notas. Na [aula 18](lesson:18), as notas viram texto.

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# * [`kgpt/training/trainer.py`](../../kgpt/training/trainer.py): the real loop, which saves, resumes and measures.
# * [`kgpt/training/batches.py`](../../kgpt/training/batches.py): the batch of each step, from `(seed, step)`.
# * [`kgpt/training/losses.py`](../../kgpt/training/losses.py) and
#   [`kgpt/model/cross_entropy.py`](../../kgpt/model/cross_entropy.py): the same loss, without keeping all scores at once.
# * [`kgpt/evaluation/loss.py`](../../kgpt/evaluation/loss.py): the loss of the exam, summed in `float64`.
# * [`kgpt/training/divergence.py`](../../kgpt/training/divergence.py): notices by itself when the loss explodes.
#
# ```sh
# kgpt-train --data machado --run machado --epochs 3 --set early_stopping=3 --set model.dropout=0.1
# kgpt evaluate machado
# ```
#
# ## What comes next
#
# The trained model gives scores. In [lesson 18](lesson:18) scores become text.
