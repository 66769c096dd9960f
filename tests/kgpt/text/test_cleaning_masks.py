"""Masks: e-mail addresses and phone numbers, and nothing that only looks a little like them."""

import pytest

from kgpt.text.cleaning import Cleaner

CLEANER = Cleaner(["emails", "phones"])


@pytest.mark.parametrize(
    "text",
    [
        "fulano@example.com",
        "maria.da-silva+lista@correio.org.br",
        "joão@exemplo.com.br",
        "a_b%c@sub.dominio.pt",
    ],
)
def test_addresses_are_masked(text: str) -> None:
    assert CLEANER.clean(f"Escreva para {text}, hoje.").text == "Escreva para <email>, hoje."


@pytest.mark.parametrize("text", ["@usuario", "a@b", "a @ b.com", "joao@", "10@20.30", "x@y..z"])
def test_other_at_signs_stay(text: str) -> None:
    assert CLEANER.clean(text).text == text


@pytest.mark.parametrize(
    "number",
    [
        *(
            "(11) 91234-5678",
            "(11)91234-5678",
            "(011) 3234-5678",
            "11 91234-5678",
            "(81) 3355.7626",
        ),
        *("91234-5678", "+55 11 91234-5678", "+55 (11) 3234-5678", "+5511912345678"),
        *("0800 123 4567", "0800-123-4567", "0300 123 4567"),
        *("+351 912 345 678", "+351912345678", "00351 912 345 678", "912 345 678", "21 234 56 78"),
        *(
            "(555) 234-5678",
            "555-234-5678",
            "1-800-555-0199",
            "+1 555 234 5678",
            "+44 20 7946 0958",
        ),
    ],
)
def test_phone_numbers_are_masked(number: str) -> None:
    assert CLEANER.clean(f"Disque {number}, ou volte.").text == "Disque <phone>, ou volte."
    assert CLEANER.clean(number).text == "<phone>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tel.: 3333-4444.", "Tel.: <phone>."),
        ("telefone 11 3333 4444", "telefone <phone>"),
        ("whatsapp: 11912345678", "whatsapp: <phone>"),
        ("ligue para 0800-616161!", "ligue para <phone>!"),
        ("telemóvel 912345678", "telemóvel <phone>"),
        ("call 09061701461 now", "call <phone> now"),
        ("+351 912 345 678 / +351 213 456 789", "<phone> / <phone>"),
        ("Em 2023, (11) 91234-5678 ou (21) 3234-5678", "Em 2023, <phone> ou <phone>"),
    ],
)
def test_a_word_before_it_or_its_place_tells_a_number(text: str, expected: str) -> None:
    assert CLEANER.clean(text).text == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "em 1998 e 2024",
            "1914-1918",
            "de 1939-1945 a 2023-2024",
            "tel 1998-2004",
            "temporada 11 2023-2024",
        ),
        *("12/05/2024", "12-05-2024", "2024-05-12", "12.05.2024 10:30", "2020-11-05 10:20:30"),
        *("R$ 1.234.567,89", "R$ 91234-5678", "€ 912 345 678", "912 345 678 euros", "12345678,90"),
        *("3 912 345 678", "1 000 000 000", "203 080 756 habitantes", "+5 000 000 de pessoas"),
        *("CPF 123.456.789-09", "12345678909", "CNPJ 12.345.678/0001-95", "CEP 01310-100"),
        *("ISBN 978-85-359-0277-1", "ISSN 1234-5678", "3,14159265358979", "3.14159265358979"),
        *("192.168.100.200", "versão 10.0.19045.3803", "Los Angeles, CA 90012-1234"),
        *("placar de 3-2 (2-1) (5-4)", "x91234-5678y", "ligue 190", "1 2 3 4 5 6 7 8 9 10 11 12"),
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert CLEANER.clean(text).text == text


@pytest.mark.parametrize(
    "text", ["1" * 200_000, "+1" * 100_000, "(1) " * 50_000, "a@" * 100_000, "a." * 100_000 + "@"]
)
def test_long_rows_take_no_long_time(text: str) -> None:
    CLEANER.clean(text)
