"""From logits to text: sampling, the KV-cached decoder, streams."""
