"""The learning path: lessons as text in `source`, and the notebooks built from them."""
