import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.redact import folding
from ingestion.redact.redactor import Redactor
from ingestion.redact.spans import Span

REDACTOR = Redactor()
WIDE = {ord(c): ord(c) + 0xFEE0 for c in map(chr, range(0x21, 0x7F)) if c not in "[]"}


def redact(text, language="en"):
    return REDACTOR.redact([text], language=language, country=None).texts[0]


@pytest.mark.parametrize(
    "text, redacted",
    {
        "an address": ("メール jo@example.com！", "メール [EMAIL_1]！"),
        "a phone": ("電話 +41-44-668-18-00です", "電話 [PHONE_1]です"),
        "two things": ("jo@example.com、a@example.com", "[EMAIL_1]、[EMAIL_2]"),
        "a card": ("カード 4111 1111 1111 1111。", "カード [CARD_1]。"),
    }.values(),
)
def test_full_width_characters_are_read_as_ascii(text, redacted):
    written = "".join(c.translate(WIDE) if c.isascii() else c for c in text)
    assert written != text
    expected = redacted.replace("。", "。")
    assert redact(written, "ja") == expected


def test_both_widths_of_one_thing_are_one():
    assert redact("jo@example.com ｊｏ＠ｅｘａｍｐｌｅ．ｃｏｍ") == "[EMAIL_1] [EMAIL_1]"


def test_full_width_text_with_nothing_in_it_stays():
    assert redact("２０２４年５月１２日、ＡＢＣ") == "２０２４年５月１２日、ＡＢＣ"


def test_brackets_make_no_placeholder():
    assert folding.Narrow("［ＩＰ_1］".encode()).text == "［IP_1］".encode()


@given(st.lists(st.sampled_from(["a", "é", "電", "Ａ", "１", "！", "＠", "［", " "]), max_size=20))
@settings(max_examples=100, deadline=None)
def test_a_span_comes_back_to_the_characters_that_it_was_read_from(characters):
    text = "".join(characters)
    for start in range(len(text)):
        head = folding.Narrow(text[:start].encode()).text
        one = folding.Narrow(text[start].encode()).text
        span = Span(len(head), len(head) + len(one), "IP", "")
        back = folding.Narrow(text.encode()).widened(span)
        assert text.encode()[back.start : back.end].decode() == text[start]


def test_a_row_of_numbers_holds_no_phone_in_three_of_them():
    numbers = random.Random(3)
    row = " ".join(str(numbers.randrange(100, 1000)) for _ in range(400))
    assert redact(row, "it") == row


def test_a_whole_number_in_a_row_is_found():
    row = "17 " * 30
    assert redact(row + "4111111111111111 " + row) == row + "[CARD_1] " + row


def test_a_few_phones_with_a_space_between_are_found():
    assert redact("202-555-0143 " * 4).split() == ["[PHONE_1]"] * 4


@pytest.mark.parametrize(
    "written",
    [
        lambda numbers: str(numbers.randrange(10 ** numbers.randint(1, 10))),
        lambda numbers: str(numbers.randrange(100, 1000)),
        lambda numbers: f"{numbers.random():.6f}",
        lambda numbers: str(numbers.randrange(10**9, 10**10)),
    ],
    ids=["of all lengths", "of three digits", "decimals", "of ten digits"],
)
def test_numbers_alone_are_cheap(written):
    numbers = random.Random(5)
    text = " ".join(written(numbers) for _ in range(20_000))
    redact(text[:2_000])
    start = time.process_time()
    redact(text)
    assert time.process_time() - start < len(text) * 1e-6  # 1 ms a kB; measured: 0.2 or less


def test_a_table_of_eight_columns_holds_no_phone_in_three_of_them():
    numbers = random.Random(4)
    table = "".join(
        " ".join(str(numbers.randrange(10 ** (i % 4 + 1))) for i in range(8)) + "\n"
        for _ in range(100)
    )
    assert redact(table, "it") == table
