"""Terms that the help explains, a line each."""

from __future__ import annotations

from kgpt.language import N_

GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        N_("loss"),
        N_(
            "nats a token: how surprised the model is by the next token; ln(vocabulary) knows nothing"
        ),
    ),
    (
        N_("validation"),
        N_("the loss on text that training never sees; the best checkpoint is its lowest point"),
    ),
    (N_("bits per byte"), N_("the same, per byte of text: comparable between tokenizers")),
    (
        N_("gradient norm"),
        N_("length of the update's direction before clipping; spikes are trouble"),
    ),
    (N_("temperature"), N_("0 takes the likeliest token; higher is bolder")),
    (
        N_("surprise"),
        N_("bits: 0 for what the model held certain, 1 for a coin's toss, 10 for one in 1,024"),
    ),
    (
        N_("attention"),
        N_("how much a token takes from each before it; where it looks, not what it uses"),
    ),
    (N_("rollout"), N_("the layers' attention multiplied: what is left of each word in the end")),
    (N_("ablation"), N_("what a word does: the next token's probability without it")),
    (
        N_("top-k, top-p"),
        N_("choose among the k likeliest tokens; among the likeliest that sum up to p"),
    ),
)
