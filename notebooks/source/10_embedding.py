# %% [raw]
# pt: A camada Embedding do Keras
# en: Keras' Embedding layer
# question_pt: O que há dentro de uma camada Embedding, e por que não multiplicar por one-hot?
# question_en: What is inside an Embedding layer, and why not multiply by one-hot vectors?
# minutes: 12
# picture: 1

# %% [markdown] lang="pt"
# Nas aulas [8](lesson:8) e [9](lesson:9) uma matriz dava a cada id o seu vetor. No Keras essa tabela se chama `Embedding`. Ela não tem nada de misterioso: é uma matriz de pesos da qual se
# **procuram linhas**. Procurar a linha `id` dá o mesmo que multiplicar pela one-hot de `id`, só que sem fazer as contas com os zeros:

# %% [markdown] lang="en"
# In lessons [8](lesson:8) and [9](lesson:9) a matrix gave each id its vector. In Keras that table is called `Embedding`. There is nothing mysterious about it: it is a matrix of weights whose
# **rows are looked up**. Looking up row `id` gives what multiplying by the one-hot vector of `id` gives, but without doing the sums with all those zeros:

# %%
import time

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kgpt.learning import bars, check, check_below, corpus, figure, number, parts, say, show
from kgpt.text.tokenizer import Tokenizer

keras.utils.set_random_seed(1)
VOCABULARY_SIZE, WIDTH = 8_192, 128
embedding = keras.layers.Embedding(VOCABULARY_SIZE, WIDTH)
embedding.build((None, None))
ids_BT = np.random.default_rng(0).integers(0, VOCABULARY_SIZE, (8, 128))

looked_up_BTC = embedding(ids_BT)
one_hot_BTV = ops.one_hot(ids_BT, VOCABULARY_SIZE)
multiplied_BTC = one_hot_BTV @ embedding.embeddings
print(looked_up_BTC.shape)
check(
    say("procurar = multiplicar", "looking up = multiplying"),
    looked_up_BTC,
    multiplied_BTC,
    tolerance=1e-6,
)

# %% [markdown] lang="pt"
# Qual a diferença, então? Tempo e memória. O tensor one-hot tem um número para cada palavra do vocabulário, quase todos zero:

# %% [markdown] lang="en"
# Where is the difference, then? Time and memory. The one-hot tensor has a number for every word of the vocabulary, nearly all of them zero:


# %%
def milliseconds(function, repeats=5) -> float:
    """The shortest of a few runs."""
    spent = []
    for _ in range(repeats):
        began = time.perf_counter()
        np.asarray(function())
        spent.append(time.perf_counter() - began)
    return 1000 * min(spent)


took = [
    milliseconds(lambda: ops.one_hot(ids_BT, VOCABULARY_SIZE) @ embedding.embeddings),
    milliseconds(lambda: embedding(ids_BT)),
]
numbers = [int(np.prod(one_hot_BTV.shape)), int(np.prod(looked_up_BTC.shape))]
names = [say("multiplicar one-hot", "multiply one-hot"), say("procurar a linha", "look the row up")]
drawing, (left, right) = figure(9, 2.2, columns=2)
bars(left, names, took, highlighted=[1])
left.set_xlabel(say("milissegundos", "milliseconds"))
bars(right, names, [count * 4 / 1e6 for count in numbers], highlighted=[1])
right.set_xlabel(
    say("megabytes que a conta precisa ter à mão", "megabytes the calculation has to hold")
)
right.set_yticklabels([])
show(drawing)
check(
    say("64 vezes menos números", "64 times fewer numbers"),
    numbers[0] // numbers[1],
    VOCABULARY_SIZE // WIDTH,
)
check(say("procurar é mais rápido", "looking up is faster"), took[1] < took[0], True)

# %% [markdown] lang="pt"
# E o gradiente? Só as linhas procuradas tiveram parte na resposta, então só elas recebem gradiente. O TensorFlow nem escreve os zeros das outras: devolve os ids e as linhas.

# %% [markdown] lang="en"
# And the gradient? Only the rows that were looked up had a part in the answer, so only they receive a gradient. TensorFlow does not even write the zeros of the others: it returns ids and rows.

# %%
few_BT = np.array([[5, 17, 5]])
with tf.GradientTape() as tape:
    total = ops.sum(embedding(few_BT))
gradient = tape.gradient(total, embedding.trainable_weights[0])
print(type(gradient).__name__, gradient.indices.numpy().tolist(), gradient.values.shape)
whole_VC = tf.convert_to_tensor(gradient).numpy()
touched = np.flatnonzero(np.abs(whole_VC).sum(axis=1))
check(say("linhas que mudam", "rows that change"), touched, np.array([5, 17]))
check(say("o 5 apareceu duas vezes", "5 occurred twice"), whole_VC[5, 0], 2.0)

# %% [markdown] lang="pt"
# ### O CBoW, agora em Keras
#
# Três camadas: procurar, tirar a média, dar notas. Primeiro a prova de que é a mesma rede da aula 8: com os mesmos vetores e os mesmos exemplos, a mesma perda e os mesmos gradientes.

# %% [markdown] lang="en"
# ### CBoW, now in Keras
#
# Three layers: look up, take the mean, score. First the proof that it is lesson 8's network: with the same vectors and the same examples, the same loss and the same gradients.

# %%
cbow = parts("8")
text = corpus(300_000, subjects=["countries", "elements", "instruments", "animals"]).lower()
tokenizer = Tokenizer.train([text], 700, pre_tokenization="portuguese")
ids = np.array(tokenizer.encode(text))


def new_model(vocabulary_size: int, width: int, window: int) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((2 * window,), dtype="int32"),
            keras.layers.Embedding(vocabulary_size, width),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(vocabulary_size, use_bias=False),
        ]
    )


model = new_model(tokenizer.vocabulary_size, 24, window=3)
vectors = cbow.new_vectors(tokenizer.vocabulary_size, 24, seed=0)
vectors[1] += np.random.default_rng(1).normal(0, 0.1, vectors[1].shape).astype("float32")
model.set_weights(vectors)
around_NW, middle_N = cbow.neighbours(ids, np.arange(100, 356), window=3)
loss, gradients = cbow.loss_and_gradients(vectors, around_NW, middle_N)

loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
with tf.GradientTape() as tape:
    keras_loss = loss_of(middle_N, model(around_NW))
keras_gradients = [
    tf.convert_to_tensor(one).numpy() for one in tape.gradient(keras_loss, model.trainable_weights)
]
check(say("a mesma perda", "the same loss"), float(keras_loss), float(loss), tolerance=1e-5)
for name, ours, theirs in zip(("Embedding", "Dense"), gradients, keras_gradients):
    check(
        say(f"o mesmo gradiente da {name}", f"the same gradient of {name}"),
        theirs,
        ours,
        tolerance=1e-6,
    )

# %% [markdown] lang="pt"
# E agora o treino, com o Adam da [aula 7](lesson:7). Cada lugar do texto é um exemplo; o `fit` os embaralha e passa por todos:

# %% [markdown] lang="en"
# And now training, with the Adam of [lesson 7](lesson:7). Each place of the text is an example; `fit` shuffles them and goes through them all:

# %%
model = new_model(tokenizer.vocabulary_size, 24, window=3)
model.compile(optimizer=keras.optimizers.Adam(0.02), loss=loss_of)
around_NW, middle_N = cbow.neighbours(ids, np.arange(3, len(ids) - 3), window=3)
history = model.fit(around_NW, middle_N, batch_size=512, epochs=3, verbose=0).history["loss"]
print([number(loss) for loss in history])
check_below(say("perda depois de três épocas", "loss after three epochs"), history[-1], 3.0)

# %% [markdown] lang="pt"
# Quem ficou perto de quem? Olhemos só os tokens que são palavras, ou quase (os pedaços miúdos se parecem com tudo). Em três épocas
# a Europa já achou os outros continentes; as cordas (dos instrumentos) acharam a percussão e os sopros, mas ainda se misturam com o
# resto:

# %% [markdown] lang="en"
# Who has come to lie near whom? Let us look only at tokens that are words, or nearly (small pieces resemble everything). In three
# epochs *europa* has found the other continents; *cordas* (strings, of instruments) has found percussion and wind instruments
# (*sopros*), and still mixes with others:

# %%
table_VC = model.layers[0].get_weights()[0]
token_of = [tokenizer.decode([id]) for id in range(tokenizer.vocabulary_size)]
words = [id for id, token in enumerate(token_of) if token.startswith(" ") and len(token) > 4]
for token in (" europa", " cordas"):
    likeness_V = cbow.cosines(table_VC - table_VC.mean(axis=0), token_of.index(token))
    near = sorted(words, key=lambda id: -likeness_V[id])[1:7]
    print(f"{token:>8}:", *(token_of[id] for id in near))
europe = [token_of.index(f" {name}") for name in ("europa", "áfrica", "ásia", "oceania")]
others = [id for id in words if id not in europe]
likeness_V = cbow.cosines(table_VC - table_VC.mean(axis=0), europe[0])
check(
    say("a Europa se parece com os continentes", "Europe is like the continents"),
    bool(likeness_V[europe[1:]].mean() > likeness_V[others].mean() + 0.3),
    True,
)

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# Dê à camada um id que a tabela não tem. Numa CPU ela reclama; numa **GPU, não**: o TensorFlow devolve um vetor de zeros, sem avisar. Um tokenizador trocado passa assim despercebido.

# %% [markdown] lang="en"
# ## Break it
#
# Give the layer an id that the table lacks. On a CPU it complains; on a **GPU it does not**: TensorFlow returns a vector of zeros and says nothing. The wrong tokenizer goes unnoticed that way.

# %%
try:
    outside = np.asarray(embedding(np.array([[VOCABULARY_SIZE]])))
    noticed = say("nada; a soma é", "nothing; the sum is") + f" {outside.sum()}"
except Exception as error:
    outside, noticed = np.zeros(1), type(error).__name__
print(noticed)
check(
    say("não há vetor para esse id", "there is no vector for that id"),
    float(np.abs(outside).sum()),
    0.0,
)

# %% [markdown] lang="pt"
# Por isso, no kgpt, o tamanho da tabela vem do tokenizador, e os dois são guardados juntos.

# %% [markdown] lang="en"
# That is why, in kgpt, the table's size comes from the tokenizer, and the two are kept together.

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** O GPT-2 pequeno tem 50.257 ids e vetores de 768 números. Quantos pesos tem a sua tabela? E que porcentagem é isso dos seus 124.439.808 pesos? (Com uma casa decimal.)

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** The small GPT-2 has 50,257 ids and vectors of 768 numbers. How many weights has its table? And what percentage is that of its 124,439,808 weights? (To one decimal.)

# %% tags=["exercise"]
table_size = ...
percentage = ...
check(say("exercício 1, pesos", "exercise 1, weights"), table_size, 50_257 * 768)
check(
    say("exercício 1, %", "exercise 1, %"),
    percentage,
    100 * 50_257 * 768 / 124_439_808,
    tolerance=0.06,
)

# %% tags=["solution"] jupyter={"source_hidden": true}
table_size = 50_257 * 768
percentage = round(100 * table_size / 124_439_808, 1)
print(number(table_size, 0), f"{number(percentage, 1)}%")
check(say("exercício 1, pesos", "exercise 1, weights"), table_size, 38_597_376)
check(say("exercício 1, %", "exercise 1, %"), percentage, 31.0, tolerance=0.06)

# %% [markdown] lang="pt"
# **2.** Um terço do modelo é a tabela! Por isso o GPT-2 usa a **mesma** matriz na entrada e na saída. Faça isso: a partir de `mean_NC` (a média dos vetores dos vizinhos), calcule os logits
# com a tabela `table_VC` da entrada em vez da camada `Dense`.

# %% [markdown] lang="en"
# **2.** A third of the model is its table! That is why GPT-2 uses the **same** matrix at its input and its output. Do so: from `mean_NC` (the mean of the neighbours' vectors), work out logits
# with the input's table `table_VC` instead of the `Dense` layer.

# %% tags=["exercise"]
mean_NC = table_VC[around_NW[:4]].mean(axis=1)
tied_logits_NV = ...
shape = ... if tied_logits_NV is ... else tied_logits_NV.shape
check(say("exercício 2, forma", "exercise 2, shape"), shape, (4, tokenizer.vocabulary_size))

# %% tags=["solution"] jupyter={"source_hidden": true}
tied_logits_NV = mean_NC @ table_VC.T
check(
    say("exercício 2, forma", "exercise 2, shape"),
    tied_logits_NV.shape,
    (4, tokenizer.vocabulary_size),
)
check(
    say("exercício 2, uma nota", "exercise 2, one score"),
    tied_logits_NV[2, 9],
    mean_NC[2] @ table_VC[9],
    tolerance=1e-4,
)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# Em [kgpt/model/gpt.py](../../kgpt/model/gpt.py): `token_embedding` é a camada desta aula, e `head_matrix` devolve a mesma tabela para a saída. Confira num GPT pequeno:

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# In [kgpt/model/gpt.py](../../kgpt/model/gpt.py): `token_embedding` is this lesson's layer, and `head_matrix` returns the same table for the output. Check it in a small GPT:

# %%
from kgpt import ModelConfig
from kgpt.model.gpt import build_gpt

gpt = build_gpt(
    ModelConfig(vocabulary_size=700, context_length=16, num_layers=1, num_heads=2, width=24)
)
print(gpt.token_embedding)
check(
    say("entrada e saída, a mesma tabela", "input and output, the same table"),
    gpt.head_matrix,
    gpt.token_embedding.embeddings,
)

# %% [markdown] lang="pt"
# ## O que vem depois
#
# A média esquece a ordem das palavras. Um modelo de linguagem não pode: a [aula 11](lesson:11) ensina a cada vetor o seu lugar.

# %% [markdown] lang="en"
# ## What comes next
#
# A mean forgets the words' order. A language model cannot afford to: [lesson 11](lesson:11) teaches each vector its place.
