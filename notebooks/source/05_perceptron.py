# %% [raw]
# pt: O perceptron
# en: The perceptron
# question_pt: Como um único neurônio aprende a decidir?
# question_en: How does a single neuron learn to decide?
# minutes: 12
# picture: 1

# %% [markdown] lang="pt"
# O menor cérebro possível tem um **neurônio**. Ele recebe alguns números, multiplica cada um por um **peso**, soma tudo, acrescenta um
# **viés** e olha o sinal: positivo, diz *sim*; negativo, diz *não*. Em 1958 Frank Rosenblatt mostrou como ele aprende os pesos sozinho, e o
# chamou de **perceptron**. Um GPT são muitos milhões dessas somas ponderadas.
#
# A tarefa: dizer se uma frase está em português ou em inglês, olhando só duas coisas — que porcentagem das suas letras é `a` ou `o`, e que
# porcentagem é `h`, `t`, `w` ou `y`.

# %% [markdown] lang="en"
# The smallest brain there is has one **neuron**. It receives a few numbers, multiplies each by a **weight**, adds them up, adds a **bias**,
# and looks at the sign: positive, it says *yes*; negative, it says *no*. In 1958 Frank Rosenblatt showed how it learns its weights by
# itself, and called it a **perceptron**. A GPT is many millions of such weighted sums.
#
# The task: tell whether a sentence is Portuguese or English by two things alone: what percentage of its letters are `a` or `o`, and what
# percentage are `h`, `t`, `w` or `y`.

# %%
import numpy as np

from kgpt.learning import check, check_below, colour, figure, number, say, show

portuguese = """O gato dormiu a tarde toda no sofá da sala
Amanhã vamos à praia se não chover
Minha avó faz o melhor bolo de fubá do mundo
O ônibus para a cidade sai às sete da manhã
As crianças brincavam na calçada depois da escola
Ela comprou um livro usado na feira de domingo
A lua apareceu atrás das nuvens
Ninguém sabia onde ele tinha guardado a chave
O rio transborda todo ano em fevereiro
Meu irmão toca violão e canta muito mal
A farmácia da esquina fecha às dez horas
Eles chegaram tarde porque o trem atrasou
Um dia inteiro sem telefone faz bem à cabeça
O cachorro correu atrás da bola até cansar
Na sala havia apenas uma cadeira vazia
Todo mundo riu da história que ela contou""".split("\n")
english = """The cat slept on the living room sofa all afternoon
Tomorrow we will go to the beach unless it rains
My grandmother bakes the best corn cake in the world
The bus to the city leaves at seven in the morning
The children were playing in the street after school
She bought a used book at the Sunday market
The moon came out from behind the clouds
Nobody knew where he had put the key
The river floods every year in February
My brother plays the guitar and sings very badly
The pharmacy on the corner closes at ten
They arrived late because the train was delayed
A whole day without the telephone does you good
The dog ran after the ball until it was tired
There was only one empty chair in the room
Everybody laughed at the story that she told""".split("\n")


def features(sentence: str) -> list[float]:
    letters = [letter for letter in sentence.lower() if letter.isalpha()]
    return [
        100 * sum(letter in group for letter in letters) / len(letters) for group in ("ao", "htwy")
    ]


x_ND = np.array([features(sentence) for sentence in portuguese + english])
is_english_N = np.array([0] * len(portuguese) + [1] * len(english))
print(portuguese[0], x_ND[0].round(1))
print(english[0], x_ND[len(portuguese)].round(1))

# %% [markdown] lang="pt"
# Cada frase virou um ponto num plano. (Nos nomes das variáveis, as letras finais dizem os eixos: `x_ND` tem N frases e D medidas. O kgpt inteiro
# segue esse costume.)
#
# A **regra do perceptron** é de uma simplicidade espantosa. Mostre as frases, uma por uma. Se ele acertar, não faça nada. Se errar, empurre os
# pesos na direção daquela frase (ou contra ela):

# %% [markdown] lang="en"
# Each sentence has become a point in a plane. (The last letters of a variable's name are its axes: `x_ND` has N sentences and D measures. All of
# kgpt keeps this custom.)
#
# The **perceptron rule** is of an astonishing simplicity. Show it the sentences, one by one. If it is right, do nothing. If it is wrong, push
# the weights towards that sentence (or away from it):


# %%
def decide(x_ND, weight_D, bias):
    return (x_ND @ weight_D + bias > 0).astype(int)


def train(x_ND, wanted_N, epochs, seed=0):
    """Weights and bias after each epoch, and the number of mistakes made in it."""
    random = np.random.default_rng(seed)
    weight_D, bias = np.zeros(x_ND.shape[1]), 0.0
    history = []
    for _ in range(epochs):
        mistakes = 0
        for index in random.permutation(len(x_ND)):
            error = wanted_N[index] - decide(x_ND[index], weight_D, bias)  # -1, 0 or 1
            weight_D = weight_D + error * x_ND[index]
            bias = bias + error * 10.0
            mistakes += abs(error)
        history.append((weight_D, bias, mistakes))
    return history


history = train(x_ND, is_english_N, epochs=15)
weight_D, bias, _ = history[-1]
print(say("erros por época:", "mistakes an epoch:"), [int(mistakes) for *_, mistakes in history])
print(say("pesos", "weights"), weight_D.round(1), say("viés", "bias"), bias)
right = (decide(x_ND, weight_D, bias) == is_english_N).mean()
check(say("acertos no treino", "right in training"), right, 1.0)

# %% [markdown] lang="pt"
# Uma **época** é uma passada por todas as frases. Os erros diminuem aos trancos até sumir. O que ele aprendeu foi uma **reta**: de um lado diz
# inglês, do outro, português. Veja onde ela estava depois da primeira época, e onde parou:

# %% [markdown] lang="en"
# An **epoch** is one pass over all sentences. Mistakes become fewer, by fits and starts, until there are none. What it has learned is a **line**:
# on one side it says English, on the other Portuguese. See where it was after the first epoch, and where it came to rest:


# %%
def draw_line(axes, weight_D, bias, **style):
    across = np.linspace(0, 45, 2)
    axes.plot(across, -(weight_D[0] * across + bias) / weight_D[1], **style)


drawing, axes = figure(9, 4.4)
for label, group, mark in (
    (0, say("português", "Portuguese"), "o"),
    (1, say("inglês", "English"), "^"),
):
    points = x_ND[is_english_N == label]
    axes.scatter(*points.T, color=colour(label), marker=mark, s=55, label=group, zorder=3)
draw_line(
    axes,
    *history[0][:2],
    color="#AAAAAA",
    linestyle="--",
    label=say("após 1 época", "after 1 epoch"),
)
draw_line(axes, weight_D, bias, color="#444444", label=say("no fim", "in the end"))
axes.set_xlim(0, 45)
axes.set_ylim(-1, 38)
axes.set_xlabel(say("% das letras que são a ou o", "% of letters that are a or o"))
axes.set_ylabel(say("% que são h, t, w ou y", "% that are h, t, w or y"))
axes.set_title(say("o que um neurônio aprende é uma reta", "what one neuron learns is a line"))
axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
show(drawing)

# %% [markdown] lang="pt"
# Aprendeu mesmo, ou decorou? Só há um jeito de saber: frases que ele nunca viu.

# %% [markdown] lang="en"
# Has it learned, or has it memorised? There is only one way to know: sentences it has never seen.

# %%
unseen = {
    "Ontem a vizinha trouxe pão quente para nós": 0,
    "A banda tocou até de madrugada na praça": 0,
    "Preciso consertar a torneira da cozinha": 0,
    "Yesterday the neighbour brought us warm bread": 1,
    "The band played in the square until the early hours": 1,
    "I have to mend the kitchen tap this week": 1,
}
said = decide(np.array([features(sentence) for sentence in unseen]), weight_D, bias)
for sentence, answer in zip(unseen, said):
    print(say(("português", "inglês")[answer], ("Portuguese", "English")[answer]), "·", sentence)
check(say("frases novas", "new sentences"), said.tolist(), list(unseen.values()))

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# Um neurônio só sabe traçar retas. Dê a ele um problema que reta nenhuma resolve, o **ou exclusivo** (XOR): diga *sim* quando exatamente uma das
# duas entradas for 1.

# %% [markdown] lang="en"
# ## Break it
#
# One neuron can draw nothing but lines. Give it a problem that no line can solve, the **exclusive or** (XOR): say *yes* when exactly one of the
# two inputs is 1.

# %%
xor_ND = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
xor_N = np.array([0, 1, 1, 0])
and_N = np.array([0, 0, 0, 1])
mistakes = {
    name: [int(wrong) for *_, wrong in train(xor_ND * 10, wanted, epochs=40)]
    for name, wanted in (
        (say("e (AND)", "and"), and_N),
        (say("ou exclusivo (XOR)", "exclusive or (XOR)"), xor_N),
    )
}
drawing, axes = figure(9, 3)
for (name, wrong), style in zip(mistakes.items(), ("o-", "s-")):
    axes.plot(range(1, 41), wrong, style, markersize=4, label=name)
axes.set_xlabel(say("época", "epoch"))
axes.set_ylabel(say("erros em 4", "mistakes out of 4"))
axes.set_title(say("um se aprende, o outro nunca", "one is learned, the other never"))
axes.set_ylim(-0.2, 4.4)
axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
show(drawing)
(wrong_and, wrong_xor) = mistakes.values()
check(say("AND se aprende", "AND is learned"), wrong_and[-1], 0)
check(say("XOR nunca", "XOR never is"), min(wrong_xor) > 0, True)

# %% [markdown] lang="pt"
# Em 1969 um livro de Minsky e Papert mostrou isso com todo o rigor, e as redes neurais saíram de moda por quinze anos. O remédio é pôr mais de um
# neurônio, em camadas: é a [aula 6](lesson:6).

# %% [markdown] lang="en"
# In 1969 a book by Minsky and Papert showed this with all rigour, and neural networks went out of fashion for fifteen years. The cure is to have
# more than one neuron, in layers: [lesson 6](lesson:6).

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** Com `weight_D = [-1, 2]` e `bias = 5`, o que o neurônio diz do ponto `[12, 3]`: 0 ou 1? Faça a conta no papel.

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** With `weight_D = [-1, 2]` and `bias = 5`, what does the neuron say of the point `[12, 3]`: 0 or 1? Use pencil and paper.

# %% tags=["exercise"]
answer = ...
check(
    say("exercício 1", "exercise 1"), answer, int(decide(np.array([12, 3]), np.array([-1, 2]), 5))
)

# %% tags=["solution"] jupyter={"source_hidden": true}
# -1 * 12 + 2 * 3 + 5 = -1, which is not positive.
answer = 0
check(
    say("exercício 1", "exercise 1"), answer, int(decide(np.array([12, 3]), np.array([-1, 2]), 5))
)

# %% [markdown] lang="pt"
# **2.** Um sinal só diz sim ou não. Para saber *quanto* o neurônio acredita, passa-se a soma por uma curva em S, a **sigmoide**
# `1 / (1 + exp(-soma))`, que dá uma probabilidade entre 0 e 1. Escreva-a. Qual frase do treino é a mais duvidosa para ele?

# %% [markdown] lang="en"
# **2.** A sign says only yes or no. To know *how much* the neuron believes it, the sum goes through an S-shaped curve, the **sigmoid**
# `1 / (1 + exp(-sum))`, which gives a probability between 0 and 1. Write it. Which training sentence is the most doubtful to it?


# %% tags=["exercise"]
def sigmoid(sum_N): ...


points = sigmoid(np.array([-2.0, 0.0, 2.0]))
check(say("exercício 2", "exercise 2"), points, [0.1192, 0.5, 0.8808], tolerance=1e-4)


# %% tags=["solution"] jupyter={"source_hidden": true}
def sigmoid(sum_N):
    return 1 / (1 + np.exp(-sum_N))


points = sigmoid(np.array([-2.0, 0.0, 2.0]))
check(say("exercício 2", "exercise 2"), points, [0.1192, 0.5, 0.8808], tolerance=1e-4)
believes_N = sigmoid((x_ND @ weight_D + bias) / 100)
doubtful = int(np.argmin(np.abs(believes_N - 0.5)))
print((portuguese + english)[doubtful], number(believes_N[doubtful]))
check_below(
    say("a dúvida está perto de 1/2", "the doubt is near 1/2"), abs(believes_N[doubtful] - 0.5), 0.2
)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# Um neurônio é uma coluna de uma camada densa: entradas vezes pesos, mais viés. Em
# [kgpt/model/parts.py](../../kgpt/model/parts.py), `dense_layer` faz as do GPT, e em
# [kgpt/model/classifier.py](../../kgpt/model/classifier.py) a última camada do classificador de textos é, ao pé da letra, um neurônio para cada
# rótulo. Uma camada de um neurônio com os seus pesos diz o mesmo que o seu:

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# A neuron is a column of a dense layer: inputs times weights, plus bias. In [kgpt/model/parts.py](../../kgpt/model/parts.py), `dense_layer` makes
# those of the GPT, and in [kgpt/model/classifier.py](../../kgpt/model/classifier.py) the last layer of the text classifier is, to the letter, a
# neuron for each label. A layer of one neuron with your weights says what yours says:

# %%
from kgpt.model.parts import dense_layer

layer = dense_layer(1, True, "neuron", None)
layer.build((None, 2))
layer.set_weights([weight_D[:, None], np.array([bias])])
sums_N = np.asarray(layer(x_ND.astype("float32")))[:, 0]
check(
    say("igual à camada do kgpt", "equal to kgpt's layer"),
    sums_N,
    x_ND @ weight_D + bias,
    tolerance=1e-2,
)

# %% [markdown] lang="pt"
# ## O que vem depois
#
# O perceptron só corrige quando erra, e ninguém sabe dizer a um neurônio *escondido* no meio de uma rede se ele errou. A [aula 6](lesson:6) resolve
# isso com uma ideia de cálculo: o gradiente.

# %% [markdown] lang="en"
# ## What comes next
#
# The perceptron corrects itself only when it is wrong, and nobody can tell a neuron *hidden* inside a network whether it was wrong. [Lesson
# 6](lesson:6) solves this with an idea from calculus: the gradient.
