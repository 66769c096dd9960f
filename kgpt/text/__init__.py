"""Text in: sources, tokenizer, shards."""
