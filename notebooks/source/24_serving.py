# %% [raw]
# pt: Servir o modelo
# en: Serving the model
# question_pt: O modelo funciona no caderno. Como outros programas, em outras máquinas, passam a usá-lo?
# question_en: The model works in the notebook. How do other programs, on other machines, get to use it?
# minutes: 12
# picture: 1

# %% [markdown] lang="pt"
# Última parada. Até aqui o modelo morou dentro do seu processo Python. Há dois jeitos de deixá-lo sair: **exportar**, isto
# é, dar a alguém uma pasta que funciona sem o kgpt; e **servir**, isto é, deixá-lo ligado num processo que responde pela
# rede, no mesmo dialeto que a API da OpenAI fala. Vamos fazer os dois de verdade: um processo filho, uma porta livre, uma
# requisição HTTP, um texto que chega aos pedaços. E, no fim, desligar.

# %% [markdown] lang="en"
# The last stop. So far the model has lived inside your Python process. There are two ways to let it out: to **export** it,
# that is, to hand somebody a folder that works without kgpt; and to **serve** it, that is, to leave it running in a process
# that answers over the network, in the dialect of OpenAI's API. We do both for real: a child process, a free port, an HTTP
# request, a text that arrives in pieces. And, at the end, we switch it off.

# %%
import atexit
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kgpt.learning import check, colour, figure, number, say, show
from kgpt.learning.small_model import small_generator, small_run
from kgpt.protocol import GenerateOptions

run = small_run()
generator = small_generator()
prompt = "A capital do Paraná é"
greedy = GenerateOptions(temperature=0.0, max_tokens=24)
here = generator.generate(prompt, greedy).text
print(prompt + here)

# %% [markdown] lang="pt"
# ## Exportar: uma pasta que anda sozinha
#
# Um *SavedModel* é um grafo do TensorFlow com os pesos dentro. O do kgpt leva junto o tokenizador e o laço de geração:
# entra texto, sai texto. Quem o abre precisa do TensorFlow e de mais nada.

# %% [markdown] lang="en"
# ## Exporting: a folder that walks on its own
#
# A *SavedModel* is a TensorFlow graph with its weights inside. kgpt's takes tokenizer and writing loop along: text goes in,
# text comes out. Whoever opens it needs TensorFlow, and nothing else.

# %%
import tensorflow as tf

from kgpt.interop.exports import export_saved_model

place = tempfile.TemporaryDirectory()
folder = export_saved_model(run, run.checkpoint(), Path(place.name) / "small", greedy)
for path in sorted(folder.rglob("*")):
    if path.is_file():
        print(f"{number(path.stat().st_size / 1e6, 2):>6} MB ", path.relative_to(folder))

loaded = tf.saved_model.load(str(folder))
answer = loaded.signatures["serving_default"](tf.constant([prompt]))
exported = answer["text"].numpy()[0].decode()
check(say("o mesmo texto que o kgpt", "the same text as kgpt's"), exported, here)

# %% [markdown] lang="pt"
# ## Servir: um processo que responde
#
# `kgpt serve` carrega o modelo uma vez e fica ouvindo. Com `--port 0` ele escolhe uma porta livre e diz qual é.

# %% [markdown] lang="en"
# ## Serving: a process that answers
#
# `kgpt serve` loads the model once, and listens. With `--port 0` it takes a free port, and says which.

# %%
log = open(Path(place.name) / "serve.log", "w+", encoding="utf-8")
server = subprocess.Popen(
    [sys.executable, "-m", "kgpt", "serve", str(run.path), "--port", "0", "--decoder", "keras"],
    stderr=log,
    stdout=subprocess.DEVNULL,
)
atexit.register(server.kill)  # if the notebook is closed half way


def wait_for_url(seconds=120):
    """The address that the server tells, once it has loaded the model."""
    for _ in range(10 * seconds):
        log.seek(0)
        told = re.search(r"http://\S+", log.read())
        if told:
            return told[0]
        if server.poll() is not None:
            break
        time.sleep(0.1)
    log.seek(0)
    raise RuntimeError(log.read())


def post(path, body):
    request = urllib.request.Request(
        url + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    return urllib.request.urlopen(request, timeout=60)


url = wait_for_url()
with urllib.request.urlopen(url + "/health") as reply:
    health = json.load(reply)
print(health)
check(say("o servidor está de pé", "the server is up"), health["status"], "ok")

# %% [markdown] lang="pt"
# Uma requisição é um JSON que vai; a resposta, um JSON que volta. Qualquer linguagem sabe fazer isso, e quem já usa a
# biblioteca da OpenAI só troca o endereço.

# %% [markdown] lang="en"
# A request is JSON that goes; the answer is JSON that comes back. Every language can do that, and whoever uses OpenAI's
# library changes the address, and nothing else.

# %%
body = {"model": run.name, "prompt": prompt, "max_tokens": 24, "temperature": 0}
with post("/v1/completions", body) as reply:
    completion = json.load(reply)
shown = {key: completion[key] for key in ("object", "model", "choices", "usage")}
print(json.dumps(shown, indent=1, ensure_ascii=False))
check(
    say("o mesmo texto, pela rede", "the same text, over the network"),
    completion["choices"][0]["text"],
    here,
)

# %% [markdown] lang="pt"
# ## Aos pedaços
#
# Um texto longo demora; ninguém quer olhar para o nada. Com `"stream": true` a resposta vem como uma fila de **eventos**:
# linhas `data: {...}`, uma por pedaço, e `data: [DONE]` no fim. Anotemos a que horas chega cada um.

# %% [markdown] lang="en"
# ## In pieces
#
# A long text takes time, and nobody likes to look at nothing. With `"stream": true` the answer comes as a queue of
# **events**: lines `data: {...}`, one for each piece, and `data: [DONE]` at the end. Let us note when each arrives.


# %%
def stream(body):
    """Pieces of text, and the seconds since the request at which each came."""
    began = time.perf_counter()
    with post("/v1/completions", {**body, "stream": True}) as reply:
        for line in reply:
            if line.startswith(b"data: {"):
                text = json.loads(line[6:])["choices"][0]["text"]
                yield text, time.perf_counter() - began


long_body = {
    **body,
    "prompt": "No Sistema Solar,",
    "max_tokens": 40,
    "temperature": 0.8,
    "top_p": 0.9,
    "seed": 3,
}
pieces = [(text, second) for text, second in stream(long_body) if text]
whole = "".join(text for text, _ in pieces)
print(whole)

# %%
with post("/v1/completions", long_body) as reply:
    at_once = json.load(reply)["choices"][0]["text"]
check(
    say("os pedaços juntos = o texto inteiro", "the pieces together = the whole text"),
    whole,
    at_once,
)

fig, axis = figure(9, 3.2)
times = [1000 * second for _, second in pieces]
axis.step([0, *times], range(len(times) + 1), where="post", color=colour(0))
axis.axvspan(0, times[0], color=colour(1), alpha=0.25)
axis.annotate(
    say("primeiro pedaço", "first piece"),
    (times[0], 0.9 * len(times)),
    xytext=(6, 0),
    textcoords="offset points",
    color="#8A6D00",
)
words = [index for index, (text, _) in enumerate(pieces) if len(text.strip()) > 2]
for index in words[2::4]:
    axis.annotate(
        repr(pieces[index][0]),
        (times[index], index + 1),
        xytext=(-6, 3),
        textcoords="offset points",
        ha="right",
        fontsize=9.5,
    )
axis.set_title(say("Um texto chegando", "A text arriving"))
axis.set_xlabel(say("milissegundos desde o pedido", "milliseconds since the request"))
axis.set_ylabel(say("pedaços recebidos", "pieces received"))
axis.set_xlim(0)
show(fig)

# %% [markdown] lang="pt"
# ## Muitos de uma vez
#
# Calcular um token para oito textos custa quase o mesmo que para um só: os pesos são lidos uma vez da memória e servem a
# todos. Por isso o servidor junta num lote quem chega ao mesmo tempo, e cada um recebe o mesmo texto que receberia sozinho.

# %% [markdown] lang="en"
# ## Many at once
#
# Computing a token for eight texts costs little more than for one: the weights are read from memory once, and serve all.
# This is why the server puts into one batch those who come at the same time, and each gets the text it would get alone.


# %%
def ask(seed):
    with post("/v1/completions", {**long_body, "seed": seed}) as reply:
        return json.load(reply)


ask(0)
with ThreadPoolExecutor(8) as pool:  # so that the graph for several texts is compiled
    list(pool.map(ask, range(8)))

began = time.perf_counter()
one_by_one = [ask(seed) for seed in range(8)]
alone_seconds = time.perf_counter() - began
began = time.perf_counter()
with ThreadPoolExecutor(8) as pool:
    together = list(pool.map(ask, range(8)))
together_seconds = time.perf_counter() - began

texts = [[one["choices"][0]["text"] for one in many] for many in (one_by_one, together)]
check(say("cada um recebe o seu texto", "each gets its own text"), texts[1], texts[0])
print(say("um atrás do outro:", "one after the other:"), number(alone_seconds, 2), "s")
print(say("todos juntos:     ", "all together:       "), number(together_seconds, 2), "s")

# %% [markdown] lang="pt"
# ## Quebre e veja
#
# Um servidor vive entre desconhecidos. Mande um prompt que não cabe no contexto, um número impossível, um JSON pela
# metade. Ele tem de recusar com educação, dizer por quê e continuar de pé.

# %% [markdown] lang="en"
# ## Break it
#
# A server lives among strangers. Send it a prompt that does not fit into the context, an impossible number, half a JSON. It
# has to refuse politely, say why, and stay up.


# %%
def refused(content):
    """Status and message of a refusal."""
    request = urllib.request.Request(
        url + "/v1/completions", content, {"content-type": "application/json"}
    )
    try:
        urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["error"]["message"]
    return 200, ""


statuses = []
for content in (
    json.dumps({"model": run.name, "prompt": "Marte é um planeta. " * 60}).encode(),
    json.dumps({"model": run.name, "prompt": "Marte", "temperature": -3}).encode(),
    b'{"prompt": "Mar',
):
    status, message = refused(content)
    statuses.append(status)
    print(status, message)
check(say("recusas", "refusals"), [400 <= status < 500 for status in statuses], [True] * 3)
with post("/v1/completions", body) as reply:
    check(
        say("e continua de pé", "and it is still up"), json.load(reply)["choices"][0]["text"], here
    )

# %% [markdown] lang="pt"
# ## Exercícios
#
# **1. Quantos tokens?** A resposta traz, em `usage`, quantos tokens entraram e quantos saíram (é por eles que serviços
# pagos cobram). Conte você mesmo os do prompt, com `generator.tokenizer`, e os que saíram, com `generator.generate`.

# %% [markdown] lang="en"
# ## Exercises
#
# **1. How many tokens?** The answer says, in `usage`, how many tokens went in and how many came out (it is by these that
# paid services charge). Count those of the prompt yourself, with `generator.tokenizer`, and those that came out, with
# `generator.generate`.

# %% tags=["exercise"]
tokens_in_and_out = ...  # your answer

usage = completion["usage"]
expected_tokens = [usage["prompt_tokens"], usage["completion_tokens"]]
check(say("tokens que entram e saem", "tokens in and out"), tokens_in_and_out, expected_tokens)

# %% tags=["solution"] jupyter={"source_hidden": true}
tokens_in_and_out = [
    len(generator.tokenizer.encode(prompt)),
    generator.generate(prompt, greedy).tokens,
]
check(say("tokens que entram e saem", "tokens in and out"), tokens_in_and_out, expected_tokens)
print(tokens_in_and_out)

# %% [markdown] lang="pt"
# **2. Parar cedo.** A API aceita `"stop"`: um texto que, se aparecer, encerra a resposta sem fazer parte dela. Monte um pedido
# que continue `"A capital do Paraná é"` sem amostragem (temperatura 0) e pare no primeiro ponto final. O que volta?

# %% [markdown] lang="en"
# **2. Stop early.** The API takes `"stop"`: a text that ends the answer when it comes, and is no part of it. Make a request
# that continues `"A capital do Paraná é"` without sampling (temperature 0) and stops at the first full stop. What comes
# back?

# %% tags=["exercise"]
first_sentence = ...  # your answer: the text that comes back

check(say("até o ponto", "up to the full stop"), first_sentence, here.split(".")[0])

# %% tags=["solution"] jupyter={"source_hidden": true}
with post("/v1/completions", {**body, "stop": "."}) as reply:
    first_sentence = json.load(reply)["choices"][0]["text"]
check(say("até o ponto", "up to the full stop"), first_sentence, here.split(".")[0])
print(repr(first_sentence))

# %% [markdown] lang="pt"
# ## Desligar
#
# Um processo que ninguém desliga fica lá, com o modelo na memória. Um sinal (o mesmo do Ctrl-C) pede; o servidor acaba o
# que está escrevendo e sai.

# %% [markdown] lang="en"
# ## Switching off
#
# A process that nobody switches off stays, with the model in its memory. A signal (that of Ctrl-C) asks; the server
# finishes what it is writing, and leaves.

# %%
import signal

server.send_signal(signal.SIGINT)
check(say("saiu em ordem", "it left in order"), server.wait(timeout=60), 0)
try:
    urllib.request.urlopen(url + "/health", timeout=5)
    answered = True
except urllib.error.URLError:
    answered = False
check(say("ninguém atende mais", "nobody answers any more"), answered, False)
log.close()

# %% [markdown] lang="pt"
# ## Onde isto mora no kgpt
#
# * [`kgpt/interop/saved_model.py`](../../kgpt/interop/saved_model.py): tokenizador, laço e sorteio dentro de um grafo.
# * [`kgpt/serving/http.py`](../../kgpt/serving/http.py): as rotas; [`kgpt/serving/batching.py`](../../kgpt/serving/batching.py):
#   o lote em que textos entram e de que saem a cada token.
# * [`kgpt/serving/event_stream.py`](../../kgpt/serving/event_stream.py): os eventos, e o que fazer quando quem pediu desliga.
# * [docs/servindo.md](../../docs/servindo.md): atrás de um proxy, no TensorFlow Serving, para mais gente.
#
# ```sh
# kgpt export demo --format saved-model --output exported/demo
# kgpt serve demo
# ```
#
# ## O que vem depois
#
# O caminho acaba aqui: você cortou um texto nos espaços na [aula 1](lesson:1) e agora tem um modelo seu atendendo pela rede.
# Daqui em diante o texto é o seu: `kgpt prepare meu-texto.txt`, e depois `kgpt-train`.

# %% [markdown] lang="en"
# ## Where this lives in kgpt
#
# * [`kgpt/interop/saved_model.py`](../../kgpt/interop/saved_model.py): tokenizer, loop and sampling inside a graph.
# * [`kgpt/serving/http.py`](../../kgpt/serving/http.py): the routes; [`kgpt/serving/batching.py`](../../kgpt/serving/batching.py):
#   the batch that texts join and leave with every token.
# * [`kgpt/serving/event_stream.py`](../../kgpt/serving/event_stream.py): the events, and what to do when the client leaves.
# * [docs/serving.md](../../docs/serving.md): behind a proxy, in TensorFlow Serving, for more people.
#
# ```sh
# kgpt export demo --format saved-model --output exported/demo
# kgpt serve demo
# ```
#
# ## What comes next
#
# The path ends here: you cut a text at its spaces in [lesson 1](lesson:1), and now a model of your own answers over the
# network. From here on the text is yours: `kgpt prepare my-text.txt`, and then `kgpt-train`.
