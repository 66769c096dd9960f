"""Batches, optimisers, checkpoints, callbacks, and the trainer that ties them together."""
