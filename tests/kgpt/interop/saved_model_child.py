"""Uses a SavedModel where kgpt, Keras and tensorflow-text cannot be imported.

In, on stdin: {"folder": ..., "requests": {name: [signature, inputs]}, "command": [...]}. Out, in the file that the
first argument names: the outputs by request, or {"error": message}. `command`, if there is one, is then given
to `saved_model_cli`.
"""

import json
import sys

BLOCKED = {"kgpt", "keras", "tf_keras", "keras_nlp", "keras_hub", "tensorflow_text", "tokenizers"}


class Hiding:
    """A finder of modules that does not find the blocked ones."""

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in BLOCKED:
            return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)


sys.meta_path[:] = map(Hiding, sys.meta_path)

import tensorflow as tf  # noqa: E402
from tensorflow.python.tools import saved_model_cli  # noqa: E402


def plain(value):
    return in_hex(value.numpy().tolist()) if value.dtype == tf.string else value.numpy().tolist()


def in_hex(value):
    return value.hex() if isinstance(value, bytes) else [in_hex(item) for item in value]


def answer(model, signature, inputs):
    function = model.signatures[signature]
    specs = function.structured_input_signature[1]
    try:
        tensors = {name: tf.constant(value, specs[name].dtype) for name, value in inputs.items()}
        return {name: plain(value) for name, value in function(**tensors).items()}
    except tf.errors.InvalidArgumentError as error:
        return {"error": error.message}


task = json.load(sys.stdin)
model = tf.saved_model.load(task["folder"])
result = {name: answer(model, *request) for name, request in task["requests"].items()}
result["modules"] = sorted(BLOCKED & {name.partition(".")[0] for name in sys.modules})
with open(sys.argv[1], "w") as file:
    json.dump(result, file)
if task["command"]:
    sys.argv = ["saved_model_cli", *task["command"]]
    saved_model_cli.main()
