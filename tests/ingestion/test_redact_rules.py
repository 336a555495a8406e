"""Ways of writing things, and what looks like them. All examples are invented."""

import random
import string

import pytest

from ingestion.redact.finder import CHECKED
from ingestion.redact.redactor import Redactor

REDACTOR = Redactor()


def redact(*texts, language="en", country=None):
    return REDACTOR.redact(texts, language=language, country=country).texts


def body(length):
    return "".join(random.Random(length).choices(string.ascii_letters + string.digits, k=length))


REPLACED = {
    "an address in a URL": ("?to=jo%40example.com&x", "?to=[EMAIL_1]&x"),
    "a card with two spaces": ("4111  1111  1111  1111", "[CARD_1]"),
    "a card with dots": ("4111.1111.1111.1111", "[CARD_1]"),
    "a card in a table": ("id,card\n901,4111111111111111\n", "id,card\n901,[CARD_1]\n"),
    "an SSN by its hyphens": ("is it 123-45-6789?", "is it [NATIONAL_ID_1]?"),
    "an SSN in a table": ("name,ssn\nDoe,123-45-6789", "name,ssn\nDoe,[NATIONAL_ID_1]"),
    "a direct line": ("Direct line: 202.555.0143", "Direct line: [PHONE_1]"),
    "a host in a URL": ("http://81.2.69.142:8080/a", "http://[IP_1]:8080/a"),
    "a host of a user": ("ssh root@81.2.69.142", "ssh root@[IP_1]"),
    "a mail server": ("v=spf1 ip4:81.2.69.142 -all", "v=spf1 ip4:[IP_1] -all"),
    "a network": ("allow 81.2.69.142/24;", "allow [IP_1]/24;"),
    "an address in brackets": ("seen: 81[.]2[.]69[.]142", "seen: [IP_1]"),
    "a Discord token": (f'run("M{body(25)}.{body(6)}.{body(38)}")', 'run("[SECRET_1]")'),
    "a password after its word": ("password Mw3kz9Trq fails", "password [SECRET_1] fails"),
    "a password of digits": ("Passwort: 483920", "Passwort: [SECRET_1]"),
    "a password of a client": ("mysql -u root -pS3cr3t!x db", "mysql -u root -p[SECRET_1] db"),
    "a password of curl": ("curl -u bob:Tr0ub4 https://x", "curl -u bob:[SECRET_1] https://x"),
    "a town that says its state": ("9 Oak Road, San Antonio, TX.", "[ADDRESS_1]."),
    "an Indian address": ("B-4, Shanti Vihar, 14 Tilak Road, Pune 411030", "[ADDRESS_1]"),
    "an Irish address": ("14 Cloon Park, Athlone, Co. Mayo, N37 W2K8", "[ADDRESS_1]"),
    "an Australian address": ("5 Wattle Street, Fitzroy VIC 3065", "[ADDRESS_1]"),
    "a place that a word announces": ("I live at 12 Downing Place", "I live at [ADDRESS_1]"),
    "a Canadian address": (
        "20, boulevard des Pins, Sherbrooke (Québec) J1K 2R6",
        "[ADDRESS_1]",
    ),
    "a Belgian address": ("Rue du Lac 61, 5000 Namur", "[ADDRESS_1]"),
    "a Polish address": ("ul. Leśna 14 m. 5, 60-744 Poznań", "[ADDRESS_1]"),
    "a Swedish address": ("Björkvägen 31, 752 41 Uppsala", "[ADDRESS_1]"),
    "a Japanese address": ("住所は神奈川県藤沢市辻堂3丁目8-14です", "[ADDRESS_1]です"),
    "a Korean address": ("서울시 강남구 새로운길 5-2 입니다", "[ADDRESS_1] 입니다"),
    "a Russian address": ("живу: ул. Лесная, д. 5, кв. 12", "живу: [ADDRESS_1]"),
}


@pytest.mark.parametrize("text, redacted", REPLACED.values(), ids=REPLACED)
def test_replaced(text, redacted):
    assert redact(text)[0].endswith(redacted)


STAYS = {
    "a part number like an SSN": "part 123-45-6789",
    "a decimal like a card": "0,4111111111111111",
    "the end of a card that fails Luhn": "7576 3902 5645 9196",
    "a version of a browser": "Chrome/81.2.69.142 Safari/537.36",
    "a version that a verb follows": "the version is 4.8.41.61",
    "a version that ends in zeros": "assembly 4.0.0.0",
    "an algorithm": "passwords SHA256withRSA, password Base64Encoded",
    "a length": "password length: 1200",
    "an option without a value": "mysql -u root -p db",
    "a user of a manual": "curl -u user:password https://x",
    "a court": "In 2024 Supreme Court ruled",
    "a date and a square": "On July 4 Times Square was full",
    "a list": "1. Main Street\n2. Oak Avenue",
    "an easy way": "3 Easy Way to win",
    "a walk in Chinese": "从市中心步行约30分钟",
    "a range of prices in Chinese": "价格区间在800-1200元之间",
    "a chair in Russian": "стул. Мебель, 5",
}


@pytest.mark.parametrize("text", STAYS.values(), ids=STAYS)
def test_stays(text):
    assert redact(text) == [text]


@pytest.mark.parametrize("text", ["3 6 9 12 15 18 21", "06 12 24 48 96", "01 03 05 07 09"])
def test_a_progression_is_no_phone(text):
    assert redact(text, language="fr") == redact(text, language="it") == [text]


def test_an_ssn_of_no_country_needs_a_word():
    assert redact("123-45-6789", language=None) == ["123-45-6789"]


def test_a_table_over_several_turns_is_one_table():
    turn = "\n".join(["10.0.0.1"] * (CHECKED - 5))  # private, so no check lets it through
    texts = redact(turn, turn)
    assert texts[0] == turn
    assert texts[1].count("[IP_1]") == CHECKED - 10
    assert redact(*texts) == texts
