# %% [raw]
# pt: Atenção com várias cabeças
# en: Multi-head attention
# question_pt: E quando uma palavra precisa fazer duas perguntas ao mesmo tempo?
# question_en: And when a word has to ask two questions at once?
# minutes: 15
# picture: 1

# %% [markdown] lang="pt"
# Em "a cachorra correu atrás da bola", o verbo *correu* quer saber duas coisas: **quem** correu e **atrás de
# quê**. Uma camada de atenção reparte um só orçamento: metade na cachorra, metade na bola, e o que chega é uma
# mistura das duas, em que já não se sabe quem fez o quê. A saída é dar à camada várias **cabeças**: várias
# atenções pequenas, lado a lado.

# %% [markdown] lang="en"
# In "a cachorra correu atrás da bola" the verb *correu* (ran) wants to know two things: **who** ran, and
# **after what**. A layer of attention shares out a single budget: half on the dog, half on the ball, and what
# arrives is a mixture of the two in which nobody can tell any more who did what. The way out is to give the
# layer several **heads**: several small attentions, side by side.

# %%
import keras
import numpy as np

from kgpt.learning import check, check_below, figure, heatmap, number, say, show

keras.utils.set_random_seed(15)

# %% [markdown] lang="pt"
# ## Cortar em fatias
#
# Não são camadas a mais: o vetor de C números da consulta é cortado em H fatias de D = C / H números, e cada
# cabeça usa a sua fatia. Chaves e valores, do mesmo jeito. No fim as fatias voltam a ficar lado a lado, e uma
# última matriz as costura. A atenção de cada cabeça é a função causal da aula 14, que trata qualquer eixo a
# mais como "várias de uma vez".

# %% [markdown] lang="en"
# ## Cut into slices
#
# These are no additional layers: the query's vector of C numbers is cut into H slices of D = C / H numbers, and
# each head uses its slice. Keys and values, likewise. In the end the slices lie side by side again, and a last
# matrix sews them together. The attention of each head is the causal function of lesson 14, which takes any
# additional axis as "several at once".

# %% tags=["part"]
import keras
from keras import ops

from kgpt.learning import parts

causal_attention = parts("14").causal_attention


class MultiHeadAttention(keras.layers.Layer):
    """Token vectors (B, T, C) in and out, through heads of C / num_heads channels."""

    def __init__(self, width, num_heads, **kwargs):
        super().__init__(**kwargs)
        self.width, self.num_heads = width, num_heads
        self.query = keras.layers.Dense(width, name="query")
        self.key = keras.layers.Dense(width, name="key")
        self.value = keras.layers.Dense(width, name="value")
        self.output_projection = keras.layers.Dense(width, name="output")

    def split(self, x_BTC):
        """(B, T, C) to (B, H, T, D)."""
        x_BTHD = ops.reshape(
            x_BTC, (-1, x_BTC.shape[1], self.num_heads, self.width // self.num_heads)
        )
        return ops.transpose(x_BTHD, (0, 2, 1, 3))

    def heads(self, x_BTC):
        """Queries, keys and values, each (B, H, T, D)."""
        return [self.split(layer(x_BTC)) for layer in (self.query, self.key, self.value)]

    def call(self, x_BTC):
        y_BHTD = causal_attention(*self.heads(x_BTC))
        y_BTHD = ops.transpose(y_BHTD, (0, 2, 1, 3))
        return self.output_projection(ops.reshape(y_BTHD, (-1, x_BTC.shape[1], self.width)))


# %% [markdown] lang="pt"
# ## Um jogo de duas perguntas
#
# As bolas coloridas da aula 13, mas a pergunta agora traz dois nomes, "Bia e Davi?", e a resposta são duas
# cores, na ordem certa. Treinamos duas camadas com **exatamente os mesmos parâmetros**: uma usa os 24 canais
# como uma cabeça só, a outra como duas cabeças de 12.

# %% [markdown] lang="en"
# ## A game of two questions
#
# Lesson 13's coloured balls, but the question has two names now, "Bia and Davi?", and the answer is two
# colours, in the right order. We train two layers with **exactly the same parameters**: one uses its 24
# channels as a single head, the other as two heads of 12.

# %%
names = ["Ana", "Bia", "Caio", "Davi", "Eva", "Fábio"]
colours = say("azul verde vermelha branca preta roxa", "blue green red white black purple").split()


def rounds(count, seed):
    """Token vectors (count, 7, 18), name, colour and second name; and the two right colours (count, 2)."""
    random = np.random.default_rng(seed)
    x_BTC, answer_B2 = np.zeros((count, 7, 18), "float32"), np.zeros((count, 2), "int32")
    for row in range(count):
        children, balls = random.permutation(6), random.integers(6, size=6)
        x_BTC[row, range(6), children] = 1
        x_BTC[row, range(6), 6 + balls] = 1
        first, second = random.choice(6, 2, replace=False)
        x_BTC[row, 6, children[first]] = 1
        x_BTC[row, 6, 12 + children[second]] = 1
        answer_B2[row] = balls[first], balls[second]
    return x_BTC, answer_B2


def trained(num_heads):
    """A model and what it gets right of the first and of the second answer, in new rounds."""
    keras.utils.set_random_seed(15)
    inputs = keras.Input((7, 18))
    attention = MultiHeadAttention(24, num_heads)
    x_BTC = keras.layers.Dense(24)(inputs)
    scores = keras.layers.Dense(12)(attention(x_BTC)[:, -1])
    model = keras.Model(inputs, keras.layers.Reshape((2, 6))(scores))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(x_train, answer_train, batch_size=64, epochs=6, verbose=0)
    right_2 = (model.predict(x_test, verbose=0).argmax(axis=-1) == answer_test).mean(axis=0)
    return model, attention, model.evaluate(x_test, answer_test, verbose=0), right_2


x_train, answer_train = rounds(4000, seed=1)
x_test, answer_test = rounds(500, seed=2)
results = {num_heads: trained(num_heads) for num_heads in (1, 2)}
for num_heads, (model, _, loss, (first, second)) in results.items():
    heads = say("cabeça", "head") if num_heads == 1 else say("cabeças", "heads")
    print(f"{num_heads} {heads}:", number(model.count_params(), 0), say("parâmetros", "parameters"))
    print(say("   perda", "   loss"), number(loss, 3))
    print(
        say("   certas: 1ª cor", "   right: 1st colour"),
        f"{first:.0%},",
        say("2ª cor", "2nd colour"),
        f"{second:.0%}",
    )
check_below(say("duas cabeças, perda", "two heads, loss"), results[2][2], 0.05)
check(say("uma cabeça não basta", "one head is not enough"), bool(results[1][2] > 0.3), True)

# %% [markdown] lang="pt"
# Com os mesmos parâmetros, uma cabeça sabe responder a uma das perguntas e chuta a outra: ela aprendeu a dar
# mais peso a um dos nomes, e a cor do outro fica diluída na mistura. Duas cabeças acertam tudo. Veja para onde
# cada uma olha, a partir da pergunta:

# %% [markdown] lang="en"
# With the same parameters a single head can answer one of the questions and guesses the other: it has learned
# to give more weight to one of the names, and the colour of the other drowns in the mixture. Two heads get
# everything right. See where each looks from the question:

# %%
causal_weights = parts("14").causal_weights


def question_row(num_heads, x_TC):
    """What the last token takes from each, head by head: (H, T)."""
    model, attention = results[num_heads][:2]
    q_BHTD, k_BHTD, _ = attention.heads(model.layers[1](x_TC[None]))
    return np.array(causal_weights(q_BHTD, k_BHTD))[0, :, -1]


picture, panels = figure(10.5, 5.2, rows=2)
for axes, round_TC in zip(panels, x_test[:2], strict=True):
    labels = [f"{names[x[:6].argmax()]} {colours[x[6:12].argmax()]}" for x in round_TC[:6]]
    first, second = names[round_TC[6, :6].argmax()], names[round_TC[6, 12:].argmax()]
    labels.append(say(f"{first} e {second}?", f"{first} and {second}?"))
    rows = [
        say("uma só", "only one"),
        say("1ª de duas", "1st of two"),
        say("2ª de duas", "2nd of two"),
    ]
    values_HT = np.concatenate([question_row(1, round_TC), question_row(2, round_TC)])
    heatmap(axes, values_HT, rows, labels, digits=2, largest=1)
    axes.set_xticks(range(7), labels, rotation=0, ha="center", fontsize=9)
    axes.set(
        title=say(
            f"A pergunta “{first} e {second}?” olha para…",
            f"The question “{first} and {second}?” looks at…",
        )
    )
show(picture)

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# **Esqueça a transposição.** Para separar as cabeças, corta-se (B, T, C) em (B, T, H, D) e **troca-se** a ordem
# para (B, H, T, D). E se alguém pedir a forma final de uma vez? As formas batem, nada reclama, e a rede até
# treina. Mas mude só a última palavra:

# %% [markdown] lang="en"
# ## Break it
#
# **Forget the transposition.** To separate the heads, (B, T, C) is cut into (B, T, H, D), and then the order is
# **swapped** to (B, H, T, D). What if somebody asks for the final shape at once? The shapes fit, nothing
# complains, and the net even trains. But change the last word alone:


# %%
class WithoutTranspose(MultiHeadAttention):
    def split(self, x_BTC):
        return ops.reshape(
            x_BTC, (-1, self.num_heads, x_BTC.shape[1], self.width // self.num_heads)
        )


x_BTC = np.random.default_rng(4).normal(size=(1, 6, 8)).astype("float32")
changed_BTC = x_BTC.copy()
changed_BTC[0, -1] += 1


def moved(layer):
    """How much each position changes when the last word does."""
    return np.abs(np.array(layer(changed_BTC)) - np.array(layer(x_BTC))).max(axis=-1)[0]


right_T, wrong_T = moved(MultiHeadAttention(8, 2)), moved(WithoutTranspose(8, 2))
print(say("certo:         ", "right:           "), [number(value, 2) for value in right_T])
print(say("sem transpor:  ", "not transposed:  "), [number(value, 2) for value in wrong_T])
check(
    say("certo: o passado não muda", "right: the past does not change"),
    right_T[:-1],
    np.zeros(5),
    tolerance=1e-6,
)
check(
    say("sem transpor: muda", "not transposed: it changes"), bool(wrong_T[:-1].max() > 0.01), True
)

# %% [markdown] lang="pt"
# Cada "cabeça" virou um pedaço da frase, com palavras inteiras fatiadas e empilhadas como se fossem tempo. A
# máscara causal protege uma ordem que não existe mais, e a quinta palavra passa a ver a sexta. É um dos erros
# mais comuns de quem monta um GPT, e só um teste como este o flagra.

# %% [markdown] lang="en"
# Each "head" has become a stretch of the sentence, with whole words sliced and stacked as if they were time.
# The causal mask guards an order that no longer exists, and the fifth word gets to see the sixth. It is one of
# the most common mistakes of whoever builds a GPT, and only a test such as this one catches it.

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1.** O menor GPT-2 tem C = 768 e 12 cabeças. Quantos parâmetros tem uma camada de atenção dele (quatro
# matrizes, cada uma com seu viés)? E com uma cabeça só?

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** The smallest GPT-2 has C = 768 and 12 heads. How many parameters has one of its attention layers (four
# matrices, each with a bias)? And with a single head?

# %% tags=["exercise"]
with_12_heads, with_1_head = ..., ...

layer = MultiHeadAttention(768, 12)
layer(np.zeros((1, 2, 768), "float32"))
check(say("1: 12 cabeças", "1: 12 heads"), with_12_heads, layer.count_params())
check(say("1: uma cabeça", "1: one head"), with_1_head, layer.count_params())

# %% tags=["solution"] jupyter={"source_hidden": true}
with_12_heads = 4 * (768 * 768 + 768)
with_1_head = with_12_heads  # heads are slices of the same matrices

check(say("1: 12 cabeças", "1: 12 heads"), with_12_heads, layer.count_params())
check(say("1: uma cabeça", "1: one head"), with_1_head, layer.count_params())

# %% [markdown] lang="pt"
# **2.** Desfaça `split`: de (B, H, T, D) de volta a (B, T, C). Ida e volta têm de dar o que entrou.

# %% [markdown] lang="en"
# **2.** Undo `split`: from (B, H, T, D) back to (B, T, C). There and back must give what went in.


# %% tags=["exercise"]
def join(x_BHTD):
    return ...


layer = MultiHeadAttention(8, 2)
check(say("2: ida e volta", "2: there and back"), join(layer.split(x_BTC)), x_BTC)


# %% tags=["solution"] jupyter={"source_hidden": true}
def join(x_BHTD):
    batch, heads, time, size = x_BHTD.shape
    return ops.reshape(ops.transpose(x_BHTD, (0, 2, 1, 3)), (batch, time, heads * size))


check(say("2: ida e volta", "2: there and back"), join(layer.split(x_BTC)), x_BTC)

# %% [markdown] lang="pt"
# **3.** Ao escrever, um GPT guarda chaves e valores de cada palavra lida. Com 32 cabeças de 128 números, 32
# camadas e 2 bytes por número, quantos bytes um contexto de 8.192 palavras ocupa? Modelos modernos deixam cada
# 4 cabeças de consulta dividirem uma cabeça de chaves e valores (*grouped-query attention*): e assim, quantos
# bytes?

# %% [markdown] lang="en"
# **3.** While it writes, a GPT keeps keys and values of each word it has read. With 32 heads of 128 numbers, 32
# layers and 2 bytes a number, how many bytes does a context of 8,192 words take? Modern models let every 4
# query heads share one head of keys and values (*grouped-query attention*): how many bytes so?

# %% tags=["exercise"]
cache_bytes, grouped_bytes = ..., ...

check(say("3: cache", "3: cache"), cache_bytes, 2**32)
check(say("3: cache com grupos", "3: cache with groups"), grouped_bytes, 2**30)

# %% tags=["solution"] jupyter={"source_hidden": true}
cache_bytes = (
    2 * 32 * 32 * 128 * 8192 * 2
)  # keys and values, layers, heads, channels, words, bytes: 4 GiB
grouped_bytes = cache_bytes // 4

check(say("3: cache", "3: cache"), cache_bytes, 2**32)
check(say("3: cache com grupos", "3: cache with groups"), grouped_bytes, 2**30)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# `CausalSelfAttention`, em [kgpt/model/attention.py](../../kgpt/model/attention.py): `project` corta, `combine`
# costura. Ela sabe ainda dividir chaves e valores em grupos (`num_kv_heads`), girar posições e guardar o cache.
# Com os pesos treinados aqui, os mesmos números; e os da camada pronta do Keras também:

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# `CausalSelfAttention`, in [kgpt/model/attention.py](../../kgpt/model/attention.py): `project` cuts, `combine`
# sews. It can also share keys and values among groups (`num_kv_heads`), rotate positions and keep the cache.
# With the weights trained here, the same numbers; and those of Keras' ready-made layer too:

# %%
from kgpt.model.attention import CausalSelfAttention

ours = results[2][1]
x_BTC = np.random.default_rng(8).normal(size=(3, 7, 24)).astype("float32")

theirs = CausalSelfAttention(width=24, num_heads=2)
theirs.build((None, None, 24))
for name in ("query", "key", "value", "output_projection"):
    getattr(theirs, name).set_weights(getattr(ours, name).get_weights())
check(
    say("igual ao kgpt", "equal to kgpt's"),
    ours(x_BTC),
    theirs(x_BTC, positions_BT=np.arange(7)[None]),
    tolerance=1e-4,
)

built_in = keras.layers.MultiHeadAttention(num_heads=2, key_dim=12)
built_in.build(query_shape=(None, 7, 24), value_shape=(None, 7, 24))
weights = [w for name in ("query", "key", "value") for w in getattr(ours, name).get_weights()]
shapes = [(24, 2, 12), (2, 12)] * 3
kernel, bias = ours.output_projection.get_weights()
built_in.set_weights(
    [w.reshape(shape) for w, shape in zip(weights, shapes, strict=True)]
    + [kernel.reshape(2, 12, 24), bias]
)
check(
    say("igual ao Keras", "equal to Keras'"),
    ours(x_BTC),
    built_in(x_BTC, x_BTC, use_causal_mask=True),
    tolerance=1e-4,
)

# %% [markdown] lang="pt"
# ## O que vem depois
#
# A atenção está pronta. Falta o que a cerca: uma rede que pensa em cada palavra, as somas que mantêm o sinal
# vivo, e as pontas. Na [aula 16](lesson:16) você monta o GPT inteiro com as peças destas aulas.

# %% [markdown] lang="en"
# ## What comes next
#
# Attention is done. What is missing is what surrounds it: a net that thinks about each word, the sums that keep
# the signal alive, and the ends. In [lesson 16](lesson:16) you assemble the whole GPT from these lessons'
# parts.
