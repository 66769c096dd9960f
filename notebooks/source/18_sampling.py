# %% [raw]
# pt: Escolher o próximo token
# en: Choosing the next token
# question_pt: O modelo dá uma nota a cada token do vocabulário. Qual deles a gente escreve?
# question_en: The model gives every token of the vocabulary a score. Which one do we write?
# minutes: 15
# picture: 3

# %% [markdown] lang="pt"
# Um GPT nunca escreve "a resposta". Ele entrega 1.024 notas, uma por token, e para aí. Quem transforma notas em texto é
# um pedaço de código pequeno, que fica *fora* do modelo e tem três ou quatro botões: guloso, temperatura, top-k, top-p.
# Nesta aula você escreve cada botão em uma ou duas linhas, desenha o que ele faz com a distribuição e confere que o
# kgpt faz a mesma conta.
#
# Precisamos de um modelo que saiba alguma coisa. O destas últimas aulas leu 250 kB da enciclopédia embutida, sobre os
# estados do Brasil e o Sistema Solar. Ele é treinado uma vez só, em menos de um minuto; as aulas 20, 21 e 24 o
# reencontram pronto.

# %% [markdown] lang="en"
# A GPT never writes "the answer". It hands over 1,024 scores, one for each token, and stops there. What turns scores into
# text is a small piece of code *outside* the model, with three or four knobs: greedy, temperature, top-k, top-p. In this
# lesson you write each knob in a line or two, draw what it does to the distribution, and check that kgpt computes the
# same.
#
# We need a model that knows something. The one of these last lessons has read 250 kB of the built-in encyclopedia, about
# the states of Brazil and the Solar System. It is trained just once, in less than a minute; lessons 20, 21 and 24 find it
# ready.

# %%
import numpy as np

from kgpt.learning import bars, check, check_below, colour, figure, number, say, show
from kgpt.learning.small_model import small_generator

generator = small_generator()
tokenizer = generator.tokenizer


def scores_after(prompt):
    """The model's scores for the token that comes after a text, or after the ids of one."""
    ids = tokenizer.encode(prompt) if isinstance(prompt, str) else prompt
    return generator.decoder.fresh().prefill([ids])[0].astype("float64")


scores = scores_after("O estado fica na região")
print(scores.shape, number(scores.min(), 1), number(scores.max(), 1))

# %% [markdown] lang="pt"
# ## Notas viram probabilidades
#
# As notas podem ser qualquer número. O *softmax* as torna positivas, com soma 1: exponencial de cada uma, dividida pela
# soma de todas. Subtrair antes a maior nota não muda o resultado e evita que a exponencial estoure.

# %% [markdown] lang="en"
# ## Scores become probabilities
#
# Scores can be any number. *Softmax* makes them positive, with sum 1: the exponential of each, divided by the sum of all.
# Taking the largest score off first does not change the result, and keeps the exponential from overflowing.


# %%
def softmax(scores):
    exponentials = np.exp(scores - scores.max())
    return exponentials / exponentials.sum()


def name(token):
    return repr(tokenizer.decode([int(token)]))


probabilities = softmax(scores)
order = np.argsort(-probabilities)
for token in order[:8]:
    print(f"{name(token):14} {number(100 * probabilities[token], 1):>5}%")

# %% [markdown] lang="pt"
# As cinco regiões do Brasil (de *Centro-Oeste*, só o primeiro token), e quase mais nada. O modelo não sabe de que estado
# se fala, e diz isso do único jeito que pode: repartindo a probabilidade.

# %% [markdown] lang="en"
# Brazil's five regions (of *Centro-Oeste* the first token only), and next to nothing else. The model does not know which
# state is meant, and says so in the only way it can: by sharing out the probability.

# %%
fig, axes = figure(8, 3.4)
bars(axes, [name(token) for token in order[:10]], probabilities[order[:10]])
axes.set_title(say('Depois de "O estado fica na região"', 'After "O estado fica na região"'))
axes.set_xlabel(say("probabilidade", "probability"))
show(fig)

# %% [markdown] lang="pt"
# ## Guloso: sempre o mais provável
#
# O botão mais simples não tem regulagem. Escolha o token de maior nota, cole no texto, pergunte de novo.

# %% [markdown] lang="en"
# ## Greedy: always the most probable
#
# The simplest knob has no setting. Take the token with the highest score, append it, ask again.


# %%
def write_greedily(prompt, length=24):
    ids = tokenizer.encode(prompt)
    for _ in range(length):
        token = int(scores_after(ids).argmax())
        if token == tokenizer.end_of_text:
            break
        ids.append(token)
    return tokenizer.decode(ids)


prompt = "A capital do Paraná é"
mine = write_greedily(prompt)
print(mine)

# %%
from kgpt.protocol import GenerateOptions

theirs = generator.generate(prompt, GenerateOptions(temperature=0.0, max_tokens=24))
check(say("o texto que o kgpt escreve", "the text that kgpt writes"), mine, prompt + theirs.text)

# %% [markdown] lang="pt"
# O kgpt chega ao mesmo texto sem reler tudo a cada token: guarda as chaves e os valores da atenção (o *cache*). O texto é
# igual, só que mais depressa.
#
# Guloso é repetível e costuma ser certeiro quando existe *uma* resposta. Mas, onde há muitas continuações boas, ele
# escreve sempre a mesma, e em textos longos tende a andar em círculos.
#
# ## Temperatura: esticar ou achatar
#
# Divida as notas por um número `T` antes do softmax. Com `T` pequeno as diferenças crescem e o favorito leva tudo; com
# `T` grande elas encolhem e todos se parecem.

# %% [markdown] lang="en"
# kgpt arrives at the same text without reading everything again for each token: it keeps attention's keys and values (the
# *cache*). The same text, only sooner.
#
# Greedy is repeatable, and mostly right where there is *one* answer. But where many continuations are good it always
# writes the same one, and in long texts it tends to walk in circles.
#
# ## Temperature: stretch or flatten
#
# Divide the scores by a number `T` before the softmax. With a small `T` differences grow and the favourite takes all;
# with a large `T` they shrink and everybody looks alike.


# %%
def with_temperature(scores, temperature):
    return softmax(scores / temperature)


temperatures = [0.25, 1.0, 3.0]
fig, axes = figure(9, 3.4, columns=3, sharex=True)
for axis, temperature in zip(axes, temperatures, strict=True):
    heated = with_temperature(scores, temperature)
    names = [name(token) for token in order[:10]] + [say("outros 1.014", "1,014 others")]
    bars(axis, names, [*heated[order[:10]], heated[order[10:]].sum()])
    axis.patches[-1].set_color(colour(5))
    axis.set_title(f"T = {number(temperature, 2)}")
    if axis is not axes[0]:
        axis.set_yticklabels([])
axes[1].set_xlabel(say("probabilidade", "probability"))
show(fig)

# %% [markdown] lang="pt"
# Olhe a última barra de `T = 3`: cada um dos outros 1.014 tokens vale quase nada, mas juntos eles passam na frente das
# regiões todas. É essa **cauda longa** que estraga textos quentes. Os dois próximos botões cortam a cauda.
#
# ## Top-k e top-p: cortar a cauda
#
# * **top-k** fica com os `k` tokens mais prováveis, sejam quais forem.
# * **top-p** (ou *núcleo*) fica com o menor grupo de tokens que, somados, alcançam a probabilidade `p`.
#
# Depois do corte, o que sobrou volta a somar 1.

# %% [markdown] lang="en"
# Look at the last bar of `T = 3`: each of the 1,014 other tokens is worth next to nothing, but together they outweigh all
# the regions. This **long tail** is what spoils hot texts. The next two knobs cut it off.
#
# ## Top-k and top-p: cutting the tail
#
# * **top-k** keeps the `k` most probable tokens, whichever they are.
# * **top-p** (or *nucleus*) keeps the smallest group of tokens whose probabilities reach the sum `p`.
#
# After the cut, what is left is made to sum to 1 again.


# %%
def top_k(probabilities, k):
    kept = np.argsort(-probabilities)[:k]
    result = np.zeros_like(probabilities)
    result[kept] = probabilities[kept]
    return result / result.sum()


def top_p(probabilities, p):
    descending = np.argsort(-probabilities)
    reached = np.cumsum(probabilities[descending])
    count = int(np.searchsorted(reached, p)) + 1  # the one that reaches p is still in
    return top_k(probabilities, count)


from kgpt.inference.sampling import distribution

for options, own in (
    (GenerateOptions(temperature=0.7), with_temperature(scores, 0.7)),
    (GenerateOptions(temperature=1.0, top_k=3), top_k(probabilities, 3)),
    (GenerateOptions(temperature=1.0, top_p=0.8), top_p(probabilities, 0.8)),
):
    of_kgpt = distribution(scores, options, seen=[])
    knob = f"T={options.temperature} top_k={options.top_k} top_p={options.top_p}"
    check(say("igual ao kgpt: ", "equal to kgpt's: ") + knob, own, of_kgpt, tolerance=1e-12)

# %% [markdown] lang="pt"
# Agora os quatro lado a lado, em duas situações: uma em que o modelo tem certeza e outra em que há muitas continuações
# boas.

# %% [markdown] lang="en"
# Now all four side by side, in two situations: one where the model is sure, and one where many continuations are good.

# %%
knobs = {
    say("guloso", "greedy"): GenerateOptions(temperature=0.0),
    f"T = {number(0.7, 1)}": GenerateOptions(temperature=0.7),
    "top-k = 5": GenerateOptions(temperature=1.0, top_k=5),
    f"top-p = {number(0.9, 1)}": GenerateOptions(temperature=1.0, top_p=0.9),
}
sure, unsure = "O corpo celeste gira ao redor do", "A capital de"
fig, axes = figure(9.5, 6.2, rows=2, columns=4, sharex="row")
for row, prompt in enumerate((sure, unsure)):
    after = scores_after(prompt)
    plain = softmax(after)
    shown = np.argsort(-plain)[:12]
    for column, (knob, options) in enumerate(knobs.items()):
        axis = axes[row, column]
        chances = distribution(after, options, seen=[])
        axis.barh(range(12), plain[shown], color="#C9CED6", height=0.8)
        axis.barh(range(12), chances[shown], color=colour(row), height=0.45)
        axis.set_yticks(range(12), [name(token) for token in shown] if column == 0 else [])
        axis.invert_yaxis()
        axis.grid(False, axis="y")
        kept = int((chances > 0).sum())
        left = say("fica", "stays") if kept == 1 else say("ficam", "stay")
        axis.set_title(f"{knob}\n{number(kept, 0)} {left}", fontsize=11)
    axes[row, 0].set_ylabel(f'"{prompt}"', fontsize=10)
fig.supxlabel(
    say("cinza: o modelo · cor: depois do botão", "grey: the model · colour: after the knob"),
    fontsize=11,
)
show(fig)

# %% [markdown] lang="pt"
# A fila de cima e a de baixo contam a diferença entre top-k e top-p. Top-k guarda sempre 5: quando o modelo tem certeza,
# é generoso demais; quando há vinte estados possíveis, corta candidatos bons. **Top-p se adapta**: poucos tokens onde o
# modelo tem certeza, muitos onde ele hesita.
#
# ## Sortear
#
# Falta escolher. Empilhe as probabilidades numa régua de 0 a 1, sorteie um ponto e veja em que pedaço ele caiu. Um número
# sorteado por token; a mesma semente, o mesmo texto.

# %% [markdown] lang="en"
# The upper and the lower row tell top-k and top-p apart. Top-k always keeps 5: too generous where the model is sure, and
# where twenty states are possible it cuts good candidates. **Top-p adapts**: few tokens where the model is sure, many
# where it hesitates.
#
# ## Drawing
#
# What is left is to choose. Stack the probabilities on a ruler from 0 to 1, draw a point, and see which piece it fell on.
# One random number a token; the same seed, the same text.


# %%
def draw(probabilities, random):
    return int(np.searchsorted(np.cumsum(probabilities), random.random(), side="right"))


random = np.random.default_rng(18)
counts = np.bincount([draw(probabilities, random) for _ in range(20_000)], minlength=len(scores))
for token in order[:5]:
    drawn = 100 * counts[token] / 20_000
    print(f"{name(token):12} {number(100 * probabilities[token], 1):>5}%  {number(drawn, 1):>5}%")
largest = np.abs(counts / 20_000 - probabilities).max()
claim = say(
    "20.000 sorteios: maior desvio da probabilidade",
    "20,000 draws: largest deviation from the probability",
)
check_below(claim, largest, 0.02)

# %%
for seed in (1, 2, 3):
    options = GenerateOptions(temperature=0.8, top_p=0.9, seed=seed, max_tokens=30)
    print(seed, "No Sistema Solar," + generator.generate("No Sistema Solar,", options).text)

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# Suba a temperatura sem cortar a cauda. Em cada passo a cauda ganha um pouco mais, um token absurdo entra no texto, e o
# modelo tem de continuar a partir dele: o erro se alimenta.

# %% [markdown] lang="en"
# ## Break it
#
# Turn the heat up without cutting the tail. At each step the tail gains a little more, an absurd token enters the text,
# and the model has to go on from there: the error feeds itself.

# %%
for temperature in (0.5, 1.0, 2.0, 4.0):
    options = GenerateOptions(temperature=temperature, seed=5, max_tokens=24)
    print(f"T = {number(temperature, 1)}: Marte" + generator.generate("Marte", options).text, "\n")

hot = with_temperature(scores, 4.0)
print(
    say("a T = 4, probabilidade de não ser região:", "at T = 4, probability of no region:"),
    f"{number(100 * (1 - hot[order[:5]].sum()), 0)}%",
)

# %%
with np.errstate(invalid="ignore", divide="ignore"):
    broken = with_temperature(scores, 0.0)
print(say("sua função com T = 0:", "your function with T = 0:"), broken[:4])

# %% [markdown] lang="pt"
# E com `T = 0` a conta divide por zero e tudo vira `nan`. Por isso o kgpt não divide: temperatura 0 é, por definição, o
# guloso.

# %% [markdown] lang="en"
# And with `T = 0` the formula divides by zero and all becomes `nan`. That is why kgpt does not divide: temperature 0 is
# greedy, by definition.

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1. Quão indeciso?** A *entropia* mede a indecisão de uma distribuição: `-Σ p · ln p`. Sua exponencial é um "número
# efetivo de opções". Calcule o número efetivo de opções depois de `"A capital de"`. (Cuidado: `0 · ln 0` vale 0, mas o
# NumPy diz `nan`.)

# %% [markdown] lang="en"
# ## Exercises
#
# **1. How undecided?** *Entropy* measures how undecided a distribution is: `-Σ p · ln p`. Its exponential is an
# "effective number of options". Compute it after `"A capital de"`. (Mind: `0 · ln 0` is 0, but NumPy says `nan`.)

# %% tags=["exercise"]
undecided = softmax(scores_after("A capital de"))

effective_options = ...  # your answer

expected_options = 2.0 ** float(-(undecided * np.log2(undecided + 1e-300)).sum())
check(say("opções efetivas", "effective options"), effective_options, expected_options, 1e-6)

# %% tags=["solution"] jupyter={"source_hidden": true}
positive = undecided[undecided > 0]
effective_options = np.exp(-(positive * np.log(positive)).sum())
check(say("opções efetivas", "effective options"), effective_options, expected_options, 1e-6)
print(number(effective_options, 1))

# %% [markdown] lang="pt"
# **2. Min-p.** Um corte mais novo: guarde os tokens com pelo menos `p` vezes a probabilidade do *mais provável*. Escreva
# `min_p(probabilities, p)`.

# %% [markdown] lang="en"
# **2. Min-p.** A newer cut: keep the tokens that have at least `p` times the probability of the *most probable* one.
# Write `min_p(probabilities, p)`.


# %% tags=["exercise"]
def min_p(probabilities, p):
    return ...  # your answer


expected_cut = distribution(scores, GenerateOptions(temperature=1.0, min_p=0.1), seen=[])
check("min-p = 0.1", min_p(probabilities, 0.1), expected_cut, 1e-12)


# %% tags=["solution"] jupyter={"source_hidden": true}
def min_p(probabilities, p):
    kept = np.where(probabilities >= p * probabilities.max(), probabilities, 0.0)
    return kept / kept.sum()


check("min-p = 0.1", min_p(probabilities, 0.1), expected_cut, 1e-12)

# %% [markdown] lang="pt"
# **3. Quantos bastam?** Qual é o menor `k` com que top-k guarda pelo menos 90% da probabilidade depois de
# `"A capital de"`? E depois de `"O corpo celeste gira ao redor do"`? Responda com um par de números.

# %% [markdown] lang="en"
# **3. How many are enough?** What is the smallest `k` with which top-k keeps at least 90% of the probability after
# `"A capital de"`? And after `"O corpo celeste gira ao redor do"`? Answer with a pair of numbers.

# %% tags=["exercise"]
smallest_k = ...  # your answer: (k, k)

expected_k = [
    int((top_p(softmax(scores_after(prompt)), 0.9) > 0).sum()) for prompt in (unsure, sure)
]
check(say("menor k", "smallest k"), smallest_k, expected_k)

# %% tags=["solution"] jupyter={"source_hidden": true}
smallest_k = [
    int(np.searchsorted(np.cumsum(np.sort(softmax(scores_after(prompt)))[::-1]), 0.9)) + 1
    for prompt in (unsure, sure)
]
check(say("menor k", "smallest k"), smallest_k, expected_k)
print(smallest_k)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# * [`kgpt/inference/sampling.py`](../../kgpt/inference/sampling.py): `distribution`, `keep_top_k`, `keep_top_p`,
#   `keep_min_p` e `choose`; tudo NumPy, em `float64`, sem rede nenhuma dentro.
# * [`kgpt/inference/generation.py`](../../kgpt/inference/generation.py): o laço que lê o prompt uma vez e depois um token
#   por passo.
# * [`kgpt/protocol.py`](../../kgpt/protocol.py): `GenerateOptions`, os mesmos nomes das opções de `kgpt sample`.
#
# ```sh
# kgpt sample demo "Marte é" --temperature 0.8 --top-p 0.9 --seed 1
# ```
#
# ## O que vem depois
#
# Você já sabe treinar e já sabe escrever. Na [aula 19](lesson:19) o modelo vem de fora: os pesos do
# GPT-2, lidos de um arquivo.

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# * [`kgpt/inference/sampling.py`](../../kgpt/inference/sampling.py): `distribution`, `keep_top_k`, `keep_top_p`,
#   `keep_min_p` and `choose`; all NumPy, in `float64`, no network in it.
# * [`kgpt/inference/generation.py`](../../kgpt/inference/generation.py): the loop that reads the prompt once and then a
#   token a step.
# * [`kgpt/protocol.py`](../../kgpt/protocol.py): `GenerateOptions`, named as the options of `kgpt sample`.
#
# ```sh
# kgpt sample demo "Marte é" --temperature 0.8 --top-p 0.9 --seed 1
# ```
#
# ## What comes next
#
# You can train and you can write. In [lesson 19](lesson:19) the model comes from elsewhere: GPT-2's
# weights, read from a file.
