"""What leaves a text, what stays, and what placeholders promise. All examples are invented."""

import random
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.redact.finder import CHECKED
from ingestion.redact.options import Kind, RedactionOptions
from ingestion.redact.redactor import Redactor

REDACTOR = Redactor()


def redact(*texts: str, language: str | None = "en", country: str | None = None) -> list[str]:
    return REDACTOR.redact(texts, language=language, country=country).texts


def body(length: int) -> str:
    """A token's random part: the same on every run, and no issuer's."""
    return "".join(random.Random(length).choices(string.ascii_letters + string.digits, k=length))


# Text -> what comes of it, in English with no country.
REPLACED = {
    "an address": ("write to jo.doe+lists@mail.example.com!", "write to [EMAIL_1]!"),
    "an address in Chinese": ("邮箱是jo@example.com谢谢", "邮箱是[EMAIL_1]谢谢"),
    "an address with an umlaut": ("jörg@bücher.example", "[EMAIL_1]"),
    "an address for people": ("jo (at) example (dot) com", "[EMAIL_1]"),
    "an address in words": ("it's jo.doe at example dot com", "it's [EMAIL_1]"),
    "a Visa card": ("pay 4111 1111 1111 1111.", "pay [CARD_1]."),
    "an Amex card": ("3782-822463-10005", "[CARD_1]"),
    "a card with no gaps": ("card=5555555555554444", "card=[CARD_1]"),
    "a card and its code": ("4242424242424242 123", "[CARD_1] 123"),
    "an IBAN": ("to GB29 NWBK 6016 1331 9268 19 please", "to [IBAN_1] please"),
    "an IBAN that words follow": ("AT61 1904 3002 3457 3201 is mine", "[IBAN_1] is mine"),
    "an IBAN in lower case": ("de89370400440532013000", "[IBAN_1]"),
    "an IPv4 address": ("from 81.2.69.142:8080", "from [IP_1]:8080"),
    "an IPv6 address": ("from 2a02:8109:9a40::1, eh", "from [IP_1], eh"),
    "an international phone": ("+41 44 668 18 00", "[PHONE_1]"),
    "a phone from abroad": ("dial 0041 44 668 18 00", "dial [PHONE_1]"),
    "a phone by its groups": ("(202) 555-0143", "[PHONE_1]"),
    "a phone by its word": ("my cell: 2025550143", "my cell: [PHONE_1]"),
    "a local phone by its word": ("call 555-0143", "call [PHONE_1]"),
    "a phone and a number before": ("2 202-555-0143", "2 [PHONE_1]"),
    "two phones": ("202-555-0143 202-555-0144", "[PHONE_1] [PHONE_2]"),
    "a US address": ("at 742 Evergreen Ter, Apt 2, Reno, NV 89501 now", "at [ADDRESS_1] now"),
    "a US address in lower case": ("i live at 12 oak street", "i live at [ADDRESS_1]"),
    "a British address": ("12 Acacia Avenue, Leeds LS1 4AP", "[ADDRESS_1]"),
    "a German address": ("Musterstraße 12a, 12345 Musterstadt", "[ADDRESS_1]"),
    "a German address in two words": ("Lange Straße 7 in Hof", "[ADDRESS_1] in Hof"),
    "a French address": ("12 bis rue de la Gare, 75012 Paris", "[ADDRESS_1]"),
    "a Spanish address": ("Calle de la Luna, 8, 28004 Madrid", "[ADDRESS_1]"),
    "a post office box": ("P.O. Box 123", "[ADDRESS_1]"),
    "an assigned password": ("password: hunter2!X.", "password: [SECRET_1]."),
    "a password in a sentence": ("my password is Tr0ub4dor&3", "my password is [SECRET_1]"),
    "a password with a word in it": ("password: center2024!", "password: [SECRET_1]"),
    "a password as a flag": ("mysql --password 'P@ssw0rd1'", "mysql --password '[SECRET_1]'"),
    "a long key to its end": (f"token={body(3000)}", "token=[SECRET_1]"),
    "a password in Chinese": ("密码：Tr0ub4dor&3", "密码：[SECRET_1]"),
    "a password in a URL": (
        "postgres://bob:s3cr3t@db.example.com/x",
        "postgres://bob:[SECRET_1]@db.example.com/x",
    ),
    "an assigned key": (f'API_KEY = "{body(24)}"', 'API_KEY = "[SECRET_1]"'),
    "a bearer": (f"Authorization: Bearer {body(32)}", "Authorization: Bearer [SECRET_1]"),
    "a JSON web token": (f"eyJ{body(20)}.eyJ{body(30)}.{body(43)}", "[SECRET_1]"),
    "a private key": (
        f"-----BEGIN RSA PRIVATE KEY-----\n{body(64)}\n{body(20)}==\n-----END RSA PRIVATE KEY-----",
        "[SECRET_1]",
    ),
    "a private key cut short": (f"-----BEGIN PRIVATE KEY-----\n{body(64)}", "[SECRET_1]"),
}


@pytest.mark.parametrize("text, redacted", REPLACED.values(), ids=REPLACED)
def test_replaced(text, redacted):
    assert redact(text) == [redacted]


TOKENS = {
    "AWS": "AKIAIOSFODNN7EXAMPLE",
    "GitHub": "ghp_" + body(36),
    "GitHub, fine-grained": "github_pat_" + body(40),
    "GitLab": "glpat-" + body(20),
    "Slack": "xoxb-" + body(24),
    "Stripe": "sk_live_" + body(24),
    "OpenAI": "sk-proj-" + body(48),
    "Anthropic": "sk-ant-api03-" + body(60),
    "Google": "AIza" + body(35),
    "npm": "npm_" + body(36),
    "PyPI": "pypi-" + body(80),
    "Hugging Face": "hf_" + body(34),
    "SendGrid": "SG." + body(22) + "." + body(43),
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_tokens_are_secrets(token):
    assert redact(f"use {token}, it works") == ["use [SECRET_1], it works"]


NATIONAL_IDS = {
    "US": "my SSN is 123-45-6789",
    "GB, insurance": "National Insurance: AB 12 34 56 C",
    "GB, health": "NHS 943 476 5919",
    "FR": "2 55 08 14 168 025 38",
    "DE": "Steuer-ID 36 574 261 809",
    "ES": "54362315K",
    "ES with dots": "54.362.315-K",
    "ES, foreigners": "X-2482300-W",
    "IT": "RCCMNL83S18D969H",
    "NL": "BSN 111222333",
    "BE": "85.07.30-033.28",
    "PT": "NIF 123456789",
    "PL": "PESEL 44051401359",
    "SE": "880320-0016",
    "FI": "131052-308T",
    "NO": "15108695088",
    "DK": "CPR 211062-5629",
    "BR": "390.533.447-05",
    "CN": "11010519491231002X",
    "IN": "Aadhaar 2341 2341 2346",
    "JP": "マイナンバーは 6214 9832 0257",
    "KR": "971013-9019902",
    "MX": "BOXW310820HNERXN09",
    "CA": "SIN 123-456-782",
    "CH": "756.9217.0769.85",
    "CZ": "710319/2745",
}


@pytest.mark.parametrize("text", NATIONAL_IDS.values(), ids=NATIONAL_IDS)
def test_national_ids(text):
    assert redact(text)[0].endswith("[NATIONAL_ID_1]")


STAYS = {
    "a card that fails Luhn": "4111 1111 1111 1112",
    "a number that no issuer gives": "7992 7398 7130 0004",
    "an order number that passes Luhn": "order no. 4111111111111111",
    "an IBAN with a wrong check digit": "DE89 3704 0044 0532 0130 01",
    "a private address": "192.168.1.10 and 10.0.0.1",
    "this machine": "127.0.0.1, ::1",
    "addresses for documents": "203.0.113.7 2001:db8::1",
    "a public resolver": "8.8.8.8",
    "a version in four parts": "version 1.20.3.4 and v1.20.3.4",
    "a C++ name": "std::vector<int> a::b",
    "a MAC address": "00:1a:2b:3c:4d:5e",
    "a UUID": "550e8400-e29b-41d4-a716-446655440000",
    "a commit": "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    "a date and a time": "2024-05-12T12:30:45.123456Z, 12.05.2024, 05/12/2024 10:11:12",
    "years": "1990-2000 2010 2015",
    "an ISBN": "ISBN 978-3-16-148410-0",
    "a price": "$1,299,000.00 or 1.299.000 €",
    "a number of people": "1 234 567 people",
    "a decimal": "3.14159265358979",
    "coordinates": "40.712776, -74.005974",
    "a sum": "123456 + 654321 = 777777",
    "a row of numbers": "1 2 3 4 5 6 7 8 9 10",
    "an epoch": "1715517045123",
    "a path": "/orders/2025550143/items",
    "a git remote": "git@github.com:team/repo.git",
    "a picture": "logo@2x.png",
    "a package": "lodash@4.17.21",
    "a decorator": "@app.route('/x')",
    "a password of a manual": "password: your_password_here",
    "a password from the environment": "password=os.environ.get('DB')",
    "a rule for passwords": "The password is required and must be long",
    "a URL of a manual": "postgres://user:password@localhost/db",
    "a filled token": "ghp_" + "x" * 36,
    "a class of CSS": "sk-circle-fade-dot-wrapper-element",
    "the mention of a key": "it starts with -----BEGIN PRIVATE KEY----- and ends",
    "a call": "password = parse_userinfo(text)",
    "an object identifier": "ObjectIdentifier('2.5.29.29')",
    "a fraction": "3975/51712 and 29103/16384",
    "pages of a journal": "Biometrics, 34, 469-474 (1978). 23(3): 181-201. 1999.",
    "a number in brackets": "randint(2147483648, dtype=int)",
    "a standard": "deprecated via RFC 9864",
    "a public key": f"-----BEGIN PUBLIC KEY-----\n{body(64)}\n-----END PUBLIC KEY-----",
    "a hotel": "a 5 Star Hotel, 24 hours a day",
    "a street with no number": "Baker Street is in London",
    "bring 5": "Spring 5 and string 12",
}


@pytest.mark.parametrize("text", STAYS.values(), ids=STAYS)
def test_stays(text):
    assert redact(text) == [text]


@pytest.mark.parametrize(
    "language, country, text, redacted",
    {
        "valid where the log comes from": ("de", "Germany", "030 23125123", "[PHONE_1]"),
        "by the language alone": ("fr", None, "01 99 00 12 34", "[PHONE_1]"),
        "a country by its code": (None, "ch", "044 668 18 00", "[PHONE_1]"),
        "a Chinese mobile": ("zh", None, "我是13800138000", "我是[PHONE_1]"),
        "in another country": (None, "US", "01 99 00 12 34", "01 99 00 12 34"),
        "nothing known": (None, None, "01 99 00 12 34", "01 99 00 12 34"),
        "an unknown country": (None, "Atlantis", "01 99 00 12 34", "01 99 00 12 34"),
        "an id at home needs no word": (None, "PL", "44051401359", "[NATIONAL_ID_1]"),
        "an id abroad does": (None, "US", "44051401359", "44051401359"),
    }.values(),
)
def test_country(language, country, text, redacted):
    assert redact(text, language=language, country=country) == [redacted]


class TestPlaceholders:
    def test_the_same_value_has_the_same_number_in_every_turn(self):
        assert redact("jo@example.com", "a@example.com", "Jo@Example.com", "+1 202-555-0143") == [
            "[EMAIL_1]", "[EMAIL_2]", "[EMAIL_1]", "[PHONE_1]",
        ]  # fmt: skip

    def test_two_spellings_of_one_phone_are_one(self):
        assert redact("(202) 555-0143 or +1 202 555 0143") == ["[PHONE_1] or [PHONE_1]"]

    def test_counts_are_of_replacements(self):
        found = REDACTOR.redact(
            ["jo@example.com jo@example.com", "81.2.69.142"], language=None, country=None
        )
        assert found.counts == {"EMAIL": 2, "IP": 1}

    def test_what_looks_like_one_stays_and_keeps_its_number(self):
        assert redact("[EMAIL_1] and [ROW_7]: jo@example.com") == [
            "[EMAIL_1] and [ROW_7]: [EMAIL_2]"
        ]

    def test_a_placeholder_is_no_word_for_a_number(self):
        assert redact("[PHONE_1] 2025550143") == ["[PHONE_1] 2025550143"]

    def test_a_placeholder_is_no_password(self):
        assert redact("password: [SECRET_1]") == ["password: [SECRET_1]"]

    def test_the_question_before_says_what_a_number_is(self):
        assert redact("What is your SSN?", "123-45-6789") == [
            "What is your SSN?",
            "[NATIONAL_ID_1]",
        ]

    def test_what_overlaps_goes_by_kind(self):
        assert redact("password=jo9@example.com") == ["password=[SECRET_1]"]


PIECES = [
    "jo@example.com", "a.b@example.org", "+41 44 668 18 00", "(202) 555-0143", "call", "SSN",
    "123-45-6789", "4111 1111 1111 1111", "GB29 NWBK 6016 1331 9268 19", "81.2.69.142",
    "password:", "hunter2!X", "[EMAIL_1]", "[PHONE_3]", "12 Oak Street", "order", "\n", "é", "电话",
    "2024-05-12", "https://", "@", ":", "-", ".", "5", "1234567", "address", "iban",
]  # fmt: skip
PROSE = st.lists(st.sampled_from(PIECES), max_size=12).flatmap(
    lambda words: st.sampled_from([" ", "", ", "]).map(lambda gap: gap.join(words))
)
TEXTS = st.lists(st.one_of(PROSE, PROSE, st.text(max_size=60)), max_size=5)


@given(TEXTS, st.sampled_from(["en", "de", "zh", None]))
@settings(max_examples=300, deadline=None)
def test_redacting_again_changes_nothing(texts, language):
    once = redact(*texts, language=language)
    again = REDACTOR.redact(once, language=language, country=None)
    assert again.texts == once
    assert again.counts == {}


@given(TEXTS, st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_a_longer_state_begins_as_the_shorter_did(texts, length):
    assert redact(*texts)[:length] == redact(*texts[:length])


def test_kinds_that_are_off_are_left():
    emails = Redactor([Kind.EMAIL])
    found = emails.redact(["jo@example.com 81.2.69.142"], language=None, country=None)
    assert found.texts == ["[EMAIL_1] 81.2.69.142"]
    assert Redactor([]).redact(["jo@example.com"], language=None, country=None).counts == {}


def test_all_kinds_are_on_by_default():
    assert RedactionOptions().kinds == tuple(Kind)


def test_a_table_beyond_the_bound_is_redacted_unchecked():
    address = "10.0.0.1"  # private, so no check lets it through
    text = redact("\n".join([address] * (CHECKED + 5)))[0]
    assert text.count(address) == CHECKED
    assert text.count("[IP_1]") == 5


def test_noise_exhausts_no_automaton():
    noise = random.Random(7)
    text = "".join(noise.choices(string.printable + "éß电话", k=400_000))
    assert redact(text + " jo@example.com")[0].endswith("]")


PIECES = (
    "-----BEGIN PRIVATE KEY-----" + "A" * 41, "eyJ-eyJ.", "1 ", "a@", "a.", "://a:", "1:", "tel 1 ",
    "_a", " _a", "_a_b ", "__", "\\", "\\n", "*", "_a\\n", "密码是a",
)  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_time_is_linear_in_hostile_text(piece):
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        start = time.process_time()
        redact(text)
        return time.process_time() - start

    seconds(1_000)
    assert seconds(400_000) < 40 * max(seconds(40_000), 0.01)
