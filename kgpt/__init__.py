"""kgpt: GPT models from scratch with Keras 3."""
