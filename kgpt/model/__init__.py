"""The GPT and its layers, written with `keras.ops`."""

import os

# TensorFlow's usual CPU allocator returns a step's memory to the system and takes it anew in the next step, page by
# page: a third of a small model's time. This one keeps it. TensorFlow reads the variable when it first
# sees its devices, so it must be set before Keras is imported.
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
