"""The built-in corpus: a small Portuguese encyclopedia written from tables of facts."""
