# %% [raw]
# pt: A mesma rede em Keras
# en: The same network in Keras
# question_pt: O Keras calcula os mesmos gradientes que nós?
# question_en: Does Keras find the same gradients as we do?
# minutes: 12
# picture: 2

# %% [markdown] lang="pt"
# Na [aula 6](lesson:6) escrevemos uma rede inteira em NumPy: a passada para a frente, a perda, os gradientes, a descida. No **Keras** cada uma dessas
# coisas é uma linha, e os gradientes ele descobre sozinho. Mas "sozinho" não é argumento: vamos pôr os mesmos pesos nas duas redes e comparar número por
# número. (`parts("6")` traz a rede da aula 6, tal como está lá.)

# %% [markdown] lang="en"
# In [lesson 6](lesson:6) we wrote a whole network in NumPy: the pass forward, the loss, the gradients, the descent. In **Keras** each of these is a line,
# and it finds the gradients by itself. But "by itself" is no argument: let us put the same weights into both networks and compare number by number.
# (`parts("6")` brings the network of lesson 6, just as it stands there.)

# %%
import keras
import numpy as np
import tensorflow as tf

from kgpt.learning import check, check_below, colour, figure, number, parts, say, show

by_hand = parts("6")
xor_NI = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
xor_N = np.array([0, 1, 1, 0])
network = by_hand.new_network(2, 4, 2, seed=3)

model = keras.Sequential(
    [
        keras.Input((2,), dtype="float64"),
        keras.layers.Dense(4, activation="tanh", dtype="float64"),
        keras.layers.Dense(2, dtype="float64"),  # logits: no softmax here
    ]
)
model.set_weights(network)
loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

loss, gradients = by_hand.loss_and_gradients(network, xor_NI, xor_N)
with tf.GradientTape() as tape:
    keras_loss = loss_of(xor_N, model(xor_NI))
keras_gradients = [np.asarray(one) for one in tape.gradient(keras_loss, model.trainable_weights)]

print(say("perda:", "loss:"), number(loss, 6), number(float(keras_loss), 6))
check(say("a mesma perda", "the same loss"), float(keras_loss), float(loss), tolerance=1e-6)
names = ("weight_IH", "bias_H", "weight_HK", "bias_K")
for name, ours, theirs in zip(names, gradients, keras_gradients):
    check(
        say(f"o mesmo gradiente de {name}", f"the same gradient of {name}"),
        theirs,
        ours,
        tolerance=1e-7,
    )

# %% [markdown] lang="pt"
# O `GradientTape` é um gravador: anota cada operação da passada para a frente e depois a desfaz de trás para a frente, aplicando a cada uma a sua regra da
# cadeia. É a nossa retropropagação, escrita uma vez para todas as operações que existem.
#
# No desenho, cada par de barras é um dos 22 números da rede:

# %% [markdown] lang="en"
# `GradientTape` is a recorder: it notes each operation of the pass forward and then goes through them from back to front, applying to each its rule of the
# chain. It is our backpropagation, written once for all operations there are.
#
# In the picture, each pair of bars is one of the network's 22 numbers:

# %%
ours_P = np.concatenate([one.ravel() for one in gradients])
theirs_P = np.concatenate([one.ravel() for one in keras_gradients])
places = np.arange(len(ours_P))
drawing, axes = figure(9, 3)
axes.bar(places - 0.2, ours_P, width=0.4, label=say("à mão", "by hand"))
axes.bar(places + 0.2, theirs_P, width=0.4, label="Keras")
axes.set_xticks([3.5, 9.5, 15.5, 20.5], names)
axes.set_xlabel(say("peso", "weight"))
axes.set_ylabel(say("gradiente", "gradient"))
axes.set_title(say("os mesmos gradientes", "the same gradients"))
axes.legend()
show(drawing)

# %% [markdown] lang="pt"
# Se os gradientes são os mesmos, o treino inteiro tem de ser o mesmo. `compile` diz como treinar, `fit` treina. Quarenta passos depois:

# %% [markdown] lang="en"
# If the gradients are the same, all of training has to be the same. `compile` says how to train, `fit` trains. Forty steps later:

# %%
model.compile(optimizer=keras.optimizers.SGD(learning_rate=0.5), loss=loss_of)
history = model.fit(xor_NI, xor_N, batch_size=4, shuffle=False, epochs=40, verbose=0)
losses = by_hand.train(network, xor_NI, xor_N, steps=40, learning_rate=0.5)
difference = np.abs(np.array(history.history["loss"]) - np.array(losses)).max()
check_below(
    say("maior diferença de perda em 40 passos", "largest difference of loss in 40 steps"),
    difference,
    1e-5,
)
for name, ours, theirs in zip(names, network, model.get_weights()):
    check(say(f"{name} depois do treino", f"{name} after training"), theirs, ours, tolerance=1e-5)

# %% [markdown] lang="pt"
# São a mesma rede. Daqui em diante deixamos as contas com o Keras, e podemos pedir mais: mais camadas, um otimizador melhor (o **Adam**, que dá a cada peso
# a sua própria taxa), um problema mais enrolado:

# %% [markdown] lang="en"
# They are the same network. From now on we leave the sums to Keras and may ask for more: more layers, a better optimiser (**Adam**, which gives each weight a
# rate of its own), a more tangled problem:

# %%
keras.utils.set_random_seed(1)
turn = np.linspace(0.4, 2.3 * np.pi, 150)
arm = np.stack([turn * np.cos(turn), turn * np.sin(turn)], axis=1) / 2
noise = np.random.default_rng(1).normal(0, 0.1, (300, 2))
spiral_NI = (np.concatenate([arm, -arm]) + noise).astype("float32")
spiral_N = np.repeat([0, 1], 150)

deeper = keras.Sequential(
    [
        keras.Input((2,)),
        keras.layers.Dense(48, activation="tanh"),
        keras.layers.Dense(48, activation="tanh"),
        keras.layers.Dense(2),
    ]
)
deeper.compile(
    optimizer=keras.optimizers.Adam(0.01),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
grid = np.linspace(-4, 4, 120)
plane = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2).astype("float32")


def surface() -> np.ndarray:
    return np.asarray(keras.ops.softmax(deeper(plane)))[:, 1].reshape(120, 120)


stages, done = [(0, surface())], 0
for epochs in (4, 40):
    fitted = deeper.fit(spiral_NI, spiral_N, batch_size=15, epochs=epochs - done, verbose=0)
    stages.append((epochs, surface()))
    done = epochs

from matplotlib.colors import LinearSegmentedColormap

two_sides = LinearSegmentedColormap.from_list("two", [colour(1), "#FFFFFF", colour(0)])
drawing, rows = figure(9.5, 3.4, columns=3)
for axes, (epoch, values) in zip(rows, stages):
    axes.imshow(values, extent=(-4, 4, -4, 4), origin="lower", cmap=two_sides, vmin=0, vmax=1)
    for kind in (0, 1):
        points = spiral_NI[spiral_N == kind]
        axes.scatter(*points.T, s=10, color=colour(1 - kind), edgecolor="black", linewidth=0.3)
    axes.set_title(say(f"época {epoch}", f"epoch {epoch}"))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
show(drawing)
accuracy = fitted.history["accuracy"][-1]
print(say("acertos:", "right:"), f"{number(100 * accuracy, 1)}%")
check_below(say("erros no fim", "mistakes in the end"), 1 - accuracy, 0.05)

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# A armadilha mais comum de todas: esquecer `from_logits=True`. O Keras toma os logits por probabilidades, não avisa, e treina outra coisa:

# %% [markdown] lang="en"
# ## Break it
#
# The most common trap of all: to forget `from_logits=True`. Keras takes the logits for probabilities, says nothing, and trains something else:

# %%
start = by_hand.new_network(2, 4, 2, seed=3)
wrong_loss_of = keras.losses.SparseCategoricalCrossentropy()  # from_logits is missing
curves = {}
for name, one_loss in (
    (say("certo", "right"), loss_of),
    (say("sem from_logits", "without from_logits"), wrong_loss_of),
):
    model.set_weights(start)
    true_loss = keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="true_loss")
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=one_loss, metrics=[true_loss])
    fitted = model.fit(xor_NI, xor_N, batch_size=4, shuffle=False, epochs=60, verbose=0)
    curves[name] = fitted.history["true_loss"]
drawing, axes = figure(8, 3)
for (name, shares), style in zip(curves.items(), ("-", "--")):
    axes.plot(shares, style, label=name)
axes.set_ylim(0)
axes.set_xlabel(say("passo", "step"))
axes.set_ylabel(say("perda verdadeira", "true loss"))
axes.set_title(say("um argumento esquecido", "one argument forgotten"))
axes.legend()
show(drawing)
right_end, wrong_end = (shares[-1] for shares in curves.values())
check(
    say("o esquecimento custa caro", "forgetting it costs dear"),
    not wrong_end < 2 * right_end,
    True,
)

# %% [markdown] lang="pt"
# Nenhum erro apareceu na tela, só uma rede que não aprende. Se uma perda não cai, desconfie primeiro disto.

# %% [markdown] lang="en"
# No error was shown, only a network that does not learn. If a loss does not fall, suspect this first.

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** Quantos pesos e vieses tem a rede da espiral, `deeper`? Faça a conta antes de perguntar ao Keras.

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** How many weights and biases has the spiral's network, `deeper`? Calculate before you ask Keras.

# %% tags=["exercise"]
count = ...
check(say("exercício 1", "exercise 1"), count, deeper.count_params())

# %% tags=["solution"] jupyter={"source_hidden": true}
count = (2 * 48 + 48) + (48 * 48 + 48) + (48 * 2 + 2)
check(say("exercício 1", "exercise 1"), count, deeper.count_params())

# %% [markdown] lang="pt"
# **2.** Use o gravador numa função qualquer: qual é o gradiente de `w**3 - 2*w` em `w = 2`? Preencha `gradient` com o `GradientTape`, e confira no papel.

# %% [markdown] lang="en"
# **2.** Use the recorder on any function: what is the gradient of `w**3 - 2*w` at `w = 2`? Fill `gradient` in with `GradientTape`, and check it on paper.

# %% tags=["exercise"]
w = tf.Variable(2.0)
gradient = ...
check(say("exercício 2", "exercise 2"), gradient, 3 * 2.0**2 - 2, tolerance=1e-6)

# %% tags=["solution"] jupyter={"source_hidden": true}
w = tf.Variable(2.0)
with tf.GradientTape() as tape:
    value = w**3 - 2 * w
gradient = float(tape.gradient(value, w))
print(gradient)
check(say("exercício 2", "exercise 2"), gradient, 3 * 2.0**2 - 2, tolerance=1e-6)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# O kgpt treina com o mesmo `fit`: veja [kgpt/training/trainer.py](../../kgpt/training/trainer.py). A perda está em
# [kgpt/training/losses.py](../../kgpt/training/losses.py), e o `from_logits` que se esquece está lá resolvido de uma vez: o modelo devolve logits, e só a perda
# sabe o que fazer com eles. Os modelos são escritos com `keras.ops`, sem TensorFlow, e por isso treinam também com JAX.

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# kgpt trains with the same `fit`: see [kgpt/training/trainer.py](../../kgpt/training/trainer.py). The loss is in
# [kgpt/training/losses.py](../../kgpt/training/losses.py), where the forgotten `from_logits` is settled once and for all: the model returns logits, and the loss
# alone knows what to do with them. Models are written with `keras.ops`, without TensorFlow, and so they train with JAX as well.

# %% [markdown] lang="pt"
# ## O que vem depois
#
# Temos texto em números e redes que aprendem. Falta juntá-los: na [aula 8](lesson:8) uma rede lê a enciclopédia e descobre, sozinha, quais palavras se parecem.

# %% [markdown] lang="en"
# ## What comes next
#
# We have text in numbers, and networks that learn. It remains to bring them together: in [lesson 8](lesson:8) a network reads the encyclopedia and finds out by
# itself which words are alike.
