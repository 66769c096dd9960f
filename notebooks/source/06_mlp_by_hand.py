# %% [raw]
# pt: Uma rede com gradientes à mão
# en: A network with gradients by hand
# question_pt: Como cada peso de uma rede fica sabendo para que lado mudar?
# question_en: How does each weight of a network get to know which way to change?
# minutes: 18
# picture: 1

# %% [markdown] lang="pt"
# Um neurônio traça uma reta; dois, duas retas; e um terceiro pode juntar o que eles dizem. Isso é uma **rede de camadas densas** (em inglês, *MLP*),
# e ela resolve o XOR da [aula 5](lesson:5). O problema é ensiná-la: se a resposta saiu errada, de quem foi a culpa, e de quanto?
#
# A resposta é o **gradiente**: para cada peso, quanto a **perda** (o tamanho do erro, um número só) muda quando ele muda um pouquinho. Sabendo disso,
# basta dar um passinho no sentido contrário, e repetir. É assim que se treina qualquer rede, o GPT inclusive.
#
# A nossa tem uma camada escondida, com `tanh`, e uma saída com um número para cada classe:

# %% [markdown] lang="en"
# One neuron draws a line; two neurons, two lines; and a third can put together what they say. That is a **network of dense layers** (an *MLP*), and it
# solves the XOR of [lesson 5](lesson:5). The trouble is to teach it: when the answer comes out wrong, who is to blame, and by how much?
#
# The answer is the **gradient**: for each weight, how much the **loss** (the size of the error, one number) changes when the weight changes a tiny bit.
# Knowing that, take a small step the other way, and repeat. That is how any network is trained, a GPT included.
#
# Ours has one hidden layer, with `tanh`, and an output with one number for each class:

# %% tags=["part"]
import numpy as np


def new_network(num_inputs, num_hidden, num_classes, seed):
    """Weights and biases of two layers, in the order in which they are used."""
    random = np.random.default_rng(seed)
    return [
        random.normal(0.0, 1.0, (num_inputs, num_hidden)),
        np.zeros(num_hidden),
        random.normal(0.0, 1.0, (num_hidden, num_classes)),
        np.zeros(num_classes),
    ]


def forward(network, x_NI):
    """Hidden values (N, H) and probabilities of the classes (N, K)."""
    weight_IH, bias_H, weight_HK, bias_K = network
    hidden_NH = np.tanh(x_NI @ weight_IH + bias_H)
    logits_NK = hidden_NH @ weight_HK + bias_K
    powers_NK = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    return hidden_NH, powers_NK / powers_NK.sum(axis=1, keepdims=True)


# %% [markdown] lang="pt"
# As duas últimas linhas são o **softmax**: transforma notas quaisquer (os **logits**) em probabilidades que somam um. E a perda é a **entropia
# cruzada**: menos o logaritmo da probabilidade que a rede deu à classe certa. Deu 1, a perda é 0; deu quase 0, a perda é enorme.
#
# Agora a parte bonita. A **retropropagação** é a regra da cadeia aplicada de trás para a frente. O primeiro passo é uma das contas mais felizes do
# assunto: softmax e entropia cruzada juntos têm por gradiente apenas *o que a rede disse menos o que era certo*.

# %% [markdown] lang="en"
# The last two lines are the **softmax**: it turns any scores (the **logits**) into probabilities that sum to one. And the loss is the **cross-entropy**:
# minus the logarithm of the probability that the network gave to the right class. It gave 1, the loss is 0; it gave nearly 0, the loss is huge.
#
# Now for the beautiful part. **Backpropagation** is the chain rule applied from back to front. Its first step is one of the happiest results in the
# field: softmax and cross-entropy together have as their gradient just *what the network said minus what was right*.


# %% tags=["part"]
def loss_and_gradients(network, x_NI, class_N):
    """The mean loss of N examples, and its gradient for each of the network's arrays."""
    weight_HK = network[2]
    hidden_NH, probability_NK = forward(network, x_NI)
    rows = np.arange(len(x_NI))
    loss = -np.log(probability_NK[rows, class_N]).mean()

    logits_NK = probability_NK.copy()  # from here on, gradients of what the names say
    logits_NK[rows, class_N] -= 1.0  # what it said minus what was right
    logits_NK /= len(x_NI)
    hidden_gradient_NH = logits_NK @ weight_HK.T  # blame goes back along the weights
    sum_NH = hidden_gradient_NH * (1.0 - hidden_NH**2)  # the slope of tanh
    return loss, [
        x_NI.T @ sum_NH,
        sum_NH.sum(axis=0),
        hidden_NH.T @ logits_NK,
        logits_NK.sum(axis=0),
    ]


# %% [markdown] lang="pt"
# Quatro linhas de conta, e cada peso da rede sabe a sua parte da culpa. Mas estão certas? Dá para conferir sem saber cálculo: mude um peso um
# pouquinho, veja quanto a perda muda, divida. É lento, mas não há como errar.

# %% [markdown] lang="en"
# Four lines of arithmetic, and each weight of the network knows its share of the blame. But are they right? That can be checked without any calculus:
# change a weight a tiny bit, see how much the loss changes, divide. It is slow, but it cannot be wrong.

# %%
from kgpt.learning import check, check_below, colour, figure, number, say, show


def measured_gradients(network, x_NI, class_N, step=1e-5):
    gradients = [np.zeros_like(array) for array in network]
    for array, gradient in zip(network, gradients):
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + step
            above, _ = loss_and_gradients(network, x_NI, class_N)
            array[place] = kept - step
            below, _ = loss_and_gradients(network, x_NI, class_N)
            array[place] = kept
            gradient[place] = (above - below) / (2 * step)
    return gradients


xor_NI = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
xor_N = np.array([0, 1, 1, 0])
network = new_network(2, 4, 2, seed=3)
loss, gradients = loss_and_gradients(network, xor_NI, xor_N)
measured = measured_gradients(network, xor_NI, xor_N)
difference = max(float(np.abs(one - two).max()) for one, two in zip(gradients, measured))
print(say("perda no começo:", "loss at the start:"), number(loss, 4))
check_below(
    say("maior diferença entre as duas contas", "largest difference between the two"),
    difference,
    1e-8,
)

# %% [markdown] lang="pt"
# Certas até a nona casa. Agora é só descer: a cada passo, subtrai-se de cada peso uma fração do seu gradiente. Essa fração é a **taxa de aprendizado**, e o
# método, a **descida do gradiente**.

# %% [markdown] lang="en"
# Right to the ninth decimal. Now we only have to go down: at each step, a fraction of its gradient is subtracted from each weight. The fraction is the
# **learning rate**, and the method is **gradient descent**.


# %% tags=["part"]
def train(network, x_NI, class_N, steps, learning_rate):
    """Change the network in place; the loss before each step."""
    losses = []
    for _ in range(steps):
        loss, gradients = loss_and_gradients(network, x_NI, class_N)
        for array, gradient in zip(network, gradients):
            array -= learning_rate * gradient
        losses.append(float(loss))
    return losses


# %%
grid = np.linspace(-0.5, 1.5, 81)
plane = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
snapshots, losses, done = [], [], 0
for steps in (0, 30, 500):
    losses += train(network, xor_NI, xor_N, steps - done, learning_rate=0.5)
    done = steps
    snapshots.append((steps, forward(network, plane)[1][:, 1].reshape(81, 81)))

from matplotlib.colors import LinearSegmentedColormap

two_sides = LinearSegmentedColormap.from_list("two", [colour(1), "#FFFFFF", colour(0)])
drawing, rows = figure(9.5, 2.9, columns=4)
for axes, (steps, surface) in zip(rows, snapshots):
    axes.imshow(
        surface, extent=(-0.5, 1.5, -0.5, 1.5), origin="lower", cmap=two_sides, vmin=0, vmax=1
    )
    for (across, up), kind in zip(xor_NI, xor_N):
        axes.scatter(across, up, color=colour(1 - kind), edgecolor="black", marker="os"[kind], s=70)
    axes.set_title(say(f"passo {steps}", f"step {steps}"))
    axes.set_xticks([0, 1])
    axes.set_yticks([0, 1])
    axes.grid(False)
rows[3].semilogy(losses)
rows[3].set_title(say("perda", "loss"))
rows[3].set_xlabel(say("passo", "step"))
show(drawing)

said = forward(network, xor_NI)[1].argmax(axis=1)
check(say("XOR aprendido", "XOR learned"), said, xor_N)
check_below(say("perda no fim", "loss in the end"), losses[-1], 0.05)

# %% [markdown] lang="pt"
# O azul é onde a rede diz 1, o laranja onde diz 0. Ela dobrou o plano até que uma fronteira, agora curva, separasse os quadrados dos círculos. Nenhum
# dos neurônios sabe XOR; a rede sabe.
#
# ## Quebre e veja
#
# Comece com todos os pesos iguais a zero. Parece um começo limpo, não?

# %% [markdown] lang="en"
# Blue is where the network says 1, orange where it says 0. It has bent the plane until a border, now curved, parts the squares from the circles. None of the
# neurons knows XOR; the network does.
#
# ## Break it
#
# Begin with all weights at zero. A clean start, one would think.

# %%
zeros = [np.zeros_like(array) for array in network]
stuck = train(zeros, xor_NI, xor_N, 500, learning_rate=0.5)
twins = [np.full_like(array, 0.3) for array in network]
twin_losses = train(twins, xor_NI, xor_N, 500, learning_rate=0.5)
drawing, axes = figure(8, 3)
axes.plot(losses, label=say("pesos sorteados", "weights drawn at random"))
axes.plot(stuck, linestyle="--", label=say("todos zero", "all zero"))
axes.plot(twin_losses, linestyle=":", label=say("todos 0,3", "all 0.3"))
axes.set_xlabel(say("passo", "step"))
axes.set_ylabel(say("perda", "loss"))
axes.set_ylim(0)
axes.legend(loc="upper right")
axes.set_title(say("iguais no começo, iguais para sempre", "alike at the start, alike for ever"))
show(drawing)
check(
    say("com zeros, a perda não sai de ln 2", "from zeros, the loss stays at ln 2"),
    stuck[-1],
    np.log(2),
    tolerance=1e-6,
)
columns_alike = np.abs(twins[0] - twins[0][:, :1]).max()
check(
    say("os quatro neurônios ficaram gêmeos", "the four neurons stayed twins"),
    columns_alike,
    0.0,
    tolerance=1e-12,
)

# %% [markdown] lang="pt"
# Neurônios iguais recebem gradientes iguais e continuam iguais: quatro cópias valem por uma. O sorteio não é desleixo, é o que permite que cada neurônio aprenda
# uma coisa diferente. (No kgpt as matrizes começam com números sorteados, de desvio padrão 0,02.)

# %% [markdown] lang="en"
# Equal neurons receive equal gradients and stay equal: four copies are worth one. Chance is no sloppiness here, it is what lets each neuron learn something
# different. (In kgpt matrices start as random numbers with a standard deviation of 0.02.)

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** Quantos números (pesos e vieses) tem `new_network(2, 4, 2, ...)`? Conte antes de rodar.

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** How many numbers (weights and biases) has `new_network(2, 4, 2, ...)`? Count before you run.

# %% tags=["exercise"]
count = ...
check(say("exercício 1", "exercise 1"), count, sum(array.size for array in network))

# %% tags=["solution"] jupyter={"source_hidden": true}
count = 2 * 4 + 4 + 4 * 2 + 2
check(say("exercício 1", "exercise 1"), count, sum(array.size for array in network))

# %% [markdown] lang="pt"
# **2.** O GPT não usa `tanh`; muitas redes usam a **ReLU**, `max(0, soma)`. Escreva a sua inclinação: o que fica no lugar de `1 - hidden**2`, dado o valor já
# calculado `hidden`?

# %% [markdown] lang="en"
# **2.** A GPT does not use `tanh`; many networks use **ReLU**, `max(0, sum)`. Write its slope: what stands in the place of `1 - hidden**2`, given the value
# `hidden` that was computed?


# %% tags=["exercise"]
def relu_slope(hidden): ...


slopes = relu_slope(np.array([0.0, 0.0, 0.7, 3.0]))
check(say("exercício 2", "exercise 2"), slopes, [0.0, 0.0, 1.0, 1.0])


# %% tags=["solution"] jupyter={"source_hidden": true}
def relu_slope(hidden):
    return (hidden > 0).astype(float)


slopes = relu_slope(np.array([0.0, 0.0, 0.7, 3.0]))
check(say("exercício 2", "exercise 2"), slopes, [0.0, 0.0, 1.0, 1.0])

# %% [markdown] lang="pt"
# **3.** A taxa de aprendizado manda. Treine três redes novas (`seed=3`) por 500 passos, com taxas 0,005, 0,5 e 50. Qual delas chega mais baixo? Guarde as perdas
# finais em `finals`, nessa ordem.

# %% [markdown] lang="en"
# **3.** The learning rate rules. Train three new networks (`seed=3`) for 500 steps, at rates 0.005, 0.5 and 50. Which gets lowest? Put the final losses into
# `finals`, in this order.

# %% tags=["exercise"]
finals = ...
middle_is_best = ... if finals is ... else bool(np.argmin(finals) == 1)
check(say("exercício 3", "exercise 3"), middle_is_best, True)

# %% tags=["solution"] jupyter={"source_hidden": true}
finals = [
    train(new_network(2, 4, 2, seed=3), xor_NI, xor_N, 500, rate)[-1] for rate in (0.005, 0.5, 50.0)
]
print([number(final, 4) for final in finals])
check(say("exercício 3", "exercise 3"), bool(np.argmin(finals) == 1), True)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# A camada escondida de um GPT é a `FeedForward` de [kgpt/model/layers.py](../../kgpt/model/layers.py): denso, curva, denso, como aqui. Quase todos os gradientes
# o kgpt deixa para o TensorFlow ou o JAX, mas um está escrito à mão, pela mesma razão que o nosso: em
# [kgpt/model/cross_entropy.py](../../kgpt/model/cross_entropy.py), *o que o modelo disse menos o que era certo*, um pedaço do texto por vez, para nunca guardar as
# probabilidades de todos os tokens de uma vez.

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# A GPT's hidden layer is `FeedForward` in [kgpt/model/layers.py](../../kgpt/model/layers.py): dense, curve, dense, as here. kgpt leaves nearly all gradients to
# TensorFlow or JAX, but one is written by hand, and it is ours: in [kgpt/model/cross_entropy.py](../../kgpt/model/cross_entropy.py), *what the model said minus what
# was right*, one piece of the text at a time, so that the probabilities of all tokens need never be kept at once.

# %% [markdown] lang="pt"
# ## O que vem depois
#
# Ninguém calcula à mão os gradientes de um GPT. Na [aula 7](lesson:7) o Keras os calcula, e conferimos: são os mesmos que os nossos.

# %% [markdown] lang="en"
# ## What comes next
#
# Nobody works a GPT's gradients out by hand. In [lesson 7](lesson:7) Keras does it, and we check: they are the same as ours.
