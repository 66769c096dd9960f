# %% [raw]
# pt: Um detector de spam
# en: A spam detector
# question_pt: Como um modelo que só sabe continuar textos passa a pôr rótulos neles?
# question_en: How does a model that can only continue texts come to put labels on them?
# minutes: 15
# picture: 3

# %% [markdown] lang="pt"
# "PARABÉNS! Você ganhou..." Antes mesmo de terminar de ler, você já sabe. Um computador também aprende, e de dois jeitos que
# vale comparar: **contando palavras**, que cabe em dez linhas e é difícil de bater, e **fazendo o ajuste fino de um GPT**, que já chega
# sabendo ler um pouco de português. No fim você vai atacar os dois e ver quem cai.
#
# As mensagens são feitas na hora, de moldes e palavras sorteadas: recados de família, trabalho e médico de um lado; prêmios,
# empréstimos e golpes do Pix do outro. Para confundir, há recados honestos que falam de banco e de desconto, e golpes
# que começam como um recado de família.

# %% [markdown] lang="en"
# "CONGRATULATIONS! You have won..." You know before you have finished reading. A computer can learn it too, in two ways
# worth comparing: **counting words**, which takes ten lines and is hard to beat, and **fine-tuning a GPT**, which arrives
# knowing how to read a little Portuguese. At the end you will attack both, and see which one falls.
#
# The messages are made on the spot, from templates and words drawn at random: notes from family, work and the doctor on one
# side; prizes, loans and Pix frauds on the other. To confuse matters there are honest notes that speak of banks and
# discounts, and frauds that begin like a note from the family.

# %%
import dataclasses
import re
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from kgpt.learning import bars, check, check_below, colour, figure, heatmap, number, say, show

WORDS = {
    "nome": "Ana Bia Caio Davi Elisa Fábio Gil Helena Iara João Lia Marta Nina Otávio Paula Rui".split(),
    "amiga": "Ana Bia Elisa Helena Iara Lia Marta Nina Paula".split(),
    "hora": "oito nove dez onze quinze dezesseis dezoito dezenove".split(),
    "dia": "segunda terça quarta quinta sexta sábado domingo amanhã".split(),
    "valor": "50 120 300 500 900 1.500 5.000 10.000".split(),
    "banco": ["Banco Aurora", "Banco do Vale", "Caixa Serrana", "PagJá"],
    "coisa": "pão leite café remédio casaco guarda-chuva caderno carregador".split(),
    "lugar": "padaria escola praça farmácia rodoviária biblioteca academia feira".split(),
    "premio": ["um carro zero", "um celular novo", "uma viagem", "um vale-compras"],
    "site": ["premio-ja.net", "ganhe-pix.com", "banco-seguro.info", "oferta10.top"],
}
HAM = [
    "{nome}, chego às {hora}. Pode comprar {coisa} na {lugar}?",
    "Oi {nome}, a reunião de {dia} passou para as {hora}.",
    "Mãe, esqueci o {coisa} na {lugar}. Busco {dia}.",
    "Sua consulta é {dia} às {hora}. Traga os exames.",
    "{nome} pediu para avisar que a aula de {dia} foi cancelada.",
    "O almoço de {dia} é na casa da {amiga}. Leva {coisa}?",
    "{banco}: compra de R$ {valor} aprovada na {lugar}.",
    "A {lugar} dá desconto de {dia}. Quer ir com a {amiga}?",
    "Já fiz o Pix de R$ {valor} para a {amiga}, confere?",
    "Perdi o ônibus, chego depois das {hora}. Avisa a {amiga}.",
]
SPAM = [
    "PARABÉNS! Você ganhou {premio}. Resgate em {site}",
    "{nome}, seu nome foi sorteado! Ganhe {premio} clicando em {site}",
    "Empréstimo de R$ {valor} aprovado na hora, sem consulta. Acesse {site}",
    "{banco}: sua conta será bloqueada. Atualize a senha em {site}",
    "Mãe, troquei de número. Faz um Pix de R$ {valor} ainda hoje?",
    "Trabalhe em casa e ganhe R$ {valor} por dia. Cadastre-se: {site}",
    "Última chance! Desconto de {dia}, só em {site}",
    "Seu Pix de R$ {valor} está retido. Confirme seus dados em {site}",
    "Renda extra garantida: R$ {valor} por semana. Vagas em {site}",
    "{banco}: compra de R$ {valor} suspeita. Cancele já em {site}",
]


def messages(templates, count, random):
    """Different messages from templates, their gaps filled at random."""
    found = set()
    while len(found) < count:
        template = templates[random.integers(len(templates))]
        found.add(re.sub(r"\{(\w+)\}", lambda gap: str(random.choice(WORDS[gap[1]])), template))
    return sorted(found)


random = np.random.default_rng(20)
place = tempfile.TemporaryDirectory()
file = Path(place.name) / "messages.tsv"
rows = [
    f"{text}\t{label}"
    for label, templates in (("ham", HAM), ("spam", SPAM))
    for text in messages(templates, 400, random)
]
file.write_text("text\tlabel\n" + "\n".join(rows) + "\n", encoding="utf-8")
for row in rows[::97]:
    print(row)

# %% [markdown] lang="pt"
# ## Separar antes de aprender
#
# O kgpt lê o arquivo, tira cópias e textos vazios, e reparte: treino, validação e teste, cada rótulo na mesma proporção.
# Tudo o que aprendermos virá do treino; o teste só se abre no fim.

# %% [markdown] lang="en"
# ## Parting before learning
#
# kgpt reads the file, takes out copies and empty texts, and parts it: training, validation and test, each label in the
# same share. All we learn will come from the training part; the test is opened only at the end.

# %%
from kgpt.config import OptimizerConfig
from kgpt.config_values import from_dict
from kgpt.finetune_config import ClassifyConfig
from kgpt.learning.small_model import small_run
from kgpt.text.labelled import read_examples
from kgpt.training.finetuning import finetune_classifier, plan_classifier

base = small_run()
config = dataclasses.replace(
    from_dict(base.configuration()),
    run="spam",
    data=str(file),
    epochs=6.0,
    batch_size=32,
    optimizer=OptimizerConfig(learning_rate=3e-3, warmup_steps=5, weight_decay=0.01),
)
settings = ClassifyConfig(pooling="mean", shares=("0.4", "0.1", "0.5"))
plan = plan_classifier(
    base, base.checkpoint(), read_examples(file), config, settings, place.name, every_epoch=False
)
train, test = plan.task.parts.train, plan.task.parts.test
names = say("treino validação teste", "training validation test").split()
for name, (_, part) in zip(names, plan.task.parts, strict=True):
    print(f"{name:10}", len(part), dict(Counter(example.label for example in part)))

# %% [markdown] lang="pt"
# ## O mais simples: contar palavras
#
# Para cada palavra, compare a frequência com que ela aparece em spam e em mensagens honestas. O logaritmo da razão é o
# **voto** dela; some os votos da mensagem. É o *naive Bayes*, e nos anos 2000 ele limpou sozinho as caixas de entrada do
# mundo.

# %% [markdown] lang="en"
# ## The simplest: counting words
#
# For each word, compare how often it comes in spam and in honest messages. The logarithm of the ratio is its **vote**; add
# up a message's votes. This is *naive Bayes*, and in the 2000s it cleaned the world's inboxes all by itself.


# %%
def words_of(text):
    return re.findall(r"\w+", text.lower())


def learn_votes(examples):
    counts = {label: Counter() for label in ("ham", "spam")}
    for example in examples:
        counts[example.label].update(set(words_of(example.text)))
    totals = Counter(example.label for example in examples)
    vocabulary = set(counts["ham"]) | set(counts["spam"])

    def log_share(word, label):  # + 1: a word that a label never had is unlikely, not impossible
        return np.log((counts[label][word] + 1) / (totals[label] + 2))

    return {word: log_share(word, "spam") - log_share(word, "ham") for word in sorted(vocabulary)}


votes = learn_votes(train)


def by_words(text):
    """Above 0: spam."""
    return sum(votes.get(word, 0.0) for word in words_of(text))


def accuracy(scores, examples):
    return float(
        np.mean(
            [
                (score > 0) == (example.label == "spam")
                for score, example in zip(scores, examples, strict=True)
            ]
        )
    )


words_accuracy = accuracy([by_words(example.text) for example in test], test)
strongest = sorted(votes, key=votes.get)
chosen = strongest[:8] + strongest[-8:]
fig, axis = figure(8, 4.4)
bars(axis, chosen, [votes[word] for word in chosen])
for patch, word in zip(axis.patches, chosen, strict=True):
    patch.set_color(colour(5 if votes[word] > 0 else 2))
axis.set_title(say("Os votos mais fortes", "The strongest votes"))
axis.set_xlabel(say("← honesta          spam →", "← honest          spam →"))
show(fig)
print(say("acertos no teste:", "right in the test:"), f"{number(100 * words_accuracy, 1)}%")

# %% [markdown] lang="pt"
# ## O ajuste fino
#
# Do modelo que continua textos, troque só a última peça: em vez da tabela que dá notas a 1.024 tokens, uma matriz que dá
# notas a 2 rótulos, lida da média dos vetores da mensagem. Todo o resto começa com o que a enciclopédia ensinou.

# %% [markdown] lang="en"
# ## Fine-tuning the GPT
#
# Of the model that continues texts, replace the last piece alone: instead of the table that scores 1,024 tokens, a matrix
# that scores 2 labels, read from the mean of the message's vectors. All the rest begins with what the encyclopedia taught.

# %%
from kgpt.inference.classification import load_classifier

outcome = finetune_classifier(plan)
classifier = load_classifier(outcome.training.run)
column = classifier.labels.index("spam")
chances = classifier.probabilities([example.text for example in test])[:, column]
gpt_accuracy = accuracy(chances - 0.5, test)
print(say("acertos no teste:", "right in the test:"), f"{number(100 * gpt_accuracy, 1)}%")
check(
    say("a exatidão que o kgpt mediu", "the accuracy that kgpt measured"),
    gpt_accuracy,
    outcome.results["test"]["accuracy"],
    tolerance=1e-9,
)
check_below(say("erros do GPT", "the GPT's errors"), 1 - gpt_accuracy, 0.05)

# %%
is_spam = np.array([example.label == "spam" for example in test])


def confusion(says_spam):
    """Rows: what it is; columns: what was said. First honest, then spam."""
    return np.array([[np.sum((is_spam == i) & (says_spam == j)) for j in (0, 1)] for i in (0, 1)])


honest, spam = say("honesta", "honest"), "spam"
said_by_words = np.array([by_words(example.text) > 0 for example in test])
fig, axes = figure(9.5, 3.5, columns=3, width_ratios=[1, 1, 1.7])
for axis, said, title in (
    (axes[0], said_by_words, say("contando palavras", "counting words")),
    (axes[1], chances > 0.5, say("GPT ajustado", "fine-tuned GPT")),
):
    heatmap(axis, confusion(said), [honest, spam], [honest, spam], digits=0)
    axis.set_title(title)
    axis.set_xlabel(say("o detector disse", "the detector said"))
axes[0].set_ylabel(say("a mensagem é", "the message is"))
edges = np.linspace(0, 1, 26)
axes[2].hist(
    [chances[~is_spam], chances[is_spam]],
    edges,
    color=[colour(2), colour(5)],
    label=[honest, spam],
    stacked=True,
)
axes[2].axvline(0.5, color="#444444", linestyle="--", linewidth=1.2)
axes[2].set_yscale("symlog", linthresh=1)
axes[2].set_title(say("probabilidade de spam, pelo GPT", "probability of spam, by the GPT"))
axes[2].set_ylabel(say("mensagens", "messages"))
axes[2].legend(loc="upper left", bbox_to_anchor=(0.06, 1.0))
show(fig)

# %% [markdown] lang="pt"
# Dois detectores, quase o mesmo resultado. Não se impressione com nenhum dos dois: **o teste saiu dos mesmos vinte moldes
# que o treino**. Quem decorou os moldes passa.
#
# ## Quebre e veja
#
# Spammer não segue molde. Primeiro ataque: mensagens de moldes que nenhum dos dois viu. Segundo: os mesmos golpes do
# teste, com letras trocadas por algarismos (`gr4t1s`), o truque mais velho do ramo.

# %% [markdown] lang="en"
# Two detectors, almost the same result. Be impressed by neither: **the test came from the same twenty templates as the
# training**. Whoever has the templates by heart passes.
#
# ## Break it
#
# Spammers follow no templates. First attack: messages from templates that neither has seen. Second: the frauds of the test, with
# letters replaced by digits (`fr33`), the oldest trick of the trade.

# %%
NEW_HAM = [
    "Vou dormir na casa da {amiga}, volto {dia}.",
    "Você viu o {coisa} que deixei na {lugar}?",
    "Confirmado: jantar {dia}, às {hora}, com {nome} e {nome}.",
    "Filho, o seu {coisa} ficou pronto. É só buscar na {lugar}.",
]
NEW_SPAM = [
    "Oi, aqui é do {banco}. Para liberar R$ {valor}, responda com a sua senha.",
    "Você foi escolhido! Responda SIM e receba {premio}.",
    "Dinheiro fácil: invista R$ {valor} e dobre até {dia}.",
    "Pai, perdi o celular. Me manda R$ {valor} nesta conta?",
]
DIGITS = str.maketrans("aeioAEIO", "43104310")

random = np.random.default_rng(21)
new = {
    label: messages(templates, 100, random)
    for label, templates in (("ham", NEW_HAM), ("spam", NEW_SPAM))
}
disguised, disguised_ham = (
    [example.text.translate(DIGITS) for example in test if example.label == label]
    for label in ("spam", "ham")
)


def caught(texts):
    """Share of texts that each detector calls spam."""
    return [
        np.mean([by_words(t) > 0 for t in texts]),
        np.mean(classifier.probabilities(texts)[:, column] > 0.5),
    ]


situations = {
    say("spam do teste", "the test's spam"): caught([e.text for e in test if e.label == "spam"]),
    say("spam de moldes novos", "spam of new templates"): caught(new["spam"]),
    say("spam disfarçado", "spam in disguise"): caught(disguised),
    say("honestas de moldes novos", "honest, of new templates"): caught(new["ham"]),
    say("honestas disfarçadas", "honest, in disguise"): caught(disguised_ham),
}
fig, axis = figure(9.5, 4)
for index, label in enumerate(
    (say("contando palavras", "counting words"), say("GPT ajustado", "fine-tuned GPT"))
):
    heights = [100 * shares[index] for shares in situations.values()]
    where = np.arange(5) + 0.38 * index
    axis.bar(where, heights, 0.36, color=colour(index), label=label)
    for left, height in zip(where, heights, strict=True):
        axis.text(left, height + 1.5, number(height, 0), ha="center", fontsize=9.5)
axis.set_xticks(np.arange(5) + 0.19, [name.replace(" ", "\n", 1) for name in situations])
axis.set_ylabel(say("% ditas spam", "% called spam"))
axis.set_ylim(0, 128)
axis.legend(loc="upper center", ncols=2)
show(fig)
check_below(
    say("moldes novos derrubam os dois", "new templates bring both down"),
    max(situations[say("spam de moldes novos", "spam of new templates")]),
    0.999,
)

# %% [markdown] lang="pt"
# Leia as colunas da direita com calma. Um detector que chama de spam o disfarçado *e também* o recado honesto disfarçado
# não entendeu o golpe: aprendeu que algarismo é coisa de spam. E um GPT que só leu 250 kB traz pouco português de casa;
# contar palavras, de graça, não fica atrás. Meça sempre o simples antes de pagar pelo complicado.
#
# O número do teste era de um mundo que não existe. Por isso o teste tem de vir de onde o detector vai trabalhar: outras
# pessoas, outros meses, outros golpes. É a mesma decoreba da [aula 17](lesson:17), um andar acima: não se decorou o texto,
# decorou-se o *molde*.
#
# ## Exercícios
#
# **1. Precisão e revocação.** De tudo o que o GPT disse ser spam, que parte era? (*precisão*) De todo o spam, que parte ele
# pegou? (*revocação*) Responda com um par, para as mensagens de moldes novos: `said` é o que ele disse, `truth` o que é.

# %% [markdown] lang="en"
# Take your time over the columns on the right. A detector that calls the disguised fraud spam, *and the disguised honest
# note as well*, has not understood the fraud: it has learned that digits mean spam. And a GPT that has read 250 kB brings
# little Portuguese along; counting words, for free, is not behind it. Always measure what is simple before paying for what
# is complicated.
#
# The test's figure was from a world that does not exist. This is why a test has to come from where the detector will work:
# other people, other months, other frauds. It is the learning by heart of [lesson 17](lesson:17), one floor up: not the
# text was learned by heart, but the *template*.
#
# ## Exercises
#
# **1. Precision and recall.** Of all that the GPT called spam, how much was? (*precision*) Of all the spam, how much did it
# catch? (*recall*) Answer with a pair, for the messages of new templates: `said` is what it said, `truth` what they are.

# %% tags=["exercise"]
from kgpt.evaluation.classification import figures

new_probabilities = classifier.probabilities(new["ham"] + new["spam"])
truth = np.repeat([False, True], 100)
said = new_probabilities[:, column] > 0.5

precision_and_recall = ...  # your answer

measured = figures(new_probabilities, truth.astype(int), classifier.labels)
expected_pair = [measured.precision[column], measured.recall[column]]
check(
    say("precisão e revocação", "precision and recall"), precision_and_recall, expected_pair, 1e-9
)

# %% tags=["solution"] jupyter={"source_hidden": true}
precision_and_recall = [truth[said].mean(), said[truth].mean()]
check(
    say("precisão e revocação", "precision and recall"), precision_and_recall, expected_pair, 1e-9
)
print([number(share, 2) for share in precision_and_recall])

# %% [markdown] lang="pt"
# **2. O limiar.** Perder um recado da sua mãe é pior do que ler um spam. Ache o menor limiar `t` (com duas casas decimais,
# de 0,00 a 1,00) tal que `chances > t` não acuse nenhuma mensagem honesta **de moldes novos**.

# %% [markdown] lang="en"
# **2. The threshold.** Losing a note from your mother is worse than reading some spam. Find the smallest threshold `t`
# (with two decimals, from 0.00 to 1.00) such that `chances > t` accuses no honest message **of new templates**.

# %% tags=["exercise"]
new_chances = classifier.probabilities(new["ham"])[:, column]

threshold = ...  # your answer

expected_threshold = np.ceil(100 * new_chances.max()) / 100
check(say("limiar", "threshold"), threshold, expected_threshold, 1e-9)

# %% tags=["solution"] jupyter={"source_hidden": true}
threshold = next(t for t in np.arange(101) / 100 if not (new_chances > t).any())
check(say("limiar", "threshold"), threshold, expected_threshold, 1e-9)
print(number(threshold, 2))

# %% [markdown] lang="pt"
# **3. Um remédio.** Ensine os votos com exemplos disfarçados: chame `learn_votes` com o treino *mais* uma cópia disfarçada
# (`.translate(DIGITS)`) de cada exemplo do treino, honesto ou não. Que fração de `disguised` os novos votos pegam?

# %% [markdown] lang="en"
# **3. A cure.** Teach the votes with disguised examples: call `learn_votes` with the training part *plus* a disguised copy
# (`.translate(DIGITS)`) of each of its examples, honest or not. Which share of `disguised` do the new votes catch?

# %% tags=["exercise"]
new_votes = ...  # your answer: learn_votes(...)


def share_caught(votes):
    return float(
        np.mean([sum(votes.get(word, 0.0) for word in words_of(text)) > 0 for text in disguised])
    )


caught_now = ... if new_votes is ... else share_caught(new_votes)
check(
    say("quase todos", "nearly all"), caught_now if caught_now is ... else caught_now > 0.95, True
)

# %% tags=["solution"] jupyter={"source_hidden": true}
copies = [dataclasses.replace(example, text=example.text.translate(DIGITS)) for example in train]
new_votes = learn_votes([*train, *copies])
caught_now = share_caught(new_votes)
check(say("quase todos", "nearly all"), caught_now > 0.95, True)
print(f"{number(100 * caught_now, 0)}%")

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# * [`kgpt/text/parting.py`](../../kgpt/text/parting.py): treino, validação e teste, sem que um texto caia em dois.
# * [`kgpt/model/classifier.py`](../../kgpt/model/classifier.py): o GPT com uma cabeça de rótulos.
# * [`kgpt/training/finetuning.py`](../../kgpt/training/finetuning.py): o plano, o treino, os números do teste.
# * [`kgpt/inference/thresholds.py`](../../kgpt/inference/thresholds.py): limiares, e o direito de não dar rótulo nenhum.
#
# ```sh
# kgpt finetune classify demo --data sms.tsv --run spam
# kgpt classify spam "Você ganhou um prêmio" --threshold spam=0.9
# ```
#
# ## O que vem depois
#
# O modelo já põe rótulos. Na [aula 21](lesson:21) ele aprende a responder.

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# * [`kgpt/text/parting.py`](../../kgpt/text/parting.py): training, validation and test, no text in two of them.
# * [`kgpt/model/classifier.py`](../../kgpt/model/classifier.py): the GPT with a head for labels.
# * [`kgpt/training/finetuning.py`](../../kgpt/training/finetuning.py): the plan, the training, the figures of the test.
# * [`kgpt/inference/thresholds.py`](../../kgpt/inference/thresholds.py): thresholds, and the right to give no label at all.
#
# ```sh
# kgpt finetune classify demo --data sms.tsv --run spam
# kgpt classify spam "Você ganhou um prêmio" --threshold spam=0.9
# ```
#
# ## What comes next
#
# The model can label. In [lesson 21](lesson:21) it learns to answer.
