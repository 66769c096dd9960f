"""Texts that tokenizers get wrong, as a Hypothesis strategy, and a small text to train on."""

from __future__ import annotations

import hypothesis.strategies as st

END = "<|endoftext|>"

HARD = [
    *("\n", "\n\n", "\n\n\n", " ", "  ", "   ", "\t", "\r\n", "\v", "\f", "\x1c", "\x1f", "\x85"),
    *("\u00a0", "\u1680", "\u2009", "\u2028", "\u202f", "\u3000", "\u180e", "\u200b", "\ufeff"),
    *("'", "''", "'s", "'S", "'ll", "'LL", "'re", "'ve", "'t", "'d", "'m", "’s", "'x", "don't"),
    *("0", "12", "2024", "½", "²", "٣", "Ⅷ", "६", "Ĵ", "ĴA", "a६ b", "ª", "_", "ß", "ǅ"),
    *("é", "e\u0301", "\u0301", "ção", "Não", "naõ", "a", "b", "the", " the", "casa", " casa"),
    *("👩‍👩‍👧", "😀", "🇧🇷", "\u200d", "\ufe0f", "漢字", "日本語", "한국", "العربية", "\U0001d400"),
    *(
        END,
        "<|im_start|>",
        "<|",
        "|>",
        "endoftext",
        "!",
        "!!",
        "...",
        "—",
        "----",
        "====",
        "aaaaaaa",
    ),
    *("\x00", "\x07", "\x7f", "\U000e0001", "\U0010ffff", "\u0378", "\uffff", "\ufffe", "\x1d"),
    *("\r", "\n ", " \n", " \t", "\n\n  ", "\u00a0\u00a0", "\u2028 "),
    *("'ſ", "'sT", "'Ll", "''s", " 's", "-lhe", " -se", "--a", "“E", "1.5", "12345", " 1234"),
    *("𝟘𝟙", "𐐀", "𠀀", "e\u0323\u0301", "\u0e33", "Ⅷ٣½"),
    *(
        "\r",
        "\n ",
        " \n",
        " \t",
        "\n\n  ",
        "\u00a0\u00a0",
        "\u2028 ",
        "\x1d",
        "\u0378",
        "\uffff",
        "\ufffe",
    ),
    *("'ſ", "'sT", "'Ll", "''s", " 's", "-lhe", " -se", "--a", "“E", "¿Q", "1.5", "12345", " 1234"),
    *("𝟘𝟙", "𐐀", "𠀀", "\U0001f600\ufe0f", "e\u0323\u0301", "\u0e33", "ﬁ", "Ⅷ٣½"),
]

any_character = st.characters(exclude_categories=["Cs"])
hard_part = st.sampled_from(HARD) | st.text(any_character, max_size=4)
hard_text = st.lists(hard_part, max_size=12).map("".join)

TRAINING_TEXT = (
    "A casa fica na rua da praia. As casas da rua são brancas, e o mar não está longe.\n\n"
    "Não há ninguém na praça; há 12 ou 2024 pombos, e o João's café.\n"
    "The house isn't on the hill, they'll say it's there, we've seen that the road ends.\n\n\n"
    "def soma(a, b):\n        return a + b\n\n    # ---- ==== ----\n"
    "Ação, coração, emoção, canção: ção ção ção. 日本語 日本語 😀 😀 aaaaaaaaaaa aaa aaaaa\n"
) * 6
