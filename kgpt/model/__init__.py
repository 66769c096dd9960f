"""The GPT and its layers, written with `keras.ops`."""
