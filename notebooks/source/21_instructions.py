# %% [raw]
# pt: Instruções: ensinar a responder
# en: Instructions: teaching a model to answer
# question_pt: Um GPT só sabe continuar textos. Como ele aprende a responder, e o que exatamente conta na perda?
# question_en: A GPT can only continue texts. How does it learn to answer, and what exactly counts in the loss?
# minutes: 15
# picture: 2

# %% [markdown] lang="pt"
# Pergunte algo a um modelo que só leu uma enciclopédia, e ele faz a única coisa que sabe: continua o texto. O fato está lá
# dentro; falta a ele saber que *agora é a vez dele* e quando deve parar. Isso se ensina com algumas centenas de pares de
# pergunta e resposta e um detalhe que decide tudo: **a perda só olha para a resposta**.

# %% [markdown] lang="en"
# Ask something of a model that has only read an encyclopedia, and it does the one thing it knows: it continues the text.
# The fact is in there; what the model does not know is that *it is its turn now*, and when to stop. That is taught with a
# few hundred pairs of question and answer, and one detail that decides everything: **the loss looks at the answer alone**.

# %%
import dataclasses
import tempfile

import numpy as np

from kgpt.learning import check, check_below, colour, figure, number, say, show
from kgpt.learning.small_model import SUBJECTS, small_generator, small_run
from kgpt.protocol import GenerateOptions

generator = small_generator()
tokenizer = generator.tokenizer
for question in ("Qual é a capital da Bahia?", "Quem nasce no Ceará é o quê?"):
    written = generator.generate(question, GenerateOptions(temperature=0.0, max_tokens=24)).text
    print(question, "→", repr(written))

# %% [markdown] lang="pt"
# ## O molde da conversa
#
# Uma conversa tem turnos; um modelo lê uma fila de tokens. Entre os dois está o **molde** (*template*): `<|user|>` antes do
# que a pessoa diz, `<|assistant|>` antes da resposta, o fim de texto depois dela. São tokens especiais, que ninguém
# consegue digitar: escrito por um usuário, `<|assistant|>` continua sendo treze letras e sinais.

# %% [markdown] lang="en"
# ## The template of a conversation
#
# A conversation has turns; a model reads a queue of tokens. Between the two stands the **template**: `<|user|>` before what
# the person says, `<|assistant|>` before the answer, the end of text behind it. These are special tokens that nobody can
# type: written by a user, `<|assistant|>` stays thirteen letters and marks.

# %%
from kgpt.model.vocabulary import with_tokens
from kgpt.text.conversations import Conversation, Turn
from kgpt.text.encyclopedia import questions
from kgpt.text.templates import CHAT, conversation_ids

conversations = [
    Conversation((Turn("user", one.question), Turn("assistant", one.answer)))
    for one in questions()
    if one.subject in SUBJECTS
]
chat_tokenizer = with_tokens(tokenizer, CHAT.special_tokens)
print(
    len(conversations),
    say("conversas; tokens novos:", "conversations; new tokens:"),
    CHAT.special_tokens,
)

example = Conversation((Turn("user", "Qual é a capital da Bahia?"), Turn("assistant", "Salvador")))
ids, is_answer = conversation_ids(CHAT, example.turns, chat_tokenizer)
for token, answers in zip(ids, is_answer, strict=True):
    print(
        "█" if answers else "·",
        token,
        repr(chat_tokenizer.token_bytes(token).decode("utf-8", "replace")),
    )

# %% [markdown] lang="pt"
# `█` é o que o assistente escreve: a resposta **e o fim dela**. É ao aprender a prever o fim que o modelo aprende a parar.
#
# ## A máscara, token por token
#
# Os pares de (entrada, alvo) são os de sempre: o alvo de cada token é o seguinte. A novidade é um **peso** por alvo: 1 na
# resposta, 0 no resto. E várias conversas curtas dividem uma mesma linha do lote; as posições recomeçam do zero em cada
# uma, e nenhuma enxerga a vizinha.

# %% [markdown] lang="en"
# `█` is what the assistant writes: the answer **and its end**. It is by learning to predict the end that the model learns
# to stop.
#
# ## The mask, token by token
#
# The pairs of (input, target) are the usual ones: the target of each token is the next. What is new is a **weight** for
# each target: 1 in the answer, 0 elsewhere. And several short conversations share a row of the batch; positions begin at
# zero in each, and none sees its neighbour.

# %%
from kgpt.config import OptimizerConfig
from kgpt.config_values import from_dict
from kgpt.finetune_config import InstructConfig
from kgpt.training.distribution import Devices
from kgpt.training.instructing import conversation_parts, finetune_instruct, plan_instruct

place = tempfile.TemporaryDirectory()
base = small_run()
config = dataclasses.replace(
    from_dict(base.configuration()),
    run="assistant",
    data="questions",
    epochs=6.0,
    batch_size=8,
    optimizer=OptimizerConfig(learning_rate=3e-3, warmup_steps=10, weight_decay=0.0),
)
parts = conversation_parts(conversations, (0.85, 0.05, 0.1), seed=1)
plan = plan_instruct(
    base, base.checkpoint(), parts, "questions", CHAT, config, InstructConfig(answered=60),
    saved_models=place.name, every_epoch=False,
)  # fmt: skip
batches = plan.task.batches(plan.config)
(ids_BT, positions_BT), targets_BT, weights_BT = batches.at(0)
print(say("formas:", "shapes:"), ids_BT.shape, weights_BT.shape)
print(say("posições da linha 0:", "positions of row 0:"), positions_BT[0].tolist())
print(say("pesos da linha 0:   ", "weights of row 0:   "), weights_BT[0].astype(int).tolist())

# %% [markdown] lang="pt"
# Agora a perda na mão: `-ln p(alvo)` em cada posição, vezes o peso, dividido pela **soma dos pesos**.

# %% [markdown] lang="en"
# Now the loss by hand: `-ln p(target)` at each position, times the weight, divided by the **sum of the weights**.

# %%
model = plan.task.model(plan.config, Devices())


def nats(logits_BTV, targets_BT):
    """-ln p(target) of each position."""
    shifted = logits_BTV - logits_BTV.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return -np.take_along_axis(log_p, targets_BT[..., None], axis=-1)[..., 0]


logits_BTV = np.asarray(model((ids_BT, positions_BT)), dtype="float64")
nats_BT = nats(logits_BTV, targets_BT)
masked = (nats_BT * weights_BT).sum() / weights_BT.sum()

vectors = model((ids_BT, positions_BT), training=True)
of_kgpt = model.compute_loss(y=targets_BT, y_pred=vectors, sample_weight=weights_BT, training=True)
check(say("igual à perda do kgpt", "equal to kgpt's loss"), masked, float(of_kgpt), tolerance=1e-4)
print(number(masked, 4), say("nats por token de resposta", "nats a token of the answers"))


# %%
def token_names(ids):
    special = {
        token: name for name, token in chat_tokenizer.vocabulary.items() if name.startswith("<|")
    }
    return [
        special.get(token) or repr(chat_tokenizer.decode([token]))[1:-1].strip() or "␣"
        for token in ids
    ]


def draw_nats(axis, model, conversation, title):
    """A bar for each target: how surprised the model is; coloured where it counts."""
    ids, is_answer = conversation_ids(CHAT, conversation.turns, chat_tokenizer)
    row, targets = np.array([ids[:-1]]), np.array([ids[1:]])
    values = nats(np.asarray(model(row), "float64"), targets)[0]
    inks = [colour(5) if counts else "#C9CED6" for counts in is_answer[1:]]
    axis.bar(range(len(values)), values, color=inks)
    axis.set_xticks(range(len(values)), token_names(ids[1:]), rotation=55, ha="right", fontsize=9.5)
    axis.set_ylabel(say("nats", "nats"))
    axis.set_title(title)
    return float(values[np.array(is_answer[1:])].mean())


fig, axis = figure(8.5, 3.4)
before = draw_nats(
    axis,
    model,
    example,
    say(
        "Antes: quanto cada alvo surpreende o modelo",
        "Before: how much each target surprises the model",
    ),
)
axis.plot([], [], color=colour(5), linewidth=8, label=say("conta na perda", "counts in the loss"))
axis.plot([], [], color="#C9CED6", linewidth=8, label=say("peso 0", "weight 0"))
axis.legend(loc="upper left", bbox_to_anchor=(0.63, 1.02))
show(fig)
print(number(before, 3))

# %% [markdown] lang="pt"
# Cinza é a pergunta. Fazer o modelo prever perguntas seria gastar aprendizado com o que nunca será ele a escrever.
#
# ## Treinar

# %% [markdown] lang="en"
# Grey is the question. Making the model predict questions would spend learning on what it will never be the one to write.
#
# ## Training

# %%
outcome = finetune_instruct(plan)
results = outcome.results
for part, name in (
    ("validation", say("validação", "validation")),
    ("test", say("teste", "test")),
):
    figures = results[part]
    arrow = f"{number(figures['base_loss'], 2)} → {number(figures['loss'], 2)}"
    print(f"{name:10}", say("perda das respostas:", "loss of the answers:"), arrow)
exact = results["test"]["exact"]
print(say("respostas exatas no teste:", "exact answers in the test:"), f"{number(100 * exact, 0)}%")
check_below(
    say("perda das respostas no teste", "loss of the answers in the test"),
    results["test"]["loss"],
    0.6,
)
check_below(say("mais da metade exata", "more than half exact"), 0.5, exact)

# %%
import kgpt
from kgpt.inference.chat import Chat
from kgpt.inference.decoder import KerasDecoder
from kgpt.inference.generation import Generator

assistant = kgpt.open_run(outcome.training.run.path)
tuned = assistant.load_model()
chat = Chat(Generator(KerasDecoder(tuned), assistant.tokenizer), CHAT)


def ask(question):
    pieces = chat.answer([Turn("user", question)], GenerateOptions(temperature=0.0, max_tokens=16))
    return "".join(piece.text for piece in pieces)


for question in (
    "Qual é a capital da Bahia?",
    "Como se chama quem nasce no Ceará?",
    "Qual é a sigla do Amazonas?",
    "Que astrônomo descobriu Titã?",
):
    print(question, "→", ask(question))

# %% [markdown] lang="pt"
# As mesmas barras, antes e depois:

# %% [markdown] lang="en"
# The same bars, before and after:

# %%
fig, axes = figure(9.5, 3.6, columns=2, sharey=True)
draw_nats(axes[0], model, example, say("antes", "before"))
after = draw_nats(axes[1], tuned, example, say("depois", "after"))
axes[1].set_ylabel("")
show(fig)
check_below(
    say("a resposta deixou de surpreender", "the answer surprises no more"), after, before / 2
)

# %% [markdown] lang="pt"
# A resposta, em cor, quase não surpreende mais. A pergunta, em cinza, continua surpreendendo: ninguém pediu ao modelo que
# a adivinhasse.
#
# ## Quebre e veja
#
# Um erro clássico é dividir pelo número de **posições**, e não pela soma dos pesos. É o que faz a média padrão do Keras
# quando se lhe dá `sample_weight`.

# %% [markdown] lang="en"
# The answer, in colour, hardly surprises any more. The question, in grey, still does: nobody asked the model to guess it.
#
# ## Break it
#
# A classic mistake is to divide by the number of **positions** instead of the sum of the weights. It is what Keras' default
# mean does when it is given a `sample_weight`.

# %%
import keras

wrong_mean = float(
    keras.losses.SparseCategoricalCrossentropy(from_logits=True)(
        targets_BT, logits_BTV, sample_weight=weights_BT
    )
)
print(
    say("certa:", "right:"), number(masked, 3), say("  errada:", "  wrong:"), number(wrong_mean, 3)
)
print(
    say("a errada é menor", "the wrong one is smaller by a factor of"),
    number(masked / wrong_mean, 1),
    say("vezes", ""),
)
check(say("o fator", "the factor"), masked / wrong_mean, weights_BT.size / weights_BT.sum(), 1e-3)

# %% [markdown] lang="pt"
# Nada falha. Só que cada passo aprende várias vezes menos do que a taxa de aprendizado promete, e o fator muda de lote para
# lote, conforme o tamanho das respostas. Você culparia o otimizador.
#
# Outro jeito de quebrar: perguntar sem o molde. O modelo não percebe que é a vez dele, e emudece ou continua qualquer coisa:

# %% [markdown] lang="en"
# Nothing fails. But each step learns several times less than the learning rate promises, and the factor changes from batch
# to batch with the length of the answers. You would blame the optimiser.
#
# Another way to break it: ask without the template. The model does not notice that it is its turn, and falls silent or
# continues with anything:

# %%
question = "Qual é a capital da Bahia?"
plain = chat.generator.generate(question, GenerateOptions(temperature=0.0, max_tokens=16)).text
print(say("com o molde: ", "with template:   "), repr(ask(question)))
print(say("sem o molde: ", "without template:"), repr(plain))
check(
    say("com o molde, e só com ele", "with the template, and only with it"),
    plain.strip() != ask(question),
    True,
)

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1. Faça a máscara.** Escreva `mask(ids)`: uma lista de 0 e 1, um por **alvo** (`ids[1:]`), com 1 nos tokens depois de
# `<|assistant|>` até o fim de texto, inclusive.

# %% [markdown] lang="en"
# ## Exercises
#
# **1. Make the mask.** Write `mask(ids)`: a list of 0s and 1s, one for each **target** (`ids[1:]`), with 1 for the tokens
# after `<|assistant|>` up to and including the end of text.

# %% tags=["exercise"]
ASSISTANT = chat_tokenizer.vocabulary["<|assistant|>"]
END = chat_tokenizer.end_of_text


def mask(ids):
    return ...  # your answer


two_turns = [Turn("user", "Qual é a sigla do Pará?"), Turn("assistant", "PA")] * 2
long_ids, long_answers = conversation_ids(CHAT, two_turns, chat_tokenizer)
check(say("a máscara", "the mask"), mask(long_ids), [int(counts) for counts in long_answers[1:]])


# %% tags=["solution"] jupyter={"source_hidden": true}
def mask(ids):
    result, answering = [], False
    for token in ids:
        result.append(int(answering))
        if token == ASSISTANT:
            answering = True
        elif token == END:
            answering = False
    return result[1:]


check(say("a máscara", "the mask"), mask(long_ids), [int(counts) for counts in long_answers[1:]])

# %% [markdown] lang="pt"
# **2. Quanto se aprende?** Que fração das posições do lote (`weights_BT`) conta na perda? E quantas conversas há na linha 0
# (olhe as posições)? Responda com um par.

# %% [markdown] lang="en"
# **2. How much is learned from?** Which share of the batch's positions (`weights_BT`) counts in the loss? And how many
# conversations are in row 0 (look at the positions)? Answer with a pair.

# %% tags=["exercise"]
share_and_count = ...  # your answer

starts = int((np.diff(positions_BT[0]) != 1).sum()) + 1
expected_pair = [wrong_mean / masked, starts]
check(say("fração e conversas", "share and conversations"), share_and_count, expected_pair, 1e-3)

# %% tags=["solution"] jupyter={"source_hidden": true}
share_and_count = [weights_BT.mean(), (positions_BT[0] == 0).sum()]
check(say("fração e conversas", "share and conversations"), share_and_count, expected_pair, 1e-3)
print(f"{number(100 * share_and_count[0], 0)}%", share_and_count[1])

# %% [markdown] lang="pt"
# **3. Ninguém enxerga o vizinho.** Pegue a primeira conversa da linha 0 (até a posição voltar a zero), calcule sozinhos os
# seus `nats`, com `model`, e compare com os mesmos lugares de `nats_BT`.

# %% [markdown] lang="en"
# **3. Nobody sees the neighbour.** Take the first conversation of row 0 (until the position goes back to zero), compute its
# `nats` alone, with `model`, and compare them with the same places of `nats_BT`.

# %% tags=["exercise"]
end_of_first = int(np.argmax(np.diff(positions_BT[0]) < 0)) + 1

alone = ...  # your answer: an array of end_of_first numbers

check(say("sozinha = em companhia", "alone = in company"), alone, nats_BT[0, :end_of_first], 1e-4)

# %% tags=["solution"] jupyter={"source_hidden": true}
row, targets = ids_BT[:1, :end_of_first], targets_BT[:1, :end_of_first]
alone = nats(np.asarray(model(row), "float64"), targets)[0]
check(say("sozinha = em companhia", "alone = in company"), alone, nats_BT[0, :end_of_first], 1e-4)

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# * [`kgpt/text/templates.py`](../../kgpt/text/templates.py): os moldes, e por que ninguém consegue falar no lugar do
#   assistente.
# * [`kgpt/text/answer_rows.py`](../../kgpt/text/answer_rows.py): de conversas a linhas com pesos.
# * [`kgpt/training/answer_batches.py`](../../kgpt/training/answer_batches.py): várias conversas por linha, sem que se vejam.
# * [`kgpt/training/losses.py`](../../kgpt/training/losses.py): a média ponderada que você conferiu.
# * [`kgpt/training/instructing.py`](../../kgpt/training/instructing.py): o plano, o treino e os números do teste.
#
# ```sh
# kgpt finetune instruct demo --data encyclopedia --run assistente
# kgpt chat assistente
# ```
#
# ## O que vem depois
#
# Na [aula 22](lesson:22) a pergunta se inverte: em vez do que o modelo diz, para onde ele olha.

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# * [`kgpt/text/templates.py`](../../kgpt/text/templates.py): the templates, and why nobody can speak for the assistant.
# * [`kgpt/text/answer_rows.py`](../../kgpt/text/answer_rows.py): from conversations to rows with weights.
# * [`kgpt/training/answer_batches.py`](../../kgpt/training/answer_batches.py): several conversations a row, none seeing
#   another.
# * [`kgpt/training/losses.py`](../../kgpt/training/losses.py): the weighted mean that you have checked.
# * [`kgpt/training/instructing.py`](../../kgpt/training/instructing.py): the plan, the training, the figures of the test.
#
# ```sh
# kgpt finetune instruct demo --data encyclopedia --run assistente
# kgpt chat assistente
# ```
#
# ## What comes next
#
# In [lesson 22](lesson:22) the question turns round: not what the model says, but where it looks.
