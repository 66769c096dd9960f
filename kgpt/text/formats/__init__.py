"""The kinds of files that texts come in: a reader for each, and what they share.

A reader takes a `Source` and a `Reading` (options, and what to do about damage) and yields `Piece`s, reading the file
as a stream. `kinds` says which reader a name asks for; `kgpt.text.sources` is the way in.
"""
